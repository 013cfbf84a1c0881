"""The kernel distance of images to their own reconstructions, against sums written out."""

import math

import pytest
import torch

from lrcore.errors import LrcoreError
from lrcore.metrics import paired_kernel
from lrcore.metrics.paired_kernel import paired_kernel_distance

DIM = 5


def kernel(a, b):
    return float((a @ b / DIM + 1) ** 3)


def by_hand(x, y):
    """Over all pairs of two different images, one after the other."""
    pairs = [(i, j) for i in range(len(x)) for j in range(len(x)) if i != j]
    return math.fsum(
        kernel(x[i], x[j]) + kernel(y[i], y[j]) - kernel(x[i], y[j]) - kernel(x[j], y[i]) for i, j in pairs
    ) / len(pairs)


def features(count, seed=0):
    return torch.randn(count, DIM, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("block", [3, 1024])
def test_value_and_jackknife_error_are_those_of_the_sums_written_out(monkeypatch, block):
    monkeypatch.setattr(paired_kernel, "BLOCK", block)
    x = features(8)
    y = x + 0.3 * features(8, 1)
    found = paired_kernel_distance(x, y)
    assert found.value == pytest.approx(by_hand(x, y), rel=1e-10)
    kept = [torch.arange(8) != i for i in range(8)]
    without = torch.tensor([by_hand(x[keep], y[keep]) for keep in kept], dtype=torch.float64)
    error = math.sqrt(7 / 8 * float(((without - without.mean()) ** 2).sum()))
    assert found.standard_error == pytest.approx(error, rel=1e-8)


def test_perfect_reconstructions_are_at_distance_0():
    x = features(50)
    assert paired_kernel_distance(x, x) == (0.0, 0.0)


def test_it_is_unbiased_for_reconstructions_of_the_same_distribution():
    """Where comparing an image with its own reconstruction would make it negative: by more errors than chance does."""
    x = features(400)
    y = 0.8 * x + 0.6 * features(400, 1)
    found = paired_kernel_distance(x, y)
    assert abs(found.value) < 4 * found.standard_error
    own = float(((x * y).sum(1) / DIM + 1).pow(3).mean())
    others = float(((x @ y.T) / DIM + 1).pow(3).mean())
    assert found.value - 2 * (own - others) / 400 < found.value - found.standard_error


def test_two_images_have_a_distance_and_no_error_and_one_is_refused():
    assert math.isnan(paired_kernel_distance(features(2), features(2, 1)).standard_error)
    with pytest.raises(LrcoreError, match="at least 2 images"):
        paired_kernel_distance(features(1), features(1, 1))
    with pytest.raises(LrcoreError, match="pairs"):
        paired_kernel_distance(features(3), features(4, 1))
