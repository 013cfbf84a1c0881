"""Studies: what is measured, as typed data read from TOML.

A study is named (a file of this folder, `python -m lrcore.train smoke`) or a path to a TOML file of your
own (`python -m lrcore.train my-study.toml`). `smoke.toml` explains every key. A file that says
`extends = "smoke"` (or another study, or a path beside it) starts from that study: its tables are merged key by key,
its lists and values replace those of the other.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any

from lrcore.errors import LrcoreError, unknown
from lrcore.studies.typed_toml import build
from lrcore.timesteps import TRAINING_DENSITIES
from lrcore.transformer import SHAPES

AUTOENCODER_FAMILIES = ("kl", "flux2", "rae")
PRECISIONS = ("float32", "bfloat16")
DATASETS = {
    "cifar10": (),
    "folder": ("path", "unreadable"),
    "imagenet": ("path", "unreadable"),
    "webdataset": ("path", "validation_path", "unreadable"),
    "parquet": ("path", "validation_path", "image_column", "label_column", "unreadable"),
}
"""Where images come from, with the keys of [data] that mean something there beside the numbers; `lrcore.datasets`."""

UNREADABLE = ("refuse", "skip")
LATENTS = ("mode", "sample")
LATENT_PRECISIONS = ("float32", "float16")
NO_REPA = "none"


@dataclass(frozen=True)
class Data:
    """Images: `dataset` is one of `DATASETS`, which says what else it takes.

    `path` is a folder, or a pattern of files with the training images; `validation_path` one of those that hold the
    validation images. `image_column` and `label_column` are names in Parquet files. `unreadable` is one of
    `UNREADABLE`: what is done about images that cannot be decoded.
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


@dataclass(frozen=True)
class AutoencoderSpec:
    """One autoencoder: trained by the study, `pretrained` (a hub id or a local folder), or your own.

    `family` is one of `AUTOENCODER_FAMILIES`, or names your own: an entry point, or `file.py:function`
    (`lrcore.autoencoders.custom`). A key that the autoencoder does not use is refused.
    """

    family: str
    pretrained: str = ""
    subfolder: str = ""
    revision: str = ""
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

    @property
    def origin(self) -> str:
        """`trained` here, `pretrained`, or `custom`."""
        if self.family not in AUTOENCODER_FAMILIES:
            return "custom"
        return "pretrained" if self.pretrained else "trained"


@dataclass(frozen=True)
class Training:
    """The diffusion transformers of the study.

    `precision` is that of the transformers in training and sampling: "bfloat16" runs them under autocast, with weights,
    losses and the sampler's state in float32. They see the `latent` of each image, one of `LATENTS`: the posterior's
    "mode", or another "sample" of it at each step, where the autoencoder has a posterior. `flip` shows half of the
    images mirrored left to right. `latent_precision`: of latents on disk.
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


@dataclass(frozen=True)
class Evaluation:
    """How samples are drawn and compared.

    `feature_network` is one that `metrics.features.load_features` knows, `feature_weights` a file of its weights, ""
    those that come with the name. `sampler` is one of `lrcore.sampling.SAMPLERS`; `guidance` the scale of
    classifier-free guidance (1 is none), which holds for times in (first, second] of `guidance_interval`. `reference`
    is what samples are compared with, `n_reference` images: "" the first training images, else a folder, a file that
    `lrcore.metrics.sources` opens, or a name of `lrcore.metrics.shipped`.
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


@dataclass(frozen=True)
class Confirmation:
    """What the best settings are measured by once more; keys as in `Evaluation`, whose others stay."""

    feature_network: str
    n_samples: int
    n_reference: int
    reference: str = ""
    feature_weights: str = ""


@dataclass(frozen=True)
class Grid:
    """Trainings: every combination of the lists. A study's cells are the union over its grids.

    `train_seed` takes other seeds than the study's, for a look at what is noise: other initial weights, order of the
    images, times and noise in training. Samples start from the same noise whatever the training's seed.
    """

    ae: tuple[str, ...]
    trainp: tuple[str, ...]
    trainshift: tuple[float, ...]
    repa: tuple[str, ...]
    train_seed: tuple[int, ...] = ()


