"""What is left to do of a study, and doing it: units of work that any number of processes share."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from lrcore.records.planned import Planned, write_planned
from lrcore.runtime.files import claimed, require_writable
from lrcore.runtime.folders import Folders
from lrcore.runtime.gpu_memory import peak, reset_peak
from lrcore.runtime.interruption import StopRequest, obeyed
from lrcore.runtime.progress import Progress
from lrcore.spec.study import Cell, Study
from lrcore.stages import choice
from lrcore.stages.anchors import anchors_done, measure_anchors
from lrcore.stages.autoencoder import (
    AutoencoderDivergedError,
    ensure_autoencoder,
    needs_training,
)
from lrcore.stages.beforehand import prepare
from lrcore.stages.diagnostics import diagnostics_done, measure_latents
from lrcore.stages.evaluations import disagreed, evaluations_done, evaluations_missing, unpaired
from lrcore.stages.generation import run_cells, stacks
from lrcore.stages.precision import require_quick_precision
from lrcore.stages.reconstruction import measure_reconstruction, reconstruction_done
from lrcore.stages.samples import samples_possible, samples_shown, show_samples
from lrcore.stages.scale import look_at_scale, scale_known
from lrcore.stages.tables import anchors_line, latents_line, reconstruction_line, training_lines
from lrcore.stages.todo import Todo
from lrcore.stages.training import steps_left, training_folder
from lrcore.stages.workspace import Workspace

STAGES = ("autoencoders", "reconstruction", "diagnostics", "anchors", "generation", "choice", "samples")

POLL_EVERY = 1.0
"""Seconds between looks at units that other processes work on, and at whether to stop."""


def left_to_do(work: Workspace, stages: Sequence[object], aes: Sequence[str], cells: Sequence[Cell]) -> Todo:
    """What of the stages, autoencoders and cells asked for has no rows yet, and the autoencoders that this needs."""
    reconstruct = [ae for ae in aes if "reconstruction" in stages and not reconstruction_done(work, ae)]
    diagnose = [ae for ae in aes if "diagnostics" in stages and not diagnostics_done(work, ae)]
    done, lone = evaluations_done(work), unpaired(work)
    generate = [
        cell for cell in cells if "generation" in stages and (cell in lone or evaluations_missing(work, cell, done))
    ]
    anchor = [ae for ae in aes if "anchors" in stages and not anchors_done(work, ae)]
    wanted = choice.tasks(work, list({cell.ae for cell in cells})) if "choice" in stages else []
    choose = [
        task for task in wanted
        if choice.choosable(work, task.ae, {*generate}, done) and not choice.task_done(work, task, done)
    ]  # fmt: skip
    show = [
        ae for ae in aes
        if "samples" in stages and samples_possible(work, ae, {*generate}) and not samples_shown(work, ae)
    ]  # fmt: skip
    todo = Todo([], reconstruct, diagnose, anchor, generate, choose, show)
    # asked for alone they are trained for their own sake; else only for rows: runs/ may have been deleted since
    train = [ae for ae in aes if needs_training(work, ae) and (ae in todo.measured or [*stages] == ["autoencoders"])]
    return replace(todo, train=train)


@dataclass(frozen=True)
class Job:
    """What is asked for of a study, and where; it can be sent to another process.

    `stack` and `compiled` are those of `stages.workspace.Workspace`. `as_written`: whether the study runs in the
    precision that it says even where the device is slow at it. `planned`: what the whole study is to have, where that
    is more than `study`.
    """

    study: Study
    folders: Folders
    device: torch.device
    stages: Sequence[object]
    aes: Sequence[str]
    cells: Sequence[Cell]
    stack: int = 1
    compiled: bool = False
    as_written: bool = False
    planned: Planned | None = None

    def workspace(self, stop: StopRequest, on_steps: Callable[[int], None] = lambda steps: None) -> Workspace:
        """What a process works in that does a part of it."""
        return Workspace(self.study, self.folders, stop, on_steps, self.device, self.stack, self.compiled)


@dataclass(frozen=True)
class Unit:
    """A piece of the work that one process does alone.

    `needs`: the units that must be done first, by name. `locks`: held while it is worked on, so that other processes
    see it. `done` and `action` may be called by any process that holds the locks; `steps` are those of training left in
    it; `result` says in a line what was found.
    """

    name: str
    ae: str
    needs: frozenset[str]
    locks: tuple[Path, ...]
    done: Callable[[], bool]
    steps: Callable[[], int]
    action: Callable[[], object]
    result: Callable[[], str] = lambda: ""

    @contextlib.contextmanager
    def claimed(self) -> Iterator[bool]:
        """Hold the unit if no other process does: yields whether it was free."""
        with contextlib.ExitStack() as locks:
            yield all(locks.enter_context(claimed(path)) for path in self.locks)


Diverged = dict[str, str]
"""Autoencoders whose training diverged, with the error."""

Executor = Callable[[Job, Todo, StopRequest], Diverged]
"""Does what is left, wherever it likes; see `lrcore.executors`."""


def train_cells(work: Workspace, cells: Sequence[Cell]) -> None:
    """Train and measure a group of cells; the caller holds their unit."""
    for cell in cells if work.world.first else ():
        for leftover in training_folder(work, cell).glob(".*.tmp"):  # of snapshots whose writer was killed
            leftover.unlink(missing_ok=True)
    run_cells(work, cells)


def units(work: Workspace, todo: Todo, train: Callable[[Workspace, Sequence[Cell]], None] = train_cells) -> list[Unit]:
    """What is left, in the order in which one process would do it; cells are trained by `train`."""
    folder = work.runs / "units"
    found = []

    def add(
        kind: str,
        ae: str,
        done: Callable[..., bool],
        action: Callable[..., object],
        title: str,
        result: Callable[[Path, str, str], str] = lambda data, study, ae: "",
    ) -> None:
        training = kind == "autoencoder"
        found.append(
            Unit(
                name=f"{title}{ae}",
                ae=ae,
                needs=frozenset() if training else _before(ae) - {f"{title}{ae}"},
                locks=(folder / kind / ae,),
                done=partial(done, work, ae),
                steps=lambda: work.study.autoencoder_training.steps if training else 0,
                action=partial(action, work, ae),
                result=partial(result, work.folders.data, work.study.name, ae),
            )
        )

    unseen = [ae for ae in todo.measured if not scale_known(work, ae)]
    # hours of training others would be lost on one that is refused
    for ae in (ae for ae in unseen if ae not in todo.train):
        add("scale", ae, scale_known, look_at_scale, "scale of ")
    for ae in todo.train:
        add("autoencoder", ae, _is_trained, ensure_autoencoder, "autoencoder ")
    for ae in (ae for ae in unseen if ae in todo.train):
        add("scale", ae, scale_known, look_at_scale, "scale of ")
    for ae in todo.reconstruct:
        add("reconstruction", ae, reconstruction_done, measure_reconstruction, "reconstruction ", reconstruction_line)
    for ae in todo.diagnose:
        add("diagnostics", ae, diagnostics_done, measure_latents, "latents of ", latents_line)
    for ae in todo.anchor:
        add("anchors", ae, anchors_done, measure_anchors, "anchors of ", anchors_line)
    trainings = [_trainings(work, cells, partial(train, work, cells)) for cells in stacks(work, todo.generate)]
    before = [*found, *trainings]
    best = [
        _last(work, before, f"choice {task.name}", f"choice/{task.name}", task.ae,
              partial(choice.task_done, work, task), partial(choice.do_task, work, task),
              partial(choice.steps_left, work, task))
        for task in todo.choose
    ]  # fmt: skip
    shown = [
        _last(work, before, f"samples of {ae}", f"samples/{ae}", ae,
              partial(samples_shown, work, ae), partial(show_samples, work, ae))
        for ae in todo.show
    ]  # fmt: skip
    return [*before, *best, *shown]


def _before(ae: str) -> frozenset[str]:
    """What comes before anything is measured of an autoencoder: its training, and the look at its latents' scale."""
    return frozenset({f"autoencoder {ae}", f"scale of {ae}"})


