"""What every autoencoder offers, whoever trained it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from lrcore.errors import LrcoreError
from lrcore.images import to_float


@dataclass(frozen=True)
class LatentShape:
    """The token grid (rows, columns) at the study's resolution, and the channels of one token."""

    grid: tuple[int, int]
    channels_per_token: int

    @property
    def tokens(self) -> int:
        """Number of tokens of an image."""
        return self.grid[0] * self.grid[1]


class Autoencoder(Protocol):
    """Encoder and decoder with the normalisation between them, frozen and in eval mode."""

    shape: LatentShape

    def encode(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W), float in [-1, 1], to tokens (B, N, C): mean 0, standard deviation 1 over a data set."""

    def decode(self, tokens: Tensor) -> Tensor:
        """Normalised tokens (B, N, C) to images (B, 3, H, W), float in [-1, 1]."""


def to_tokens(latent: Tensor, patch: int) -> Tensor:
    """Latent (B, C, H, W) to tokens (B, H W / patch^2, C patch^2); within a token the order is (channel, row, column).

    Raises:
        LrcoreError: the patch does not divide the latent.
    """
    batch, channels, height, width = latent.shape
    if height % patch or width % patch:
        raise LrcoreError(f"patch {patch} does not divide a latent of {height} x {width}")
    cut = latent.reshape(batch, channels, height // patch, patch, width // patch, patch)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(batch, -1, channels * patch**2)


def from_tokens(tokens: Tensor, patch: int, grid: tuple[int, int]) -> Tensor:
    """The inverse of `to_tokens` for a token grid (rows, columns)."""
    batch, _, width = tokens.shape
    rows, columns = grid
    cut = tokens.reshape(batch, rows, columns, width // patch**2, patch, patch)
    return cut.permute(0, 3, 1, 4, 2, 5).reshape(batch, -1, rows * patch, columns * patch)


@torch.no_grad()
def encode_all(autoencoder: Autoencoder, pixels: Tensor, batch_size: int = 64) -> Tensor:
    """Tokens (N, tokens, channels), float32, of uint8 images (N, 3, H, W), encoded in chunks."""
    return torch.cat([autoencoder.encode(to_float(chunk)) for chunk in pixels.split(batch_size)])


MEAN_LIMIT = 0.2
STD_LIMITS = (0.75, 1.33)


def guard_scale(tokens: Tensor, name: str) -> None:
    """Refuse latents that are not normalised: the commonest silent failure of latent diffusion.

    Raises:
        LrcoreError: mean or standard deviation off, with the shift and scale that would mend it.
    """
    mean, std = tokens.mean().item(), tokens.std().item()
    if abs(mean) <= MEAN_LIMIT and STD_LIMITS[0] <= std <= STD_LIMITS[1]:
        return
    raise LrcoreError(
        f"latents of '{name}' have mean {mean:.3f} and standard deviation {std:.3f}; allowed: |mean| <= {MEAN_LIMIT}, "
        f"{STD_LIMITS[0]} to {STD_LIMITS[1]}. (latent - {mean:.4f}) * {1 / max(std, 1e-12):.4f} would be normalised"
    )
