"""Does an encoder commute with mirroring and shifting the image?

Kouzelis et al. 2025 (EQ-VAE, arXiv:2502.09509) train autoencoders towards latents that do, for scalings and rotations;
here the error is only measured, for two symmetries that map the token grid onto itself without interpolation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lrcore.datasets.images import to_float
from lrcore.errors import LrcoreError, unknown
from lrcore.metrics.jackknife import Estimate, check_grid, check_tokens
from lrcore.metrics.reconstruction import summarise

BORDER = 1
"""Tokens left out at each side of the grid, before and after a shift: the image's edge and the seam."""

SMALLEST_SHIFT_GRID = 2 * BORDER + 2
"""The least number of rows and columns for `shift_error`: one token that is inside before and after."""

_DEFINITION = (
    "|E(gx) - gE(x)|^2 / (|E(gx) - m|^2 + |gE(x) - m|^2), m the mean of each channel over all images and positions of "
    "both; mean over images"
)
EQUIVARIANCE_PROTOCOL = {
    "flip_error": f"{_DEFINITION}; g mirrors left and right, inside tokens too",
    "shift_error": (
        f"{_DEFINITION}; g is a circular shift by one token down and right, tokens within {BORDER} of the border "
        "before or after are left out"
    ),
}

_BATCH = 64


@dataclass(frozen=True)
class _Symmetry:
    """`image` moves pixels (B, 3, H, W), `latent` a grid of tokens (B, rows, columns, C); `kept` are then compared."""

    image: Callable[[Tensor], Tensor]
    latent: Callable[[Tensor], Tensor]
    kept: slice


def equivariance_errors(
    encode: Callable[[Tensor], Tensor],
    images: Tensor,
    grid: tuple[int, int],
    patch: int = 1,
    names: Sequence[str] = tuple(EQUIVARIANCE_PROTOCOL),
) -> dict[str, Estimate]:
    """The error of each symmetry in `names` by `EQUIVARIANCE_PROTOCOL`, a scalar in [0, 2].

    0: the encoder commutes with the symmetry. 1: the two latents have as little to do with each other as independent
    ones of the same mean and variance. Above 1: they are anticorrelated. A convolution sees further than the border
    left out by `shift_error`, so a strictly equivariant one that is deep still has a small error. The standard error is
    that of the mean over images, with m held fixed.

    Args:
        encode: float32 images (B, 3, H, W) in [-1, 1], at most 64 at a time, to tokens (B, rows x columns, C). It is
            called once for each batch and once more for each symmetry.
        images: (N, 3, H, W) uint8, N >= 2; the grid divides H and W.
        grid: (rows, columns) of the tokens; each at least `SMALLEST_SHIFT_GRID` for `shift_error`.
        patch: latent pixels a token spans in each direction; its channels are then in (channel, row, column) order.
        names: keys of `EQUIVARIANCE_PROTOCOL`.

    Raises:
        LrcoreError: shapes that do not fit, an unknown name, fewer than 2 images, latents that hold NaN or infinity, or
            an image whose latents are at the mean everywhere.
    """
    _check_images(images, grid)
    symmetries = {name: _symmetry(name, images, grid, patch) for name in names}
    pairs = {name: _Pairs() for name in names}
    with torch.no_grad():
        for pixels in images.split(_BATCH):
            batch = to_float(pixels)
            plain = _encoded(encode, batch, grid, patch)
            for name, symmetry in symmetries.items():
                moved = _encoded(encode, symmetry.image(batch), grid, patch)
                kept = (slice(None), symmetry.kept, symmetry.kept)
                pairs[name].add(moved[kept], symmetry.latent(plain)[kept])
    return {name: pairs[name].estimate(name) for name in names}


class _Pairs:
    """What the error needs of pairs of latents, image by image, so that none has to be kept."""

    def __init__(self) -> None:
        self._gaps: list[Tensor] = []
        self._squares: list[Tensor] = []
        self._sums: list[Tensor] = []
        self._tokens = 0

    def add(self, a: Tensor, b: Tensor) -> None:
        """Two batches (B, rows, columns, C)."""
        both = torch.stack([a, b]).to(torch.float64).flatten(2, 3)
        self._gaps.append((both[0] - both[1]).square().sum(dim=(1, 2)))
        self._squares.append(both.square().sum(dim=(0, 2, 3)))
        self._sums.append(both.sum(dim=(0, 2)))
        self._tokens = 2 * both.shape[2]

    def estimate(self, name: str) -> Estimate:
        """Mean over images, with its standard error."""
        gaps, squares, sums = torch.cat(self._gaps), torch.cat(self._squares), torch.cat(self._sums)
        mean = sums.mean(dim=0) / self._tokens
        spread = squares - 2 * sums @ mean + self._tokens * mean.square().sum()
        constant = int((spread <= 1e-12 * squares).sum())
        if constant:
            raise LrcoreError(
                f"{name}: the latents of {constant} of {len(gaps)} images are the mean everywhere; no error of them"
            )
        found = summarise(gaps / spread)
        value, error = torch.tensor([found.mean, found.standard_error], dtype=torch.float64)
        return Estimate(value, error, found.n)


def _symmetry(name: str, images: Tensor, grid: tuple[int, int], patch: int) -> _Symmetry:
    if name == "flip_error":
        return _Symmetry(lambda x: x.flip(-1), lambda grid_of: _mirrored(grid_of, patch), slice(None))
    if name == "shift_error":
        check_grid(grid, grid[0] * grid[1], SMALLEST_SHIFT_GRID)
        pixels = (images.shape[2] // grid[0], images.shape[3] // grid[1])
        # The first token inside the border moves one further in.
        kept = slice(BORDER + 1, -BORDER)
        return _Symmetry(lambda x: x.roll(pixels, (2, 3)), lambda grid_of: grid_of.roll((1, 1), (1, 2)), kept)
    raise unknown("symmetry", name, EQUIVARIANCE_PROTOCOL)


def _mirrored(tokens: Tensor, patch: int) -> Tensor:
    """A grid (B, rows, columns, C) left to right, with the columns inside each token."""
    cut: Tensor = tokens.unflatten(3, (-1, patch, patch))
    return cut.flip(2, 5).flatten(3)


def _encoded(encode: Callable[[Tensor], Tensor], images: Tensor, grid: tuple[int, int], patch: int) -> Tensor:
    """The latents of a batch as a grid (B, rows, columns, C), on the CPU."""
    tokens = encode(images)
    check_tokens(tokens, least=1)
    if len(tokens) != len(images):
        raise LrcoreError(f"the encoder made latents of {len(tokens)} images out of {len(images)}")
    check_grid(grid, tokens.shape[1])
    if patch < 1 or tokens.shape[2] % patch**2:
        raise LrcoreError(f"tokens of {tokens.shape[2]} channels do not hold patches of {patch} x {patch}")
    rows: Tensor = tokens.detach().cpu().unflatten(1, grid)
    return rows


def _check_images(images: Tensor, grid: tuple[int, int]) -> None:
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise LrcoreError(
            f"equivariance errors take uint8 images (N, 3, H, W), got {images.dtype} {tuple(images.shape)}"
        )
    if len(images) < 2:
        raise LrcoreError(f"equivariance errors need at least 2 images, got {len(images)}")
    height, width = images.shape[2:]
    if min(grid) < 1 or height % grid[0] or width % grid[1]:
        raise LrcoreError(f"a token grid of {grid[0]} x {grid[1]} does not divide images of {height} x {width} px")
