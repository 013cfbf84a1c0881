"""The manifold of a set of images: balls around their features, for the precision and recall of samples.

The manifold of a set is the union of balls around its features, each reaching to the k-th nearest other feature of
the set (k = 3). Precision is the share of samples inside the manifold of the real images, recall the share of real
images inside that of the samples: Kynkäänniemi et al. 2019 (arXiv:1904.06991), sec. 2; torch-fidelity's definition,
borders included. Both depend on the number of images of either set, which belongs to the number.

Distances come from products of features, which other metrics need as well: `lrcore.metrics.pairs` brings them together.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

NEIGHBOURS = 3
"""k of the paper, of ADM's evaluator and of torch-fidelity."""


@dataclass(frozen=True)
class PrecisionRecall:
    """Shares from 0 to 1."""

    precision: float
    recall: float


def squared_distances(products: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """|x_i - y_j|^2 (M, N), at least 0, from `products` x_i . y_j, which it takes the place of, and the squares |x_i|^2
    (M,) and |y_j|^2 (N,)."""
    return products.mul_(-2).add_(x[:, None]).add_(y).clamp_(min=0)


def squared_radii(distances: Tensor, neighbours: int) -> Tensor:
    """(M,) from squared distances (M, N) of features to all of their set: each one's to its k-th nearest other one."""
    # the nearest is the feature itself
    return distances.kthvalue(neighbours + 1).values
