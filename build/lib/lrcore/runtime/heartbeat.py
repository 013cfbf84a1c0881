"""A sign of life of whatever is being trained, in a small file for `python -m lrcore.status` and anybody else.

    runs/<study>/heartbeats/<unit>.json     unit, step, total, started, updated, steps_per_second, pid, host

There is a file while a unit is being trained; one of a process that was killed stays, and grows stale.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from lrcore.runtime.files import sweep_leftovers

BEAT_EVERY = 5.0
"""Seconds between writes, at least."""

STALE_AFTER = 60.0
"""Seconds without a beat after which one is stale; more for a training whose steps take longer, see `Beat.stale`."""


class Pace:
    """Seconds per step of a training, without the pauses that it makes to sample and measure.

    Steps are timed in windows of at least `window` seconds; the pace is the median of the last 15. Windows, since a
    device works steps off in bursts; the median, since a pause falls into one window and is no part of the pace.
    """

    def __init__(self, now: float, window: float) -> None:
        self.window, self._began, self._steps = window, now, 0
        self._windows: deque[float] = deque(maxlen=15)

    def count(self, steps: int, now: float) -> bool:
        """Count `steps` done until `now`; returns whether a window ended."""
        self._steps += steps
        if now - self._began < self.window or self._steps == 0:
            return False
        self._windows.append((now - self._began) / self._steps)
        self._began, self._steps = now, 0
        return True

    def skip(self, now: float) -> None:
        """Time up to `now` was no training: the window begins anew."""
        self._began, self._steps = now, 0

    @property
    def seconds_per_step(self) -> float | None:
        """None before the first window has ended."""
        return statistics.median(self._windows) if self._windows else None


@dataclass(frozen=True)
class Beat:
    """What a heartbeat's file says: `started` and `updated` are seconds since 1970, `steps_per_second` may be unknown.

    `step` counts from 0 up to `total`, what earlier processes did included.
    """

    unit: str
    step: int
    total: int
    started: float
    updated: float
    steps_per_second: float | None
    pid: int
    host: str

    def stale(self, now: float) -> bool:
        """Whether the last sign of life is older than `STALE_AFTER` and three steps."""
        slow = 3 / self.steps_per_second if self.steps_per_second else 0.0
        return now - self.updated > max(STALE_AFTER, slow)

    @property
    def seconds_left(self) -> float | None:
        """Of the unit's training alone; None where the rate is unknown."""
        return (self.total - self.step) / self.steps_per_second if self.steps_per_second else None


class Heartbeat:
    """Writes one unit's file: at the first beat, then at most every `BEAT_EVERY` seconds; gone after `close`.

    `total`: steps of the whole unit. A beat at the step of the beat before says that the process lives but does not
    train (it samples, say); that time does not count in the rate. A file that cannot be written is passed over: no
    training shall end of that.
    """

    def __init__(self, path: Path, unit: str, total: int, clock: Callable[[], float] = time.time) -> None:
        self.path, self.unit, self.total, self._clock = Path(path), unit, total, clock
        self._started = clock()
        self._written = -float("inf")
        self._step: int | None = None
        self._pace = Pace(self._started, BEAT_EVERY)
        sweep_leftovers(self.path)

    def beat(self, step: int) -> None:
        """Say that `step` steps are done; cheap enough for every step."""
        now = self._clock()
        if self._step is None or step <= self._step:
            self._pace.skip(now)
        else:
            self._pace.count(step - self._step, now)
        self._step = step
        # the clock of the wall may be set back
        if not 0 <= now - self._written < BEAT_EVERY:
            self._write(now)

    @property
    def step(self) -> int:
        """Steps done, as far as it was told."""
        return self._step or 0

    def close(self) -> None:
        """The unit is at its end, or stopped as asked: nothing is left to watch."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _write(self, now: float) -> None:
        pace = self._pace.seconds_per_step
        rate = 1 / pace if pace else None
        beat = Beat(self.unit, self.step, self.total, self._started, now, rate, os.getpid(), socket.gethostname())
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        # replaced in one step, but not synced to the disk as files.atomic_path does: that would hold up the training,
        # and a beat lost with the power is no loss
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_text(json.dumps(asdict(beat)) + "\n")
                temporary.replace(self.path)
            finally:
                temporary.unlink(missing_ok=True)  # of a full disk
        self._written = now


class Heartbeats:
    """Those of the units that this process works on."""

    def __init__(self, runs: Path, study: str) -> None:
        self._runs, self._study = runs, study
        self._open: dict[str, Heartbeat] = {}

    @contextlib.contextmanager
    def of(self, units: Iterable[str], total: int) -> Iterator[None]:
        """While these are worked on, each `total` steps long."""
        opened = {unit: Heartbeat(heartbeat_path(self._runs, self._study, unit), unit, total) for unit in units}
        self._open |= opened
        try:
            yield
        finally:
            for unit, beating in opened.items():
                beating.close()
                del self._open[unit]

    def beat(self, unit: str, step: int) -> None:
        """Say that `step` steps of it are done, if it is open here."""
        if unit in self._open:
            self._open[unit].beat(step)

    def alive(self) -> None:
        """Say of all that they are worked on, though no step is taken now."""
        for beating in self._open.values():
            beating.beat(beating.step)


def heartbeat_path(runs: Path, study: str, unit: str) -> Path:
    """`<runs>/<study>/heartbeats/<unit>.json`; `unit` is a cell's name or `autoencoder_unit`."""
    return Path(runs) / study / "heartbeats" / f"{unit}.json"


def autoencoder_unit(ae: str) -> str:
    """The unit that trains autoencoder `ae`."""
    return f"autoencoder-{ae}"


def read_beat(path: Path) -> Beat | None:
    """What the file says; None where there is none, or none that makes sense."""
    try:
        return Beat(**json.loads(Path(path).read_text()))
    except (OSError, ValueError, TypeError):
        return None
