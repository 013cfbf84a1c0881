"""The data on disk: the one owner of every schema under `data/`.

    data/generation/study=<name>/<run>.parquet        one row per evaluation
    data/reconstruction/study=<name>/<ae>.parquet     one row per autoencoder and metric
    data/latents/study=<name>/<ae>.parquet            one row per autoencoder, latent metric and channel or frequency
    data/paired/study=<name>/<run>.parquet            evaluations in half precision, the same samples in float32
    data/anchors/study=<name>/<ae>.parquet            one row per autoencoder, anchor, and way of measuring
    data/losses/study=<name>/<run>.parquet            one row per training run, interval of steps and bin of t
    data/atlas/<source>.parquet                       figures from the literature, made from data/atlas/sources/*.csv

A class is a row, a field a column; `KEY`s say which columns name a row.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

SCHEMA_VERSION = 4
"""Raised by one at every change of a field below; readers refuse files of another version, see `records.migration`."""


@dataclass(frozen=True)
class GenerationRow:
    """One evaluation: samples of one training run at one step, drawn with one sampling shift.

    `fid` is the Frechet distance in the features named by `feature_network`; it may be called FID only
    where that is `inception2015` (see `distance_label`). `kid`, `sample_precision` and `sample_recall` are in the same
    features. `score` names the distance that chose the study's settings, `fid` or `kid`.

    Three more pairs say what of a distance is the decoder's, all at `n_samples` images: `floor_*`, of reconstructed
    test images to the reference; `reconstruction_*`, of the samples to those reconstructions; `gaussian_*`, of decoded
    Gaussian latents, with mean and covariance of the training latents, to them. `straightness` and `efficiency` are of
    the sampling paths (`lrcore.flow.path_shape`). `width` is the transformer's, `skip` what leads around it,
    `numerical_path` on what the training and the sampling were computed.

    NaN (or "") where the run diverged, where there are fewer test images than samples, and where a row was written
    before there was such a column.
    """

    step: int
    ae: str
    repa: str
    trainp: str
    trainshift: float
    sampleshift: float
    fid: float
    kid: float
    sample_precision: float
    sample_recall: float
    floor_fid: float
    floor_kid: float
    reconstruction_fid: float
    reconstruction_kid: float
    gaussian_fid: float
    gaussian_kid: float
    straightness: float
    efficiency: float
    score: str
    status: str
    feature_network: str
    feature_sha256: str
    feature_protocol: str
    n_samples: int
    n_reference: int
    reference: str
    label_rule: str
    uint8_rule: str
    sampler: str
    sampling_steps: int
    guidance: float
    guidance_low: float
    guidance_high: float
    sample_seed: int
    train_seed: int
    dataset: str
    resolution: int
    tokens: int
    channels_per_token: int
    model: str
    width: float
    skip: str
    parameters: int
    batch_size: int
    learning_rate: float
    ema_decay: float
    precision: str
    numerical_path: str
    recipe: str
    lrcore_version: str
    schema_version: int = SCHEMA_VERSION


HALF_PRECISION = "; convolutions in half precision"
"""In a `feature_protocol`: behind it stand the number format and what was done about its rounding."""

DISTANCE_PROTOCOL = (
    "dataset", "resolution", "feature_network", "feature_sha256", "feature_protocol", "score", "n_samples",
    "n_reference", "reference", "label_rule", "uint8_rule", "sampler", "sampling_steps", "guidance", "guidance_low",
    "guidance_high",
)  # fmt: skip
"""Columns of `GenerationRow`: distances are comparable only where all of these are equal."""


@dataclass(frozen=True)
class AnchorRow:
    """What a distance is to be held against: images that no transformer drew, compared as samples are.

    `anchor` is `noise` (what sampling starts from, decoded), `gaussian` (latents with mean and covariance of the
    training latents, decoded), `reconstructions` (of test images) or `test` (the test images themselves). They are
    compared with the study's reference (`target` is `reference`) and with the reconstructions (`reconstructions`), but
    those not with themselves.
    """

    ae: str
    anchor: str
    target: str
    fid: float
    kid: float
    n_samples: int
    n_reference: int
    reference: str
    feature_network: str
    feature_sha256: str
    feature_protocol: str
    uint8_rule: str
    sample_seed: int
    dataset: str
    resolution: int
    tokens: int
    channels_per_token: int
    recipe: str
    lrcore_version: str
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class ReconstructionRow:
    """One metric of one autoencoder over the validation images of a study.

    `standard_error` is that of the mean over images; NaN for a metric of the whole set (`rfd`, called `rfid` where
    `network` is `inception2015`). `origin` is that of `spec.study.AutoencoderSpec`; `weights` is the hub id, folder or
    code of those that come from elsewhere.
    """

    ae: str
    metric: str
    value: float
    standard_error: float
    n_images: int
    dataset: str
    split: str
    resolution: int
    tokens: int
    channels_per_token: int
    origin: str
    weights: str
    precision: str
    network: str
    network_sha256: str
    protocol: str
    recipe: str
    lrcore_version: str
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class LatentRow:
    """One number about the latents of one autoencoder over the validation images of a study.

    `index` counts channels or rings of spatial frequencies from 0, and is -1 for a metric of the whole; `x` is the
    ring's frequency in cycles per token, NaN elsewhere. `value` is NaN where it is undefined (the kurtosis of a
    constant channel), and so is its `standard_error` over images.
    """

    ae: str
    metric: str
    index: int
    x: float
    value: float
    standard_error: float
    n_images: int
    dataset: str
    split: str
    resolution: int
    tokens: int
    channels_per_token: int
    network: str
    network_sha256: str
    protocol: str
    recipe: str
    lrcore_version: str
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class LossRow:
    """Mean flow-matching loss of one training run over an interval of steps and a bin of training times.

    The interval ends at `step` and begins where the one before ended; the bin is `t_low` <= t < `t_high`, the last one
    with t = 1. `loss` is the mean squared error of the velocity over `count` training images, without REPA's part; NaN
    where no t fell into the bin.
    """

    step: int
    t_low: float
    t_high: float
    loss: float
    count: int
    ae: str
    repa: str
    trainp: str
    trainshift: float
    train_seed: int
    width: float
    skip: str
    recipe: str
    lrcore_version: str
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class AtlasRow:
    """One figure from the literature, as a source prints it.

    `source` is a key of `posts/references.bib`, `place` where in it the figure stands. The vocabularies of the other
    texts are in `records.atlas_vocabulary`; "", 0 or NaN is what the source does not state. `group` names the protocol
    (`data/atlas/groups.csv`): figures of two groups are never compared in size or order.
    """

    source: str
    place: str
    verified: str
    repository: str
    secondary: bool
    quoted_from: str
    repeats: bool
    autoencoder: str
    canonical: str
    family: str
    ae: str
    downsampling: int
    channels: int
    patch: int
    tokens: int
    channels_per_token: int
    parameters: int
    dataset: str
    resolution: int
    split: str
    quantity: str
    predictor: str
    value: float
    bound: str
    error: float
    unit: str
    n: int
    generator: str
    budget: str
    images_seen: int
    sampler: str
    steps: int
    guidance: str
    guidance_scale: float
    guidance_low: float
    guidance_high: float
    label_rule: str
    reference: str
    density: str
    trainshift: float
    sampleshift: float
    decoder: str
    variant: str
    group: str
    table: str
    setting: str
    note: str
    schema_version: int = SCHEMA_VERSION


GENERATION_KEY = (
    "ae", "repa", "trainp", "trainshift", "step", "sampleshift",
    "feature_network", "feature_protocol", "sampler", "sampling_steps", "guidance", "guidance_low", "guidance_high",
    "n_samples", "train_seed", "sample_seed", "width", "skip",
)  # fmt: skip


ANCHORS_KEY = ("ae", "anchor", "target", "feature_network", "feature_protocol", "n_samples", "sample_seed")


RECONSTRUCTION_KEY = ("ae", "metric", "network", "split", "n_images")


LATENTS_KEY = ("ae", "metric", "index")


LOSSES_KEY = ("ae", "repa", "trainp", "trainshift", "train_seed", "width", "skip", "step", "t_low")


ATLAS_KEY = (
    "source", "place", "autoencoder", "dataset", "resolution", "split", "quantity", "predictor", "n", "generator",
    "budget", "sampler", "steps", "guidance", "guidance_scale", "label_rule", "density", "trainshift", "sampleshift",
    "decoder", "variant", "table", "setting",
)  # fmt: skip


TABLES: Mapping[str, tuple[type, Sequence[str]]] = {
    "generation": (GenerationRow, GENERATION_KEY),
    "reconstruction": (ReconstructionRow, RECONSTRUCTION_KEY),
    "latents": (LatentRow, LATENTS_KEY),
    "losses": (LossRow, LOSSES_KEY),
    "anchors": (AnchorRow, ANCHORS_KEY),
    "paired": (GenerationRow, GENERATION_KEY),
}
"""What studies measure: the folder under `data/`, its row class, and the columns that no two of its rows share."""

_ARROW = {"int": pa.int64(), "float": pa.float64(), "str": pa.string(), "bool": pa.bool_()}


def arrow_schema(row: type) -> pa.Schema:
    """The Parquet schema of a row class: its fields in order, int64 / float64 / string / bool."""
    fields = [pa.field(f.name, _ARROW[str(f.type)], nullable=False) for f in dataclasses.fields(row)]
    return pa.schema(fields, metadata={"lrcore_schema": row.__name__, "lrcore_schema_version": str(SCHEMA_VERSION)})


def distance_label(feature_network: str, score: str = "fid") -> str:
    """What a distance in these features may be called: the Frechet distance, or, as `kid`, 1000 kernel distances.

    >>> distance_label("inception2015"), distance_label("efficientnet_lite0")
    ('FID', 'FD (EfficientNet-Lite0)')
    >>> distance_label("inception2015", "kid"), distance_label("mine", "kid")
    ('KID × 1000', 'KD × 1000 (mine)')
    """
    name, other = ("KID × 1000", "KD × 1000") if score == "kid" else ("FID", "FD")
    if feature_network == "inception2015":
        return name
    names = {"efficientnet_lite0": "EfficientNet-Lite0"}
    return f"{other} ({names.get(feature_network, feature_network)})"
