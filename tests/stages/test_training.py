"""The stage that trains transformers: another width, a linear skip."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from no_sync import NoSync

from lrcore.fast import capabilities
from lrcore.fast import training as fast_training
from lrcore.fast.capabilities import COMPILED, TRAINING, Capabilities
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest, StudyInterrupted
from lrcore.stages import training
from lrcore.stages.training import (
    ensure_trained,
    load_snapshot,
    snapshot_path,
    state_path,
    steps_left,
    trained_on,
    training_recipe,
)
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study
from lrcore.training.checkpoints import TrainingState, saved_step

STUDY = f"""
extends = "{Path(__file__).parents[1] / "tiny.toml"}"
[autoencoders.pixels]
family = "patches"
patch = 4
[[grid]]
ae = ["pixels"]
trainp = ["ln"]
trainshift = [1.0]
repa = ["none"]
"""


@pytest.fixture
def work(tmp_path):
    path = tmp_path / "pixels.toml"
    path.write_text(STUDY)
    folders = Folders(tmp_path / "data", tmp_path / "imgs", tmp_path / "runs")
    return Workspace(load_study(str(path)), folders, StopRequest(), lambda steps: None)


def test_width_and_skip_are_those_of_the_cell(work):
    (cell,) = work.study.cells
    changed = replace(cell, width=96, skip="linear")
    for one in (cell, changed):
        ensure_trained(work, [one], 3)
    assert snapshot_path(work, cell, 3) != snapshot_path(work, changed, 3)
    assert len({training_recipe(work, one) for one in (cell, changed, replace(cell, width=96))}) == 3
    model, other = load_snapshot(work, cell, 3), load_snapshot(work, changed, 3)
    assert (model.shape.width, model.shape.depth, model.skip) == (128, 3, None)
    assert (other.shape.width, other.shape.depth, other.shape.heads) == (96, 3, 3)
    assert other.skip.gate[1].weight.any()  # it was trained


def test_the_state_is_kept_until_the_last_step_and_not_written_there(work, monkeypatch):
    (cell,) = work.study.cells
    saved, save = [], TrainingState.save
    monkeypatch.setattr(TrainingState, "save", lambda state, *more: saved.append(state.step) or save(state, *more))
    ensure_trained(work, [cell], 3)
    assert saved == [2, 3] and state_path(work, cell).exists()
    ensure_trained(work, [cell], 6)
    assert saved == [2, 3, 4] and snapshot_path(work, cell, 6).exists() and not state_path(work, cell).exists()
    assert not steps_left(work, cell)


@pytest.mark.parametrize("kinds", [["none"], ["none", "none"], ["self"]])
def test_between_looks_at_the_loss_a_step_waits_for_no_device(work, kinds, monkeypatch):
    """What is drawn, the passes, the losses by time, AdamW and the average; batches come from a thread beside."""
    (cell,) = work.study.cells
    work.stack, steps = 2, []

    def guarded(state, losses_at, until, settings):
        batches = losses_at.__self__.batches
        for step in range(2):
            batch = batches(step)
            monkeypatch.setattr(losses_at.__self__, "batches", lambda step, batch=batch: batch)
            with NoSync():
                state.advance(losses_at(step).sum())
            steps.append(step)
        monkeypatch.setattr(losses_at.__self__, "batches", batches)

    monkeypatch.setattr(training, "train", guarded)
    ensure_trained(work, [replace(cell, repa=kind, trainshift=1.0 + n) for n, kind in enumerate(kinds)], 3)
    assert steps == [0, 1]


def test_on_the_fast_path_a_stack_trains_to_the_same_weights(work, monkeypatch):
    """From the state that the other way left."""
    cells = [replace(work.study.cells[0], trainshift=shift) for shift in (1.0, 2.95)]
    work.stack = 2
    ensure_trained(work, cells, 6)
    expected = [load_snapshot(work, cell, 6) for cell in cells]
    for cell in cells:
        snapshot_path(work, cell, 6).unlink()
    ensure_trained(work, cells, 3)
    monkeypatch.setattr(work, "fast", Capabilities(frozenset({TRAINING})))
    monkeypatch.setattr(training, "train", None)  # would be a TypeError
    ensure_trained(work, cells, 6)
    for cell, model in zip(cells, expected, strict=True):
        assert trained_on(work, cell, 6).endswith("stack of 2, fast path")
        assert not trained_on(work, cell, 3).endswith("fast path")
        for name, weight in load_snapshot(work, cell, 6).state_dict().items():
            apart = (weight - model.state_dict()[name]).abs()
            if name.endswith("qkv.bias"):  # softmax does not see the keys' bias: its gradient is rounding
                apart = apart.unflatten(0, (3, -1))[[0, 2]]
            assert apart.max() < 1e-5, name  # of steps of 1e-3


def test_on_the_fast_path_blocks_are_compiled_where_the_self_check_found_that_faster(work, monkeypatch):
    (cell,), compiled = work.study.cells, []
    monkeypatch.setattr(fast_training, "compile_blocks", compiled.append)
    monkeypatch.setattr(training, "compile_blocks", None)  # of the slow path, which nobody asked to compile
    monkeypatch.setattr(work, "fast", Capabilities(frozenset({TRAINING, COMPILED})))
    monkeypatch.setattr(capabilities, "STACKED_MODEL", work.study.training.model)
    ensure_trained(work, [cell], 3)
    assert len(compiled) == 1 and trained_on(work, cell, 3).endswith("compiled, fast path")


@pytest.mark.parametrize("way", [frozenset(), frozenset({TRAINING})])
def test_a_training_that_diverges_is_noticed_on_both_ways(work, way, monkeypatch):
    (cell,) = work.study.cells
    monkeypatch.setattr(work, "fast", Capabilities(way))
    make = training.new_transformer

    def broken(*of):
        model = make(*of)
        model.final_layer.linear.bias.data.fill_(torch.inf)
        return model

    monkeypatch.setattr(training, "new_transformer", broken)
    ensure_trained(work, [cell], 3)
    assert training.diverged(work, cell) and not snapshot_path(work, cell, 3).exists()


def test_on_the_fast_path_a_stop_is_heard_at_the_next_step_and_the_stack_goes_on_to_the_same_bits(work, monkeypatch):
    """Between checkpoints; the steps after it read what was saved, not what the first process had in its buffers."""
    cells = [replace(work.study.cells[0], trainshift=shift) for shift in (1.0, 2.95)]
    work.stack = 2
    monkeypatch.setattr(work, "fast", Capabilities(frozenset({TRAINING})))
    ensure_trained(work, cells, 6)
    expected = [load_snapshot(work, cell, 6).state_dict() for cell in cells]
    for cell in cells:
        snapshot_path(work, cell, 6).unlink()
    taken = []

    def spend(steps):
        taken.append(steps)
        if len(taken) == 3:
            work.stop.deadline = 0.0

    work.on_steps = spend
    with pytest.raises(StudyInterrupted, match="time budget spent"):
        ensure_trained(work, cells, 6)
    assert taken == [2, 2, 2] and {saved_step(state_path(work, cell)) for cell in cells} == {3}
    work.stop, work.on_steps = StopRequest(), lambda steps: None
    ensure_trained(work, cells, 6)
    for cell, weights in zip(cells, expected, strict=True):
        found = load_snapshot(work, cell, 6).state_dict()
        assert all(torch.equal(found[name], weight) for name, weight in weights.items())


def test_alignment_with_itself_goes_the_slow_way(work, monkeypatch):
    (cell,) = work.study.cells
    monkeypatch.setattr(work, "fast", Capabilities(frozenset({TRAINING})))
    monkeypatch.setattr(training, "train_by", None)  # would be a TypeError
    ensure_trained(work, [replace(cell, repa="self")], 3)
    assert not trained_on(work, replace(cell, repa="self"), 3).endswith("fast path")