def _last(
    work: Workspace,
    before: Sequence[Unit],
    name: str,
    lock: str,
    ae: str,
    done: Callable[[], bool],
    action: Callable[[], object],
    steps: Callable[[], int] = lambda: 0,
) -> Unit:
    """What chooses among the trainings of an autoencoder, and so waits for all of them."""
    return Unit(
        name=name,
        ae=ae,
        needs=frozenset(unit.name for unit in before if unit.ae == ae),
        locks=(work.runs / "units" / lock,),
        done=done,
        steps=steps,
        action=action,
    )


def _trainings(work: Workspace, cells: Sequence[Cell], train: Callable[[], None]) -> Unit:
    """A group of cells that is trained together; another process may have grouped them otherwise: a lock for each."""
    return Unit(
        name=cells[0].name + (f" and {len(cells) - 1} more" if len(cells) > 1 else ""),
        ae=cells[0].ae,
        needs=_before(cells[0].ae),
        locks=tuple(work.runs / "units" / "training" / cell.name for cell in cells),
        done=partial(_all_measured, work, cells),
        steps=lambda: sum(_steps_left(work, cell) for cell in cells),
        action=train,
        result=partial(training_lines, work.folders.data, work.study.name, cells),
    )


def _all_measured(work: Workspace, cells: Sequence[Cell]) -> bool:
    measured, lone = evaluations_done(work), unpaired(work)
    return not any(cell in lone or evaluations_missing(work, cell, measured) for cell in cells)


