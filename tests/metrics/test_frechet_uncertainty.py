"""Bootstrap interval and extrapolation, on Gaussians whose distances are known."""

import pytest
import torch

from lrcore.errors import LrcoreError
from lrcore.metrics.bootstrap import bootstrap_interval
from lrcore.metrics.extrapolation import extrapolated_frechet
from lrcore.metrics.frechet import FrechetReference, GaussianStatistics

SHIFT, SCALE = 0.3, 1.1


def drawn(count, dim, seed):
    """Gaussian with mean SHIFT and deviation SCALE in every direction."""
    return SHIFT + SCALE * torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def reference(dim):
    """Statistics of the standard Gaussian, exact."""
    exact = GaussianStatistics(dim)
    root = torch.eye(dim, dtype=torch.float64) * dim**0.5
    exact.update(torch.cat([root, -root]) * ((2 * dim - 1) / (2 * dim)) ** 0.5)
    torch.testing.assert_close(exact.covariance, torch.eye(dim, dtype=torch.float64))
    return FrechetReference(exact)


def truth(dim):
    return dim * (SHIFT**2 + (SCALE - 1) ** 2)


def plain(features, against):
    gathered = GaussianStatistics(features.shape[1])
    gathered.update(features)
    return against.distance(gathered)


def test_extrapolation_removes_the_bias_of_few_samples():
    dim, against = 32, reference(32)
    found = [extrapolated_frechet(drawn(1000, dim, seed), against) for seed in range(20)]
    measured = [plain(drawn(1000, dim, seed), against) for seed in range(20)]
    bias = sum(measured) / 20 - truth(dim)
    left = sum(extrapolation.value for extrapolation in found) / 20 - truth(dim)
    assert bias > 0.2
    assert abs(left) < 0.25 * bias


def test_extrapolation_of_few_samples_stays_where_the_line_holds():
    """Subsets from N / 10 = 16 on, below the 32 dimensions, would leave half of the bias with the other sign."""
    dim, against = 32, reference(32)
    found = [extrapolated_frechet(drawn(160, dim, seed), against) for seed in range(40)]
    assert found[0].sizes[0] == 64
    bias = sum(extrapolation.distances[-1] for extrapolation in found) / 40 - truth(dim)
    left = sum(extrapolation.value for extrapolation in found) / 40 - truth(dim)
    assert abs(left) < 0.25 * bias
    with pytest.raises(LrcoreError, match="at least 128 images are needed, got 127"):
        extrapolated_frechet(drawn(127, dim, 0), against)


def test_extrapolation_says_what_it_fitted():
    features, against = drawn(400, 4, 1), reference(4)
    found = extrapolated_frechet(features, against, points=5)
    assert found.sizes == (40, 130, 220, 310, 400)
    assert found.distances[-1] == pytest.approx(plain(features, against), rel=1e-9)
    assert found.standard_error > 0
    assert extrapolated_frechet(features, against, points=5) == found
    assert extrapolated_frechet(features, against, points=5, seed=1).distances[0] != found.distances[0]


def test_interval_holds_the_expected_distance_about_as_often_as_it_says():
    dim, count, against = 4, 200, reference(4)
    expected = sum(plain(drawn(count, dim, 10_000 + seed), against) for seed in range(1000)) / 1000
    intervals = [bootstrap_interval(drawn(count, dim, seed), against, replicates=60, level=0.8) for seed in range(100)]
    hits = sum(interval.low <= expected <= interval.high for interval in intervals)
    assert 68 <= hits <= 92  # binomial(100, 0.8) within three standard deviations
    measured = torch.tensor([plain(drawn(count, dim, 20_000 + seed), against) for seed in range(500)])
    errors = torch.tensor([interval.standard_error for interval in intervals])
    assert errors.mean().item() == pytest.approx(measured.std().item(), rel=0.2)


def test_interval_is_about_the_measured_distance_and_repeats():
    features, against = drawn(100, 4, 3), reference(4)
    found = bootstrap_interval(features, against, replicates=50)
    assert found.low < found.value < found.high
    assert found.value == pytest.approx(plain(features, against), rel=1e-12)
    assert bootstrap_interval(features, against, replicates=50) == found
    narrow = bootstrap_interval(features, against, replicates=50, level=0.5)
    assert found.low < narrow.low < narrow.high < found.high


def test_the_interval_holds_the_distance_where_every_resample_exceeds_it():
    """10 images a feature: a resample has more bias than spread, and the plain percentiles leave the distance out."""
    found = bootstrap_interval(drawn(160, 16, 5), reference(16), replicates=50)
    assert found.low + found.standard_error < found.value < found.high - found.standard_error


def test_bad_input_is_named():
    good, against = drawn(30, 4, 4), reference(4)
    with pytest.raises(LrcoreError, match="at least 20 images are needed, got 19"):
        extrapolated_frechet(good[:19], against)
    with pytest.raises(LrcoreError, match="at least 3 points, got 2"):
        extrapolated_frechet(good, against, points=2)
    with pytest.raises(LrcoreError, match="at least 2 images are needed, got 1"):
        bootstrap_interval(good[:1], against)
    with pytest.raises(LrcoreError, match="at least 2 replicates and a level in"):
        bootstrap_interval(good, against, level=1.0)
    good[2, 2] = torch.nan
    for measure in (extrapolated_frechet, bootstrap_interval):
        with pytest.raises(LrcoreError, match="1 of 30 vectors hold NaN"):
            measure(good, against)
