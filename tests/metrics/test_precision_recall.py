"""Precision and recall against torch-fidelity and by hand."""

from math import isfinite

import pytest
import torch
from torch_fidelity.metric_prc import calculate_precision_recall_full

from lrcore.errors import LrcoreError
from lrcore.metrics import pairs
from lrcore.metrics.pairs import FeatureSet, compared, precision_recall, unbiased_kernel_distance


def features(count, dim, seed, scale=1.0):
    return scale * torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("samples", "real", "scale"), [(150, 150, 1.0), (200, 90, 0.6), (60, 250, 1.5)])
@pytest.mark.parametrize("neighbours", [1, 3])
def test_it_is_torch_fidelitys(samples, real, scale, neighbours, monkeypatch):
    monkeypatch.setattr(pairs, "BLOCK", 64)
    a, b = features(samples, 8, 1, scale), features(real, 8, 2)
    a[:5] = b[:5]  # exact copies lie in a ball
    expected = calculate_precision_recall_full(a, b, neighborhood=neighbours)
    found = precision_recall(a, b, neighbours)
    assert 0 < found.precision < 1 or 0 < found.recall < 1
    assert (found.precision, found.recall) == pytest.approx(expected, abs=1e-6)


def test_by_hand():
    """On a line, k = 1: balls of real 0, 1, 10 reach 1, 1 and 9; of samples 0.5, 30, 30.5 they reach 29.5, .5, .5."""
    real, samples = torch.tensor([[0.0], [1.0], [10.0]]), torch.tensor([[0.5], [30.0], [30.5]])
    found = precision_recall(samples, real, neighbours=1)
    assert found.precision == pytest.approx(1 / 3)
    assert found.recall == 1.0


def test_the_border_belongs_to_the_ball():
    real = torch.tensor([[0.0], [1.0]])
    assert precision_recall(torch.tensor([[-1.0], [2.0], [2.1]]), real, neighbours=1).precision == pytest.approx(2 / 3)


def test_a_collapsed_model_has_precision_and_no_recall():
    real = features(200, 4, 3)
    collapsed = real[:1] + 1e-3 * features(100, 4, 4)
    found = compared(FeatureSet(collapsed), FeatureSet(real))
    assert found.precision == 1.0
    assert found.recall < 0.02


def test_bad_features_are_named():
    good = features(10, 4, 5)
    with pytest.raises(LrcoreError, match="at least 4 images are needed, got 3"):
        precision_recall(good[:3], good)
    with pytest.raises(LrcoreError, match="reference features: at least 4 images are needed, got 0"):
        precision_recall(good, good[:0])
    with pytest.raises(LrcoreError, match="sets of 4 and of 2 features"):
        precision_recall(good, good[:, :2])
    spoilt = good.clone()
    spoilt[0] = torch.inf
    with pytest.raises(LrcoreError, match="1 of 10 vectors hold NaN or infinity"):
        precision_recall(spoilt, good)
    with pytest.raises(LrcoreError, match="neighbours must be at least 1, got 0"):
        precision_recall(good, good, neighbours=0)
    assert isfinite(unbiased_kernel_distance(FeatureSet(good[:2]), FeatureSet(good[2:])))  # which needs no balls
    with pytest.raises(LrcoreError, match="sample features: at least 4 images are needed, got 2"):
        compared(FeatureSet(good[:2], "sample"), FeatureSet(good))


def test_each_product_of_features_is_computed_once(monkeypatch):
    """Of samples with themselves, with the real images and with others; of these two with themselves."""
    counted, product = [], pairs._product
    monkeypatch.setattr(pairs, "_product", lambda x, y: counted.append(len(x) * len(y)) or product(x, y))
    real, other = FeatureSet(features(50, 8, 1)), FeatureSet(features(30, 8, 2))
    for seed in (3, 4):
        samples = FeatureSet(features(20, 8, seed))
        compared(samples, real), unbiased_kernel_distance(samples, other)
    assert sum(counted) == 50**2 + 30**2 + 2 * (20**2 + 20 * 50 + 20 * 30)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_it_is_that_of_distances_between_pairs(scale):
    """By cdist, in features whose mean is far from 0, as those of networks are."""
    samples, real = scale * (features(300, 16, 1, 1.1) + 3), scale * (features(400, 16, 2) + 3)
    radii = [torch.cdist(x, x).kthvalue(4).values for x in (samples, real)]
    distances = torch.cdist(samples, real)
    expected = [(distances <= radii[1]).any(1), (distances <= radii[0][:, None]).any(0)]
    found = precision_recall(samples, real)
    assert (found.precision, found.recall) == pytest.approx([share.double().mean().item() for share in expected])
    assert found.precision != 1 and found.recall != 1
