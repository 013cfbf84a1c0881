"""What a study says, as typed data: its tables, their keys and the values that are allowed.

`lrcore.studies.loading` reads it from TOML; `smoke.toml` explains every key.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

AUTOENCODER_FAMILIES = ("kl", "flux2", "rae", "patches", "taef2", "diffusers")
RESERVED = ("orig", "published")
"""Names that pictures and the choice of a study use for originals and for the literature."""

PRECISIONS = ("float32", "bfloat16")
NORMALISATIONS = ("all", "channel", "position")
"""What one mean and one deviation of the latents are of, where a study asks for statistics of the training images."""

DATASETS = {
    "cifar10": (),
    "folder": ("path", "validation_path", "unreadable"),
    "imagenet": ("path", "unreadable"),
    "webdataset": ("path", "validation_path", "unreadable"),
    "parquet": ("path", "validation_path", "image_column", "label_column", "unreadable"),
}
"""Where images come from, with the keys of [data] that mean something there beside the numbers;
`lrcore.datasets.loading`."""

SHARDS = ("webdataset", "parquet")
"""Those of them whose paths are patterns of files."""

UNREADABLE = ("refuse", "skip")
LATENTS = ("mode", "sample")
LATENT_PRECISIONS = ("float32", "float16")
NO_REPA = "none"
SELF_REPA = "self"
"""REPA towards the averaged transformer's own deeper block instead of an encoder."""

SCORES = ("fid", "kid")
NO_SKIP = "none"
SKIPS = (NO_SKIP, "linear")
"""What leads around the transformer: nothing, or `lrcore.flow.transformer.LinearSkip`."""


def needs_encoder(repa: str) -> bool:
    """Whether this kind of REPA reads features of the frozen encoder."""
    return repa not in (NO_REPA, SELF_REPA)


class StudyPath(str):
    """A path that a study's file names: the place itself as a string, and as it is `written` in the file.

    Rows and recipes take it as it is written, so that they stay the same wherever the study's folder is.
    """

    written: str

    def __new__(cls, place: str, written: str) -> StudyPath:
        made = super().__new__(cls, place)
        made.written = written
        return made

    def __reduce__(self) -> tuple[type[StudyPath], tuple[str, str]]:
        return StudyPath, (str(self), self.written)


def written(path: str) -> str:
    """A path as the study's file has it; any other string as it is."""
    return path.written if isinstance(path, StudyPath) else path


@dataclass(frozen=True)
class Data:
    """Images: `dataset` is one of `DATASETS`, which says what else it takes.

    `path` is a folder, or a pattern of files with the training images; `validation_path` one of those that hold the
    validation images, "" where a folder's images are divided. `image_column` and `label_column` are names in Parquet
    files. `unreadable` is one of `UNREADABLE`: what is done about images that cannot be decoded.
    """

    dataset: str
    resolution: int
    train_images: int
    validation_images: int
    path: str = ""
    unreadable: str = "refuse"
    validation_path: str = ""
    image_column: str = "image"
    label_column: str = "label"


@dataclass(frozen=True)
class Encoder:
    """The frozen vision encoder: REPA's target, the semantic alignment and the RAE-like latent.

    `name` is one of lrcore's or any of timm's; `weights` a file of them, "" those that come with the name.
    """

    name: str
    size: int
    weights: str = ""


@dataclass(frozen=True)
class AutoencoderTraining:
    """What all autoencoders that the study trains share.

    `gan_weight` above 0 adds a PatchGAN of `gan_layers` strided convolutions from step `gan_start` on.
    """

    steps: int
    batch_size: int
    learning_rate: float
    ema_decay: float
    checkpoint_every: int
    lpips_net: str
    lpips_weight: float
    precision: str = "float32"
    gan_weight: float = 0.0
    gan_start: int = 0
    gan_width: int = 64
    gan_layers: int = 3


