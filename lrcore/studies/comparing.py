"""Autoencoders of one's own at the protocol of a study that there is: theirs are compared, and not trained again.

`python -m lrcore.train mine.toml --compare-with cifar10-cpu` takes from `mine.toml` its autoencoders, and how they are
trained where they are. All else is the other study's: images, encoder, seed, transformer and its trainings, samples
and what they are compared with. A file that says otherwise of any of these is refused, since its rows could not stand
beside the other's; what it merely inherits by `extends` does not count.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from itertools import product
from typing import Any

import pandas

from lrcore.errors import LrcoreError, naming, shown
from lrcore.flow.shapes import SHAPES
from lrcore.metrics.shipped import NAMES
from lrcore.spec.study import NO_REPA, NO_SKIP, Cell, Choice, Grid, Study, written
from lrcore.studies.checks import check
from lrcore.studies.loading import content_of, load_study, merged, own_content
from lrcore.studies.typed_toml import build

OPTION = "--compare-with"

PROTOCOL_TABLES = ("data", "encoder", "training", "evaluation")

FREE = ("training.checkpoint_every", "evaluation.batch_size")
"""Keys of these tables that move no number."""

PLACES = ("data.path", "data.validation_path", "encoder.weights", "evaluation.reference", "evaluation.feature_weights")
"""Keys that say where something is, which may be elsewhere on another machine."""

ROW_COLUMNS = {
    "dataset": "data.dataset",
    "resolution": "data.resolution",
    "feature_network": "evaluation.feature_network",
    "n_reference": "evaluation.n_reference",
    "score": "evaluation.score",
    "sampler": "evaluation.sampler",
    "sampling_steps": "evaluation.sampling_steps",
    "guidance": "evaluation.guidance",
    "model": "training.model",
    "batch_size": "training.batch_size",
    "learning_rate": "training.learning_rate",
    "ema_decay": "training.ema_decay",
    "precision": "training.precision",
}
"""Columns of generation rows that are the same in all rows of a study, with the key that says what they hold."""


def compared(name_or_path: str, reference: str) -> tuple[Study, Study]:
    """The study of your own at the protocol of the study `reference`, and that one.

    Both are names or paths as for `load_study`; your own must be a file of yours. Its autoencoders are those of its own
    file, its trainings those that all autoencoders of the reference have.

    Raises:
        LrcoreError: no such study, a file that cannot be one, nothing to compare, or a key that says otherwise than the
            reference.
    """
    if not name_or_path.endswith(".toml"):
        raise LrcoreError(
            f"{OPTION} goes with a study of your own, a path ending in .toml, got {shown(name_or_path)}: "
            "`python -m lrcore.new NAME` writes one"
        )
    with naming(OPTION):
        theirs = load_study(reference)
    whole, theirs_whole = content_of(name_or_path), content_of(reference)
    name = _name(name_or_path)
    if name_or_path == reference:
        raise LrcoreError(f"{OPTION} names the study itself: name another one that has rows")
    own = own_content(name_or_path, reference, theirs.data.dataset)
    autoencoders = own.get("autoencoders")
    if not isinstance(autoencoders, dict) or not autoencoders:
        raise LrcoreError(
            f"autoencoders: study file {name_or_path!r} has none of its own to compare with '{reference}'"
        )
    if alike := [ae for ae in autoencoders if ae in theirs.autoencoders]:
        raise LrcoreError(
            f"autoencoders.{alike[0]}: study '{theirs.name}' has an autoencoder of this name, which yours could not be "
            "told from: rename yours"
        )
    if name == theirs.name:
        raise LrcoreError(f"name: '{name}' is that of the study of {OPTION}, whose rows it would mix with: rename it")
    tables = {key: value for key, value in own.items() if key not in ("grid", "choice", "name", "summary")}
    content = {
        **merged({**theirs_whole, "autoencoders": {}}, tables),
        # as they are with what they inherit
        "autoencoders": {ae: whole["autoencoders"][ae] for ae in autoencoders},
        "name": name,
        "summary": own.get("summary", f"Autoencoders of {name} at the protocol of study {theirs.name}."),
        "grid": [],
        "choice": [],
    }
    study: Study = build(Study, content, where="")
    _refuse_other_protocol(study, theirs)
    narrow = any(grid.narrow for grid in build(tuple[Grid, ...], own.get("grid", []), where="grid"))
    study = dataclasses.replace(
        study, grid=_common_cells(theirs, study, narrow), choice=_common_choices(theirs, study, narrow)
    )
    check(study)
    return study, theirs


def _name(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".toml")


def _refuse_other_protocol(study: Study, theirs: Study) -> None:
    """Refuse a key that is not as the reference has it."""
    pairs: list[tuple[str, Any, Any]] = [("seed", study.seed, theirs.seed)]
    for table in PROTOCOL_TABLES:
        ours, other = getattr(study, table), getattr(theirs, table)
        pairs += [
            (f"{table}.{field.name}", getattr(ours, field.name), getattr(other, field.name))
            for field in dataclasses.fields(ours)
        ]
    for key, ours, other in pairs:
        if ours == other or key in FREE or (key in PLACES and ours and other and other not in NAMES):
            continue
        said, wanted = (shown(written(value) if isinstance(value, str) else value) for value in (ours, other))
        raise LrcoreError(
            f"{key} is {said} in the file of study '{study.name}', but {wanted} in '{theirs.name}', so that rows could "
            f"not be compared: leave the key out, or leave out {OPTION}"
        )


def _own_axes(cell: Cell) -> Cell:
    """A training apart from its autoencoder."""
    return dataclasses.replace(cell, ae="")


def _of_all(per_ae: Iterable[Iterable[Any]]) -> list[Any]:
    """What all have, in the order of the first; where they share nothing, what any has."""
    lists = [list(dict.fromkeys(items)) for items in per_ae]
    counts = Counter(item for items in lists for item in items)
    everybody = [item for item, count in counts.items() if count == len(lists)]
    return everybody or list(counts)


def _common_cells(theirs: Study, study: Study, narrow: bool) -> tuple[Grid, ...]:
    """The trainings that all autoencoders of the reference's grids have, for those of `study`: a grid for each.

    `narrow`: whether all of them may be narrower than a token has channels; else those that may be in the reference.
    """
    aes = dict.fromkeys(cell.ae for cell in theirs.cells)
    cells = _of_all([_own_axes(cell) for cell in theirs.cells if cell.ae == ae] for ae in aes)
    admitted = {
        (repa, trainp, shift, width, skip)
        for grid in theirs.grid if grid.narrow
        for repa, trainp, shift, width, skip in product(
            grid.repa, grid.trainp, grid.trainshift, grid.width or (0,), grid.skip
        )
    }  # fmt: skip
    return tuple(
        grid_of(tuple(study.autoencoders), cell,
                narrow or (cell.repa, cell.trainp, cell.trainshift, cell.width, cell.skip) in admitted)
        for cell in cells
    )  # fmt: skip


def grid_of(aes: tuple[str, ...], cell: Cell, narrow: bool) -> Grid:
    """A [[grid]] of one training of each of `aes`."""
    width = (cell.width,) if cell.width else ()
    return Grid(aes, (cell.trainp,), (cell.trainshift,), (cell.repa,), (cell.train_seed,), width, (cell.skip,), narrow)


def _common_choices(theirs: Study, study: Study, narrow: bool) -> tuple[Choice, ...]:
    """What all autoencoders of the reference's choices are measured once more by, for those of `study`."""
    aes = dict.fromkeys(ae for choice in theirs.choice for ae in choice.ae)

    def apart(choice: Choice) -> list[Choice]:
        """A choice for each combination, without its autoencoders."""
        axes = product(
            choice.train_seed or (None,), choice.trainp or (None,), choice.repa, choice.width or (0,), choice.skip
        )
        return [
            Choice(
                (), choice.n_samples, choice.sample_seed, () if seed is None else (seed,),
                () if trainp is None else (trainp,), (repa,), (width,) if width else (), (skip,), choice.narrow,
            )
            for seed, trainp, repa, width, skip in axes
        ]  # fmt: skip

    found = [[part for choice in theirs.choice if ae in choice.ae for part in apart(choice)] for ae in aes]
    counts = Counter(part for parts in found for part in dict.fromkeys(parts))
    return tuple(
        dataclasses.replace(part, ae=tuple(study.autoencoders), narrow=narrow or part.narrow)
        for part, count in counts.items() if count == len(aes)
    )  # fmt: skip


