"""Flip-flop: exact where a covariance is a Kronecker product, a fixed point elsewhere, and harmless beside zeros."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lrcore.errors import LrcoreError
from lrcore.metrics.deviations import class_deviations
from lrcore.metrics.kronecker import kronecker_covariance


def factor(size: int, seed: int) -> Tensor:
    root = torch.randn(size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return root @ root.T + 0.5 * torch.eye(size, dtype=torch.float64)


def of_covariance(covariance: Tensor, shape: tuple[int, int]) -> Tensor:
    """Images (2 D, T, C) of mean 0 the mean of whose outer products is `covariance` to rounding."""
    root = torch.linalg.cholesky(covariance) * len(covariance) ** 0.5
    return torch.cat([root.T, -root.T]).unflatten(1, shape)


def fitted(tokens: Tensor):
    return kronecker_covariance(class_deviations(tokens, torch.zeros(len(tokens), dtype=torch.int64)))


def test_a_kronecker_product_is_found_and_scaled_to_the_variance():
    spatial, channel = factor(6, 0), factor(4, 1)
    found = fitted(of_covariance(torch.kron(spatial, channel), (6, 4)))
    unbiased = 48 / 47  # 2 D images, one mean
    torch.testing.assert_close(found.spatial / found.spatial.trace(), spatial / spatial.trace())
    torch.testing.assert_close(found.channel / found.channel.trace(), channel / channel.trace())
    expected = torch.linalg.eigvalsh(torch.kron(spatial, channel)) * unbiased
    torch.testing.assert_close(found.eigenvalues.flatten().sort().values, expected)
    assert found.variance == pytest.approx(float(expected.sum()))


def test_deviations_are_rotated_into_the_eigenvectors():
    tokens = of_covariance(torch.kron(factor(6, 0), factor(4, 1)), (6, 4))
    found = fitted(tokens)
    along = found.rotated(tokens).flatten(1)
    covariance = along.T @ along / (len(tokens) - 1)
    torch.testing.assert_close(covariance, found.eigenvalues.flatten().diag(), rtol=1e-9, atol=1e-9)


def test_what_is_no_product_keeps_its_total_variance():
    tokens = of_covariance(factor(24, 2), (6, 4))
    found = fitted(tokens)
    assert found.eigenvalues.sum() == pytest.approx(float(tokens.square().sum()) / (len(tokens) - 1))


def test_classes_differ_by_their_means_alone():
    """Means far apart are none of a covariance within classes, and one covariance holds for classes of any size."""
    tokens = of_covariance(torch.kron(factor(6, 0), factor(4, 1)), (6, 4))
    apart = torch.cat([tokens + 7, tokens - 3, tokens[:1] + 100])
    labels = torch.tensor([4] * 48 + [9] * 48 + [2])
    torch.testing.assert_close(
        kronecker_covariance(class_deviations(apart, labels)).eigenvalues, fitted(tokens).eigenvalues
    )


def test_a_constant_channel_has_no_variance_and_changes_no_other():
    tokens = of_covariance(torch.kron(factor(6, 0), factor(4, 1)), (6, 4))
    wider = torch.cat([tokens, torch.full((len(tokens), 6, 1), 0.3, dtype=torch.float64)], dim=2)
    found, without = fitted(wider).eigenvalues, fitted(tokens).eigenvalues
    torch.testing.assert_close(found.flatten().sort().values[6:], without.flatten().sort().values)
    torch.testing.assert_close(found.flatten().sort().values[:6], torch.zeros(6, dtype=torch.float64))


def test_what_has_no_covariance_is_said():
    with pytest.raises(LrcoreError, match="all the same"):
        fitted(torch.full((5, 6, 4), 0.3))
    with pytest.raises(LrcoreError, match="two images of one class"):
        class_deviations(torch.randn(3, 6, 4), torch.arange(3))
    with pytest.raises(LrcoreError, match="one integer for each of 3 images"):
        class_deviations(torch.randn(3, 6, 4), torch.arange(2))
