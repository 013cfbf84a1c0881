"""Counted operations against the published ones, and what they depend on."""

import pytest
import torch

from lrcore.flow.compute import pass_flops, training_flops_per_image
from lrcore.flow.shapes import SHAPES
from lrcore.flow.transformer import DiffusionTransformer


def test_flops_of_xl_are_the_published_ones():
    """237.2 GFLOP forward (118.6 GMACs), 711.7 a training image: DiT-XL/2 on 256 tokens of 16 channels."""
    with torch.device("meta"):
        model = DiffusionTransformer(SHAPES["DiT-XL"], 16, (16, 16), 1000)
    forward, backward = pass_flops(model, 256, 16)
    assert forward / 1e9 == pytest.approx(237.2, abs=0.1)
    assert (forward + backward) / 1e9 == pytest.approx(711.7, abs=0.1)
    assert training_flops_per_image("DiT-XL", 256, 16) == forward + backward


def test_tokens_cost_and_channels_hardly_do():
    thin, wide, long = (training_flops_per_image("DiT-B", *size) for size in ((64, 16), (64, 768), (256, 16)))
    assert thin < wide < 1.05 * thin and long > 4 * thin
