"""Operations of a transformer's passes, counted on a model without weights."""

from __future__ import annotations

import functools
import math

import torch
from torch.utils.flop_counter import FlopCounterMode

from lrcore.autoencoders.base import LatentShape
from lrcore.flow.transformer import SHAPES, DiffusionTransformer


def pass_flops(model: DiffusionTransformer, latent: LatentShape) -> tuple[float, float]:
    """Floating-point operations of a forward and of a backward pass of one image; `model` is on the meta device.

    A multiplication and an addition are two. Matrix products alone are counted, attention's among them.
    """
    tokens = torch.zeros(1, latent.tokens, latent.channels_per_token, device="meta")
    time, label = torch.zeros(1, device="meta"), torch.zeros(1, dtype=torch.long, device="meta")
    with FlopCounterMode(display=False) as forward:
        velocity = model(tokens, time, label).velocity
    with FlopCounterMode(display=False) as backward:
        velocity.sum().backward()
    return float(forward.get_total_flops()), float(backward.get_total_flops())


@functools.cache
def training_flops_per_image(model: str, tokens: int, channels_per_token: int) -> float:
    """Operations of a training step for one image, on a square grid of `tokens`; `model` is one of `SHAPES`."""
    side = math.isqrt(tokens)
    latent = LatentShape(side, (side, side), channels_per_token)
    with torch.device("meta"):
        # the classes are looked up, not multiplied with
        transformer = DiffusionTransformer(SHAPES[model], channels_per_token, latent.grid, classes=1)
    return sum(pass_flops(transformer, latent))