def agreeing(rows: pandas.DataFrame, theirs: Study, where: str) -> pandas.DataFrame:
    """The generation rows of a study that were measured as its file says, those of its choice among them.

    `where`: the folder of the rows, for the message. Rows of another state of the study are left out.

    Raises:
        LrcoreError: there are rows, and none is as the file says: names a key.
    """
    wanted = _wanted(theirs)
    left = rows.assign(score=rows["score"].replace("", "fid"))
    for column, (key, values) in wanted.items():
        kept = left[left[column].isin(values)]
        if kept.empty and len(left):
            found = ", ".join(map(shown, left[column].unique().tolist()[:5]))
            raise LrcoreError(
                f"{key}: rows of study '{theirs.name}' in '{where}' are of {found}, but its file says "
                f"{', '.join(map(shown, values))}: they were measured by another state of the study, and cannot be "
                "compared with what it would measure now"
            )
        left = kept
    return left


def _wanted(study: Study) -> dict[str, tuple[str, list[Any]]]:
    """For each column of generation rows the key that says what it holds, and what may be there."""
    evaluation, choices = study.evaluation, study.choice

    def value(key: str) -> Any:
        table, _, name = key.partition(".")
        return getattr(getattr(study, table), name)

    found = {column: (key, [value(key)]) for column, key in ROW_COLUMNS.items()}
    low, high = evaluation.guidance_interval
    counts = {evaluation.n_samples, *(count for choice in choices for count in choice.n_samples)}
    seeds = {evaluation.sample_seed, *(choice.sample_seed for choice in choices)}
    return found | {
        "guidance_low": ("evaluation.guidance_interval", [low]),
        "guidance_high": ("evaluation.guidance_interval", [high]),
        "n_samples": ("evaluation.n_samples", sorted(counts)),
        "sample_seed": ("evaluation.sample_seed", sorted(study.seed + seed for seed in seeds)),
        "step": ("training.evaluate_at", list(study.training.evaluate_at)),
        "sampleshift": ("evaluation.sampleshifts", list(evaluation.sampleshifts)),
    }


