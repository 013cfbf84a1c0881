"""Sampling: per-image seeds and the Euler integration of the velocity from noise (t = 1) to data (t = 0)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lrcore.seeds import generator

LABEL_RULE = "uniform over classes, drawn per image"
"""How samples get their class; recorded in every row, since balanced classes move the Frechet distance."""

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(tokens (B, N, C), times (B,)) to velocities (B, N, C)."""


def starting_noise(seed: int, images: Sequence[int], tokens: int, channels: int) -> Tensor:
    """Gaussian noise (len(images), tokens, channels); each image's depends on (seed, its number) alone.

    So a sample does not depend on the batch size or on the number of processes.
    """
    return torch.stack([torch.randn(tokens, channels, generator=generator(seed, "noise", i)) for i in images])


def drawn_labels(seed: int, images: Sequence[int], classes: int) -> Tensor:
    """Class labels (len(images),), int64, by `LABEL_RULE`; each depends on (seed, the image's number) alone."""
    drawn = [torch.randint(classes, (), generator=generator(seed, "label", i)) for i in images]
    return torch.stack(drawn)


@torch.no_grad()
def euler(velocity: Velocity, noise: Tensor, grid: Tensor) -> Tensor:
    """Integrate dx/dt = v(x, t) from `noise` at grid[0] = 1 down to grid[-1] = 0 by Euler's method.

    Args:
        noise: (B, N, C).
        grid: decreasing timesteps (steps + 1,), see `lrcore.timesteps.sampling_grid`.
    """
    x = noise
    for now, after in zip(grid.tolist()[:-1], grid.tolist()[1:], strict=True):
        t = torch.full((len(x),), now, dtype=torch.float32, device=x.device)
        x = x + (after - now) * velocity(x, t)
    return x
