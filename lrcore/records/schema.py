"""The data on disk: the one owner of every schema under `data/`.

    data/generation/study=<name>/<run>.parquet        one row per evaluation
    data/reconstruction/study=<name>/<ae>.parquet     one row per autoencoder and metric
    data/latents/study=<name>/<ae>.parquet            one row per autoencoder, latent metric and channel or frequency
    data/anchors/study=<name>/<ae>.parquet            one row per autoencoder, anchor, and way of measuring
    data/losses/study=<name>/<run>.parquet            one row per training run, interval of steps and bin of t
    data/published/figures.parquet                    figures from the literature

Each file belongs to one unit of work (a training run, an autoencoder), so processes that work on
different units never touch the same file; `upsert` locks the folder, merges by key and replaces the file in one
step, so a re-run never duplicates a row and a reader never sees half a file.

    >>> import pandas
    >>> pandas.read_parquet("data/generation")   # doctest: +SKIP
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet

from lrcore.errors import LrcoreError
from lrcore.runtime.files import atomic_path, exclusive, sweep_leftovers

SCHEMA_VERSION = 4
"""Raised by one at every change of a field below; readers refuse files of another version, see `lrcore.records.migration`."""


@dataclass(frozen=True)
class GenerationRow:
    """One evaluation: samples of one training run at one step, drawn with one sampling shift.

    `fid` is the Frechet distance in the features named by `feature_network`; it may be called FID only
    where that is `inception2015` (see `distance_label`). `kid`, `sample_precision` and `sample_recall` are in the same
    features. `score` names the distance that chose the study's settings, `fid` or `kid`.

    Three more pairs say what of a distance is the decoder's, all at `n_samples` images: `floor_*`, of reconstructed
    test images to the reference; `reconstruction_*`, of the samples to those reconstructions; `gaussian_*`, of decoded
    Gaussian latents, with mean and covariance of the training latents, to them. `straightness` and `efficiency` are of
    the sampling paths (`lrcore.flow.path_shape`). `width` is the transformer's, `skip` what leads around it, `numerical_path` on
    what the training and the sampling were computed.

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

    `standard_error` is that of the mean over images; NaN for a metric of the whole set (`rfd`,
    called `rfid` where `network` is `inception2015`). `origin` is that of `studies.AutoencoderSpec`; `weights` is the
    hub id, folder or code of those that come from elsewhere.
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
class PublishedRow:
    """One figure from the literature.

    `source` is a key of `posts/references.bib`; `ae` is "" where the figure is of no autoencoder.
    """

    source: str
    table: str
    dataset: str
    ae: str
    setting: str
    quantity: str
    value: float
    standard_error: float
    unit: str
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
PUBLISHED_KEY = ("source", "table", "ae", "setting", "quantity")

_ARROW = {"int": pa.int64(), "float": pa.float64(), "str": pa.string()}


def arrow_schema(row: type) -> pa.Schema:
    """The Parquet schema of a row class: its fields in order, int64 / float64 / string."""
    fields = [pa.field(f.name, _ARROW[str(f.type)], nullable=False) for f in dataclasses.fields(row)]
    return pa.schema(fields, metadata={"lrcore_schema": row.__name__, "lrcore_schema_version": str(SCHEMA_VERSION)})


def upsert(path: Path, rows: Sequence[Any], key: Sequence[str]) -> None:
    """Put `rows` (all of one row class) into the Parquet file `path`; a row replaces one of the same key.

    Stored rows of another recipe go: the file belongs to one unit of work, whose study has changed since.
    Rows are stored sorted by key, so the bytes do not depend on the order of the writes.
    """
    schema = arrow_schema(type(rows[0]))
    # one lock a folder, so that the data folder is not strewn with them; each write is short
    with exclusive(path.parent):
        sweep_leftovers(path)
        merged: dict[tuple[Any, ...], Mapping[str, Any]] = {}
        new = [dataclasses.asdict(row) for row in rows]
        for row in [*_of_same_recipe(_stored_rows(path, schema), new), *new]:
            merged[tuple(_comparable(row[name]) for name in key)] = row
        ordered = [merged[k] for k in sorted(merged)]
        with atomic_path(path) as temporary:
            pa.parquet.write_table(pa.Table.from_pylist(ordered, schema), temporary)


def _comparable(value: Any) -> Any:
    """A part of a key: NaN, which a migration leaves where nothing is known, equals nothing and has no order."""
    return -1.0 if isinstance(value, float) and math.isnan(value) else value


def generation_folder(data: Path, study: str) -> Path:
    """`<data>/generation/study=<study>`."""
    return Path(data) / "generation" / f"study={_checked_name(study)}"


def reconstruction_folder(data: Path, study: str) -> Path:
    """`<data>/reconstruction/study=<study>`."""
    return Path(data) / "reconstruction" / f"study={_checked_name(study)}"


def latents_folder(data: Path, study: str) -> Path:
    """`<data>/latents/study=<study>`."""
    return Path(data) / "latents" / f"study={_checked_name(study)}"


def anchors_folder(data: Path, study: str) -> Path:
    """`<data>/anchors/study=<study>`."""
    return Path(data) / "anchors" / f"study={_checked_name(study)}"