def as_far_as_measured(study: Study, theirs: Study, rows: pandas.DataFrame) -> Study:
    """The study with those of its trainings, and up to the step, that the reference's rows can be compared with.

    Trainings that every autoencoder with rows has in the grid, or any where they share none; all, where there are no
    rows yet.

    Raises:
        LrcoreError: as `studies.checks.check`.
    """
    grid = rows[
        (rows["n_samples"] == theirs.evaluation.n_samples)
        & (rows["sample_seed"] == theirs.seed + theirs.evaluation.sample_seed)
    ]
    if grid.empty:
        return study
    own = float(SHAPES[theirs.training.model].width)
    width = grid["width"].fillna(own).replace(own, 0.0)
    names = grid.assign(width=width.astype(int), skip=grid["skip"].replace("", NO_SKIP), ae="")
    keys = [field.name for field in dataclasses.fields(Cell)]
    per_ae = [[Cell(*axes) for axes in part[keys].itertuples(index=False, name=None)]
              for _, part in names.groupby(grid["ae"])]  # fmt: skip
    measured = set(_of_all(per_ae))
    steps = _of_all(part["step"].astype(int) for _, part in grid.groupby("ae"))
    kept = tuple(table for table in study.grid if _single(table) in measured) or study.grid
    training = dataclasses.replace(study.training, evaluate_at=tuple(sorted(steps)))
    found = dataclasses.replace(study, grid=kept, training=training)
    plain = [cell for cell in found.cells if (cell.repa, cell.train_seed, cell.width, cell.skip) ==
             (NO_REPA, study.seed, 0, NO_SKIP)]  # fmt: skip
    if not plain:  # nothing that a best could be chosen from
        found = dataclasses.replace(found, choice=())
    check(found)
    return found


def _single(grid: Grid) -> Cell:
    """The training of a grid of one, apart from its autoencoder."""
    width = grid.width[0] if grid.width else 0
    return Cell("", grid.repa[0], grid.trainp[0], grid.trainshift[0], grid.train_seed[0], width, grid.skip[0])
