"""The latent guard: no training on latents that are not normalised."""

from __future__ import annotations

import math

from torch import Tensor

from lrcore.errors import LrcoreError

MEAN_LIMIT = 0.2
STD_LIMITS = (0.75, 1.33)

CHANNEL_MEAN_LIMIT = 1.0
CHANNEL_STD_LIMITS = (0.1, 3.0)
"""Of single channels, wide enough for families with one shift and one scale for all of them."""


def guard_scale(tokens: Tensor, name: str, one_scale: bool = False) -> None:
    """Refuse latents that are not normalised: the commonest silent failure of latent diffusion.

    Args:
        tokens: (..., channels); all values together, and more loosely those of each channel, must have mean 0 and
            standard deviation 1 within the limits above.
        name: of the autoencoder, for the message.
        one_scale: whether channels are meant to differ in mean and scale, as principal components do: they are not
            checked.

    Raises:
        LrcoreError: mean or standard deviation off, with the shift and scale that would mend it; or the latents hold
            NaN, or are constant, which no scale mends.
    """
    _guard_all(tokens, name)
    if not one_scale:
        _guard_channels(tokens, name)


def _guard_all(tokens: Tensor, name: str) -> None:
    mean, std = tokens.mean().item(), tokens.std().item()
    if not math.isfinite(mean + std):
        raise LrcoreError(f"latents of '{name}' hold NaN or infinite values")
    if std == 0.0:
        raise LrcoreError(f"latents of '{name}' have collapsed: all values are {mean:.4g}")
    if abs(mean) <= MEAN_LIMIT and STD_LIMITS[0] <= std <= STD_LIMITS[1]:
        return
    raise LrcoreError(
        f"latents of '{name}' have mean {mean:.3f} and standard deviation {std:.3f}; allowed: |mean| <= {MEAN_LIMIT}, "
        f"{STD_LIMITS[0]} to {STD_LIMITS[1]}. (latent - {mean:.4f}) * {1 / std:.4f} would be normalised"
    )


def _guard_channels(tokens: Tensor, name: str) -> None:
    channels = tokens.flatten(0, -2)
    means, stds = channels.mean(dim=0), channels.std(dim=0)
    low, high = CHANNEL_STD_LIMITS
    wrong = ((means.abs() > CHANNEL_MEAN_LIMIT) | (stds < low) | (stds > high)).nonzero().flatten().tolist()
    if wrong:
        worst = max(
            wrong, key=lambda channel: abs(math.log(max(stds[channel].item(), 1e-9))) + abs(means[channel].item())
        )
        raise LrcoreError(
            f"{len(wrong)} of {len(means)} channels of the latents of '{name}' are not normalised; the worst, channel "
            f"{worst}, has mean {means[worst].item():.3f} and standard deviation {stds[worst].item():.3f}; allowed: "
            f"|mean| <= {CHANNEL_MEAN_LIMIT}, {low} to {high}. Shift and scale every channel by its own statistics"
        )
