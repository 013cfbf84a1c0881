"""The kernel distance against torch-fidelity and a double loop; what is refused."""

import itertools

import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric

from lrcore.errors import LrcoreError
from lrcore.metrics import pairs
from lrcore.metrics.kernel import kernel_distance
from lrcore.metrics.pairs import FeatureSet, unbiased_kernel_distance


def features(count, dim, seed, shift=0.0):
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_subsets_are_torch_fidelitys(shift):
    a, b = features(300, 40, 1), features(220, 40, 2, shift)
    found = kernel_distance(a, b, subsets=7, subset_size=100)
    expected = kid_features_to_metric(a, b, kid_subsets=7, kid_subset_size=100, rng_seed=2020, verbose=False)
    assert found.mean == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-9, abs=1e-12)
    assert found.std == pytest.approx(expected["kernel_inception_distance_std"], rel=1e-9)
    assert (found.subsets, found.subset_size) == (7, 100)


def test_the_full_estimate_is_the_double_loop(monkeypatch):
    monkeypatch.setattr(pairs, "BLOCK", 4)  # so that blocks end inside the sets
    x, y = features(9, 5, 3), features(13, 5, 4, 0.5)

    def k(u, v):
        return (float(u @ v) / 5 + 1) ** 3

    within = [sum(k(u, v) for u, v in itertools.permutations(s, 2)) / (len(s) * (len(s) - 1)) for s in (x, y)]
    between = sum(k(u, v) for u in x for v in y) / (len(x) * len(y))
    for a, b in (x, y), (y, x):
        found = unbiased_kernel_distance(FeatureSet(a), FeatureSet(b))
        assert found == pytest.approx(sum(within) - 2 * between, rel=1e-10)


def test_it_is_unbiased():
    """Sets of one distribution: the mean over many small sets is 0 within three standard errors."""
    found = torch.tensor(
        [
            unbiased_kernel_distance(FeatureSet(features(15, 4, 2 * i + 1)), FeatureSet(features(20, 4, 2 * i)))
            for i in range(400)
        ]
    )
    assert found.mean().abs() < 3 * found.std() / 20
    assert (found < 0).any()


def test_small_sets_are_compared_whole():
    a, b = features(30, 6, 5), features(50, 6, 6)
    found = kernel_distance(a, a + 1, subsets=3)
    assert found.subset_size == 30
    assert found.std < 1e-12
    assert found.mean == pytest.approx(unbiased_kernel_distance(FeatureSet(a), FeatureSet(a + 1)))
    assert kernel_distance(a, b, subsets=3).subset_size == 30


def test_bad_features_are_named():
    good = features(10, 4, 7)
    with pytest.raises(LrcoreError, match="at least 2 images are needed, got 1"):
        kernel_distance(good[:1], good)
    with pytest.raises(LrcoreError, match="at least 2 images are needed, got 0"):
        FeatureSet(good[:0])
    with pytest.raises(LrcoreError, match="sets of 4 and of 3 features"):
        kernel_distance(good, good[:, :3])
    with pytest.raises(LrcoreError, match="sets of 4 and of 3 features"):
        unbiased_kernel_distance(FeatureSet(good), FeatureSet(good[:, :3]))
    spoilt = good.clone()
    spoilt[3, 1] = torch.nan
    with pytest.raises(LrcoreError, match="second features: 1 of 10 vectors hold NaN"):
        kernel_distance(good, spoilt)
    with pytest.raises(LrcoreError, match=r"shape \(N, D\), got torch.int64 \(10, 4\)"):
        FeatureSet(good.long())
    with pytest.raises(LrcoreError, match="at least 1 subset of 2, got 0"):
        kernel_distance(good, good, subsets=0)
