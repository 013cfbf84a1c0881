"""A Ray cluster: every unit is a task of its own, on whatever machine has room for it (https://docs.ray.io).

    pip install 'lrcore[ray]'
    python -m lrcore.train imagenet256 --executor ray --ray-address auto --gpus-per-run 0.25

The command that starts the study stays until it is done. lrcore must be installed on all machines, and the folders of
the study be on storage that all of them see: units leave their results there, and locks there keep two of them apart.
A unit whose process or machine is lost goes to another one, which goes on from the last checkpoint.
"""

from __future__ import annotations

import math
import os
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch

from lrcore.errors import LrcoreError
from lrcore.executors.report import Report, report_of
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest, StudyInterrupted
from lrcore.stages.engine import Diverged, Job, Unit, units
from lrcore.stages.precision import require_quick_precision
from lrcore.stages.todo import Todo

RETRIES = 5
"""So many times a unit may lose its process or machine."""

LOOK_EVERY = 1.0
"""Seconds between looks at whether to stop."""


@dataclass(frozen=True)
class RayExecutor:
    """Works a study off as tasks of the cluster at `address`; None: that of this machine, or a new one on it alone.

    `gpus` and `cpus` are what a unit takes of a machine; of None GPUs it takes 1 where `device` is "cuda", or "auto"
    and the cluster has one.

    Raises, when called:
        LrcoreError: the cluster is not reached, a unit went wrong, or it lost its process too often.
        StudyInterrupted: stopped as asked, all units too.
    """

    address: str | None
    gpus: float | None
    cpus: float
    device: str = "auto"
    picks_device: ClassVar[bool] = True

    def __call__(self, job: Job, todo: Todo, stop: StopRequest) -> Diverged:
        _start(self.address)
        stop.listen()  # after Ray, which takes SIGTERM for itself
        gpus = self.gpus if self.gpus is not None else float(self.device != "cpu" and _has_gpus(self.device))
        device = torch.device("cuda" if gpus else "cpu")
        if not job.as_written:
            require_quick_precision(job.study, todo, device)
        folders = job.folders
        folders = Folders(folders.data.resolve(), folders.imgs.resolve(), folders.runs.resolve())
        job = replace(job, device=device, folders=folders)
        tasks = _Tasks(job, todo, {"num_gpus": gpus, "num_cpus": self.cpus, "max_retries": RETRIES})
        try:
            return _drive(units(job.workspace(stop), todo), tasks, stop)
        finally:
            tasks.close()


def share_of_machine(option: str, value: float) -> float:
    """A share that Ray can hand out: a fraction below 1, or a whole number.

    Raises:
        LrcoreError: it is neither.
    """
    if not (0 <= value < 1 or (math.isfinite(value) and value == int(value) and value >= 1)):
        raise LrcoreError(f"{option} must be a fraction from 0 to 1 or a whole number, got {value}")
    return value


def require_ray() -> None:
    """Check that Ray is installed.

    Raises:
        LrcoreError: it is not; says how to install it.
    """
    try:
        import ray  # noqa: F401
    except ImportError as error:
        raise LrcoreError("--executor ray needs Ray, which is not installed: pip install 'lrcore[ray]'") from error


class _Tasks:
    """The units that Ray was given."""

    def __init__(self, job: Job, todo: Todo, options: dict[str, Any]) -> None:
        import ray

        self._ray, self._job, self._todo, self._options = ray, job, todo, options
        self._stop_file = job.folders.runs / job.study.name / f".stop-{uuid.uuid4().hex}"
        self._task = one_process_each(_do) if options["num_gpus"] else ray.remote(_do)
        self._room = _room(ray.cluster_resources, options)
        self.running: dict[Any, Unit] = {}

    @property
    def full(self) -> bool:
        """Whether the cluster has as many units as it has room for, and one more that may make it grow."""
        return len(self.running) > self._room()

    def give(self, unit: Unit) -> None:
        """Have Ray do a unit."""
        task = self._task.options(name=unit.name, **self._options)
        self.running[task.remote(self._job, self._todo, unit.name, self._stop_file, Path.cwd())] = unit

    def ended(self) -> list[tuple[Unit, Report]]:
        """Units that have come to their end; waits for one a while."""
        ready, _ = self._ray.wait(list(self.running), timeout=LOOK_EVERY)
        return [(unit, self._report(task, unit)) for task in ready if (unit := self.running.pop(task))]

    def stop(self) -> None:
        """Have all units stop at the next safe point, and wait for that."""
        self._stop_file.parent.mkdir(parents=True, exist_ok=True)
        self._stop_file.touch()
        while self.running:
            self.ended()

    def close(self) -> None:
        """Leave the cluster; a new one ends with it."""
        self._stop_file.unlink(missing_ok=True)
        self._ray.shutdown()

    def _report(self, task: Any, unit: Unit) -> Report:
        try:
            report: Report = self._ray.get(task)
        except self._ray.exceptions.RayError as error:
            return Report({}, error=f"{unit.name}: {error}; the same command goes on from here")
        return report


