"""Gaussian samples by their moments: exact in what they mix, and right in mean and covariance."""

import pytest
import torch

from lrcore.errors import LrcoreError
from lrcore.metrics.moment_matched import mean_of, moment_matched

SEED = torch.Generator().manual_seed(0)
VECTORS = torch.randn(40, 3, 2, generator=SEED) @ torch.tensor([[2.0, 0.5], [0.0, 1.0]]) + 3.0


def test_it_is_the_formula_whatever_the_batches():
    weights, mean = torch.randn(5, 40, generator=SEED), mean_of(VECTORS.split(7))
    torch.testing.assert_close(mean, VECTORS.double().mean(0), rtol=0, atol=1e-14)
    centred = (VECTORS.double() - mean).flatten(1)
    exact = mean + (weights.double() @ centred / 40**0.5).view(5, 3, 2)
    for size in (1, 7, 40):
        found = moment_matched(weights, mean, VECTORS.split(size))
        assert found.dtype == torch.float32
        # float32: sums of 40 products of numbers up to 10
        torch.testing.assert_close(found.double(), exact, rtol=0, atol=40 * 10 * 2**-24)


def test_mean_and_covariance_are_those_of_the_vectors():
    draws = 20_000
    weights = torch.randn(draws, 40, generator=SEED)
    found = moment_matched(weights, mean_of([VECTORS]), [VECTORS]).flatten(1).double()
    wanted = VECTORS.flatten(1).double()
    covariance = torch.cov(wanted.T, correction=0)
    # five standard errors of a mean and of a covariance of Gaussian numbers
    deviation = covariance.diagonal().sqrt()
    assert ((found.mean(0) - wanted.mean(0)).abs() < 5 * deviation / draws**0.5).all()
    bound = 5 * ((deviation[:, None] * deviation) ** 2 + covariance**2).sqrt() / draws**0.5
    assert ((torch.cov(found.T) - covariance).abs() < bound).all()


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(LrcoreError, match="weights for 39 vectors"):
        moment_matched(torch.randn(2, 39), mean_of([VECTORS]), VECTORS.split(7))
    with pytest.raises(LrcoreError, match="weights for 41 vectors"):
        moment_matched(torch.randn(2, 41), mean_of([VECTORS]), VECTORS.split(7))
    with pytest.raises(LrcoreError, match="no vectors"):
        mean_of([])
