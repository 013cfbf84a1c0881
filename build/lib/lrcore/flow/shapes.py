"""Sizes of the diffusion transformer; without torch, so that whoever only names them does not wait for it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lrcore.errors import LrcoreError


@dataclass(frozen=True)
class TransformerShape:
    """Width (channels of a token inside the model), depth (blocks) and attention heads."""

    width: int
    depth: int
    heads: int


SHAPES = {
    "DiT-S": TransformerShape(384, 12, 6),
    "DiT-B": TransformerShape(768, 12, 12),
    "DiT-L": TransformerShape(1024, 24, 16),
    "DiT-XL": TransformerShape(1152, 28, 16),
    # smaller than the published ones, for studies on a CPU
    "DiT-Ti": TransformerShape(192, 6, 3),
    "DiT-Micro": TransformerShape(128, 3, 4),
    "DiT-Pico": TransformerShape(96, 4, 3),
    "DiT-Nano": TransformerShape(64, 3, 2),
}
"""Published sizes are those of DiT's table 1."""


def with_width(shape: TransformerShape, width: int) -> TransformerShape:
    """The same depth at another width, by more or fewer heads of the same size, at least one; width 0 keeps its own.

    Raises:
        LrcoreError: the heads do not divide the width, or it is no multiple of 4, as positions need.
    """
    if not width:
        return shape
    channels = shape.width // shape.heads
    heads = max(1, width // channels)
    if width < 4 or width % 4 or width % heads:
        raise LrcoreError(
            f"width {width} does not fit a transformer with heads of {channels} channels: allowed are multiples of "
            f"{math.lcm(4, channels)}, and other multiples of 4 that their width // {channels} heads divide"
        )
    return TransformerShape(width, shape.depth, heads)
