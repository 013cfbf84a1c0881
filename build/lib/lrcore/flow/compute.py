"""Operations of a transformer's passes, counted on a model without weights."""

from __future__ import annotations

import functools
import math

import torch
from torch.utils.flop_counter import FlopCounterMode

from lrcore.flow.shapes import SHAPES
from lrcore.flow.transformer import DiffusionTransformer


def pass_flops(model: DiffusionTransformer, tokens: int, channels_per_token: int) -> tuple[float, float]:
    """Floating-point operations of a forward and of a backward pass of one image; `model` is on the meta device.

    A multiplication and an addition are two. Matrix products alone are counted, attention's among them.
    """
    state = torch.zeros(1, tokens, channels_per_token, device="meta")
    time, label = torch.zeros(1, device="meta"), torch.zeros(1, dtype=torch.long, device="meta")
    with FlopCounterMode(display=False) as forward:
        velocity = model(state, time, label).velocity
    with FlopCounterMode(display=False) as backward:
        velocity.sum().backward()
    return float(forward.get_total_flops()), float(backward.get_total_flops())


@functools.cache
def training_flops_per_image(model: str, tokens: int, channels_per_token: int) -> float:
    """Operations of a training step for one image, on a square grid of `tokens`; `model` is one of `SHAPES`."""
    side = math.isqrt(tokens)
    with torch.device("meta"):
        # the classes are looked up, not multiplied with
        transformer = DiffusionTransformer(SHAPES[model], channels_per_token, (side, side), classes=1)
    return sum(pass_flops(transformer, tokens, channels_per_token))
