"""In what order rows come where workers beside the device finish them, and that none is lost when asked to stop."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from lrcore.errors import LrcoreError
from lrcore.runtime.interruption import StudyInterrupted
from lrcore.stages import generation
from lrcore.stages.generation import evaluated
from lrcore.studies.loading import load_study

FIRST, SECOND = load_study(str(Path(__file__).parents[1] / "tiny.toml")).cells[:2]
DUE = {FIRST: [1.0, 2.95], SECOND: [1.0, 4.63]}
PAIRS = [(cell, shift) for cell, shifts in DUE.items() for shift in shifts]


@pytest.fixture
def told(monkeypatch):
    """What happens, in order; sampling is interrupted where `told` says so."""
    found = SimpleNamespace(events=[], stop_at=None, error=StudyInterrupted("asked to"))

    def draw(work, cell, step, shift, judge):
        if found.stop_at == (cell, shift):
            raise found.error
        found.events.append(("drawn", cell, shift))

    def begin(work, cell, step, shift, drawn, roots):
        return lambda: found.events.append(("finished", cell, shift)) or shift

    monkeypatch.setattr(generation, "draws_together", lambda work: False)
    monkeypatch.setattr(generation, "draw_samples", draw)
    monkeypatch.setattr(generation, "begin_measuring", begin)
    return found


def rows(monkeypatch, workers):
    monkeypatch.setattr(generation, "trace_roots", lambda work: SimpleNamespace(workers=workers) if workers else None)
    return evaluated(None, DUE, 6)


def test_without_workers_a_row_comes_before_the_next_samples(told, monkeypatch):
    assert list(rows(monkeypatch, 0)) == PAIRS
    assert told.events == [event for pair in PAIRS for event in (("drawn", *pair), ("finished", *pair))]


@pytest.mark.parametrize("workers", [1, 2, 9])
def test_with_workers_rows_wait_until_more_are_begun_than_there_are_workers(told, monkeypatch, workers):
    assert list(rows(monkeypatch, workers)) == PAIRS
    first_finished = next(place for place, event in enumerate(told.events) if event[0] == "finished")
    assert first_finished == min(workers + 1, len(PAIRS))


@pytest.mark.parametrize("error", [StudyInterrupted("asked to"), LrcoreError("damaged"), RuntimeError("memory")])
@pytest.mark.parametrize("workers", [0, 2])
def test_rows_that_were_begun_come_before_what_ends_the_sampling(told, monkeypatch, workers, error):
    told.stop_at, told.error, found = PAIRS[3], error, []
    with pytest.raises(type(error)):
        for row in rows(monkeypatch, workers):
            found.append(row)
    assert found == PAIRS[:3]