def one_process_each(function: Callable[..., Any]) -> Any:
    """As a task of Ray's, each call in a process of its own: one that used a GPU stays on it, whichever comes next."""
    import ray

    return ray.remote(max_calls=1)(function)


def _drive(found: Sequence[Unit], tasks: _Tasks, stop: StopRequest) -> Diverged:
    """Give units to Ray as soon as what they need is done, until all are; the others go on where one goes wrong.

    Raises:
        LrcoreError: units went wrong; those that need them were left out.
    """
    waiting, diverged, errors = list(found), Diverged(), dict[str, str]()
    while waiting or tasks.running:
        unfinished = {unit.name for unit in [*waiting, *tasks.running.values()]}
        for unit in [unit for unit in waiting if not unit.needs & unfinished]:
            if tasks.full:
                break
            waiting.remove(unit)
            tasks.give(unit)
        try:
            stop.check()
            for unit, report in tasks.ended():
                _take_note(unit, report, diverged, errors)
                left = len(waiting) + len(tasks.running)
                print(f"{unit.name} ended; {left} of {len(found)} units left", file=sys.stderr, flush=True)
        except StudyInterrupted:
            tasks.stop()
            raise
        waiting = [unit for unit in waiting if unit.ae not in diverged and not unit.needs & {*errors}]
    if errors:
        raise LrcoreError("; ".join(errors.values()))
    return diverged


def _take_note(unit: Unit, report: Report, diverged: Diverged, errors: dict[str, str]) -> None:
    if report.stopped:
        raise StudyInterrupted(f"{unit.name} stopped: {report.stopped}")
    if report.error:
        errors[unit.name] = report.error
        print(f"{unit.name} went wrong: {report.error}", file=sys.stderr, flush=True)
    diverged.update(report.diverged)


def _room(resources: Callable[[], dict[str, float]], options: dict[str, Any]) -> Callable[[], int]:
    """How many units fit on the cluster as it is when asked."""

    wanted = {"CPU": options["num_cpus"], "GPU": options["num_gpus"]}

    def found() -> int:
        there = resources()
        return int(min((there.get(kind, 0.0) / share for kind, share in wanted.items() if share), default=sys.maxsize))

    return found


def _start(address: str | None) -> None:
    """Connect to a cluster, or start one; it reports to nobody and has no dashboard.

    Raises:
        LrcoreError: the cluster is not reached.
    """
    import ray

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    own = {name: value for name, value in os.environ.items() if name.startswith("LRCORE_")}
    try:
        ray.init(address=address, include_dashboard=False, runtime_env={"env_vars": own}, logging_level="warning")
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise LrcoreError(f"Ray at '{address or 'this machine'}' is not reached: {error}") from error


def _has_gpus(device: str) -> bool:
    import ray

    return device == "cuda" or ray.cluster_resources().get("GPU", 0.0) > 0


class _StopOfTask(StopRequest):
    """Stops when a file is there, on the storage that all machines see."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file, self._next_look = file, 0.0

    def check(self) -> None:
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_EVERY
            if self._file.exists():
                self.reason = "asked by the command that started it"
        super().check()


def _do(job: Job, todo: Todo, unit: str, stop_file: Path, cwd: Path) -> Report:
    """The task: the one unit of that name."""
    if cwd.is_dir():
        os.chdir(cwd)  # a study may name files from there
    return report_of(job, todo, _StopOfTask(stop_file), unit)
