"""Which evaluations of a study have rows, and in which precision of their features its grid is measured.

Where the device's self-check has found the judge of half precision good (`lrcore.fast.capabilities`), a grid that goes
by the Frechet distance in Inception's features is measured with it. Some of its evaluations are measured in float32
from the same samples, too, and stand in the table `paired`: those of the first training of each autoencoder, those of
one training in fifty, and all that may be the best of their kind, which float32 decides. Should a pair be further apart
than `records.paired.TOLERANCE`, the grid is measured in float32, from the beginning; what was measured stays in its
files. So it is where the grid has rows in float32, and where a device without such a judge goes on with a grid that is
not whole.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

import pandas

from lrcore.fast.capabilities import JUDGE
from lrcore.metrics.half_precision import HALVED_NETWORKS
from lrcore.records.paired import TOLERANCE, contenders, is_half, largest_difference, with_whole
from lrcore.records.reading import read_generation, read_paired
from lrcore.spec.study import Cell, Study
from lrcore.stages.features import HALF
from lrcore.stages.reference import reference_fingerprint
from lrcore.stages.training import training_recipe
from lrcore.stages.workspace import Workspace, recipe

PAIRED_ONE_IN = 50
"""Of the trainings of a grid so many have one that is measured in both precisions, whatever it is worth."""


def row_recipe(work: Workspace, cell: Cell) -> str:
    """What the rows of a cell depend on, beside the step and the sampling shift that stand in them."""
    evaluation = dataclasses.replace(
        work.study.evaluation, sampleshifts=(), batch_size=0, reference="", n_interpolated=0
    )
    reference = reference_fingerprint(work)
    half = [HALF] if work.half_features else []
    return recipe(training_recipe(work, cell), evaluation, *([reference] if reference else []), *half)


Done = dict[str, set[tuple[int, float]]]
"""(step, sampleshift) pairs that have a row, by the recipe of their cell."""


def evaluations_done(work: Workspace) -> Done:
    """What of the study has been measured, read once for many cells."""
    rows = _own(read_generation(work.folders.data), work)
    half = is_half(rows)
    if half.any() and not (half_counts(work) and (judges_in_half(work) or _whole(work, rows))):
        rows = rows[~half]
    done: Done = {}
    for recipe_of_row, step, shift in zip(rows.recipe, rows.step, rows.sampleshift, strict=True):
        done.setdefault(recipe_of_row, set()).add((int(step), float(shift)))
    return done


def evaluations_missing(work: Workspace, cell: Cell, measured: Done) -> list[tuple[int, float]]:
    """(step, sampleshift) pairs of the cell that have no row yet, in order; `measured`: from `evaluations_done`."""
    done = measured.get(row_recipe(work, cell), set()) | measured.get(
        row_recipe(work.with_half_features(), cell), set()
    )
    wanted = [(step, shift) for step in work.study.training.evaluate_at for shift in work.study.evaluation.sampleshifts]
    return [pair for pair in wanted if pair not in done]


def _whole(work: Workspace, rows: pandas.DataFrame) -> bool:
    """Whether every evaluation of the grid has a row in half precision: a device without that judge adds none then."""
    evaluation = work.study.evaluation
    wanted = {(step, shift) for step in work.study.training.evaluate_at for shift in evaluation.sampleshifts}
    there = {recipe: {*zip(own.step.astype(int), own.sampleshift.astype(float), strict=True)}
             for recipe, own in rows.groupby("recipe")}  # fmt: skip
    return all(wanted <= there.get(recipe, set()) for recipe in _recipes(work.with_half_features()))


def half_counts(work: Workspace) -> bool:
    """Whether rows in half precision are those of the grid: while none is in float32, and no pair too far apart."""
    rows = _own(read_generation(work.folders.data), work)
    return not rows.recipe.isin(_recipes(work)).any() and not disagreed(work)


def disagreed(work: Workspace) -> bool:
    """Whether a pair of the study is further apart than `TOLERANCE`."""
    paired = _own(read_paired(work.folders.data), work)
    if paired.empty:
        return False
    current = {*_recipes(work), *_recipes(work.with_half_features())}
    return largest_difference(paired[paired.recipe.isin(current)]) > TOLERANCE


def counted(work: Workspace) -> Workspace:
    """The workspace in whose precision the rows of the grid are."""
    half = is_half(_own(read_generation(work.folders.data), work))
    return work.with_half_features() if half.any() and half_counts(work) else work


def judges_in_half(work: Workspace) -> bool:
    """Whether the grid is measured on in half precision."""
    wanted = work.study.evaluation
    able = work.fast.has(JUDGE) and work.world.size == 1
    fits = wanted.feature_network in HALVED_NETWORKS and wanted.score == "fid"
    return able and fits and half_counts(work)


def grid_rows(work: Workspace, cells: Collection[Cell]) -> pandas.DataFrame:
    """The rows of the cells as they count, each with its `cell`, and with `whole` as `records.paired.with_whole`."""
    by_recipe = _recipes(counted(work), cells)
    rows = _own(read_generation(work.folders.data), work)
    rows = rows[rows.recipe.isin(by_recipe)]
    found = with_whole(rows, _own(read_paired(work.folders.data), work))
    return found.assign(cell=found.recipe.map(by_recipe))


def unpaired(work: Workspace) -> dict[Cell, list[tuple[int, float]]]:
    """(step, sampleshift) pairs of cells that have a row in half precision and are to be measured in float32, too; none
    where the device does not judge in half precision."""
    if not judges_in_half(work):
        return {}
    cells = work.study.cells
    rows = grid_rows(work, cells)
    rows = rows[is_half(rows) & (rows.status == "ok")]
    if rows.empty:
        return {}
    paired = _own(read_paired(work.folders.data), work)
    known = pandas.MultiIndex.from_frame(paired[["recipe", "step", "sampleshift"]])
    there = pandas.MultiIndex.from_frame(rows[known.names]).isin(known)
    wanted = rows.cell.isin(_sampled(work.study)) | _may_be_best(rows, work.study) | rows.fid.isna()
    due = rows[wanted & ~there]
    found: dict[Cell, list[tuple[int, float]]] = {}
    for cell, step, shift in zip(due.cell, due.step, due.sampleshift, strict=True):
        found.setdefault(cell, []).append((int(step), float(shift)))
    return found


def _own(rows: pandas.DataFrame, work: Workspace) -> pandas.DataFrame:
    return rows[rows.study == work.study.name]


def _recipes(work: Workspace, cells: Collection[Cell] | None = None) -> dict[str, Cell]:
    return {row_recipe(work, cell): cell for cell in (work.study.cells if cells is None else cells)}


def _sampled(study: Study) -> set[Cell]:
    """Trainings that are measured in both precisions whatever they are worth."""
    first = {cell.ae: cell for cell in reversed(study.cells)}
    return {*first.values(), *study.cells[::PAIRED_ONE_IN]}


def _may_be_best(rows: pandas.DataFrame, study: Study) -> pandas.Series:
    """Which rows are among the `contenders` wherever a best one is looked for.

    That is by autoencoder, kind of REPA and step, of each training seed or of their mean: among all settings, among
    those that all autoencoders have, or all kinds of REPA.
    """
    found = pandas.Series(False, rows.index)
    alike = ["ae", "repa", "width", "skip", "step"]
    for pool in _pools(study):
        part = rows[rows.cell.isin(pool)]
        setting = [*alike, "trainp", "trainshift", "sampleshift"]
        mean = part.groupby(setting)["fid"].transform("mean")
        for distances, groups in ((part["fid"], [*alike, "train_seed"]), (mean, alike)):
            for _, group in distances.groupby([part[name] for name in groups]):
                found[group.index] |= contenders(group)
    return found


def _pools(study: Study) -> list[set[Cell]]:
    cells = {*study.cells}
    pools = [cells]
    for name in ("ae", "repa"):
        values = {getattr(cell, name) for cell in cells}
        pools.append(
            {cell for cell in cells if all(dataclasses.replace(cell, **{name: value}) in cells for value in values)}
        )
    return pools
