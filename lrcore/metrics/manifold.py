"""Precision and recall of samples, by balls around the features of either set.

The manifold of a set is the union of balls around its features, each reaching to the k-th nearest other feature of
the set (k = 3). Precision is the share of samples inside the manifold of the real images, recall the share of real
images inside that of the samples: Kynkäänniemi et al. 2019 (arXiv:1904.06991), sec. 2; torch-fidelity's definition,
borders included.

Both depend on the number of images of either set, which belongs to the number. Distances are taken in float64, so that
near copies are told apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lrcore.errors import LrcoreError
from lrcore.metrics.feature_sets import checked_pair, checked_set

NEIGHBOURS = 3
"""k of the paper, of ADM's evaluator and of torch-fidelity."""

BLOCK = 1024
"""Rows of a distance matrix held at once: 1024 x N numbers of 8 bytes, 0.4 GB for 50,000 images."""


@dataclass(frozen=True)
class PrecisionRecall:
    """Shares from 0 to 1."""

    precision: float
    recall: float


class ManifoldReference:
    """The real images of many comparisons: their balls are measured once."""

    def __init__(self, features: Tensor, neighbours: int = NEIGHBOURS) -> None:
        """`features` (N, D), N above `neighbours`. Raises LrcoreError for fewer, another shape, NaN or infinity."""
        self.features = checked_set(features, "reference", _least(neighbours))
        self.neighbours = neighbours
        self._radii = _radii(self.features, neighbours)

    def compare(self, samples: Tensor) -> PrecisionRecall:
        """Precision and recall of the features `samples` (M, D), M above `neighbours`.

        Raises:
            LrcoreError: as in making the reference, and where the dimensions differ.
        """
        samples, real = checked_pair(samples, self.features, _least(self.neighbours))
        precision = _covered(samples, real, self._radii.to(real.device))
        recall = _covered(real, samples, _radii(samples, self.neighbours))
        return PrecisionRecall(precision, recall)


def precision_recall(samples: Tensor, real: Tensor, neighbours: int = NEIGHBOURS) -> PrecisionRecall:
    """Of generated `samples` (M, D) against `real` (N, D) features; raises as `ManifoldReference`."""
    return ManifoldReference(real, neighbours).compare(samples)


def _least(neighbours: int) -> int:
    if neighbours < 1:
        raise LrcoreError(f"neighbours must be at least 1, got {neighbours}")
    return neighbours + 1


def _radii(features: Tensor, neighbours: int) -> Tensor:
    """Distance (N,) of every feature to its k-th nearest other one."""
    # the nearest is the feature itself
    blocks = (_distances(block, features).kthvalue(neighbours + 1).values for block in features.split(BLOCK))
    return torch.cat(list(blocks))


def _covered(points: Tensor, centres: Tensor, radii: Tensor) -> float:
    """Share of `points` inside a ball, borders included."""
    inside = sum(int((_distances(block, centres) <= radii).any(dim=1).sum()) for block in points.split(BLOCK))
    return inside / len(points)


def _distances(x: Tensor, y: Tensor) -> Tensor:
    return torch.cdist(x.double(), y.double())
