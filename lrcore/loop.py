"""The training loop of everything that is trained here: step, checkpoint, stop cleanly, notice divergence."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from lrcore.checkpoints import TrainingState
from lrcore.interruption import StopRequest, StudyInterrupted

CHECK_EVERY = 20
"""Steps between looks at the loss: each look waits for the device."""


class DivergedError(Exception):
    """The loss is no longer finite."""


@dataclass(frozen=True)
class LoopSettings:
    """Where the state is kept, how often it is saved, who may stop the loop and who counts its steps."""

    checkpoint: Path
    checkpoint_every: int
    stop: StopRequest
    on_steps: Callable[[int], None]


def resume(state: TrainingState[Any], settings: LoopSettings) -> None:
    """Go on from the checkpoint where there is one; starting and resuming are the same call."""
    if settings.checkpoint.exists():
        state.restore(settings.checkpoint)
        settings.on_steps(state.step)


def train(state: TrainingState[Any], loss_at: Callable[[int], Tensor], until: int, settings: LoopSettings) -> None:
    """Train up to step `until` and save; `loss_at(step)` must depend on the step and the weights alone.

    Raises:
        DivergedError: the loss became NaN or infinite; the last checkpoint is from before.
        StudyInterrupted: asked to stop; the state is saved.
    """
    while state.step < until:
        try:
            settings.stop.check()
        except StudyInterrupted:
            state.save(settings.checkpoint)
            raise
        loss = loss_at(state.step)
        state.advance(loss)
        settings.on_steps(1)
        save = state.step == until or state.step % settings.checkpoint_every == 0
        if (save or state.step % CHECK_EVERY == 0) and not math.isfinite(loss.item()):
            raise DivergedError(f"loss {loss.item()} at step {state.step}")
        if save:
            state.save(settings.checkpoint)
