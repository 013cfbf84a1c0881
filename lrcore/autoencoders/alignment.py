"""Semantic alignment: pulls the latent tokens of an autoencoder towards a frozen encoder's patch features."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, cosine_similarity, interpolate, relu

from lrcore.errors import LrcoreError


def alignment_loss(projected: Tensor, features: Tensor, margin: float) -> Tensor:
    """Mean over images and tokens of relu(1 - margin - cos), both (B, N, F): VA-VAE (arXiv 2501.01423), sec. 3."""
    return relu(1.0 - margin - cosine_similarity(projected, features, dim=-1)).mean()


def on_grid(features: Tensor, grid: tuple[int, int]) -> Tensor:
    """Features (B, N, F) of a square grid of patches as (B, rows * columns, F), for tokens of another grid.

    A coarser grid averages patches (none is left out), a finer one interpolates bilinearly between their centres;
    on their own grid the features are handed on as they are.

    Raises:
        LrcoreError: N is not a square.
    """
    side = math.isqrt(features.shape[1])
    if side**2 != features.shape[1]:
        raise LrcoreError(f"alignment needs a square grid of encoder patches, got {features.shape[1]} patches")
    if grid == (side, side):
        return features
    maps = features.transpose(1, 2).unflatten(2, (side, side))
    if max(grid) <= side:
        maps = adaptive_avg_pool2d(maps, grid)
    else:
        maps = interpolate(maps, size=grid, mode="bilinear", align_corners=False)
    return maps.flatten(2).transpose(1, 2)
