"""Euler's order on a known flow, and seeds that belong to images."""

import math

import pytest
import torch

from lrcore.sampling import drawn_labels, euler, starting_noise
from lrcore.timesteps import sampling_grid


def error(steps, shift):
    """Of dx/dt = x from 1 to 0: the exact answer is x / e."""
    start = torch.ones(1, 1, 1, dtype=torch.float64)
    return abs(euler(lambda x, t: x, start, sampling_grid(steps, shift)).item() - 1 / math.e)


@pytest.mark.parametrize("shift", [1.0, 4.63])
def test_euler_converges_at_first_order(shift):
    assert error(40, shift) / error(80, shift) == pytest.approx(2.0, rel=0.1)
    assert error(2000, shift) < 1e-3


def test_a_constant_velocity_is_integrated_exactly():
    x, velocity = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    torch.testing.assert_close(euler(lambda x, t: velocity, x, sampling_grid(7, 2.95)), x - velocity)


def test_times_go_from_noise_to_data_and_never_reach_zero():
    seen = []
    euler(lambda x, t: (seen.append(t[0].item()), x)[1], torch.zeros(1, 1, 1), sampling_grid(4, 1.0))
    assert seen == [1.0, 0.75, 0.5, 0.25]


def test_an_image_s_noise_and_label_do_not_depend_on_its_batch():
    together = starting_noise(7, range(5), 4, 8)
    assert torch.equal(starting_noise(7, [3], 4, 8)[0], together[3])
    assert torch.equal(drawn_labels(7, range(5), 10)[3:], drawn_labels(7, [3, 4], 10))
    assert not torch.equal(together[0], together[1])
    assert not torch.equal(starting_noise(8, [3], 4, 8)[0], together[3])


def test_labels_are_drawn_uniformly():
    counts = torch.bincount(drawn_labels(0, range(2000), 10), minlength=10)
    assert ((counts - 200) ** 2 / 200).sum() < 28  # chi squared, 9 degrees of freedom, p = 0.001
