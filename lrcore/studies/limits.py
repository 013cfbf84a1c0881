"""What every number, list and string of a study may be: one table of numbers, one of lists, one of strings, by key.

A limit above is the largest use known in the field times a generous factor: what is beyond it is a slip, and would fill
the memory of whoever asks for the plan. Numbers below which nothing can be measured are limits below. A value that a
study leaves at its default is not looked at.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lrcore.errors import LrcoreError, shown
from lrcore.spec.study import NO_TRAINING, Options, Study
from lrcore.studies.typed_toml import under

MOST_TRAININGS, MOST_EVALUATIONS = 10_000, 1_000_000
"""Of a study: its grids' combinations, those of its choices, and the trainings times their evaluated steps and sampling
shifts. The whole study of the literature has 120 and 2,400."""


@dataclass(frozen=True)
class Range:
    """Numbers from `least` to `most`; `above` leaves out `least` itself, `below` leaves out `most`."""

    least: float
    most: float
    above: bool = False
    below: bool = False

    def holds(self, value: float) -> bool:
        """Whether it has the value; NaN is in no range."""
        enough = value > self.least if self.above else value >= self.least
        return enough and (value < self.most if self.below else value <= self.most)

    def told(self, whole: bool) -> str:
        """In words; `whole` numbers, or any."""
        most = f"{self.most:,}" if whole else f"{self.most:g}"
        if self.above:
            return "positive" if math.isinf(self.most) else f"positive, at most {most}"
        if whole:
            return f"at least {self.least} and at most {most}"
        if self.least > 0:
            return f"positive, from {self.least:g} to {most}"
        if math.isinf(self.most):
            return f"a number from {self.least:g}"
        return f"from {self.least:g} to below {most}" if self.below else f"from {self.least:g} to {most}"


SEEDS = Range(0, 2**32 - 1)
IMAGES = Range(1, 10**9)
"""LAION-2B has 2 x 10^9 images with captions; the largest sets with classes, 3 x 10^8."""

STEPS = Range(1, 10**9)
"""Trainings of the literature end after 7 x 10^6 steps."""

BATCH = Range(1, 10**6)
SHARE = Range(0, 1, below=True)
RATE, WEIGHT = Range(0, math.inf, above=True, below=True), Range(0, math.inf, below=True)
"""Of learning, and of a loss: they cost nothing to be large, and what diverges says so."""

SHIFT = Range(0.001, 1000)
"""Published shifts are 1 to 17."""

NUMBERS = {
    "seed": SEEDS,
    "data.resolution": Range(1, 2048),
    "data.train_images": IMAGES,
    "data.validation_images": Range(2, IMAGES.most),
    "encoder.size": Range(1, 2048),
    "autoencoder_training.steps": STEPS,
    "autoencoder_training.batch_size": BATCH,
    "autoencoder_training.learning_rate": RATE,
    "autoencoder_training.ema_decay": SHARE,
    "autoencoder_training.checkpoint_every": STEPS,
    "autoencoder_training.lpips_weight": WEIGHT,
    "autoencoder_training.gan_weight": WEIGHT,
    "autoencoder_training.gan_start": Range(0, STEPS.most),
    "autoencoder_training.gan_width": Range(1, 1024),
    "autoencoder_training.gan_layers": Range(1, 8),
    "autoencoders.widths": Range(8, 2048),
    "autoencoders.latent_channels": Range(1, 1024),
    "autoencoders.layers_per_block": Range(1, 16),
    "autoencoders.patch": Range(1, 64),
    "autoencoders.kl_weight": WEIGHT,
    "autoencoders.alignment_weight": WEIGHT,
    "autoencoders.alignment_hidden": Range(1, 16_384),
    "autoencoders.decoder_width": Range(1, 8192),
    "autoencoders.decoder_depth": Range(1, 128),
    "autoencoders.decoder_heads": Range(1, 128),
    "autoencoders.noise_tau": Range(0, 100),
    "autoencoders.seed": SEEDS,
    "autoencoders.coefficients": Range(0, 3 * 64**2),
    "autoencoders.size": Range(8, 2048),
    "training.evaluate_at": STEPS,
    "training.batch_size": BATCH,
    "training.learning_rate": RATE,
    "training.ema_decay": SHARE,
    "training.checkpoint_every": STEPS,
    "training.class_dropout": SHARE,
    "training.repa_weight": WEIGHT,
    "training.repa_block": Range(1, 128),
    "training.repa_hidden": Range(1, 16_384),
    "training.self_block": Range(0, 128),
    "training.self_gap": Range(0, 1),
    "training.self_weight": WEIGHT,
    "evaluation.n_samples": Range(2, 10**7),
    "evaluation.n_reference": Range(2, IMAGES.most),
    "evaluation.sampling_steps": Range(1, 10_000),
    "evaluation.sampleshifts": SHIFT,
    "evaluation.batch_size": BATCH,
    "evaluation.guidance": Range(0, 1000),
    "evaluation.guidance_interval": Range(0, 1),
    "evaluation.sample_seed": SEEDS,
    "evaluation.n_interpolated": Range(2, IMAGES.most),
    "grid.trainshift": SHIFT,
    "grid.train_seed": SEEDS,
    "grid.width": Range(0, 4096),
    "choice.n_samples": Range(2, 10**7),
    "choice.sample_seed": SEEDS,
    "choice.train_seed": SEEDS,
    "choice.width": Range(0, 4096),
}
"""By table and key. Widths of networks: published autoencoders have at most 1024 channels, transformers 3072."""


@dataclass(frozen=True)
class Entries:
    """How many entries a list has, and whether one may come again."""

    least: int
    most: int
    repeated: bool = False


LISTS = {
    "autoencoders": Entries(1, 1000),
    "autoencoders.widths": Entries(1, 12, repeated=True),
    "training.evaluate_at": Entries(1, 10_000),
    "evaluation.sampleshifts": Entries(1, 1000),
    "evaluation.guidance_interval": Entries(0, 2, repeated=True),
    "grid": Entries(1, 1000),
    "choice": Entries(0, 1000),
    **{f"{table}.{key}": Entries(1, 1000) for table in ("grid", "choice") for key in ("ae", "trainp", "repa", "skip")},
    **{f"{table}.{key}": Entries(1, 1000) for table in ("grid", "choice") for key in ("train_seed", "width")},
    "grid.trainshift": Entries(1, 1000),
    # they stand in the name of a file, which has at most 255 characters
    "choice.n_samples": Entries(1, 10),
}
"""By table and key. Lists whose default is empty may be left out."""

PATHS = {
    "data.path", "data.validation_path", "encoder.weights", "evaluation.reference", "evaluation.feature_weights",
    "autoencoders.pretrained", "autoencoders.subfolder", "autoencoders.family",
}  # fmt: skip
LONGEST_NAME = 255
"""Bytes of a string that is no path, and of each part of a path: the longest name of a file."""


def check_limits(study: Study) -> None:
    """Refuse numbers, lists and strings beyond their limits, and grids of too many combinations before they are built.

    Raises:
        LrcoreError: naming the key, the value and what is allowed.
    """
    _check_entries("autoencoders", list(study.autoencoders), LISTS["autoencoders"])
    for table in ("grid", "choice"):
        _check_entries(table, range(len(getattr(study, table))), LISTS[table])
    for section, where, table in _tables(study):
        for field in dataclasses.fields(section):
            value = getattr(section, field.name)
            # what options hold is not ours to limit
            if value != field.default and not dataclasses.is_dataclass(value) and not isinstance(value, dict | Options):
                key = f"{table}.{field.name}" if table else field.name
                _check_value(value, f"{where}.{field.name}" if where else field.name, key)
    _check_combinations(study)


def _tables(study: Study) -> Iterator[tuple[Any, str, str]]:
    """Every table with its name in messages and in `NUMBERS`."""
    yield study, "", ""
    for name in ("data", "encoder", "training", "evaluation"):
        yield getattr(study, name), name, name
    if study.autoencoder_training != NO_TRAINING:
        yield study.autoencoder_training, "autoencoder_training", "autoencoder_training"
    for name, spec in study.autoencoders.items():
        yield spec, under("autoencoders", name), "autoencoders"
    for table in ("grid", "choice"):
        for number, group in enumerate(getattr(study, table)):
            yield group, f"{table}[{number}]", table


def _check_value(value: Any, where: str, key: str) -> None:
    if isinstance(value, tuple):
        if value and dataclasses.is_dataclass(value[0]):
            return
        _check_entries(where, value, LISTS[key])
        for item in value:
            _check_value(item, where, key)
    elif isinstance(value, str):
        _check_text(value, where, key)
    elif not isinstance(value, bool) and not NUMBERS[key].holds(value):
        raise LrcoreError(f"{where} must be {NUMBERS[key].told(isinstance(value, int))}, got {shown(value)}")


def _check_entries(where: str, values: Any, allowed: Entries) -> None:
    count = len(values)
    if count < allowed.least:
        raise LrcoreError(f"{where} must have at least {allowed.least} entry, got none")
    if count > allowed.most:
        raise LrcoreError(f"{where} must have at most {allowed.most:,} entries, got {count:,}")
    if not allowed.repeated and len(set(values)) < count:
        [(twice, times)] = Counter(values).most_common(1)
        raise LrcoreError(f"{where} must name each value once, got {shown(twice)} {times} times")


def _check_text(value: str, where: str, key: str) -> None:
    if key == "summary":
        return
    is_path = key in PATHS
    longest = max(len(part.encode("utf-8", "surrogateescape")) for part in (value.split("/") if is_path else [value]))
    if longest > LONGEST_NAME:
        told = f"have at most {LONGEST_NAME} bytes" + (" between slashes" if is_path else "")
        raise LrcoreError(f"{where} must {told}, got {longest:,}: {shown(value)}")


def _check_combinations(study: Study) -> None:
    trainings = 0
    for number, grid in enumerate(study.grid):
        lists = (grid.ae, grid.repa, grid.trainp, grid.trainshift, grid.train_seed, grid.width, grid.skip)
        trainings += math.prod(len(values) or 1 for values in lists)
        _expect_few(f"grid[{number}]", "trainings", trainings, MOST_TRAININGS)
    evaluations = trainings * len(study.training.evaluate_at) * len(study.evaluation.sampleshifts)
    _expect_few("training.evaluate_at and evaluation.sampleshifts", "evaluations", evaluations, MOST_EVALUATIONS)
    trainings = 0
    for number, choice in enumerate(study.choice):
        again = (choice.ae, choice.repa, choice.trainp, choice.train_seed, choice.width, choice.skip)
        trainings += math.prod(len(values) or 1 for values in again)
        _expect_few(f"choice[{number}]", "trainings", trainings, MOST_TRAININGS)


def _expect_few(where: str, what: str, count: int, most: int) -> None:
    if count > most:
        raise LrcoreError(f"{where}: the study would have {count:,} {what} or more; allowed: at most {most:,}")
