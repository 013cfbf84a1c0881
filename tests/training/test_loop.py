"""The training loop and its checkpoints: resuming is replaying."""

from dataclasses import replace

import pytest
import torch
from no_sync import NoSync
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lrcore.errors import LrcoreError
from lrcore.runtime.interruption import StopRequest, StudyInterrupted
from lrcore.runtime.seeds import generator
from lrcore.training import loop
from lrcore.training.average import MovingAverage
from lrcore.training.checkpoints import TrainingState, saved_step
from lrcore.training.loop import DivergedError, LoopSettings, resume, train
from lrcore.training.loss_log import LossLog


def start():
    torch.manual_seed(0)
    return TrainingState.start(nn.Linear(4, 4), learning_rate=0.1, ema_decay=0.9)


def loss_of(state):
    return lambda step: state.model(torch.randn(8, 4, generator=generator("data", step))).square().mean()


def settings(folder, stop=None, counted=None):
    on_steps = (counted if counted is not None else []).append
    return LoopSettings((folder / "state.safetensors",), 4, stop or StopRequest(), on_steps)


def tensors(state):
    return [*state.model.state_dict().values(), *state.average.state_dict().values()]


def same(a, b):
    return a.step == b.step and all(torch.equal(x, y) for x, y in zip(tensors(a), tensors(b), strict=True))


class AfterChecks(StopRequest):
    """Stops at the n-th check."""

    def __init__(self, checks):
        super().__init__()
        self.left = checks

    def check(self):
        self.left -= 1
        if self.left < 0:
            self.reason = "asked to"
        super().check()


@pytest.mark.parametrize("stopped_after", [0, 1, 5, 8])
def test_stopped_and_resumed_equals_undisturbed(stopped_after, tmp_path):
    whole = start()
    train(whole, loss_of(whole), 10, settings(tmp_path / "whole"))

    first = start()
    with pytest.raises(StudyInterrupted):
        train(first, loss_of(first), 10, settings(tmp_path, AfterChecks(stopped_after)))
    assert first.step == stopped_after
    second, counted = start(), []
    resume(second, settings(tmp_path, counted=counted))
    assert counted == [stopped_after]
    train(second, loss_of(second), 10, settings(tmp_path))
    assert same(whole, second)


def test_stopped_within_a_step_the_state_before_it_is_saved(tmp_path):
    """What encodes images for a step may be asked to stop, too."""
    whole = start()
    train(whole, loss_of(whole), 10, settings(tmp_path / "whole"))
    first = start()
    loss = loss_of(first)

    def stopping(step):
        if step == 6:
            raise StudyInterrupted("asked to")
        return loss(step)

    with pytest.raises(StudyInterrupted):
        train(first, stopping, 10, settings(tmp_path))
    second = start()
    resume(second, settings(tmp_path))
    assert second.step == 6
    train(second, loss_of(second), 10, settings(tmp_path))
    assert same(whole, second)


def test_the_average_follows_the_weights_with_its_decay():
    state = start()
    state.advance(loss_of(state)(0))
    first = state.model.weight.detach().clone()
    assert torch.equal(state.averaged.weight, first)  # the first step sets it
    state.advance(loss_of(state)(1))
    torch.testing.assert_close(state.averaged.weight, 0.9 * first + 0.1 * state.model.weight.detach())


def test_the_average_is_torchs_to_the_bit_and_under_its_names():
    state, peer = start(), AveragedModel(nn.Linear(4, 4), multi_avg_fn=get_ema_multi_avg_fn(0.9))
    for step in range(4):
        state.advance(loss_of(state)(step))
        peer.update_parameters(state.model)
    found, expected = state.average.state_dict(), peer.state_dict()
    assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_step_waits_for_no_device():
    state = start()
    inputs = torch.randn(8, 4)
    with NoSync():
        for _ in range(2):
            state.advance(state.model(inputs).square().mean())


def test_the_average_on_a_device_needs_nothing_from_the_cpu():
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, track_running_stats=True))
    average = MovingAverage(model, 0.9)
    with NoSync():
        average.follow(model, first=True)
        average.follow(model, first=False)
    with pytest.raises(AssertionError, match="moves numbers"), NoSync():
        AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9)).n_averaged.to("meta")


def test_the_state_that_nobody_goes_on_from_is_not_saved(tmp_path):
    whole, first, second = start(), start(), start()
    ends = replace(settings(tmp_path), last=8)
    train(first, loss_of(first), 6, ends)
    assert saved_step(ends.checkpoints[0]) == 6
    train(first, loss_of(first), 8, ends)
    assert saved_step(ends.checkpoints[0]) == 6  # though 8 is due
    resume(second, ends)
    train(second, loss_of(second), 8, ends)
    train(whole, loss_of(whole), 8, settings(tmp_path / "whole"))
    assert same(whole, first) and same(whole, second)
    third, seldom = start(), replace(ends, checkpoint_every=99)
    with pytest.raises(DivergedError, match="nan at step 8"):  # it is looked at all the same
        train(third, lambda step: third.model.weight.sum() * torch.nan, 8, seldom)


def test_a_loss_that_is_not_finite_is_divergence_and_leaves_the_last_good_checkpoint(tmp_path):
    state = start()
    good = loss_of(state)
    with pytest.raises(DivergedError, match="nan at step 8"):
        train(state, lambda step: good(step) * (torch.nan if step > 5 else 1), 10, settings(tmp_path))
    kept = start()
    kept.restore([tmp_path / "state.safetensors"])
    assert kept.step == 4
    assert all(torch.isfinite(t).all() for t in tensors(kept))


def test_a_damaged_checkpoint_or_one_of_another_model_is_named(tmp_path):
    path = tmp_path / "state.safetensors"
    start().save([path])
    other = TrainingState.start(nn.Linear(3, 3), 0.1, 0.9)
    with pytest.raises(LrcoreError, match=r"state.safetensors' is not a checkpoint of this model"):
        other.restore([path])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(LrcoreError, match=r"delete it to start again|`rm .*`, then the same command makes it again"):
        start().restore([path])


def with_log(folder, state, stop=None):
    """Settings with a log, and a loss that adds to it."""
    log = LossLog(bins=2)

    def loss_at(step):
        t = torch.rand(8, generator=generator("t", step))
        losses = (state.model(torch.randn(8, 4, generator=generator("data", step))) - t[:, None]).square().mean(1)
        log.add(t, losses)
        return losses.mean()

    return replace(settings(folder, stop), log=log), loss_at


@pytest.mark.parametrize("stopped_after", [2, 4, 7])
def test_the_loss_log_of_a_stopped_training_is_that_of_an_undisturbed_one(stopped_after, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "LOG_EVERY", 3)
    state = start()
    undisturbed, loss_at = with_log(tmp_path / "whole", state)
    train(state, loss_at, 10, undisturbed)
    assert [row.step for row in undisturbed.log.rows[0]] == [3, 6, 9]

    state = start()
    stopped, loss_at = with_log(tmp_path, state, AfterChecks(stopped_after))
    with pytest.raises(StudyInterrupted):
        train(state, loss_at, 10, stopped)
    state = start()
    resumed, loss_at = with_log(tmp_path, state)
    resume(state, resumed)
    train(state, loss_at, 10, resumed)
    assert resumed.log.rows == undisturbed.log.rows
