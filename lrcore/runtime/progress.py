"""How far a study is, with the time left of the current run and of the whole.

Both times are estimates from what was seen since the start of this process:

- the run's: its steps left, at the median pace of its last steps; pauses to sample and to measure are not in it;
- the study's: all steps left, at the mean pace of the last few runs with all their pauses. Samples are drawn after a
  certain number of steps, so they are spread evenly over these instead of stopping the clock now and then. Before the
  first samples are drawn it is hence too short.

What a run needs before its first step (latents, features) is in neither.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TextIO

from tqdm import tqdm

from lrcore.runtime.heartbeat import Pace

LINE_EVERY = 30.0
"""Seconds between lines where there is no terminal."""

BAR = "{percentage:3.0f}% after {elapsed}, {n_fmt}/{total_fmt} steps; {desc}"
BAR_WITHOUT_STEPS = "after {elapsed}; {desc}"

RUNS = 4
"""So many of the last runs make the study's pace."""


class _Run:
    """Steps and seconds of one unit, from its first step on: what is counted then may be of an earlier process."""

    def __init__(self) -> None:
        self.done, self.timed = 0, 0
        self.began: float | None = None
        self.pace: Pace | None = None

    def advance(self, steps: int, now: float) -> None:
        self.done += steps
        if self.pace is None:
            self.began, self.pace = now, Pace(now, window=2.0)
            return
        self.timed += steps
        self.pace.count(steps, now)


@dataclass
class _Part:
    """What is being done to images; `first`: how many were done when it was first told of."""

    what: str
    began: float
    first: int = 0
    done: int = 0
    total: int = 0

    def text(self, now: float) -> str:
        if not self.what:
            return ""
        counted = self.done - self.first
        left = (self.total - self.done) * (now - self.began) / counted if counted else None
        return f": {self.what}, {self.done:,} of {self.total:,} images, {duration(left)} left"


class Progress:
    """Counts training steps over all units of a study; on a terminal a bar, elsewhere a line now and then.

    `total`: steps of the whole study that are left.
    """

    def __init__(self, total: int, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.total, self.done = total, 0
        self._stream, self._clock = stream or sys.stderr, clock
        self._began = clock()
        self._printed = self._began
        self._what = ""
        self._steps: int | None = None
        self._run = _Run()
        self._past: deque[tuple[int, float]] = deque(maxlen=RUNS - 1)
        self._part = _Part("", 0.0)
        self._bar = self._terminal_bar() if self._stream.isatty() else None

    def unit(self, what: str, steps: int | None = None) -> None:
        """Name what is being worked on, and how many `steps` it will count; without them no time left of it is told."""
        self._end_run()
        self._what, self._steps, self._part = what, steps, _Part("", 0.0)
        self._show(at_once=True)

    def images(self, what: str, done: int, total: int) -> None:
        """Of the unit `what` is being done to images, `done` of `total` of them; time left is told by their pace."""
        now = self._clock()
        if what != self._part.what or done < self._part.done:
            # how long the first images took is not known: when they were begun, nobody said
            self._part = _Part(what, now, first=done)
        self._part.done, self._part.total = done, total
        self._show()

    def say(self, line: str) -> None:
        """A line that stays, above the bar where there is one."""
        if self._bar is not None:
            self._bar.write(line, file=self._stream)
        else:
            print(line, file=self._stream, flush=True)

    def advance(self, steps: int) -> None:
        """Count steps."""
        self.done += steps
        self._part = _Part("", 0.0)
        # work that nobody foresaw, such as training again what was deleted meanwhile, is no more than all
        self.total = max(self.total, self.done)
        self._run.advance(steps, self._clock())
        if self._bar is not None:
            self._bar.total = self.total
            self._bar.update(steps)
        self._show()

    def close(self) -> None:
        """End the bar's line."""
        self._end_run()
        if self._bar is not None:
            self._bar.close()

    def run_seconds(self) -> float | None:
        """Time left of the current unit; None where unknown."""
        pace = self._run.pace.seconds_per_step if self._run.pace else None
        if pace is None or self._steps is None:
            return None
        return max(self._steps - self._run.done, 0) * pace

    def study_seconds(self) -> float | None:
        """Time left of the study; None where unknown."""
        known = [*self._past, *self._running()]
        steps = sum(steps for steps, _ in known)
        if not steps:
            return None
        return max(self.total - self.done, 0) * sum(seconds for _, seconds in known) / steps

    def _running(self) -> list[tuple[int, float]]:
        run = self._run
        return [(run.timed, self._clock() - run.began)] if run.timed and run.began is not None else []

    def _end_run(self) -> None:
        self._past.extend(self._running())
        self._run = _Run()

    def _text(self) -> str:
        what = self._what + self._part.text(self._clock())
        if not self.total:  # of nothing that is counted in steps
            return what
        run, study = self.run_seconds(), self.study_seconds()
        left = f"run {duration(run)}, " if self._steps is not None else ""
        return f"left: {left}study {duration(study)}; {what}"

    def _show(self, at_once: bool = False) -> None:
        now = self._clock()
        if self._bar is not None:
            self._bar.bar_format = BAR if self.total else BAR_WITHOUT_STEPS
            self._bar.set_description_str(self._text(), refresh=at_once)
        elif at_once or now - self._printed >= LINE_EVERY:
            self._printed = now
            line = f"after {duration(now - self._began)}"
            if self.total:
                line = f"{100 * self.done // self.total:3d}% {line}, {self.done}/{self.total} steps"
            print(f"{line}; {self._text()}", file=self._stream, flush=True)

    def _terminal_bar(self) -> tqdm[Any]:
        return tqdm(
            total=self.total,
            mininterval=0.2,
            dynamic_ncols=True,
            file=self._stream,
            bar_format=BAR if self.total else BAR_WITHOUT_STEPS,
        )


def duration(seconds: float | None) -> str:
    """In the unit that leaves few digits; `?` where unknown.

    >>> duration(42.0), duration(150.0), duration(9000.0), duration(None)
    ('42 s', '2.5 min', '2.5 h', '?')
    """
    if seconds is None:
        return "?"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
