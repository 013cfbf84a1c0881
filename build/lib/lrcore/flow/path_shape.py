"""The shape of sampling paths: how straight they are and how little of their length is a detour.

    shape = PathShape()
    integrate("euler", velocity, noise, grid, seed, images, watch=shape)
    straightness, efficiency = shape.per_sample().mean(0).tolist()

Zhong et al. 2026 (arXiv 2606.03578) find both to go with the quality of what is generated. With x_0, ..., x_n the state
at the grid's times and d_k = x_k - x_{k-1}, all of a sample's numbers taken as one vector,

    straightness = mean over k of cos(d_k, d_{k+1})        efficiency = |x_n - x_0| / sum over k of |d_k|

Both are 1 on a straight line. They are those of the steps taken: of another sampler, number of steps or shift they are
others, and the noise that `euler_maruyama` adds counts as a part of its steps.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


class PathShape:
    """Straightness and efficiency of the paths of a batch, from the states as they come; no path is stored.

    Called with the state (B, ...) at every time of the grid, the start included, as `lrcore.flow.sampling.integrate`
    does with its `watch`. States are taken as they are; their differences, and what is summed over numbers and steps,
    are in float64.
    """

    def __init__(self) -> None:
        self._states = 0
        self._start = self._state = self._step = self._step_length = torch.empty(0)
        self._length = self._cosines = torch.empty(0)

    def __call__(self, state: Tensor) -> None:
        # a copy, since the next state may come in the same memory
        now = state.detach().flatten(1).to(torch.float64, copy=True)
        if not self._states:
            self._start = now
            self._length = self._cosines = now.new_zeros(len(now))
        else:
            step = now - self._state
            length = step.norm(dim=1)
            self._length = self._length + length
            if self._states > 1:
                self._cosines = self._cosines + (step * self._step).sum(1) / (length * self._step_length)
            self._step, self._step_length = step, length
        self._state = now
        self._states += 1

    def per_sample(self) -> Tensor:
        """Straightness, -1 to 1, and efficiency, 0 to 1, of each sample (B, 2), float64, on the states' device.

        NaN where it is not defined: straightness of fewer than two steps or with a step of length 0, efficiency of a
        path of length 0.
        """
        angles = self._states - 2
        straightness = self._cosines / angles if angles > 0 else torch.full_like(self._cosines, math.nan)
        efficiency = (self._state - self._start).norm(dim=1) / self._length
        return torch.stack([straightness, efficiency], dim=1)
