"""A study on the fast path: what a record of the self-check switches on, and that the rows stay what they are."""

import copy
from dataclasses import replace

import pytest
import torch
from tiny_study import PIXELS

from lrcore.fast import capabilities, sampling
from lrcore.fast.capabilities import SAMPLING, Capabilities, record
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest, StudyInterrupted
from lrcore.stages import generation, together
from lrcore.stages.generation import evaluated, sample
from lrcore.stages.judge import load_judge
from lrcore.stages.together import drawn_together, draws_together, groups
from lrcore.stages.training import ensure_trained, load_snapshot
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Trained the slow way."""
    folder = tmp_path_factory.mktemp("together")
    path = folder / "pixels.toml"
    path.write_text(PIXELS)
    folders = Folders(*(folder / name for name in ("data", "imgs", "runs")))
    work = Workspace(load_study(str(path)), folders, StopRequest(), lambda steps: None, stack=2)
    ensure_trained(work, work.study.cells, 6)
    return work


def opened(work, **changed):
    """The same anew, what is loaded shared; `changed` of how it is evaluated."""
    found = copy.copy(work)
    found.study = replace(work.study, evaluation=replace(work.study.evaluation, **changed))
    found.__dict__.pop("fast", None)
    return found


@pytest.fixture
def drawn(monkeypatch):
    """Gives what is drawn in place of the rows of it."""
    monkeypatch.setattr(generation, "begin_measuring", lambda *of: lambda: (of[3], of[4]))
    return lambda work, due: {(cell, shift): found for cell, (shift, found) in evaluated(work, due, 6)}


@pytest.fixture
def passed(tmp_path, monkeypatch):
    """Records parts as passed on this CPU."""
    monkeypatch.setattr(capabilities, "cache_folder", lambda: tmp_path)
    return lambda *parts, chunk_tokens=640: record(torch.device("cpu"), Capabilities(frozenset(parts), chunk_tokens))


def test_pixels_are_those_of_samples_one_by_one(done, passed, monkeypatch):
    passed(SAMPLING)
    work = opened(done)
    cells, shifts = work.study.cells, work.study.evaluation.sampleshifts
    models, images = [load_snapshot(work, cell, 6) for cell in cells], []
    judge = load_judge(work)
    monkeypatch.setattr(type(judge), "features", lambda judge, batches: images.extend(batches) or torch.zeros(5, 1))
    drawn_together(work, "pixels", models, shifts, [range(5)], judge)
    pairs = ((cell, model, shift) for cell, model in zip(cells, models, strict=True) for shift in shifts)
    expected = [sample(work, *pair, range(5))[0] for pair in pairs]
    apart = (torch.stack(images).int() - torch.stack(expected).int()).abs()
    assert (apart == 0).float().mean() >= 0.99 and (apart > 1).float().mean() <= 1e-3


def test_with_a_record_samples_come_from_the_fast_path_and_say_so(done, passed, drawn):
    passed()
    work = opened(done)
    due = {cell: work.study.evaluation.sampleshifts for cell in work.study.cells}
    slow = drawn(work, due)
    passed(SAMPLING)
    fast = drawn(opened(done), due)
    assert fast.keys() == slow.keys() and len(slow) == 4
    for key, found in fast.items():
        assert len(found.features) == 8  # batches of 5 and 3
        # a pixel that is rounded the other way is 1/255 of one; features that belong to another pair are far off
        assert (found.features - slow[key].features).norm() < 0.01 * slow[key].features.norm()
        torch.testing.assert_close(found.paths, slow[key].paths, rtol=0, atol=1e-4)
        assert "fast path" not in slow[key].numerical_path
        trained, sampled = found.numerical_path.split("; sampled: ")
        assert sampled.endswith(", stack of 2, fast path") and "fast path" not in trained


def test_a_row_is_made_of_them(done, passed):
    passed(SAMPLING)
    work = opened(done)
    cell = work.study.cells[0]
    ((of, row),) = evaluated(work, {cell: [4.63]}, 6)
    assert (of, row.sampleshift, row.status, row.sampler) == (cell, 4.63, "ok", "euler")
    assert row.fid > 0 and row.numerical_path.endswith(", fast path") and "stack of" in row.numerical_path


def test_a_stop_is_heard_at_the_next_step_of_the_sampler(done, passed, drawn, monkeypatch):
    passed(SAMPLING)
    work, steps = opened(done), []
    work.stop = StopRequest()
    advance = sampling._EulerStep._advance

    def spent(step, sampler, guided):
        steps.append(guided)
        work.stop.deadline = 0.0
        advance(step, sampler, guided)

    monkeypatch.setattr(sampling._EulerStep, "_advance", spent)
    with pytest.raises(StudyInterrupted):
        drawn(work, {work.study.cells[0]: [1.0, 4.63]})
    assert len(steps) == 1


def test_a_stop_loses_nothing_of_the_groups_before(done, passed, monkeypatch):
    passed(SAMPLING)
    work, drawn = opened(done), []
    work.stop = StopRequest()
    monkeypatch.setattr(together, "MEMBERS", 1)

    def then_spent(*of):
        if drawn:
            work.stop.deadline = 0.0
        drawn.append(of)
        return drawn_together(*of)

    monkeypatch.setattr(generation, "drawn_together", then_spent)
    rows = []
    with pytest.raises(StudyInterrupted):
        for found in evaluated(work, {cell: [1.0, 4.63] for cell in work.study.cells}, 6):
            rows.append(found)
    assert [(cell, row.sampleshift) for cell, row in rows] == [(work.study.cells[0], shift) for shift in (1.0, 4.63)]


def test_what_it_cannot_do_goes_the_slow_way(done, passed, drawn, monkeypatch):
    monkeypatch.setattr(generation, "drawn_together", None)  # would be a TypeError
    passed()
    work = opened(done)
    assert not draws_together(work) and len(drawn(work, {work.study.cells[0]: [1.0]})) == 1
    passed(SAMPLING)
    assert draws_together(opened(done)) and not draws_together(opened(done, sampler="heun"))
    assert not draws_together(opened(done).together(replace(work.world, size=2)))


def test_a_training_that_diverged_or_gives_no_numbers_leaves_the_others_alone(done, passed, drawn, monkeypatch):
    passed(SAMPLING)
    work = opened(done)
    first, second = work.study.cells
    load = load_snapshot

    def broken(work, cell, step):
        found = load(work, cell, step)
        if cell == first:
            found.final_layer.linear.bias.data.fill_(torch.nan)
        return found

    monkeypatch.setattr(generation, "load_snapshot", broken)
    due = {first: [1.0], second: [1.0]}
    found = drawn(work, due)
    assert found[first, 1.0] is None and torch.isfinite(found[second, 1.0].features).all()
    monkeypatch.setattr(generation, "diverged", lambda work, cell: cell == first)
    found = drawn(work, due)
    assert found[first, 1.0] is None and "stack" not in found[second, 1.0].numerical_path.split("; sampled: ")[1]


def test_groups_are_rectangles_that_fit_in_memory(done, passed, monkeypatch):
    work, dim = opened(done), 64
    a, b = work.study.cells
    c = replace(a, trainshift=2.95)
    assert [*groups(work, {a: [1.0, 2.0], b: [2.0], c: [1.0, 2.0]}, dim)] == [([a, c], (1.0, 2.0)), ([b], (2.0,))]
    assert [*groups(work, {a: [], b: [2.0]}, dim)] == [([b], (2.0,))]
    of_one = work.study.evaluation.n_samples * dim * 4
    monkeypatch.setattr(together, "MEMBERS", 1)
    assert [*groups(work, {a: [1.0], b: [1.0]}, dim)] == [([cell], (1.0,)) for cell in (a, b)]
    monkeypatch.setattr(together, "FEATURES", 2 * of_one)
    assert [*groups(work, {a: [1.0, 2.0, 3.0], b: [1.0, 2.0, 3.0]}, dim)] == [
        ([cell], shifts) for cell in (a, b) for shifts in ((1.0, 2.0), (3.0,))
    ]
    monkeypatch.setattr(together, "FEATURES", 1)
    assert len([*groups(work, {a: [1.0, 2.0], b: [1.0, 2.0]}, dim)]) == 4
