"""Operations of a transformer's passes, from its sizes; without torch, so that a page does not wait for it."""

from __future__ import annotations

from lrcore.flow.shapes import SHAPES, TransformerShape

TIME_FEATURES = 256
"""Sinusoidal features of a time, which the first linear layer of its embedding reads."""


def pass_flops(
    shape: TransformerShape, tokens: int, channels_per_token: int, skip: bool = False
) -> tuple[float, float]:
    """Floating-point operations of a forward and of a backward pass of one image.

    A multiplication and an addition are two. Matrix products alone are counted, attention's among them; classes are
    looked up. A backward pass has two products for each of the forward's, one for either factor, but what the model is
    given needs none.

    Args:
        shape: width, depth and heads of the transformer.
        tokens: of an image.
        channels_per_token: of a token.
        skip: with a `LinearSkip`.
    """
    width = shape.width
    block = tokens * width * 12 * width + 2 * tokens**2 * width + width * 6 * width  # linear, attention, adaLN
    inside = shape.depth * block + width * width + width * 2 * width + tokens * width * channels_per_token
    first = tokens * channels_per_token * width + TIME_FEATURES * width  # of tokens and of the time
    if skip:
        inside += width * channels_per_token
        first += tokens * channels_per_token**2
    return 2.0 * (inside + first), 2.0 * (2 * inside + first)


def training_flops_per_image(model: str, tokens: int, channels_per_token: int) -> float:
    """Operations of a training step for one image of so many tokens; `model` is one of `SHAPES`."""
    return sum(pass_flops(SHAPES[model], tokens, channels_per_token))
