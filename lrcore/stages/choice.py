"""Stage: the best setting of each autoencoder once more, by new samples, and what else is to be tried there.

Choosing the lowest of many noisy distances flatters the chosen one; with fresh samples it is one among others. A study
asks for it with tables [[choice]].
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from lrcore.records.paired import ranking
from lrcore.records.planned import Planned
from lrcore.records.writing import write_generation
from lrcore.runtime.files import exclusive
from lrcore.spec.study import NO_REPA, NO_SKIP, Cell, Study
from lrcore.stages.evaluations import Done, evaluations_done, evaluations_missing, grid_rows
from lrcore.stages.generation import draw_samples, measured
from lrcore.stages.training import ensure_trained, state_path, trained
from lrcore.stages.workspace import Workspace
from lrcore.training.checkpoints import saved_step


@dataclass(frozen=True)
class Best:
    """A training and the sampling shift that is best for it."""

    cell: Cell
    sampleshift: float


@dataclass(frozen=True)
class Task:
    """One training at the chosen setting of its autoencoder, and how its samples are drawn and counted.

    `trainp` is "" for the chosen density; the other keys are those of `spec.study.Choice`.
    """

    ae: str
    repa: str
    trainp: str
    train_seed: int
    width: int
    skip: str
    sample_seed: int
    n_samples: tuple[int, ...]

    @property
    def name(self) -> str:
        """Of the unit of work: says all that tells it from others of its study."""
        words = [
            self.ae, self.repa, self.trainp, f"seed{self.train_seed}", f"width{self.width}" if self.width else "",
            self.skip if self.skip != NO_SKIP else "", f"samples{self.sample_seed}",
            "-".join(map(str, self.n_samples)),
        ]  # fmt: skip
        return "-".join(filter(None, words))


def tasks(work: Workspace, aes: Sequence[str]) -> list[Task]:
    """All that the tables [[choice]] ask for of `aes`, each once, in the order of the file."""
    return _tasks(work.study, aes)


def _tasks(study: Study, aes: Sequence[str]) -> list[Task]:
    found = [
        Task(*axes, choice.sample_seed, tuple(sorted(choice.n_samples)))
        for choice in study.choice
        for axes in product(choice.ae, choice.repa, choice.trainp or ("",), choice.train_seed or (study.seed,),
                            choice.width or (0,), choice.skip)
        if axes[0] in aes
    ]  # fmt: skip
    return list(dict.fromkeys(found))


def planned(study: Study) -> Planned:
    """How many trainings and rows of generation the whole study is to have."""
    own = sum((cell.width, cell.skip) == (0, NO_SKIP) for cell in study.cells)
    grid = len(study.cells) * len(study.training.evaluate_at) * len(study.evaluation.sampleshifts)
    return Planned(own, grid + sum(len(task.n_samples) for task in _tasks(study, list(study.autoencoders))))


def candidates(work: Workspace, ae: str) -> list[Cell]:
    """The trainings of the grid that the best is chosen from: with the study's seed and model, without REPA."""
    study = work.study
    plain = (NO_REPA, study.seed, 0, NO_SKIP)
    return [
        cell for cell in study.cells if cell.ae == ae and (cell.repa, cell.train_seed, cell.width, cell.skip) == plain
    ]


def best_setting(work: Workspace, ae: str) -> Best | None:
    """The best candidate and shift at the last step, all of them being measured; None where all diverged."""
    study, rows = work.study, grid_rows(work, candidates(work, ae))
    rows = rows[rows.step == study.training.evaluate_at[-1]].dropna(subset=study.evaluation.score)
    if rows.empty:
        return None
    distances = rows[study.evaluation.score]
    best = rows.iloc[int((ranking(distances, rows.whole) if "whole" in rows else distances).argmin())]
    return Best(best.cell, float(best.sampleshift))


def choosable(work: Workspace, ae: str, coming: set[Cell], done: Done | None = None) -> bool:
    """Whether all candidates are measured, or among those that are `coming`."""
    done = evaluations_done(work) if done is None else done
    return all(cell in coming or not evaluations_missing(work, cell, done) for cell in candidates(work, ae))


def task_done(work: Workspace, task: Task, done: Done | None = None) -> bool:
    """Whether there is nothing to measure, or it has been."""
    done = evaluations_done(work) if done is None else done
    if not choosable(work, task.ae, set(), done):
        return False
    best = best_setting(work, task.ae)
    return best is None or not missing(work, task, best, done)


def steps_left(work: Workspace, task: Task) -> int:
    """Training steps that the task needs; while it is not known which setting is best, those of the first candidate."""
    best, last = None, work.study.training.evaluate_at[-1]
    if choosable(work, task.ae, set()):
        best = best_setting(work, task.ae)
        if best is None:
            return 0
    if best is None:
        cell = cell_of(task, Best(candidates(work, task.ae)[0], work.study.evaluation.sampleshifts[0]))
        return 0 if cell in work.study.cells else last
    cell = cell_of(task, best)
    try:
        return 0 if trained(work, cell, last) else max(0, last - saved_step(state_path(work, cell)))
    except FileNotFoundError:  # another process has just ended this training
        return 0


def do_task(work: Workspace, task: Task) -> None:
    """Train, sample and write the rows of a task; all candidates of its autoencoder must have been measured."""
    best, step = best_setting(work, task.ae), work.study.training.evaluate_at[-1]
    if best is None:
        return
    cell, wanted = cell_of(task, best), missing(work, task, best, evaluations_done(work))
    with exclusive(state_path(work, cell), work.check):
        with work.heartbeats.of([cell.name], step):
            ensure_trained(work, [cell], step)
        state_path(work, cell).unlink(missing_ok=True)
    drawn = draw_samples(measuring(work, task, best, max(wanted)), cell, step, best.sampleshift)
    for count in wanted:
        again = measuring(work, task, best, count)
        row = measured(again, cell, step, best.sampleshift, drawn.first(count) if drawn else None)
        # a file of its own: one file holds rows of one recipe
        name = f"{cell.name}-samples{row.sample_seed}-{count}"
        write_generation(work.folders.data, work.study.name, name, [row])


def cell_of(task: Task, best: Best) -> Cell:
    """The training of a task."""
    trainp = task.trainp or best.cell.trainp
    return Cell(task.ae, task.repa, trainp, best.cell.trainshift, task.train_seed, task.width, task.skip)


def missing(work: Workspace, task: Task, best: Best, done: Done) -> list[int]:
    """The numbers of samples without a row."""
    cell = cell_of(task, best)
    return [count for count in task.n_samples
            if evaluations_missing(measuring(work, task, best, count), cell, done)]  # fmt: skip


def measuring(work: Workspace, task: Task, best: Best, count: int) -> Workspace:
    """The workspace of a study that measures a task alone, by its first `count` samples."""
    study = work.study
    evaluation = dataclasses.replace(
        study.evaluation, sampleshifts=(best.sampleshift,), n_samples=count, sample_seed=task.sample_seed
    )
    training = dataclasses.replace(study.training, evaluate_at=study.training.evaluate_at[-1:])
    again = copy.copy(work)
    again.study = dataclasses.replace(study, evaluation=evaluation, training=training)
    return again
