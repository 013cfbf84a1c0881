"""Studies: what is measured, as typed data read from TOML.

A study is named (a file of this folder, `python -m lrcore.train smoke`) or a path to a TOML file of your
own (`python -m lrcore.train my-study.toml`). `smoke.toml` explains every key.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path

from lrcore.errors import LrcoreError, unknown
from lrcore.studies.typed_toml import build
from lrcore.timesteps import TRAINING_DENSITIES
from lrcore.transformer import SHAPES

AUTOENCODER_FAMILIES = ("kl", "flux2", "rae")
DATASETS = ("cifar10", "folder")
UNREADABLE = ("refuse", "skip")
NO_REPA = "none"


@dataclass(frozen=True)
class Data:
    """Images: `cifar10`, or a `folder` with one sub-folder a class."""

    dataset: str
    resolution: int
    train_images: int
    validation_images: int
    path: str = ""
    unreadable: str = "refuse"


@dataclass(frozen=True)
class Encoder:
    """The frozen vision encoder: REPA's target, the semantic alignment and the RAE-like latent."""

    name: str
    size: int


@dataclass(frozen=True)
class AutoencoderTraining:
    """What all autoencoders of the study share."""

    steps: int
    batch_size: int
    learning_rate: float
    ema_decay: float
    checkpoint_every: int
    lpips_net: str
    lpips_weight: float


@dataclass(frozen=True)
class AutoencoderSpec:
    """One autoencoder. Keys that its family does not use stay at their defaults."""

    family: str
    widths: tuple[int, ...] = ()
    latent_channels: int = 0
    patch: int = 2
    kl_weight: float = 0.0
    alignment_weight: float = 0.0
    alignment_margin: float = 0.0
    decoder_width: int = 0
    decoder_depth: int = 0
    decoder_heads: int = 0
    noise_tau: float = 0.0


@dataclass(frozen=True)
class Training:
    """The diffusion transformers of the study."""

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


@dataclass(frozen=True)
class Evaluation:
    """How samples are drawn and compared."""

    feature_network: str
    n_samples: int
    n_reference: int
    sampling_steps: int
    sampleshifts: tuple[float, ...]
    batch_size: int


@dataclass(frozen=True)
class Grid:
    """Trainings: every combination of the lists. A study's cells are the union over its grids."""

    ae: tuple[str, ...]
    trainp: tuple[str, ...]
    trainshift: tuple[float, ...]
    repa: tuple[str, ...]


@dataclass(frozen=True, order=True)
class Cell:
    """One training: an autoencoder's latent space, with or without REPA, and a timestep density."""

    ae: str
    repa: str
    trainp: str
    trainshift: float

    @property
    def name(self) -> str:
        """File name of the run, without ending."""
        return f"{self.ae}-{self.repa}-{self.trainp}-{self.trainshift:.2f}"


