"""The linear denoiser's loss: closed forms, regressions on samples, and a mixture that a better guess exists for."""

from __future__ import annotations

import math

import pytest
import torch
from gaussian_mixture import plane_mixture
from torch import Tensor

from lrcore.errors import LrcoreError
from lrcore.metrics.gaussian_loss import GROUPS, TIMES, gaussian_loss, loss_of_variances

SOME_TIMES = torch.tensor([0.0, 0.1, 0.3, 0.5, 0.8, 1.0], dtype=torch.float64)


def gaussian(images: int, covariance: Tensor, seed: int) -> Tensor:
    noise = torch.randn(images, len(covariance), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return noise @ torch.linalg.cholesky(covariance).T


def covariance(size: int, seed: int = 0) -> Tensor:
    root = torch.randn(size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return root @ root.T / size + 0.02 * torch.eye(size, dtype=torch.float64)


def test_closed_forms():
    t = SOME_TIMES
    of_noise = loss_of_variances(torch.ones(3, dtype=torch.float64), t)
    torch.testing.assert_close(of_noise, 1 / (t**2 + (1 - t) ** 2))
    ends = loss_of_variances(torch.tensor([0.0, 0.5, 2.0, 3.5], dtype=torch.float64), t)
    assert (ends[0], ends[-1]) == (0.75, 1.5)  # a direction that does not vary is known; at t = 1 x is what is unknown


def test_the_integral_over_t_is_that_of_the_paper():
    """Half pi times the mean root of the eigenvalues."""
    variances = torch.tensor([0.25, 1.0, 4.0], dtype=torch.float64)
    t = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    # the midpoint rule's error is (1 / n)^2 / 24 times the change of the slope, which is below 100 here
    assert loss_of_variances(variances, t).mean() == pytest.approx(math.pi / 2 * (0.5 + 1 + 2) / 3, rel=1e-8)


@pytest.mark.parametrize("t", [0.15, 0.5, 0.85])
def test_a_regression_on_samples_reaches_it(t: float):
    """The velocity's least-squares fit to x_t by QR, which knows of no formula."""
    images, size = 20_000, 6
    true = covariance(size)
    x, noise = gaussian(images, true, 1), gaussian(images, torch.eye(size, dtype=torch.float64), 2)
    velocity, seen = noise - x, torch.cat([(1 - t) * x + t * noise, torch.ones(images, 1, dtype=torch.float64)], dim=1)
    residual = velocity - seen @ torch.linalg.lstsq(seen, velocity).solution
    losses = residual.square().mean(dim=1) * images / (images - size - 1)  # what the fit takes
    expected = loss_of_variances(torch.linalg.eigvalsh(true), torch.tensor([t], dtype=torch.float64))
    assert abs(losses.mean() - expected) < 4 * losses.std() / math.sqrt(images)


def test_it_is_measured_from_images():
    """Three classes of own means; two of own variances, the last too small for them. No direction is an axis."""
    true = covariance(12)
    x = gaussian(4840, true, 3)
    labels = torch.arange(len(x)) % 4
    labels = torch.where((labels == 3) & (torch.arange(len(x)) >= 400), 0, labels)
    x = x + 5.0 * labels[:, None]
    found = gaussian_loss(x.unflatten(1, (4, 3)), labels, SOME_TIMES)
    expected = loss_of_variances(torch.linalg.eigvalsh(true), SOME_TIMES)
    # directions from 3,630 images miss the best by about 12 / 3630
    assert (abs(found.value - expected) < 4 * found.standard_error + 0.005 * expected).all()
    assert found.n_images == len(x)
    assert found.standard_error[1:].min() > 0 and found.standard_error[0] == 0


def test_its_error_is_that_of_repeated_measurements():
    true = covariance(6, 1)
    labels = torch.zeros(800, dtype=torch.int64)
    found = [
        gaussian_loss(gaussian(800, true, seed).unflatten(1, (2, 3)), labels, SOME_TIMES[2:]) for seed in range(40)
    ]
    spread = torch.stack([one.value for one in found]).std(dim=0)
    told = torch.stack([one.standard_error for one in found]).square().mean(dim=0).sqrt()
    # the deviation of 40 is known to 1 / sqrt(78), four of which are 45 %
    assert (abs(told / spread - 1) < 0.45).all()


def test_a_kronecker_product_from_fewer_images_than_numbers():
    """The directions of a Kronecker product are known from 75 images of 96 numbers."""
    spatial, channel = covariance(12, 2), covariance(8, 3)
    true = torch.kron(spatial, channel)
    x = gaussian(100, true, 4).unflatten(1, (12, 8))
    labels = torch.zeros(100, dtype=torch.int64)
    found = gaussian_loss(x, labels, SOME_TIMES)
    expected = loss_of_variances(torch.linalg.eigvalsh(true), SOME_TIMES)
    blind = loss_of_variances(true.diagonal(), SOME_TIMES)  # along the axes: what knowing nothing of directions leaves
    assert (found.value[1:-1] - expected[1:-1] < 0.3 * (blind - expected)[1:-1]).all()
    assert len(labels) < true.shape[0] * 4 / 3


def test_a_mixture_leaves_less_than_it():
    """Its velocity is known in closed form; a linear denoiser, which knows only its covariance, does worse."""
    law = plane_mixture()
    torch.manual_seed(0)
    t = 0.4
    x = law.at(0.0).sample((20_000,))
    noise = torch.randn(x.shape, dtype=torch.float64)
    times = torch.full((1,), t, dtype=torch.float64)
    guess = law.velocity(((1 - t) * x + t * noise)[None], times)[0]
    losses = (noise - x - guess).square().mean(dim=1)
    linear = loss_of_variances(torch.linalg.eigvalsh(law.covariance), times)
    assert losses.mean() + 4 * losses.std() / math.sqrt(len(x)) < linear
    found = gaussian_loss(x[:, None], torch.zeros(len(x), dtype=torch.int64), times)
    assert abs(found.value - linear) < 4 * found.standard_error + 0.001 * linear


def test_it_is_the_same_every_time_and_in_any_precision():
    x = gaussian(800, covariance(6), 5).unflatten(1, (2, 3)).float()
    labels = torch.arange(800) % 2
    once, twice = gaussian_loss(x, labels), gaussian_loss(x.double(), labels)
    assert once.value.shape == TIMES.shape and torch.equal(once.value, twice.value)


def test_it_may_be_stopped_and_refuses_what_it_cannot_measure():
    def stop() -> None:
        raise InterruptedError

    x = gaussian(2 * GROUPS, covariance(6), 6).unflatten(1, (2, 3))
    with pytest.raises(InterruptedError):
        gaussian_loss(x, torch.zeros(len(x), dtype=torch.int64), check=stop)
    with pytest.raises(LrcoreError, match="two images of one class"):
        gaussian_loss(x, torch.arange(len(x)))
    with pytest.raises(LrcoreError, match="NaN or infinity"):
        gaussian_loss(torch.full_like(x, torch.nan), torch.zeros(len(x), dtype=torch.int64))