def losses_folder(data: Path, study: str) -> Path:
    """`<data>/losses/study=<study>`."""
    return Path(data) / "losses" / f"study={_checked_name(study)}"


def write_generation(data: Path, study: str, run: str, rows: Sequence[GenerationRow]) -> None:
    """Add the rows of training run `run` (a file name without its ending)."""
    upsert(generation_folder(data, study) / f"{run}.parquet", rows, GENERATION_KEY)


def write_reconstruction(data: Path, study: str, ae: str, rows: Sequence[ReconstructionRow]) -> None:
    """Add the rows of autoencoder `ae`."""
    upsert(reconstruction_folder(data, study) / f"{ae}.parquet", rows, RECONSTRUCTION_KEY)


def write_latents(data: Path, study: str, ae: str, rows: Sequence[LatentRow]) -> None:
    """Add the latent metrics of autoencoder `ae`."""
    upsert(latents_folder(data, study) / f"{ae}.parquet", rows, LATENTS_KEY)


def write_anchors(data: Path, study: str, ae: str, rows: Sequence[AnchorRow]) -> None:
    """Add the anchors of autoencoder `ae`."""
    upsert(anchors_folder(data, study) / f"{ae}.parquet", rows, ANCHORS_KEY)


def write_losses(data: Path, study: str, run: str, rows: Sequence[LossRow]) -> None:
    """Add the losses of training run `run` (a file name without its ending)."""
    upsert(losses_folder(data, study) / f"{run}.parquet", rows, LOSSES_KEY)


def write_published(data: Path, rows: Sequence[PublishedRow]) -> None:
    """Add figures from the literature."""
    upsert(Path(data) / "published" / "figures.parquet", rows, PUBLISHED_KEY)


def read_generation(data: Path | str = "data") -> pandas.DataFrame:
    """Every evaluation of every study, with the column `study`; no rows where nothing has been measured."""
    return _read(Path(data) / "generation", GenerationRow, partitioned=True)


def read_reconstruction(data: Path | str = "data") -> pandas.DataFrame:
    """Every reconstruction metric of every study, with the column `study`."""
    return _read(Path(data) / "reconstruction", ReconstructionRow, partitioned=True)


def read_latents(data: Path | str = "data") -> pandas.DataFrame:
    """Every latent metric of every study, with the column `study`."""
    return _read(Path(data) / "latents", LatentRow, partitioned=True)


def read_anchors(data: Path | str = "data") -> pandas.DataFrame:
    """Every anchor of every study, with the column `study`."""
    return _read(Path(data) / "anchors", AnchorRow, partitioned=True)


def read_losses(data: Path | str = "data") -> pandas.DataFrame:
    """The training losses of every study, with the column `study`."""
    return _read(Path(data) / "losses", LossRow, partitioned=True)


def read_published(data: Path | str = "data") -> pandas.DataFrame:
    """Every figure taken from the literature."""
    return _read(Path(data) / "published", PublishedRow, partitioned=False)


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


def _read(folder: Path, row: type, partitioned: bool) -> pandas.DataFrame:
    schema = arrow_schema(row)
    partitioning = None
    if partitioned:
        partition = pa.schema([pa.field("study", pa.string())])
        partitioning = pa.dataset.partitioning(partition, flavor="hive")
        schema = schema.append(partition.field("study"))
    paths = sorted(p for p in folder.rglob("*.parquet") if not p.name.startswith("."))
    for path in paths:
        _check_version(path)
    if not paths:
        empty: pandas.DataFrame = schema.empty_table().to_pandas()
        return empty
    found = pa.dataset.dataset(
        [str(p) for p in paths],
        schema=schema,
        format="parquet",
        partitioning=partitioning,
        partition_base_dir=str(folder),
    )
    table: pandas.DataFrame = found.to_table().to_pandas()
    return table


def _stored_rows(path: Path, schema: pa.Schema) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    _check_version(path)
    # ParquetFile reads the one file: read_table would add the partition column of its folder.
    with pa.parquet.ParquetFile(path) as stored:
        return list(stored.read().select(schema.names).to_pylist())


def _of_same_recipe(stored: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in stored if row.get("recipe") == new[0].get("recipe")]


def stored_version(path: Path) -> int:
    """The schema version of a file of rows; 0 where it says none.

    Raises:
        LrcoreError: it is no readable Parquet file.
    """
    try:
        schema = pa.parquet.read_schema(path)
    except pa.ArrowInvalid as error:
        message = f"'{path}' is no readable Parquet file ({error}): delete it and run the study again"
        raise LrcoreError(message) from error
    return int((schema.metadata or {}).get(b"lrcore_schema_version", b"0"))


def _check_version(path: Path) -> None:
    version = stored_version(path)
    if version == SCHEMA_VERSION:
        return
    mend = "use the lrcore that wrote it, or move the file away and run the study again"
    if version == SCHEMA_VERSION - 1:
        mend = "`python -m lrcore.records.migration` brings it up to date"
    raise LrcoreError(
        f"'{path}' has schema version {version or 'unknown'}; this lrcore reads version {SCHEMA_VERSION}: {mend}"
    )


def _checked_name(study: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]*", study):
        raise LrcoreError(f"study name {study!r} must be lower-case letters, digits and '-', starting with a letter")
    return study