@dataclass(frozen=True, order=True)
class Cell:
    """One training: an autoencoder's latent space, with or without REPA, and a timestep density."""

    ae: str
    repa: str
    trainp: str
    trainshift: float
    train_seed: int = 0

    @property
    def name(self) -> str:
        """File name of the run, without ending."""
        seed = f"-seed{self.train_seed}" if self.train_seed else ""
        return f"{self.ae}-{self.repa}-{self.trainp}-{self.trainshift:.2f}{seed}"


NO_TRAINING = AutoencoderTraining(0, 0, 0.0, 0.0, 0, "", 0.0)
"""Of a study whose autoencoders all come from elsewhere."""


NO_CONFIRMATION = Confirmation("", 0, 0)
"""Of a study that measures everything once."""


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
    confirmation: Confirmation = NO_CONFIRMATION

    @property
    def cells(self) -> list[Cell]:
        """All trainings, each once, in the order of the file."""
        found = [
            Cell(*axes)
            for grid in self.grid
            for axes in product(grid.ae, grid.repa, grid.trainp, grid.trainshift, grid.train_seed or (self.seed,))
        ]
        return list(dict.fromkeys(found))


def study_names() -> list[str]:
    """Names of the studies that ship with the package."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.toml"))


def load_study(name_or_path: str) -> Study:
    """The named study, or the one in a TOML file.

    Raises:
        LrcoreError: unknown study, unknown or missing key, wrong type or value; with the nearest match.
    """
    path = _study_file(name_or_path)
    study: Study = build(Study, {"name": path.stem, **_content(path, ())}, where="")
    _check(study)
    return study


def _study_file(name_or_path: str) -> Path:
    path = Path(name_or_path)
    if path.suffix == ".toml":
        if not path.is_file():
            raise LrcoreError(f"study file '{path}' does not exist")
        return path
    if name_or_path not in study_names():
        raise unknown("study", name_or_path, [*study_names(), "a path ending in .toml"])
    return Path(__file__).parent / f"{name_or_path}.toml"


def _content(path: Path, extended_by: tuple[Path, ...]) -> dict[str, Any]:
    """The tables of a file, on top of those of the study that it extends."""
    if path.resolve() in extended_by:
        raise LrcoreError(f"study file '{path}' extends itself")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise LrcoreError(f"study file '{path}' cannot be read: {error}") from error
    _anchor_paths(content, path)
    base = content.pop("extends", None)
    if base is None:
        return content
    if not isinstance(base, str):
        raise LrcoreError(f"extends must be the name or the path of a study, got {base!r}")
    beside = str(path.parent / base) if base.endswith(".toml") else base
    return _merged(_content(_study_file(beside), (*extended_by, path.resolve())), content)


def _anchor_paths(content: dict[str, Any], path: Path) -> None:
    """Make paths of images relative to the file that names them, unless the file ships with the package."""
    from lrcore.metrics.shipped import NAMES

    if path.parent == Path(__file__).parent:
        return
    for table, key in (
        ("data", "path"),
        ("data", "validation_path"),
        ("evaluation", "reference"),
        ("confirmation", "reference"),
    ):
        section = content.get(table)
        if not isinstance(section, dict) or not isinstance(section.get(key), str) or not section[key]:
            continue
        if key != "reference" or section[key] not in NAMES:
            section[key] = str(path.parent.resolve() / section[key])


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        # an autoencoder that comes from elsewhere has no use for the keys of the one it replaces
        both = isinstance(value, dict) and isinstance(base.get(key), dict) and not {"family", "pretrained"} & set(value)
        merged[key] = _merged(base[key], value) if both else value
    return merged


def _check(study: Study) -> None:
    for kind, name in [("study", study.name), *(("autoencoder", name) for name in study.autoencoders)]:
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", name) or name == "orig" or (kind == "study" and "_" in name):
            raise LrcoreError(f"{kind} name {name!r} must be lower-case letters, digits and '-', and not 'orig'")
    from lrcore.encoders import check_encoder_name
    from lrcore.metrics.features import check_feature_network

    _check_data(study.data)
    check_encoder_name(study.encoder.name)
    _one_of("model", study.training.model, SHAPES)
    _one_of("value of training.precision", study.training.precision, PRECISIONS)
    _one_of("value of training.latent", study.training.latent, LATENTS)
    _one_of("value of training.latent_precision", study.training.latent_precision, LATENT_PRECISIONS)
    check_feature_network(study.evaluation.feature_network)
    if study.confirmation != NO_CONFIRMATION:
        check_feature_network(study.confirmation.feature_network)
    for ae in study.autoencoders:
        _check_autoencoder(study, ae)
    for grid in study.grid:
        for ae in grid.ae:
            _one_of("autoencoder", ae, study.autoencoders)
        for trainp in grid.trainp:
            _one_of("trainp", trainp, TRAINING_DENSITIES)
        for repa in grid.repa:
            _one_of("repa", repa, (NO_REPA, study.encoder.name))
    steps = study.training.evaluate_at
    if not steps or list(steps) != sorted(set(steps)) or steps[0] < 1:
        raise LrcoreError(f"training.evaluate_at must be increasing steps from 1, got {list(steps)}")
    depth, block = SHAPES[study.training.model].depth, study.training.repa_block
    if not 1 <= block <= depth:
        raise LrcoreError(f"training.repa_block must be 1 to {depth} for {study.training.model}, got {block}")
    _positive("evaluation.sampleshifts", study.evaluation.sampleshifts)
    _check_sampler(study)
    for grid in study.grid:
        _positive("trainshift", grid.trainshift)
    if not study.cells:
        raise LrcoreError("the study has no cells: every list of a [[grid]] needs a value")
    named: dict[str, Cell] = {}
    for cell in study.cells:
        if (other := named.setdefault(cell.name, cell)) != cell:
            raise LrcoreError(f"two trainings of the study go by the name '{cell.name}': {other} and {cell}")
    _check_bounds(study)
    for where in ("evaluation", "confirmation"):
        section = getattr(study, where)
        if section.n_reference > study.data.train_images and not section.reference:
            raise LrcoreError(
                f"{where}.n_reference is {section.n_reference}, but data.train_images is {study.data.train_images}"
            )


def _check_data(data: Data) -> None:
    """That the keys of [data] are those that its dataset uses."""
    _one_of("dataset", data.dataset, DATASETS)
    _one_of("value of data.unreadable", data.unreadable, UNREADABLE)
    used = DATASETS[data.dataset]
    for key in ("path", "validation_path"):
        if key in used and not getattr(data, key):
            wanted = "the pattern of the shards" if "validation_path" in used else "the folder with the images"
            raise LrcoreError(f"data.{key} is missing: dataset '{data.dataset}' needs {wanted}")
    for field in fields(data):
        if field.default is not MISSING and field.name not in used and getattr(data, field.name) != field.default:
            raise LrcoreError(
                f"data.{field.name} means nothing for dataset '{data.dataset}'; beside the numbers it takes: "
                f"{', '.join(used) or '(nothing)'}"
            )


def _check_sampler(study: Study) -> None:
    from lrcore.guidance import Guidance
    from lrcore.sampling import SAMPLERS, sampler_grid

    evaluation = study.evaluation
    _one_of("sampler", evaluation.sampler, SAMPLERS)
    sampler_grid(evaluation.sampler, evaluation.sampling_steps, 1.0)
    if len(evaluation.guidance_interval) != 2:
        raise LrcoreError(
            f"evaluation.guidance_interval must be two times [low, high], got {list(evaluation.guidance_interval)}"
        )
    Guidance(evaluation.guidance, *evaluation.guidance_interval)
    if evaluation.guidance != 1 and study.training.class_dropout == 0:
        raise LrcoreError("evaluation.guidance other than 1 needs a training.class_dropout above 0")


def _check_bounds(study: Study) -> None:
    """Numbers that no stage could work with; the names are those of the file."""
    sections = ["data", "encoder", "training", "evaluation"]
    if study.autoencoder_training != NO_TRAINING:
        sections.append("autoencoder_training")
    if study.confirmation != NO_CONFIRMATION:
        sections.append("confirmation")
    for where in sections:
        section = getattr(study, where)
        for field in fields(section):
            value, name = getattr(section, field.name), f"{where}.{field.name}"
            least = {"n_samples": 2, "n_reference": 2, "validation_images": 2, "gan_start": 0}.get(field.name, 1)
            if field.type == "int" and value < least:
                raise LrcoreError(f"{name} must be at least {least}, got {value}")
            if field.name in ("ema_decay", "class_dropout") and not 0 <= value < 1:
                raise LrcoreError(f"{name} must be from 0 to below 1, got {value}")
            if field.name == "learning_rate":
                _positive(name, (value,))
            if field.name in ("lpips_weight", "gan_weight", "repa_weight") and not 0 <= value < math.inf:
                raise LrcoreError(f"{name} must be a number from 0, got {value}")


_TRAINED_KL = {"widths", "latent_channels", "layers_per_block", "patch", "kl_weight", "precision"}
_USED_KEYS = {
    ("trained", "kl"): _TRAINED_KL,
    ("trained", "flux2"): _TRAINED_KL | {"alignment_weight", "alignment_hidden"},
    ("trained", "rae"): {"decoder_width", "decoder_depth", "decoder_heads", "noise_tau", "precision"},
    ("pretrained", "kl"): {"pretrained", "subfolder", "revision", "precision", "patch"},
    ("pretrained", "flux2"): {"pretrained", "subfolder", "revision", "precision"},
    ("pretrained", "rae"): {"pretrained", "subfolder", "revision", "precision"},
}


def _check_autoencoder(study: Study, ae: str) -> None:
    """That the keys of one autoencoder are those it uses, and its numbers such that it can be built."""
    from lrcore.autoencoders.custom import check_custom_name

    spec, name = study.autoencoders[ae], f"autoencoders.{ae}"
    if spec.origin == "custom":
        check_custom_name(spec.family)
    used = {"family"} | _USED_KEYS.get((spec.origin, spec.family), set())
    for field in fields(spec):
        if field.name not in used and getattr(spec, field.name) != field.default:
            raise LrcoreError(
                f"{name}.{field.name} means nothing for a {spec.origin} autoencoder of family '{spec.family}'; "
                f"its keys: {', '.join(sorted(used))}"
            )
    _one_of(f"value of {name}.precision", spec.precision, PRECISIONS)
    if spec.patch < 1:
        raise LrcoreError(f"{name}.patch must be at least 1, got {spec.patch}")
    if spec.origin != "trained":
        return
    if study.autoencoder_training == NO_TRAINING:
        raise LrcoreError(f"missing: autoencoder_training, by which '{ae}' is trained")
    _one_of("LPIPS network", study.autoencoder_training.lpips_net, ("vgg", "alex"))
    _one_of("value of autoencoder_training.precision", study.autoencoder_training.precision, PRECISIONS)
    if spec.family == "rae":
        _check_decoder(spec, name)
    else:
        _check_convolutions(spec, name, study.data.resolution)


def _check_decoder(spec: AutoencoderSpec, name: str) -> None:
    if min(spec.decoder_width, spec.decoder_depth, spec.decoder_heads) < 1:
        raise LrcoreError(f"{name} needs decoder_width, decoder_depth and decoder_heads of at least 1")
    if spec.decoder_width % (4 * spec.decoder_heads):
        raise LrcoreError(f"{name}.decoder_width must be a multiple of 4 x decoder_heads")
    if spec.noise_tau < 0:
        raise LrcoreError(f"{name}.noise_tau must be a number from 0, got {spec.noise_tau}")


def _check_convolutions(spec: AutoencoderSpec, name: str, resolution: int) -> None:
    from lrcore.autoencoders.base import token_grid

    if not spec.widths or min(spec.widths) < 8 or any(width % 8 for width in spec.widths):
        raise LrcoreError(f"{name}.widths must be multiples of 8, at least one, got {list(spec.widths)}")
    if min(spec.latent_channels, spec.layers_per_block, spec.alignment_hidden) < 1:
        raise LrcoreError(f"{name} needs latent_channels, layers_per_block and alignment_hidden of at least 1")
    for key in ("kl_weight", "alignment_weight"):
        if not 0 <= getattr(spec, key) < math.inf:
            raise LrcoreError(f"{name}.{key} must be a number from 0, got {getattr(spec, key)}")
    try:
        token_grid(resolution, 2 ** (len(spec.widths) - 1), spec.patch)
    except LrcoreError as error:
        raise LrcoreError(f"{name}: {error}") from error


def _positive(name: str, values: tuple[float, ...]) -> None:
    if not values or not all(math.isfinite(value) and value > 0 for value in values):
        raise LrcoreError(f"{name} must be positive numbers, got {list(values)}")


def _one_of(kind: str, value: str, allowed: Iterable[str]) -> None:
    names = list(allowed)
    if value not in names:
        raise unknown(kind, value, names)
