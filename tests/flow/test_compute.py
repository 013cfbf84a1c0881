"""Counted operations against the published ones and torch's own count, and what they depend on."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lrcore.flow.compute import pass_flops, training_flops_per_image
from lrcore.flow.shapes import SHAPES, with_width
from lrcore.flow.transformer import DiffusionTransformer


def traced_flops(shape, grid, channels, skip):
    """What torch counts in a forward and in a backward pass of one image."""
    with torch.device("meta"):
        model = DiffusionTransformer(shape, channels, grid, 10, skip=skip)
        state, time, label = torch.zeros(1, grid[0] * grid[1], channels), torch.zeros(1), torch.zeros(1, dtype=int)
    with FlopCounterMode(display=False) as forward:
        velocity = model(state, time, label).velocity
    with FlopCounterMode(display=False) as backward:
        velocity.sum().backward()
    return forward.get_total_flops(), backward.get_total_flops()


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize(
    ("shape", "grid", "channels"),
    [
        (SHAPES["DiT-Nano"], (8, 8), 4),
        (SHAPES["DiT-Micro"], (4, 6), 112),
        (SHAPES["DiT-S"], (16, 16), 768),
        (with_width(SHAPES["DiT-Micro"], 160), (5, 5), 7),
    ],
)
def test_flops_are_those_that_torch_counts(shape, grid, channels, skip):
    assert pass_flops(shape, grid[0] * grid[1], channels, skip) == traced_flops(shape, grid, channels, skip)


def test_flops_of_xl_are_the_published_ones():
    """237.2 GFLOP forward (118.6 GMACs), 711.7 a training image: DiT-XL/2 on 256 tokens of 16 channels."""
    forward, backward = pass_flops(SHAPES["DiT-XL"], 256, 16)
    assert forward / 1e9 == pytest.approx(237.2, abs=0.1)
    assert (forward + backward) / 1e9 == pytest.approx(711.7, abs=0.1)
    assert training_flops_per_image("DiT-XL", 256, 16) == forward + backward


def test_tokens_cost_and_channels_hardly_do():
    thin, wide, long = (training_flops_per_image("DiT-B", *size) for size in ((64, 16), (64, 768), (256, 16)))
    assert thin < wide < 1.05 * thin and long > 4 * thin
