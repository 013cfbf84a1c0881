"""Covariances of latents as the product of one over positions and one over channels.

A latent of T tokens of C channels has a covariance of T C rows, often more than there are images. Where its deviation
X (T, C) from a mean is matrix-normal, that is the Kronecker product of a spatial (T, T) and a channel (C, C)
covariance, and the likelihood is greatest where each solves an equation given the other (Dutilleul 1999, The MLE
algorithm for the matrix normal distribution, J. Stat. Comput. Simul. 64, 105-123). Solving them in turn is flip-flop:

    spatial = mean over images of X channel^-1 X^T / C        channel = mean over images of X^T spatial^-1 X / T

Zhong et al. 2026 (arXiv 2606.03578) do so for the latents of each class. Choices of ours: one covariance for all
classes, of deviations from the mean of the image's class, scaled for its degrees of freedom; the first spatial
covariance is the identity; `ALTERNATIONS`; directions without variance are left out of an inverse, so that a constant
channel does no harm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from lrcore.errors import LrcoreError
from lrcore.metrics.deviations import ClassDeviations

ALTERNATIONS = 5
"""Each factor is computed so many times given the other."""

# An eigenvalue this far below the largest is rounding: float64 leaves 1e-16 times the rows of the matrix.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class KroneckerCovariance:
    """`spatial` (T, T) times `channel` (C, C), scaled so that the trace of the product is `variance`; float64."""

    spatial: Tensor
    channel: Tensor
    variance: float

    @property
    def eigenvalues(self) -> Tensor:
        """(T, C), at least 0, ascending along both; their sum is `variance`."""
        spatial, channel = (torch.linalg.eigvalsh(factor).clamp(min=0) for factor in (self.spatial, self.channel))
        products = torch.outer(spatial, channel)
        return products * (self.variance / products.sum())

    def rotated(self, deviations: Tensor) -> Tensor:
        """(B, T, C) in the covariance's eigenvectors, in the order of `eigenvalues`."""
        spatial, channel = self._eigenvectors
        return spatial.T @ deviations @ channel

    @cached_property
    def _eigenvectors(self) -> tuple[Tensor, Tensor]:
        return torch.linalg.eigh(self.spatial).eigenvectors, torch.linalg.eigh(self.channel).eigenvectors


def kronecker_covariance(deviations: ClassDeviations) -> KroneckerCovariance:
    """The covariance of `deviations`, by flip-flop.

    Raises:
        LrcoreError: the latents of a class do not differ.
    """
    variance = deviations.variance
    if not variance:
        raise LrcoreError("the latents of each class are all the same: they have no covariance")
    spatial = torch.eye(deviations.tokens.shape[1], dtype=torch.float64)
    for _ in range(ALTERNATIONS):
        channel = _factor((part.mT for part in deviations), spatial)
        spatial = _factor(iter(deviations), channel)
    return KroneckerCovariance(spatial, channel, variance)


def _factor(deviations: Iterator[Tensor], columns: Tensor) -> Tensor:
    """(A, A), the covariance of rows given that of columns (B, B), of matrices (n, A, B) a part at a time."""
    values, vectors = torch.linalg.eigh(columns)
    kept = values > _ROUNDING * values[-1]
    whitening = vectors[:, kept] / values[kept].sqrt()
    total, count = torch.zeros(()), 0
    for part in deviations:
        white = (part @ whitening).mT.flatten(0, 1)  # columns, each as good as an observation of the rows
        total, count = total + white.T @ white, count + len(white)
    return total / count
