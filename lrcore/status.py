"""How far a study is, from another terminal: what is done and left, what is running, how fast, how long still.

    python -m lrcore.status                          # the study `smoke`
    python -m lrcore.status cifar10-cpu --watch 10   # again every 10 seconds, until Ctrl-C

Reads the disk alone: Parquet, the small tensors of checkpoints and the heartbeats of `lrcore.runtime.heartbeat`. It
takes no lock, loads no weights and runs no code that a study names, so it can be asked at any time, also on a machine
that shares the folders.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas
from safetensors import SafetensorError, safe_open

from lrcore.command_line import Parser, folders_of, run_command
from lrcore.errors import LrcoreError
from lrcore.flow.shapes import SHAPES
from lrcore.records.reading import read_generation, read_losses
from lrcore.runtime.heartbeat import Beat, autoencoder_unit, heartbeat_path, read_beat
from lrcore.runtime.interruption import StopRequest
from lrcore.runtime.progress import duration
from lrcore.spec.study import NO_SKIP, Cell
from lrcore.stages import choice
from lrcore.stages.anchors import anchors_done
from lrcore.stages.autoencoder import autoencoder_folder, needs_training
from lrcore.stages.comparing import comparison, described
from lrcore.stages.custom import unknown_until_run
from lrcore.stages.diagnostics import diagnostics_done
from lrcore.stages.evaluations import counted, evaluations_done, row_recipe
from lrcore.stages.reconstruction import reconstruction_done
from lrcore.stages.training import diverged, state_path, steps_left
from lrcore.stages.workspace import Workspace
from lrcore.studies.comparing import OPTION
from lrcore.studies.loading import load_study
from lrcore.training.checkpoints import saved_step
from lrcore.training.loss_log import PREFIX, mean_loss, stored_intervals

LONGEST_WATCH = 86_400
"""Seconds between two looks at most: a day."""


@dataclass(frozen=True)
class Unit:
    """One training: `saved` is the step of its last checkpoint, `loss` that of the last interval stored (NaN: none).

    `step` counts what is done now: what a running process says, else `saved`. `held`: a process of this machine has its
    lock. `failed`: it diverged.
    """

    name: str
    step: int
    saved: int
    total: int
    loss: float
    beat: Beat | None
    held: bool
    failed: bool
    now: float

    @property
    def running(self) -> bool:
        """Whether a process works on it: this machine's by the lock, another's by a beat that is not stale."""
        return self.held or (self.beat is not None and not self.beat.stale(self.now))

    @property
    def state(self) -> str:
        """In a word or two: `working` is without steps."""
        if self.failed:
            return "diverged"
        if not self.running:
            return "stopped" if self.saved or self.beat else "not begun"
        # without steps: latents are encoded, samples drawn and measured
        return "working" if self.beat is None or self.beat.stale(self.now) else "running"

    @property
    def rate(self) -> float:
        """Steps per second of a running training; 0 where there is none or it is unknown."""
        return (self.beat.steps_per_second or 0.0) if self.beat is not None and self.state == "running" else 0.0


@dataclass(frozen=True)
class Status:
    """Of each kind of work (all, done), and the trainings that are not done."""

    counts: dict[str, tuple[int, int]]
    autoencoders: list[Unit]
    transformers: list[Unit]


def status_of(work: Workspace, now: float) -> Status:
    """The status of a whole study at time `now` (seconds since 1970).

    Raises:
        LrcoreError: a file is damaged, or weights that the study names are not there.
    """
    work.runs_code = False
    study, aes = work.study, _in_use(work)
    rows = read_generation(work.folders.data)
    rows = rows[rows.study == study.name]
    losses = read_losses(work.folders.data)
    losses = losses[losses.study == study.name]
    wanted = len(study.training.evaluate_at) * len(study.evaluation.sampleshifts)
    grid = counted(work)
    done = {cell: _evaluations_done(grid, cell, rows) for cell in study.cells}
    trained = [ae for ae in aes if study.autoencoders[ae].origin == "trained"]
    untrained = [ae for ae in trained if needs_training(work, ae)]
    known = [ae for ae in aes if _recipe_known(work, ae)]
    left = [cell for cell in study.cells if done[cell] < wanted]
    counts = {
        "autoencoders to train": (len(trained), len(trained) - len(untrained)),
        "reconstructions": (len(known), sum(reconstruction_done(work, ae) for ae in known)),
        "latent diagnostics": (len(known), sum(diagnostics_done(work, ae) for ae in known)),
        "anchors": (len(known), sum(anchors_done(work, ae) for ae in known)),
        "transformers": (len(study.cells), len(study.cells) - len(left)),
        "evaluations of them": (len(study.cells) * wanted, sum(done.values())),
    }
    tasks = [task for task in choice.tasks(work, aes) if task.ae in known]
    if tasks:
        measured = evaluations_done(work)
        counts["at the best settings"] = (len(tasks), sum(choice.task_done(work, task, measured) for task in tasks))
    autoencoders = [_autoencoder(work, ae, now) for ae in untrained]
    return Status(counts, autoencoders, [_transformer(work, cell, losses, now) for cell in left])


def report(work: Workspace, now: float) -> str:
    """The status of a study as text."""
    status = status_of(work, now)
    lines = [f"study '{work.study.name}': {work.study.summary}", "", f"{'':24}{'all':>8}{'done':>8}{'left':>8}"]
    lines += [f"{name:24}{all_:>8}{done:>8}{all_ - done:>8}" for name, (all_, done) in status.counts.items()]
    custom = [ae for ae in _in_use(work) if not _recipe_known(work, ae)]
    if custom:
        names = ", ".join(custom)
        lines.append(f"unknown until run: whether rows of {names} are up to date; their code is not run here")
    begun = [unit for unit in (*status.autoencoders, *status.transformers) if unit.state != "not begun"]
    if begun:
        lines += ["", *_table(begun, now)]
    left = [
        *_time_left("autoencoders", status.autoencoders),
        *_time_left("transformers", [unit for unit in status.transformers if not unit.failed]),
    ]
    return "\n".join([*lines, "", *left] if left else lines)


def holder(path: Path) -> int | None:
    """The process that holds the lock of `path` (`files.exclusive`); None where none is seen.

    Read from the kernel's table of locks. Taking the lock for a moment would tell the same, but a worker that asks for
    it in that moment would find it taken and pass the work over; the fcntl call that tests without taking knows nothing
    of flock locks, which these are. The table shows processes of this machine and container, on Linux; of others, the
    heartbeat tells.
    """
    lock = path.parent / f".{path.name}.lock"
    try:
        found = lock.stat()
        table = Path("/proc/locks").read_text()
    except OSError:
        return None
    identity = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    for line in table.splitlines():
        # "1: FLOCK  ADVISORY  WRITE 4326 fe:00:2237117 0 EOF"; those that wait have "->" after the number
        words = line.split()
        if words[1] == "FLOCK" and words[5] == identity:
            return int(words[4])
    return None


def _in_use(work: Workspace) -> list[str]:
    """The autoencoders that the grid uses: a study that extends another may have more."""
    return [ae for ae in work.study.autoencoders if any(cell.ae == ae for cell in work.study.cells)]


def _recipe_known(work: Workspace, ae: str) -> bool:
    """Whether rows can be told to be up to date without running code."""
    return not unknown_until_run(work, ae)


def _evaluations_done(work: Workspace, cell: Cell, rows: pandas.DataFrame) -> int:
    settings = work.study.training.evaluate_at, work.study.evaluation.sampleshifts
    known = _recipe_known(work, cell.ae)
    found = rows[rows.recipe == row_recipe(work, cell)] if known else _of_cell(work, rows, cell)
    done = set(zip(found.step, found.sampleshift, strict=True))
    return sum((step, shift) in done for step in settings[0] for shift in settings[1])


def _of_cell(work: Workspace, rows: pandas.DataFrame, cell: Cell) -> pandas.DataFrame:
    for name in ("ae", "repa", "trainp", "trainshift", "train_seed"):
        rows = rows[rows[name] == getattr(cell, name)]
    # rows from before there were such columns are of the model's own width, without a skip
    width = rows["width"].fillna(SHAPES[work.study.training.model].width)
    return rows[(width == (cell.width or SHAPES[work.study.training.model].width)) &
                (rows["skip"].replace("", NO_SKIP) == cell.skip)]  # fmt: skip


def _autoencoder(work: Workspace, ae: str, now: float) -> Unit:
    folder, total = autoencoder_folder(work, ae), work.study.autoencoder_training.steps
    saved = _saved(folder.with_name(f"{folder.name}.training.safetensors"))
    return _unit(work, autoencoder_unit(ae), saved, total, math.nan, holder(folder) is not None, False, now)


def _transformer(work: Workspace, cell: Cell, losses: pandas.DataFrame, now: float) -> Unit:
    total, name = work.study.training.evaluate_at[-1], cell.name
    if not _recipe_known(work, cell.ae):
        return _unit(work, name, 0, total, _last_loss(work, losses, cell), False, False, now)
    state = state_path(work, cell)
    loss = _checkpoint_loss(state)
    if math.isnan(loss):
        loss = _last_loss(work, losses, cell)
    try:
        left = steps_left(work, cell)
    except FileNotFoundError:  # finished between two looks
        left = steps_left(work, cell)
    failed = diverged(work, cell)  # no steps are left of it either, though it did not take them
    saved = _saved(state) if failed else total - left
    return _unit(work, name, saved, total, loss, holder(state) is not None, failed, now)


def _unit(
    work: Workspace, name: str, saved: int, total: int, loss: float, held: bool, failed: bool, now: float
) -> Unit:
    beat = read_beat(heartbeat_path(work.folders.runs, work.study.name, name))
    unit = Unit(name, saved, saved, total, loss, beat, held, failed, now)
    return dataclasses.replace(unit, step=max(saved, beat.step)) if beat is not None and unit.running else unit


def _saved(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):  # finished between two looks
        return saved_step(path)
    return 0


def _checkpoint_loss(path: Path) -> float:
    """The mean loss of the last interval in a checkpoint; NaN where there is none."""
    try:
        with safe_open(path, framework="pt") as stored:
            tensors = {name: stored.get_tensor(name) for name in stored.keys() if name.startswith(PREFIX)}  # noqa: SIM118
        intervals = stored_intervals(tensors)
    except (OSError, SafetensorError, LrcoreError):
        return math.nan
    return mean_loss(intervals[-1]) if intervals else math.nan


def _last_loss(work: Workspace, losses: pandas.DataFrame, cell: Cell) -> float:
    rows = _of_cell(work, losses, cell)
    rows = rows[(rows.step == rows.step.max()) & (rows["count"] > 0)]
    return float((rows.loss * rows["count"]).sum(skipna=False) / rows["count"].sum()) if len(rows) else math.nan


def _table(units: Sequence[Unit], now: float) -> list[str]:
    width = max(24, *(len(unit.name) + 2 for unit in units))
    head = f"{'':{width}}{'state':14}{'step':>9}{'saved':>9}{'of':>9}{'loss':>9}{'steps/s':>9}{'left':>10}  last beat"
    lines = [head]
    for unit in units:
        beat = unit.beat
        loss = "" if math.isnan(unit.loss) else f"{unit.loss:.4f}"
        rate = f"{unit.rate:.3g}" if unit.rate else ""
        left = duration((unit.total - unit.step) / unit.rate) if unit.rate else ""
        sign = f"{duration(max(now - beat.updated, 0))} ago, process {beat.pid} on {beat.host}" if beat else ""
        numbers = f"{unit.step:>9}{unit.saved:>9}{unit.total:>9}{loss:>9}{rate:>9}{left:>10}"
        lines.append(f"{unit.name:{width}}{unit.state:14}{numbers}  {sign}".rstrip())
    return lines


def _time_left(kind: str, units: Sequence[Unit]) -> list[str]:
    steps = sum(unit.total - unit.step for unit in units)
    if not steps:
        return []
    rate = sum(unit.rate for unit in units)
    pace = "nothing is training" if not rate else (
        f"about {duration(steps / rate)} at the {rate:.3g} a second of now; sampling and measuring come on top"
    )  # fmt: skip
    return [f"{kind + ' left':24}{steps} steps: {pace}"]


def parser() -> Parser:
    """The command line."""
    line = Parser(
        prog="python -m lrcore.status", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    line.add_argument("study", nargs="?", default="smoke", help="a study's name, or the path of a TOML file")
    line.add_argument(OPTION, metavar="STUDY", default=None, help="as for python -m lrcore.train")
    line.add_argument("--watch", type=float, metavar="SECONDS", help="again and again, so far apart, until Ctrl-C")
    for name, what in (("data", "the Parquet"), ("imgs", "the crops"), ("runs", "weights and checkpoints")):
        line.add_argument(f"--{name}", type=Path, default=Path(name), help=f"folder of {what} (default: {name})")
    line.set_defaults(budget=None)
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see `command_line.run_command` for the exit status."""
    return run_command(parser(), _run, arguments)


def _run(options: argparse.Namespace, stop: StopRequest) -> int:
    if options.watch is not None and not 0 < options.watch < math.inf:
        raise LrcoreError(f"--watch must be seconds above 0, got {options.watch}")
    if options.watch is not None and options.watch > LONGEST_WATCH:
        raise LrcoreError(f"--watch must be at most {LONGEST_WATCH} seconds, got {options.watch}")
    folders = folders_of(options)
    if options.compare_with is None:
        study, beside = load_study(options.study), ""
    else:
        found = comparison(options.study, options.compare_with, folders, runs_code=False)
        study, beside = found.study, described(found, options.study) + "\n\n"
    work = Workspace(study, folders, stop, lambda steps: None)
    if options.watch is None:
        print(beside + report(work, time.time()))
        return 0
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            now = beside + report(work, time.time())
            # clears the screen of a terminal; elsewhere the reports follow each other
            print(("\033[2J\033[H" if sys.stdout.isatty() else "") + now, end="\n\n", flush=True)
            time.sleep(options.watch)
    return 0


if __name__ == "__main__":
    sys.exit(main())
