"""Estimates over images with standard errors that know the positions of one image are not independent.

Everything is a function of sums over images. Leaving out one group of images at a time (the delete-a-group jackknife)
shows how much the function varies between samples of images, whatever the dependence inside an image:

    se^2 = (G - 1) / G * sum over the G groups of (value without the group - mean of these)^2

Tukey 1958 proposed the jackknife's variance, Quenouille 1956 its correction of bias.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lrcore.errors import LrcoreError

# Values worked on at once: 32 MiB in float64, however many images there are.
CHUNK = 2**22


@dataclass(frozen=True)
class Estimate:
    """Values and their standard errors, float64 on the CPU and of one shape, over `n_images` images."""

    value: Tensor
    standard_error: Tensor
    n_images: int


@dataclass(frozen=True)
class Jackknife:
    """`value` (...) of a statistic of all images, and `replicates` (G, ...), each without one group of images."""

    value: Tensor
    replicates: Tensor

    @property
    def standard_error(self) -> Tensor:
        """(...), at least 0; NaN where a replicate is NaN."""
        groups = len(self.replicates)
        error: Tensor = ((groups - 1) * self.replicates.var(dim=0, correction=0)).sqrt()
        return error

    def corrected(self, sizes: Tensor) -> Tensor:
        """The value (...) less its bias to first order in 1 / images, for groups of `sizes` (G,) images."""
        weights = 1.0 - sizes.double() / sizes.sum()
        mean: Tensor = torch.tensordot(weights, self.replicates, dims=1)
        return len(sizes) * self.value - mean


def jackknife(sums: Tensor, statistic: Callable[[Tensor], Tensor]) -> Jackknife:
    """A statistic of sums over images, of all groups and without each.

    Args:
        sums: (G, ...) float64, one sum for each of at least 2 groups.
        statistic: from summed groups, any number of leading dimensions before the (...) of `sums`, to values.
    """
    total = sums.sum(dim=0)
    at_once = max(1, CHUNK // max(1, total.numel()))
    replicates = torch.cat([statistic(total - part) for part in sums.split(at_once)])
    return Jackknife(statistic(total[None])[0], replicates)


def check_tokens(tokens: Tensor, least: int = 2) -> None:
    """Refuse what no metric of latents takes.

    Raises:
        LrcoreError: not floating-point (N, T, C), fewer than `least` images, no tokens or channels, NaN or infinity.
    """
    if tokens.ndim != 3 or not tokens.is_floating_point() or 0 in tokens.shape[1:]:
        raise LrcoreError(f"latents must be float tokens (images, T, C), got {tokens.dtype} {tuple(tokens.shape)}")
    if len(tokens) < least:
        raise LrcoreError(f"a metric of latents with a standard error needs at least {least} images, got {len(tokens)}")
    bad = sum(int((~torch.isfinite(part)).flatten(1).any(dim=1).sum()) for part in tokens.split(images_at_once(tokens)))
    if bad:
        raise LrcoreError(f"latents of {bad} of {len(tokens)} images hold NaN or infinity; no metric of them")


def check_grid(grid: tuple[int, int], tokens: int, least: int = 1) -> None:
    """Refuse a token grid (rows, columns) that does not hold `tokens`, or a side of which is below `least`."""
    rows, columns = grid
    if rows * columns != tokens:
        raise LrcoreError(f"a token grid of {rows} x {columns} does not hold {tokens} tokens an image")
    if min(grid) < least:
        raise LrcoreError(f"this metric needs a token grid of at least {least} x {least}, got {rows} x {columns}")


def images_at_once(tokens: Tensor) -> int:
    """How many images of `tokens` (N, T, C) make up a chunk; at least 1."""
    return max(1, CHUNK // tokens[0].numel()) if len(tokens) else 1


def chunks(tokens: Tensor) -> Iterator[Tensor]:
    """The images of `tokens` (N, T, C) in order, float64 on the CPU, (B, T, C) at a time."""
    for part in tokens.detach().split(images_at_once(tokens)):
        yield part.to("cpu", torch.float64)


def channel_means(tokens: Tensor) -> Tensor:
    """(C,) float64, over images and positions."""
    return sum((part.sum(dim=(0, 1)) for part in chunks(tokens)), torch.zeros(())) / tokens[..., 0].numel()
