"""The training loop of everything that is trained here: step, checkpoint, stop cleanly, notice divergence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def train(state: TrainingState[Any], loss_at: Callable[[int], Tensor], until: int, settings: LoopSettings) -> None:
    """Train up to step `until` and save, unless that is the `last`.

    `loss_at(step)` gives the loss, or those of a stack's runs (S,); it must depend on the step and the weights alone.

    Raises:
        DivergedError: a loss became NaN or infinite; the last checkpoints are from before.
        StudyInterrupted: asked to stop; the state is saved.
    """
    while state.step < until:
        try:
            settings.stop.check_together()
        except StudyInterrupted:
            _save(state, settings)
            raise
        try:
            loss = loss_at(state.step)
        except StudyInterrupted:  # by what encodes images for it; the state is that of the step before
            _save(state, settings)
            raise
        state.advance(loss.sum())
        settings.on_steps(len(settings.checkpoints))
        if settings.log is not None and state.step % LOG_EVERY == 0:
            settings.log.close_interval(state.step)
        due = state.step == until or state.step % settings.checkpoint_every == 0
        if due or state.step % CHECK_EVERY == 0:
            _require_finite(settings.world.mean(loss.detach()), state.step)
        if due and state.step != settings.last:
            _save(state, settings)


def _require_finite(loss: Tensor, step: int) -> None:
    broken = (~torch.isfinite(loss.flatten())).nonzero().flatten().tolist()
    if broken:
        raise DivergedError(f"loss {loss.flatten()[broken[0]].item()} at step {step}", broken)
