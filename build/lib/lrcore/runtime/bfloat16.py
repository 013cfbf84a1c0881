"""How well a device computes in bfloat16: processors without its arithmetic take many times as long as in float32."""

from __future__ import annotations

import functools
import time

import torch
from torch.nn.functional import linear

SLOW = 3.0
"""A device is slow at bfloat16 that takes so many times as long as in float32; what is near 1 varies with its load."""

ROWS, WIDTH = 256, 384
"""Of the product that is timed: tokens of a few images, the width of DiT-S."""


@functools.cache
def bfloat16_slowdown(device: torch.device) -> float:
    """The time of a matrix product under bfloat16 autocast over that in float32, measured once; positive.

    Each is the best of several, in a few milliseconds in all. A device without the arithmetic emulates it: 15 times as
    slow on a processor with AVX2 alone.
    """
    tokens, weights = torch.ones(ROWS, WIDTH, device=device), torch.ones(WIDTH, WIDTH, device=device)
    return _seconds(tokens, weights, True) / _seconds(tokens, weights, False)


def _seconds(tokens: torch.Tensor, weights: torch.Tensor, low: bool, repeats: int = 7) -> float:
    device = tokens.device
    found = []
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=low):
        for _ in range(repeats):
            began = time.perf_counter()
            linear(tokens, weights)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            found.append(time.perf_counter() - began)
    return min(found)
