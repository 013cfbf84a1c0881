"""The training loop of everything that is trained here: step, checkpoint, stop cleanly, notice divergence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from lrcore.runtime.distributed import ALONE, World
from lrcore.runtime.interruption import StopRequest, StudyInterrupted
from lrcore.training.checkpoints import TrainingState
from lrcore.training.loss_log import LossLog

CHECK_EVERY = 20
"""Steps between looks at the loss: each look waits for the device."""

LOG_EVERY = 50
"""Steps of an interval of the loss log."""


class DivergedError(Exception):
    """A loss is no longer finite: of these `runs` of a stack, by number."""

    def __init__(self, message: str, runs: Sequence[int] = (0,)) -> None:
        super().__init__(message)
        self.runs = tuple(runs)


@dataclass(frozen=True)
class LoopSettings:
    """Where the state is kept, how often it is saved, who may stop the loop and who counts its steps.

    `checkpoints`: one file for every run of a stack; of the processes of a `world` that train together, the first
    writes them. `log`, where there is one, is kept in them; the loss function adds to it. `last`: the step after which
    nobody goes on, whose state is not saved.
    """

    checkpoints: tuple[Path, ...]
    checkpoint_every: int
    stop: StopRequest
    on_steps: Callable[[int], None]
    world: World = ALONE
    log: LossLog | None = None
    last: int | None = None


def resume(state: TrainingState[Any], settings: LoopSettings) -> None:
    """Go on from the checkpoints where there are any; starting and resuming are the same call."""
    if settings.checkpoints[0].exists():
        restore(state, settings)
        settings.on_steps(state.step)


def restore(state: TrainingState[Any], settings: LoopSettings) -> None:
    """Take state and log from the checkpoints."""
    beside = state.restore(settings.checkpoints)
    if settings.log is not None:
        settings.log.load_tensors(beside)


def _save(state: TrainingState[Any], settings: LoopSettings) -> None:
    log, beside = settings.log, None
    if log is not None:
        log.collect()
        beside = [log.tensors(run) for run in range(len(settings.checkpoints))]
    state.save(settings.checkpoints, settings.world.first, beside)


class Steps(Protocol):
    """How a training goes on by a step, and whether it has broken down."""

    def take(self, step: int) -> None:
        """Step number `step`, from 0; the state counts it. May raise `StudyInterrupted` before it has begun."""

    def require_finite(self) -> None:
        """Wait for the device and look at the losses.

        Raises:
            DivergedError: one has become NaN or infinite.
        """


class _LossByLoss:
    """The steps of a loss function."""

    def __init__(self, state: TrainingState[Any], loss_at: Callable[[int], Tensor], world: World) -> None:
        self.state, self.loss_at, self.world = state, loss_at, world
        self.loss = torch.zeros(())

    def take(self, step: int) -> None:
        loss = self.loss_at(step)
        self.state.advance(loss.sum())
        self.loss = loss.detach()

    def require_finite(self) -> None:
        _require_finite(self.world.mean(self.loss), self.state.step)


def train(state: TrainingState[Any], loss_at: Callable[[int], Tensor], until: int, settings: LoopSettings) -> None:
    """Train up to step `until` and save, unless that is the `last`.

    `loss_at(step)` gives the loss, or those of a stack's runs (S,); it must depend on the step and the weights alone.

    Raises:
        DivergedError: a loss became NaN or infinite; the last checkpoints are from before.
        StudyInterrupted: asked to stop; the state is saved.
    """
    train_by(_LossByLoss(state, loss_at, settings.world), state, until, settings)


def train_by(steps: Steps, state: TrainingState[Any], until: int, settings: LoopSettings) -> None:
    """As `train`, by `steps`, which advance `state`."""
    while state.step < until:
        try:
            settings.stop.check_together()
            steps.take(state.step)
        except StudyInterrupted:  # also by what encodes images for a step; the state is that of the step before
            _save(state, settings)
            raise
        settings.on_steps(len(settings.checkpoints))
        if settings.log is not None and state.step % LOG_EVERY == 0:
            settings.log.close_interval(state.step)
        due = state.step == until or state.step % settings.checkpoint_every == 0
        if due or state.step % CHECK_EVERY == 0:
            steps.require_finite()
        if due and state.step != settings.last:
            _save(state, settings)


def _require_finite(loss: Tensor, step: int) -> None:
    broken = (~torch.isfinite(loss.flatten())).nonzero().flatten().tolist()
    if broken:
        raise DivergedError(f"loss {loss.flatten()[broken[0]].item()} at step {step}", broken)