@dataclass(frozen=True)
class Study:
    """A whole study; see `load_study`."""

    name: str
    summary: str
    seed: int
    data: Data
    encoder: Encoder
    autoencoder_training: AutoencoderTraining
    autoencoders: dict[str, AutoencoderSpec]
    training: Training
    evaluation: Evaluation
    grid: tuple[Grid, ...]

    @property
    def cells(self) -> list[Cell]:
        """All trainings, each once, in the order of the file."""
        found = [
            Cell(ae, repa, p, a) for g in self.grid for ae, repa, p, a in product(g.ae, g.repa, g.trainp, g.trainshift)
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
    path = Path(name_or_path)
    if path.suffix == ".toml":
        if not path.is_file():
            raise LrcoreError(f"study file '{path}' does not exist")
    else:
        if name_or_path not in study_names():
            raise unknown("study", name_or_path, [*study_names(), "a path ending in .toml"])
        path = Path(__file__).parent / f"{name_or_path}.toml"
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise LrcoreError(f"study file '{path}' cannot be read: {error}") from error
    study: Study = build(Study, {"name": path.stem, **content}, where="")
    _check(study)
    return study


def _check(study: Study) -> None:
    for kind, name in [("study", study.name), *(("autoencoder", name) for name in study.autoencoders)]:
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", name) or name == "orig" or (kind == "study" and "_" in name):
            raise LrcoreError(f"{kind} name {name!r} must be lower-case letters, digits and '-', and not 'orig'")
    from lrcore.encoders import ENCODERS
    from lrcore.metrics.features import FEATURE_NETWORKS

    _one_of("dataset", study.data.dataset, DATASETS)
    _one_of("value of data.unreadable", study.data.unreadable, UNREADABLE)
    _one_of("encoder", study.encoder.name, ENCODERS)
    _one_of("LPIPS network", study.autoencoder_training.lpips_net, ("vgg", "alex"))
    _one_of("model", study.training.model, SHAPES)
    _one_of("feature network", study.evaluation.feature_network, FEATURE_NETWORKS)
    for spec in study.autoencoders.values():
        _one_of("autoencoder family", spec.family, AUTOENCODER_FAMILIES)
    for grid in study.grid:
        for ae in grid.ae:
            _one_of("autoencoder", ae, study.autoencoders)
        for trainp in grid.trainp:
            _one_of("trainp", trainp, TRAINING_DENSITIES)
        for repa in grid.repa:
            _one_of("repa", repa, (NO_REPA, study.encoder.name))
    if study.data.dataset == "folder" and not study.data.path:
        raise LrcoreError("data.path is missing: dataset 'folder' needs the folder with one sub-folder a class")
    steps = study.training.evaluate_at
    if not steps or list(steps) != sorted(set(steps)) or steps[0] < 1:
        raise LrcoreError(f"training.evaluate_at must be increasing steps from 1, got {list(steps)}")
    depth, block = SHAPES[study.training.model].depth, study.training.repa_block
    if not 1 <= block <= depth:
        raise LrcoreError(f"training.repa_block must be 1 to {depth} for {study.training.model}, got {block}")
    _positive("evaluation.sampleshifts", study.evaluation.sampleshifts)
    for grid in study.grid:
        _positive("trainshift", grid.trainshift)
    if not study.cells:
        raise LrcoreError("the study has no cells: every list of a [[grid]] needs a value")
    _check_bounds(study)
    wanted, available = study.evaluation.n_reference, study.data.train_images
    if wanted > available:
        raise LrcoreError(f"evaluation.n_reference is {wanted}, but data.train_images is {available}")


def _check_bounds(study: Study) -> None:
    """Numbers that no stage could work with; the names are those of the file."""
    for where in ("data", "encoder", "autoencoder_training", "training", "evaluation"):
        section = getattr(study, where)
        for field in fields(section):
            value, name = getattr(section, field.name), f"{where}.{field.name}"
            if field.name in ("n_samples", "n_reference", "validation_images") and value < 2:
                raise LrcoreError(f"{name} must be at least 2, got {value}")
            if field.type == "int" and value < 1:
                raise LrcoreError(f"{name} must be at least 1, got {value}")
            if field.name in ("ema_decay", "class_dropout") and not 0 <= value < 1:
                raise LrcoreError(f"{name} must be from 0 to below 1, got {value}")
            if field.name == "learning_rate":
                _positive(name, (value,))
    for ae, spec in study.autoencoders.items():
        name = f"autoencoders.{ae}"
        if spec.family == "rae":
            if min(spec.decoder_width, spec.decoder_depth, spec.decoder_heads) < 1:
                raise LrcoreError(f"{name} needs decoder_width, decoder_depth and decoder_heads of at least 1")
            if spec.decoder_width % (4 * spec.decoder_heads):
                raise LrcoreError(f"{name}.decoder_width must be a multiple of 4 x decoder_heads")
        elif not spec.widths or min(spec.widths) < 8 or any(width % 8 for width in spec.widths):
            raise LrcoreError(f"{name}.widths must be multiples of 8, at least one, got {list(spec.widths)}")
        elif min(spec.latent_channels, spec.patch) < 1:
            raise LrcoreError(f"{name} needs latent_channels and patch of at least 1")


def _positive(name: str, values: tuple[float, ...]) -> None:
    if not values or not all(math.isfinite(value) and value > 0 for value in values):
        raise LrcoreError(f"{name} must be positive numbers, got {list(values)}")


def _one_of(kind: str, value: str, allowed: Iterable[str]) -> None:
    names = list(allowed)
    if value not in names:
        raise unknown(kind, value, names)
