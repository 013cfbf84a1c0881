"""The latent guard: no training on latents that are not normalised."""

from __future__ import annotations

import math

from torch import Tensor

from lrcore.errors import LrcoreError

MEAN_LIMIT = 0.2
STD_LIMITS = (0.75, 1.33)


def guard_scale(tokens: Tensor, name: str) -> None:
    """Refuse latents that are not normalised: the commonest silent failure of latent diffusion.

    Args:
        tokens: any shape; all values together must have mean 0 and standard deviation 1 within the limits above.
        name: of the autoencoder, for the message.

    Raises:
        LrcoreError: mean or standard deviation off, with the shift and scale that would mend it; or the latents hold
            NaN, or are constant, which no scale mends.
    """
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
