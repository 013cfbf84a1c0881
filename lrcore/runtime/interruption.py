"""Stopping cleanly: a time budget, Ctrl-C and SIGTERM all end work at the next safe point."""

from __future__ import annotations

import contextlib
import re
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType

from lrcore.errors import LrcoreError

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}

RESERVE = 20.0
"""Seconds of a budget that are kept for what ends the work: the step that is being taken, states and rows."""

RESERVED = 0.1
"""The most of a budget that is kept, whatever it is."""


class StudyInterrupted(Exception):
    """Work stopped at a safe point; everything up to there is on disk and the next start goes on from it."""


class InterruptedWaiting(StudyInterrupted):
    """Stopped while another process held a lock: of processes that train together by this one alone."""


class StopRequest:
    """Asked between steps whether to go on. Only between steps: half a step must never reach a checkpoint.

    `budget`: seconds, after which all is to be on disk; work stops by `RESERVE` earlier, or `RESERVED` of a short one.
    """

    def __init__(self, budget: float | None = None) -> None:
        self.deadline = None if budget is None else time.monotonic() + budget - min(RESERVE, RESERVED * budget)
        self.reason = ""

    def listen(self) -> None:
        """Turn SIGINT and SIGTERM into requests; a second one acts at once."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def check(self) -> None:
        """Raise `StudyInterrupted` if the budget is spent or a signal came."""
        if not self.reason and self.deadline is not None and time.monotonic() >= self.deadline:
            self.reason = "time budget spent"
        if self.reason:
            raise StudyInterrupted(self.reason)

    def check_together(self) -> None:
        """As `check`, where all processes that train together come by as often (`lrcore.runtime.distributed`)."""
        self.check()

    def apart(self, action: Callable[[], object]) -> None:
        """Do `action`, that may `check`, where other processes do the same, each for itself (`runtime.distributed`)."""
        action()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.reason = f"{signal.Signals(number).name} received"
        signal.signal(number, signal.SIG_DFL)


_obeyed: list[StopRequest] = []
"""What is obeyed where work waits that was not told what to obey; the last one."""


@contextlib.contextmanager
def obeyed(stop: StopRequest) -> Iterator[None]:
    """Inside, whatever waits for a lock obeys `stop`."""
    _obeyed.append(stop)
    try:
        yield
    finally:
        _obeyed.remove(stop)


def obey_here() -> None:
    """Raise `InterruptedWaiting` if the work that is being done is to stop."""
    try:
        for stop in _obeyed[-1:]:
            stop.check()
    except StudyInterrupted as interrupted:
        raise InterruptedWaiting(str(interrupted)) from interrupted


def parse_duration(text: str) -> float:
    """Seconds in `90s`, `25m`, `1.5h` or `1h30m`.

    Raises:
        LrcoreError: anything else, or nothing but zero.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", text)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or seconds <= 0:
        raise LrcoreError(f"duration {text!r} is not understood; allowed: 90s, 25m, 1.5h, 1h30m")
    return seconds