class Options(tuple[tuple[str, Any], ...]):
    """A table whose keys somebody else names: pairs, with lists as tuples, so that it can be hashed."""

    def keywords(self) -> dict[str, Any]:
        """As arguments of a call, lists as lists."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in self}


NO_OPTIONS = Options()


@dataclass(frozen=True)
class AutoencoderSpec:
    """One autoencoder: trained by the study, `pretrained` (a hub id or a local folder), without training, or your own.

    `family` is one of `AUTOENCODER_FAMILIES`, or names your own: an entry point, or `file.py:function`
    (`lrcore.autoencoders.custom`). `seed` is added to the study's in training: one more training of the same
    autoencoder. `coefficients` of "patches": the first principal components of a patch that are kept, 0 for its pixels
    as they are. `size` of one from elsewhere: the pixels a side to which images are resized inside it, 0 for none;
    "taef2" needs it, a multiple of 8. `family` "diffusers" goes by the class that the model's `config.json` names
    (`lrcore.autoencoders.by_class`). `variant`: of pretrained weights, such as "fp16"; they are computed with in
    `precision` all the same. `normalise`, one of `NORMALISATIONS`, shifts and scales the latents by statistics of the
    training images; "" leaves them as they come. `options`: further arguments of what your own `family` names. A key
    that the autoencoder does not use is refused.
    """

    family: str
    pretrained: str = ""
    subfolder: str = ""
    revision: str = ""
    variant: str = ""
    precision: str = "float32"
    widths: tuple[int, ...] = ()
    latent_channels: int = 0
    layers_per_block: int = 1
    patch: int = 2
    kl_weight: float = 0.0
    alignment_weight: float = 0.0
    alignment_hidden: int = 256
    decoder_width: int = 0
    decoder_depth: int = 0
    decoder_heads: int = 0
    noise_tau: float = 0.0
    seed: int = 0
    coefficients: int = 0
    size: int = 0
    normalise: str = ""
    options: Options = NO_OPTIONS

    @property
    def origin(self) -> str:
        """`trained` here, `pretrained`, `fitted` (statistics of the training images alone), or `custom`."""
        if self.family not in AUTOENCODER_FAMILIES:
            return "custom"
        if self.family == "patches":
            return "fitted"
        return "pretrained" if self.pretrained or self.family in ("taef2", "diffusers") else "trained"


@dataclass(frozen=True)
class Training:
    """The diffusion transformers of the study.

    `precision` is that of the transformers in training and sampling: "bfloat16" runs them under autocast, with weights,
    losses and the sampler's state in float32. They see the `latent` of each image, one of `LATENTS`: the posterior's
    "mode", or another "sample" of it at each step, where the autoencoder has a posterior. `flip` shows half of the
    images mirrored left to right. `latent_precision`: of latents on disk.

    REPA towards itself (`SELF_REPA`) takes the averaged transformer's tokens after `self_block` blocks, more than
    `repa_block`, at times up to `self_gap` nearer to the data, and weighs its loss by `self_weight`; gap and weight are
    those of its authors (Jiang et al. 2025, arXiv 2505.02831).
    """

    model: str
    evaluate_at: tuple[int, ...]
    batch_size: int
    learning_rate: float
    ema_decay: float
    checkpoint_every: int
    class_dropout: float
    repa_weight: float
    repa_block: int
    repa_hidden: int
    precision: str = "float32"
    latent: str = "mode"
    flip: bool = False
    latent_precision: str = "float32"
    self_block: int = 0
    self_gap: float = 0.2
    self_weight: float = 0.2


@dataclass(frozen=True)
class Evaluation:
    """How samples are drawn and compared.

    `feature_network` is one that `metrics.features.load_features` knows, `feature_weights` a file of its weights, ""
    those that come with the name. `sampler` is one of `lrcore.flow.sampling.SAMPLERS`; `guidance` the scale of
    classifier-free guidance (1 is none), which holds for times in (first, second] of `guidance_interval`. `reference`
    is what samples are compared with, `n_reference` images: "" the first training images, else a folder, a file that
    `lrcore.metrics.sources` opens, or a name of `lrcore.metrics.shipped`. `score`, one of `SCORES`, is the distance
    that decides which setting is best. `sample_seed` is added to the study's seed for noise and classes of the samples.
    `n_interpolated`: training images of the interpolated FID, 0 as many as `stages.diagnostics` allows.
    """

    feature_network: str
    n_samples: int
    n_reference: int
    sampling_steps: int
    sampleshifts: tuple[float, ...]
    batch_size: int
    sampler: str = "euler"
    guidance: float = 1.0
    guidance_interval: tuple[float, ...] = (0.0, 1.0)
    feature_weights: str = ""
    reference: str = ""
    score: str = "fid"
    sample_seed: int = 0
    n_interpolated: int = 0


@dataclass(frozen=True)
class Grid:
    """Trainings: every combination of the lists. A study's cells are the union over its grids.

    `train_seed` takes other seeds than the study's, for a look at what is noise: other initial weights, order of the
    images, times and noise in training. Samples start from the same noise whatever the training's seed. `width` takes
    the place of the model's, none given that one; `skip` lists ways around the transformer, of `SKIPS`. `narrow`
    admits transformers that are narrower than a token has channels.
    """

    ae: tuple[str, ...]
    trainp: tuple[str, ...]
    trainshift: tuple[float, ...]
    repa: tuple[str, ...]
    train_seed: tuple[int, ...] = ()
    width: tuple[int, ...] = ()
    skip: tuple[str, ...] = (NO_SKIP,)
    narrow: bool = False


@dataclass(frozen=True)
class Choice:
    """The best setting of each autoencoder in the grid, measured once more: by new samples, so that the choice does not
    flatter itself, and with what else is to be tried there.

    A training for every combination of `ae` and the lists that are given; what is not listed is as it was chosen (the
    study's seed, its density, without REPA, the model's width). Each is sampled at the chosen sampling shift with
    `sample_seed`; a row for every number in `n_samples`, of the first so many samples of one draw. `width`, `skip` and
    `narrow` as in `Grid`.
    """

    ae: tuple[str, ...]
    n_samples: tuple[int, ...]
    sample_seed: int = 1
    train_seed: tuple[int, ...] = ()
    trainp: tuple[str, ...] = ()
    repa: tuple[str, ...] = (NO_REPA,)
    width: tuple[int, ...] = ()
    skip: tuple[str, ...] = (NO_SKIP,)
    narrow: bool = False


@dataclass(frozen=True, order=True)
class Cell:
    """One training: an autoencoder's latent space, with or without REPA, and a timestep density.

    `width` is the transformer's, 0 that of its model; `skip` one of `SKIPS`.
    """

    ae: str
    repa: str
    trainp: str
    trainshift: float
    train_seed: int = 0
    width: int = 0
    skip: str = NO_SKIP

    @property
    def name(self) -> str:
        """File name of the run, without ending."""
        seed = f"-seed{self.train_seed}" if self.train_seed else ""
        width = f"-width{self.width}" if self.width else ""
        skip = f"-{self.skip}" if self.skip != NO_SKIP else ""
        return f"{self.ae}-{self.repa}-{self.trainp}-{self.trainshift:.2f}{seed}{width}{skip}"


NO_TRAINING = AutoencoderTraining(0, 0, 0.0, 0.0, 0, "", 0.0)
"""Of a study whose autoencoders all come from elsewhere."""


@dataclass(frozen=True)
class Study:
    """A whole study; see `load_study`."""

    name: str
    summary: str
    seed: int
    data: Data
    encoder: Encoder
    autoencoders: dict[str, AutoencoderSpec]
    training: Training
    evaluation: Evaluation
    grid: tuple[Grid, ...]
    autoencoder_training: AutoencoderTraining = NO_TRAINING
    choice: tuple[Choice, ...] = ()

    @property
    def cells(self) -> list[Cell]:
        """All trainings, each once, in the order of the file."""
        found = [
            Cell(*axes)
            for grid in self.grid
            for axes in product(
                grid.ae,
                grid.repa,
                grid.trainp,
                grid.trainshift,
                grid.train_seed or (self.seed,),
                grid.width or (0,),
                grid.skip,
            )
        ]
        return list(dict.fromkeys(found))
