"""Budgets and signals."""

import os
import signal

import pytest

from lrcore.errors import LrcoreError
from lrcore.runtime.interruption import StopRequest, StudyInterrupted, parse_duration


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("25m", 1500), ("1.5h", 5400), ("1h30m", 5400)])
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "25", "m", "25 m", "-5m", "0s", "1d"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(LrcoreError, match="allowed: 90s, 25m"):
        parse_duration(text)


def test_a_spent_budget_stops_and_no_budget_does_not():
    StopRequest().check()
    StopRequest(budget=60).check()
    with pytest.raises(StudyInterrupted, match="time budget spent"):
        StopRequest(budget=0).check()


@pytest.mark.parametrize(("budget", "last"), [(720, 700), (200, 180), (90, 81), (1, 0.9)])
def test_some_of_a_budget_is_kept_for_writing(budget, last, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("lrcore.runtime.interruption.time.monotonic", lambda: now[0])
    stop = StopRequest(budget)
    now[0] += last - 0.01
    stop.check()
    now[0] += 0.02
    with pytest.raises(StudyInterrupted):
        stop.check()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_waits_for_the_next_check(number):
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        stop = StopRequest()
        stop.listen()
        os.kill(os.getpid(), number)
        with pytest.raises(StudyInterrupted, match=signal.Signals(number).name):
            stop.check()
        assert signal.getsignal(number) == signal.SIG_DFL  # the second one acts at once
    finally:
        for n, handler in before.items():
            signal.signal(n, handler)
