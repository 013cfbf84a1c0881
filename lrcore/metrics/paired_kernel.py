"""The kernel distance between images and what became of each: reconstructions are no independent second set.

    k(x, y) = (x . y / D + 1)^3
    h(i, j) = k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(x_j, y_i)
    KID     = mean of h over the pairs i != j

Gretton et al. 2012 (jmlr.org/papers/v13/gretton12a.html), eq. 4, with the kernel of Binkowski et al. 2018
(arXiv:1801.01401). An image and its own reconstruction are never compared: they are alike, and n such terms of n^2
would take from the distance what falls with n. So it is unbiased also here, about 0 for reconstructions that cannot be
told from images, and may be slightly negative. Unlike a Frechet distance it needs no thousands of images.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lrcore.errors import LrcoreError
from lrcore.metrics.feature_sets import checked_pair
from lrcore.metrics.kernel import cubic_kernel

PAIRED_PROTOCOL = (
    "kernel distance (cubic kernel, unbiased) between the validation images and their reconstructions, over all pairs "
    "of two different images; jackknife standard error over images"
)

BLOCK = 1024
"""Rows of a matrix of products held at once."""


class PairedDistance(NamedTuple):
    """A kernel distance and its standard error over images (NaN of fewer than 3)."""

    value: float
    standard_error: float


def paired_kernel_distance(images: Tensor, reconstructions: Tensor) -> PairedDistance:
    """Of features (N, D) and those of the reconstruction of each; computed in float64.

    Raises:
        LrcoreError: fewer than 2 images, two shapes, integers, NaN or infinity.
    """
    if len(images) != len(reconstructions):
        raise LrcoreError(f"images and reconstructions come in pairs, got {len(images)} and {len(reconstructions)}")
    x, y = (part.double() for part in checked_pair(images, reconstructions, least=2))
    count, sums = len(x), torch.cat([_row_sums(x, y, slice(start, start + BLOCK)) for start in range(0, len(x), BLOCK)])
    total = sums.sum()
    value = float(total) / (count * (count - 1))
    if count < 3:
        return PairedDistance(value, math.nan)
    without = (total - 2 * sums) / ((count - 1) * (count - 2))
    return PairedDistance(value, float(((count - 1) * without.var(correction=0)).sqrt()))


def _row_sums(x: Tensor, y: Tensor, rows: slice) -> Tensor:
    """Sums of h(i, j) over j != i, for these i."""
    dim, size = x.shape[1], len(x[rows])
    h = cubic_kernel(x[rows] @ x.T, dim) + cubic_kernel(y[rows] @ y.T, dim)
    h -= cubic_kernel(x[rows] @ y.T, dim) + cubic_kernel(y[rows] @ x.T, dim)
    own = torch.arange(size, device=x.device)
    h[own, own + rows.start] = 0.0
    return h.sum(1)
