"""Stage: the best settings once more, in other features and with other numbers of samples than chose them.

Choosing the lowest of many noisy distances flatters the chosen one; measured anew, with samples of its own network, it
is one among others. A study asks for it with a table [confirmation].
"""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass

from lrcore.files import exclusive
from lrcore.records import read_generation, write_generation
from lrcore.stages.generation import evaluate, evaluations_done, evaluations_missing, row_recipe
from lrcore.stages.training import ensure_trained, state_path
from lrcore.stages.workspace import Workspace
from lrcore.studies import NO_CONFIRMATION, Cell


@dataclass(frozen=True)
class Best:
    """The setting of lowest distance of one autoencoder, with or without REPA, at the last step."""

    cell: Cell
    sampleshift: float


def group_cells(work: Workspace, ae: str, repa: str) -> list[Cell]:
    """The trainings that the best is chosen from: those with the study's own seed."""
    study = work.study
    return [cell for cell in study.cells if (cell.ae, cell.repa, cell.train_seed) == (ae, repa, study.seed)]


def best_setting(work: Workspace, ae: str, repa: str) -> Best | None:
    """The best of a group of which all is measured; None where all diverged."""
    rows = read_generation(work.folders.data)
    rows = rows[(rows.study == work.study.name) & (rows.step == work.study.training.evaluate_at[-1])]
    cells = {row_recipe(work, cell): cell for cell in group_cells(work, ae, repa)}
    rows = rows[rows.recipe.isin(cells)].dropna(subset="fid")
    if rows.empty:
        return None
    best = int(rows.fid.argmin())
    return Best(cells[rows.recipe.iloc[best]], float(rows.sampleshift.iloc[best]))


def confirmable(work: Workspace, ae: str, repa: str, coming: set[Cell]) -> bool:
    """Whether all trainings of the group are measured, or among those that are `coming`."""
    done = evaluations_done(work)
    return all(cell in coming or not evaluations_missing(work, cell, done) for cell in group_cells(work, ae, repa))


def confirmed(work: Workspace, ae: str, repa: str) -> bool:
    """Whether there is nothing to measure anew, or it has been."""
    done = evaluations_done(work)
    if any(evaluations_missing(work, cell, done) for cell in group_cells(work, ae, repa)):
        return False
    best = best_setting(work, ae, repa)
    return best is None or not evaluations_missing(_anew(work, best), best.cell)


def confirm(work: Workspace, ae: str, repa: str) -> None:
    """Write the row of the best setting of a group, all of which must have been measured."""
    best = best_setting(work, ae, repa)
    if best is None:
        return
    again, step = _anew(work, best), work.study.training.evaluate_at[-1]
    with exclusive(state_path(work, best.cell), work.check):
        ensure_trained(work, [best.cell], step)  # runs/ may have been deleted since
        state_path(work, best.cell).unlink(missing_ok=True)
    rows = list(evaluate(again, best.cell, step, [best.sampleshift]))
    # a file of its own: one file holds rows of one recipe
    name = f"{best.cell.name}-{again.study.evaluation.feature_network}"
    write_generation(work.folders.data, work.study.name, name, rows)


def asked_for(work: Workspace) -> bool:
    """Whether the study wants any of this."""
    return work.study.confirmation != NO_CONFIRMATION


def _anew(work: Workspace, best: Best) -> Workspace:
    """The workspace of a study that measures the best setting alone, by the rules of [confirmation]."""
    study = work.study
    wanted = dataclasses.asdict(study.confirmation)
    evaluation = dataclasses.replace(study.evaluation, sampleshifts=(best.sampleshift,), **wanted)
    training = dataclasses.replace(study.training, evaluate_at=study.training.evaluate_at[-1:])
    again = copy.copy(work)
    again.study = dataclasses.replace(study, evaluation=evaluation, training=training)
    return again
