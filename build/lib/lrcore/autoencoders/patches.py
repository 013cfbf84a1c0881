"""Latents as maps and as tokens."""

from __future__ import annotations

from torch import Tensor

from lrcore.errors import LrcoreError


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
