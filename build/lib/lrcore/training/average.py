"""The exponential moving average of a model's weights, updated without waiting for the device."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class MovingAverage(AveragedModel):
    """a <- decay a + (1 - decay) w for every weight w of a model; `module` is a model of the same class that has them.

    Tensors have the names of torch's `AveragedModel`, whose own update sends its counter, which it keeps on the CPU, to
    the weights' device at every step: a copy that waits until the device has done all work that was queued before it.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """A copy of `model`, in which nothing has been averaged yet."""
        super().__init__(model)
        self.decay = decay

    @torch.no_grad()
    def follow(self, model: nn.Module, first: bool) -> None:
        """Move towards the weights of `model`, or start from them if they are the `first`; take its buffers."""
        averages: list[Tensor] = [*self.module.parameters()]
        weights: list[Tensor] = [*model.parameters()]
        if first:
            for average, weight in zip(averages, weights, strict=True):
                average.copy_(weight)
        else:
            torch._foreach_lerp_(averages, weights, 1 - self.decay)
        for own, buffer in zip(self.module.buffers(), model.buffers(), strict=True):
            own.copy_(buffer)
        self.n_averaged += 1
