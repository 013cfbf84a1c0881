"""The kernel distance (KID): an unbiased squared maximum mean discrepancy with a cubic kernel.

    k(x, y) = (x . y / D + 1)^3
    KID = mean k(x_i, x_j), i != j  +  mean k(y_i, y_j), i != j  -  2 mean k(x_i, y_j)

Binkowski et al. 2018 (arXiv:1801.01401), sec. 3; its subsets, and their number and size, as torch-fidelity has them.
Unlike the Frechet distance it has no bias that falls with the number of samples, and it may be slightly negative. Here
it is over subsets; `lrcore.metrics.pairs` has the estimate from all images at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from lrcore.errors import LrcoreError
from lrcore.metrics.feature_sets import checked_pair


@dataclass(frozen=True)
class SubsetDistance:
    """Mean and standard deviation (not the mean's standard error) of the kernel distance over random subsets."""

    mean: float
    std: float
    subsets: int
    subset_size: int


def kernel_distance(
    a: Tensor, b: Tensor, subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> SubsetDistance:
    """The KID as torch-fidelity reports it, with its defaults and its random subsets: equal to it in float64.

    Args:
        a: features (N, D) of one set.
        b: features (M, D) of the other.
        subset_size: samples drawn of either set, without replacement; all of them where a set is smaller.

    Raises:
        LrcoreError: fewer than 2 samples, dimensions that differ, NaN or infinity; subsets or size too small.
    """
    a, b = checked_pair(a, b, least=2)
    size = min(subset_size, len(a), len(b))
    if subsets < 1 or size < 2:
        raise LrcoreError(f"the kernel distance needs at least 1 subset of 2, got {subsets} of {subset_size}")
    random = np.random.RandomState(seed)
    found = []
    for _ in range(subsets):
        x, y = (part[random.choice(len(part), size, replace=False)].double() for part in (a, b))
        found.append(_mean_within(x) + _mean_within(y) - 2 * _mean_between(x, y))
    return SubsetDistance(float(np.mean(found)), float(np.std(found)), subsets, size)


def cubic_kernel(products: Tensor, dim: int) -> Tensor:
    """k(x, y) from the products x . y, any shape, of features of `dim` numbers."""
    return (products / dim + 1) ** 3


def _mean_within(x: Tensor) -> float:
    """Mean of k over the pairs of different rows."""
    own = cubic_kernel(x.square().sum(1), x.shape[1]).sum()
    return float(cubic_kernel(x @ x.T, x.shape[1]).sum() - own) / (len(x) * (len(x) - 1))


def _mean_between(x: Tensor, y: Tensor) -> float:
    return float(cubic_kernel(x @ y.T, x.shape[1]).mean())
