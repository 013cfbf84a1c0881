"""What the products of two sets of features tell: kernel distance, precision and recall, from each product once.

    samples, real = FeatureSet(features), FeatureSet(reference_features)
    found = compared(samples, real)        # found.kid, found.precision, found.recall
    kid = unbiased_kernel_distance(samples, other)

The kernel is `lrcore.metrics.kernel`'s, the balls are `lrcore.metrics.manifold`'s. All is in float64, so that near
copies are told apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from lrcore.errors import LrcoreError
from lrcore.metrics.feature_sets import checked_set, require_images, require_same_dimension
from lrcore.metrics.features import statistics_of
from lrcore.metrics.frechet import GaussianStatistics
from lrcore.metrics.kernel import cubic_kernel
from lrcore.metrics.manifold import NEIGHBOURS, PrecisionRecall, squared_distances, squared_radii

BLOCK = 1024
"""Rows of a matrix of products held at once: 1024 x N numbers of 8 bytes, 0.4 GB for 50,000 images."""


class FeatureSet:
    """Images in a feature network that are compared with others: what depends on them alone is computed once.

    `features` (N, D) are float64, on the device that they came on.
    """

    def __init__(self, features: Tensor, name: str = "reference", neighbours: int = NEIGHBOURS, least: int = 2) -> None:
        """`features` (N, D), N at least `least`; `name` for messages; `neighbours`: how far the balls reach.

        Raises:
            LrcoreError: fewer features, another shape, integers, NaN or infinity; neighbours below 1.
        """
        if neighbours < 1:
            raise LrcoreError(f"neighbours must be at least 1, got {neighbours}")
        self.features = checked_set(features, name, least).double()
        self.name, self.neighbours = name, neighbours
        self.squares = self.features.square().sum(1)

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def moments(self) -> GaussianStatistics:
        """Mean and covariance."""
        return statistics_of(self.features)

    @property
    def mean_kernel(self) -> float:
        """Mean of the kernel over the pairs of different images."""
        return self._within[0]

    @property
    def squared_radii(self) -> Tensor:
        """(N,) squared distance of every image to the k-th nearest other one.

        Raises:
            LrcoreError: there are not more than k.
        """
        require_images(len(self), self.name, self.neighbours + 1)
        return self._within[1]

    @cached_property
    def _within(self) -> tuple[float, Tensor]:
        kernels, radii = self.features.new_zeros(()), []
        for rows, products in _products(self, self):
            kernels += cubic_kernel(products, self.features.shape[1]).sum()
            if len(self) > self.neighbours:
                distances = squared_distances(products, self.squares[rows], self.squares)
                radii.append(squared_radii(distances, self.neighbours))
        kernels -= cubic_kernel(self.squares, self.features.shape[1]).sum()
        return float(kernels) / (len(self) * (len(self) - 1)), torch.cat([self.squares[:0], *radii])


class Comparison(NamedTuple):
    """Of samples with real images: the kernel distance, and two shares from 0 to 1."""

    kid: float
    precision: float
    recall: float


def unbiased_kernel_distance(a: FeatureSet, b: FeatureSet) -> float:
    """The estimate from all of both sets (Binkowski et al. 2018, arXiv:1801.01401, eq. 4); it may be below 0.

    Raises:
        LrcoreError: the dimensions differ.
    """
    total = a.features.new_zeros(())
    for _, products in _products(a, b):
        total += cubic_kernel(products, a.features.shape[1]).sum()
    return _unbiased(a, b, total)


def compared(samples: FeatureSet, real: FeatureSet) -> Comparison:
    """Kernel distance of `samples` to `real` images, their precision and recall.

    Raises:
        LrcoreError: the dimensions differ; a set has no more images than its `neighbours`.
    """
    radii, others = samples.squared_radii, real.squared_radii.to(samples.features.device)
    total, squares = samples.features.new_zeros(()), real.squares.to(samples.features.device)
    inside = torch.zeros(len(samples), dtype=torch.bool, device=radii.device)
    covered = torch.zeros(len(real), dtype=torch.bool, device=radii.device)
    for rows, products in _products(samples, real):
        total += cubic_kernel(products, samples.features.shape[1]).sum()
        distances = squared_distances(products, samples.squares[rows], squares)
        inside[rows] = (distances <= others).any(1)
        covered |= (distances <= radii[rows, None]).any(0)
    precision, recall = (float(share) for share in (inside.double().mean(), covered.double().mean()))
    return Comparison(_unbiased(samples, real, total), precision, recall)


def precision_recall(samples: Tensor, real: Tensor, neighbours: int = NEIGHBOURS) -> PrecisionRecall:
    """Of generated `samples` (M, D) against `real` (N, D) features, M and N above `neighbours`.

    Raises:
        LrcoreError: as `FeatureSet` and `compared`.
    """
    named = (samples, "sample"), (real, "reference")
    found = compared(*(FeatureSet(features, name, neighbours, neighbours + 1) for features, name in named))
    return PrecisionRecall(found.precision, found.recall)


def _unbiased(a: FeatureSet, b: FeatureSet, total: Tensor) -> float:
    return a.mean_kernel + b.mean_kernel - 2 * float(total) / (len(a) * len(b))


def _products(a: FeatureSet, b: FeatureSet) -> Iterator[tuple[slice, Tensor]]:
    """Blocks of rows of a b^T, with which rows they are; each may be changed by who gets it."""
    require_same_dimension(a.features, b.features)
    others = b.features.to(a.features.device)
    for start in range(0, len(a), BLOCK):
        rows = slice(start, start + BLOCK)
        yield rows, _product(a.features[rows], others)


def _product(x: Tensor, y: Tensor) -> Tensor:
    return x @ y.T