def _steps(units: Sequence[Unit]) -> int:
    return sum(unit.steps() for unit in units)


def _steps_left(work: Workspace, cell: Cell) -> int:
    try:
        return steps_left(work, cell)
    except FileNotFoundError:  # another process has just ended this training
        return 0


def _is_trained(work: Workspace, ae: str) -> bool:
    return not needs_training(work, ae)


def work_off(units: Sequence[Unit], stop: StopRequest, progress: Progress) -> Diverged:
    """Do all units; any number of processes may do so at once, each takes what no other has taken.

    Returns when all is done, by whomever. A unit whose process died is taken over: its lock died with it. An
    autoencoder that diverges is left out of what follows.

    Raises:
        StudyInterrupted: stopped as asked, at work or while waiting for others.
    """
    left, diverged = list(units), Diverged()
    waiting = False
    while left:
        stop.check()
        names = {unit.name for unit in left}
        ready = [unit for unit in left if not unit.needs & names]
        tried = next((unit for unit in ready if _tried(unit, diverged, progress)), None)
        if tried is None:
            _wait(ready, told=waiting)
        waiting = tried is None
        left = [unit for unit in left if unit is not tried and unit.ae not in diverged]
        # what other processes did meanwhile is no longer ahead of this one
        progress.total = progress.done + _steps(left)
    return diverged


def _tried(unit: Unit, diverged: Diverged, progress: Progress) -> bool:
    """Do `unit` unless another process is at it; returns whether it is settled."""
    with unit.claimed() as free:
        if free and not unit.done():
            progress.unit(unit.name, unit.steps() or None)
            try:
                unit.action()
                if result := unit.result():
                    progress.say(result)
            except AutoencoderDivergedError as error:
                diverged[unit.ae] = str(error)
        return free


def with_memory(unit: Unit, device: torch.device) -> Unit:
    """The unit with what it held of a GPU's memory at most at the end of its result."""
    if device.type != "cuda":
        return unit

    def action() -> None:
        reset_peak(device)
        unit.action()

    def result() -> str:
        found = unit.result()
        return f"{found}; {peak(device)}" if found else f"{unit.name}: {peak(device)}"

    return replace(unit, action=action, result=result)


def _wait(ready: Sequence[Unit], told: bool) -> None:
    if not told:
        names = ", ".join(unit.name for unit in ready)
        print(f"waiting for other processes that work on: {names}", file=sys.stderr, flush=True)
    time.sleep(POLL_EVERY)


def in_this_process(
    job: Job,
    todo: Todo,
    stop: StopRequest,
    only: str = "",
    train: Callable[[Workspace, Sequence[Cell]], None] = train_cells,
) -> Diverged:
    """Do all units, or the `only` one of that name, sharing them with whatever other processes do the same study."""
    progress: list[Progress] = []
    work = job.workspace(stop, lambda steps: progress[0].advance(steps))
    work.on_images = lambda what, done, total: progress[0].images(what, done, total)
    found = [with_memory(unit, work.device) for unit in units(work, todo, train) if only in ("", unit.name)]
    progress.append(Progress(_steps(found)))
    try:
        with obeyed(stop):
            return work_off(found, stop, progress[0])
    finally:
        progress[0].close()


def run_study(job: Job, stop: StopRequest, execute: Executor = in_this_process) -> int:
    """Do what is left; returns the exit status: 0 done, 1 an autoencoder diverged and the rest is done.

    Raises:
        LrcoreError: something is missing or wrong.
        StudyInterrupted: stopped as asked.
    """
    study, folders, aes, cells = job.study, job.folders, job.aes, job.cells
    work = job.workspace(stop)
    todo = left_to_do(work, job.stages, aes, cells)
    if todo.empty:
        print(f"study '{study.name}': nothing to do, all that was asked for is done")
        return 0
    # an executor that picks the device looks at that one
    if not (job.as_written or getattr(execute, "picks_device", False)):
        require_quick_precision(study, todo, job.device)
    # whoever only looks at a study that is done may have folders that cannot be written to
    for folder in (folders.data, folders.imgs, folders.runs):
        require_writable(folder)
    write_planned(folders.data, study.name, job.planned or choice.planned(study))
    print(f"study '{study.name}': {study.summary}\nto do: {todo}", file=sys.stderr)
    prepare(work, todo)
    stop.listen()
    began, before = time.monotonic(), disagreed(work)
    diverged = execute(job, todo, stop)
    if disagreed(work) and not before:  # what was measured in half precision is to be measured once more
        diverged |= execute(job, left_to_do(work, job.stages, aes, cells), stop)
    for message in diverged.values():
        print(f"error: {message}; nothing of it was measured", file=sys.stderr)
    seconds = time.monotonic() - began
    print(f"study '{study.name}': done in {seconds:.0f} s; rows in '{folders.data}', crops in '{folders.imgs}'")
    return 1 if diverged else 0
