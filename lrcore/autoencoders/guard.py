"""The latent guard: nothing is measured of latents that are not normalised, and nothing trained on them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lrcore.autoencoders.normalised import CONSTANT
from lrcore.errors import LrcoreError

MEAN_LIMIT = 0.2
STD_LIMITS = (0.75, 1.33)

CHANNEL_MEAN_LIMIT = 1.0
CHANNEL_STD_LIMITS = (0.1, 3.0)
"""Of single channels, wide enough for families with one shift and one scale for all of them."""

SPREAD_LIMIT = 1.3
"""The largest deviation of a channel over the smallest from which a word is said: noise hits channels unequally."""


class NotNormalisedError(LrcoreError):
    """Latents are not normalised; `by` is the value of `normalise` that mends them, "" where none does."""

    def __init__(self, message: str, by: str) -> None:
        super().__init__(message)
        self.by = by

    def __reduce__(self) -> tuple[type[NotNormalisedError], tuple[str, str]]:
        return NotNormalisedError, (str(self), self.by)


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of all values of latents, and the least and largest deviation of a channel."""

    mean: float
    std: float
    low: float
    high: float

    @property
    def spread(self) -> float:
        """The largest deviation of a channel over the smallest."""
        return self.high / self.low if self.low > 0 else math.inf


def scale_of(tokens: Tensor) -> Scale:
    """Of latents (..., channels)."""
    flat = tokens.reshape(-1, tokens.shape[-1])
    deviations = flat.std(dim=0) if len(flat) > 1 else torch.zeros(flat.shape[1])
    return Scale(tokens.mean().item(), tokens.std().item(), deviations.min().item(), deviations.max().item())


def guard_scale(tokens: Tensor, name: str, one_scale: bool = False) -> Scale:
    """Refuse latents that are not normalised: the commonest silent failure of latent diffusion.

    Args:
        tokens: (..., channels); all values together, and more loosely those of each channel, must have mean 0 and
            standard deviation 1 within the limits above.
        name: of the autoencoder, for the message.
        one_scale: whether channels are meant to differ in mean and scale, as principal components do: they are not
            checked.

    Returns:
        What was found.

    Raises:
        NotNormalisedError: mean or standard deviation off, with what mends it.
        LrcoreError: the latents hold NaN, or are constant, which no scale mends.
    """
    scale = scale_of(tokens)
    if not math.isfinite(scale.mean + scale.std):
        raise LrcoreError(f"latents of '{name}' hold NaN or infinite values")
    if scale.std == 0.0:
        raise LrcoreError(f"latents of '{name}' have collapsed: all values are {scale.mean:.4g}")
    if not _all_normalised(scale):
        by, remedy = _remedy(tokens, scale, name, one_scale)
        raise NotNormalisedError(
            f"latents of '{name}' have mean {scale.mean:.4g} and standard deviation {scale.std:.4g}; allowed: "
            f"|mean| <= {MEAN_LIMIT}, {STD_LIMITS[0]} to {STD_LIMITS[1]}. {remedy}",
            by,
        )
    wrong = [] if one_scale else _wrong_channels(tokens)
    if wrong:
        by, remedy = _remedy(tokens, scale, name, one_scale)
        raise NotNormalisedError(
            f"{len(wrong)} of {tokens.shape[-1]} channels of the latents of '{name}' are not normalised; the worst, "
            f"{_worst(tokens, wrong)}; allowed: |mean| <= {CHANNEL_MEAN_LIMIT}, {CHANNEL_STD_LIMITS[0]} to "
            f"{CHANNEL_STD_LIMITS[1]}. {remedy}",
            by,
        )
    return scale


def spread_note(scale: Scale, name: str) -> str:
    """A line on channels whose deviations differ by `SPREAD_LIMIT` or more; "" where they do not."""
    if scale.spread < SPREAD_LIMIT:
        return ""
    return (
        f"channels of the latents of '{name}' deviate by {scale.low:.2f} to {scale.high:.2f}, so noise hides some "
        f"before others; {line_for(name, 'channel')} gives each deviation 1"
    )


def line_for(name: str, by: str) -> str:
    """The line of a study's file that has the latents of `name` normalised."""
    return f'normalise = "{by}" under [autoencoders.{name}]'


def _all_normalised(scale: Scale) -> bool:
    return abs(scale.mean) <= MEAN_LIMIT and STD_LIMITS[0] <= scale.std <= STD_LIMITS[1]


def _wrong_channels(tokens: Tensor) -> list[int]:
    means, stds = _by_channel(tokens)
    low, high = CHANNEL_STD_LIMITS
    found: list[int] = ((means.abs() > CHANNEL_MEAN_LIMIT) | (stds < low) | (stds > high)).nonzero().flatten().tolist()
    return found


def _by_channel(tokens: Tensor) -> tuple[Tensor, Tensor]:
    channels = tokens.reshape(-1, tokens.shape[-1])
    return channels.mean(dim=0), channels.std(dim=0)


def _worst(tokens: Tensor, wrong: list[int]) -> str:
    means, stds = _by_channel(tokens)
    worst = max(wrong, key=lambda channel: abs(math.log(max(stds[channel].item(), 1e-9))) + abs(means[channel].item()))
    return f"channel {worst}, has mean {means[worst].item():.4g} and standard deviation {stds[worst].item():.4g}"


def _remedy(tokens: Tensor, scale: Scale, name: str, one_scale: bool) -> tuple[str, str]:
    """The least normalisation that has the guard pass, "" where none does, and what to do in words."""
    if one_scale or not _wrong_channels((tokens - scale.mean) / scale.std):
        shift = _rounded(scale.mean, scale.std)
        return "all", f"(latent - {shift}) * {1 / scale.std:.5g} would be normalised: {line_for(name, 'all')}"
    stds = _by_channel(tokens)[1]
    constant = (stds <= CONSTANT * stds.max()).nonzero().flatten().tolist()
    if constant:
        named = ", ".join(map(str, constant[:5])) + (", ..." if len(constant) > 5 else "")
        return (
            "",
            f"{len(constant)} channels are the same in all images ({named}), which no scale mends: leave them out",
        )
    return "channel", f"Shift and scale every channel by its own statistics: {line_for(name, 'channel')}"


def _rounded(mean: float, std: float) -> str:
    """To digits that leave an error below a thousandth of the deviation; nothing smaller is worth a shift."""
    if abs(mean) < std / 1000:
        return "0"
    digits = 4 + max(0, math.ceil(math.log10(max(abs(mean), std) / std)))
    return f"{mean:.{digits}g}"
