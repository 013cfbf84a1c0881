"""Gaussian samples with the mean and the covariance of given vectors, without ever forming the covariance.

With z_j independent standard normal numbers, one for each of M vectors x_j with mean m,

    g = m + (1 / sqrt(M)) sum_j z_j (x_j - m)

is Gaussian with mean m and covariance (1 / M) sum_j (x_j - m) (x_j - m)^T, exactly. So a latent of 7,168 numbers needs
no matrix of 7,168 x 7,168, and one of 196,608 is no harder.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from lrcore.errors import LrcoreError


def moment_matched(weights: Tensor, mean: Tensor, chunks: Iterable[Tensor]) -> Tensor:
    """Gaussian vectors (K, ...), float32.

    Args:
        weights: the z of each sample, standard normal (K, M).
        mean: of the vectors (...), see `mean_of`.
        chunks: the M vectors, in order, as batches (B, ...).

    Raises:
        LrcoreError: there are more or fewer vectors than weights.
    """
    found = torch.zeros(len(weights), mean.numel(), dtype=torch.float32)
    start = 0
    for chunk in chunks:
        part = weights[:, start : start + len(chunk)]
        if part.shape[1] != len(chunk):
            raise LrcoreError(f"weights for {weights.shape[1]} vectors, but there are more")
        found += part @ (chunk.float() - mean.float()).flatten(1)
        start += len(chunk)
    if start != weights.shape[1]:
        raise LrcoreError(f"weights for {weights.shape[1]} vectors, but there are {start}")
    matched: Tensor = (mean.flatten() + found / start**0.5).view(-1, *mean.shape)
    return matched.float()


def mean_of(chunks: Iterable[Tensor]) -> Tensor:
    """The mean (...), float64, of vectors in batches (B, ...). Raises LrcoreError where there are none."""
    total, count = torch.zeros((), dtype=torch.float64), 0
    for chunk in chunks:
        total = total + chunk.double().sum(0)
        count += len(chunk)
    if not count:
        raise LrcoreError("no vectors to take the mean of")
    return total / count
