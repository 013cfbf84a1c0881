"""Samples of several trainings and sampling shifts at once, by Euler's method: one product a layer serves all of them.

    sampler = TogetherSampler(models, [sampling_grid(50, shift) for shift in shifts], chunk_tokens=16_384)
    tokens, paths = sampler(noise, labels)        # (members, shifts, B, N, C), (members, shifts, B, 2)

To `lrcore.flow.sampling.integrate` with the same noise they are equal to rounding. Rows lie member by member, shift by
shift, image by image, each with its own time and step size; they go through the network in chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from lrcore.errors import LrcoreError
from lrcore.fast import cuda
from lrcore.fast.capabilities import CHUNK_TOKENS
from lrcore.fast.joined import joined
from lrcore.flow.guidance import Guidance
from lrcore.flow.path_shape import PathShape
from lrcore.flow.stacking import stack
from lrcore.flow.transformer import DiffusionTransformer


class Together(NamedTuple):
    """`tokens` (members, shifts, B, N, C); of their paths straightness and efficiency, `paths` (members, shifts, B, 2),
    see `lrcore.flow.path_shape`."""

    tokens: Tensor
    paths: Tensor


class TogetherSampler:
    """Draws from all `models`, which are of one shape and on one device, along all `grids`.

    Args:
        grids: of every sampling shift the timesteps (steps + 1,), see `lrcore.flow.timesteps.sampling_grid`.
        guidance: of all of them; two passes in steps in which any row is guided.
        precision: "bfloat16" runs the networks under autocast, with their weights in bfloat16.
        chunk_tokens: at most so many tokens of all rows at once, but at least one image of each member and shift.
        graphed: replays a step as a CUDA graph.
        before_step: called before each step; may raise to give up.

    Raises:
        LrcoreError: grids of different lengths, or that do not fall from 1 to 0.
    """

    def __init__(
        self,
        models: Sequence[DiffusionTransformer],
        grids: Sequence[Tensor],
        guidance: Guidance = Guidance(),  # noqa: B008 - frozen
        precision: str = "float32",
        chunk_tokens: int = CHUNK_TOKENS,
        graphed: bool = False,
        before_step: Callable[[], object] = lambda: None,
    ) -> None:
        times, device = _table(grids), next(models[0].parameters()).device
        self.members, self.shifts, self.steps = len(models), len(grids), times.shape[1] - 1
        self.scale, self.low = guidance.scale, precision == "bfloat16"
        self.model = joined(stack(models), torch.bfloat16 if self.low else None).eval()
        inside = guidance.holds(times[:, :-1].T)
        # which steps are guided at all is known here; nothing is read back for it
        self.is_guided = [guidance.scale != 1 and bool(shifts.any()) for shifts in inside]
        # (steps, shifts); sizes of steps are rounded once, as `lrcore.flow.samplers` does
        self.times, self.sizes = (part.float().to(device) for part in (times[:, :-1].T, times.diff(dim=1).T))
        self.inside = inside.to(device)
        self.chunk_tokens, self.graphed, self.before_step = chunk_tokens, graphed, before_step
        self._steps: dict[tuple[int, ...], _EulerStep] = {}

    @torch.no_grad()
    def __call__(self, noise: Tensor, labels: Tensor) -> Together:
        """Take `noise` (B, N, C), float32, of the classes `labels` (B,), int64, to data; nothing waits for the device.

        Every member and shift starts from the same noise.
        """
        shifts, (count, tokens, channels) = self.shifts, noise.shape
        images = min(count, max(1, self.chunk_tokens // (self.members * shifts * tokens)))
        found = Together(
            noise.new_empty(self.members, shifts, count, tokens, channels),
            torch.empty(self.members, shifts, count, 2, dtype=torch.float64, device=noise.device),
        )
        for first in range(0, count, images):
            # the last chunk has the size of the others, for which there is a graph: a few images are drawn twice
            here = slice(min(first, count - images), min(first, count - images) + images)
            state, paths = self._chunk(noise[here], labels[here])
            found.tokens[:, :, here] = state.unflatten(0, (self.members, shifts, images))
            found.paths[:, :, here] = paths.unflatten(0, (self.members, shifts, images))
        return found

    def _chunk(self, noise: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if tuple(noise.shape) not in self._steps:
            self._steps[tuple(noise.shape)] = _EulerStep(self, noise)
        step, rows, path = self._steps[tuple(noise.shape)], self.members * self.shifts, PathShape()
        step.state.copy_(noise.repeat(rows, 1, 1))
        step.labels.copy_(labels.repeat(rows))
        path(step.state)
        for number in range(self.steps):
            self.before_step()
            step.take(self, number)
            path(step.state)
        return step.state, path.per_sample()


class _EulerStep:
    """One Euler step of all rows of a chunk, over buffers that stay in place: `state` (R, N, C), `labels` (R,)."""

    def __init__(self, sampler: TogetherSampler, noise: Tensor) -> None:
        # the sampler is not kept: holding one another, both would keep their memory until a collection
        by_row = (sampler.members, sampler.shifts, len(noise))
        self.time, self.size = noise.new_zeros(by_row), noise.new_zeros(by_row)
        self.inside = torch.zeros(by_row, dtype=torch.bool, device=noise.device)
        self.labels = torch.zeros(self.time.numel(), dtype=torch.int64, device=noise.device)
        self.state = noise.new_zeros(self.time.numel(), *noise.shape[1:])
        self._replays: dict[bool, Callable[[], None]] = {}

    def take(self, sampler: TogetherSampler, number: int) -> None:
        """The step of that number, from 0."""
        for buffer, table in ((self.time, sampler.times), (self.size, sampler.sizes), (self.inside, sampler.inside)):
            buffer.copy_(table[number][:, None].expand_as(buffer))
        guided = sampler.is_guided[number]
        if not sampler.graphed:
            self._advance(sampler, guided)
            return
        if guided not in self._replays:
            self._replays[guided] = cuda.captured(partial(self._advance, sampler, guided), [self.state])
        self._replays[guided]()

    def _advance(self, sampler: TogetherSampler, guided: bool) -> None:
        model, time = sampler.model, self.time.flatten()
        with torch.autocast(self.state.device.type, torch.bfloat16, enabled=sampler.low):
            velocity = model(self.state, time, self.labels).velocity
            if guided:
                none = model(self.state, time, torch.full_like(self.labels, model.classes)).velocity
                inside = self.inside.flatten()[:, None, None]
                velocity = torch.where(inside, none + sampler.scale * (velocity - none), velocity)
        self.state += self.size.flatten()[:, None, None] * velocity.to(self.state.dtype)


def _table(grids: Sequence[Tensor]) -> Tensor:
    """(shifts, steps + 1), float64, on the CPU."""
    if len({len(grid) for grid in grids}) != 1:
        raise LrcoreError(f"grids of one length are sampled together, got {sorted({len(grid) for grid in grids})}")
    table = torch.stack([grid.double().cpu() for grid in grids])
    if not (table.diff(dim=1) < 0).all() or ((table[:, 0] - 1).abs() > 1e-6).any() or table[:, -1].any():
        raise LrcoreError("sampling times must fall from 1 to 0")
    return table
