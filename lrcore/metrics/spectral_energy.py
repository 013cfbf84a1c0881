"""Spectral energy concentration (SEC): the share of a latent's energy in high spatial frequencies.

Zhong et al. 2026 (arXiv 2606.03578): of the 2-D discrete cosine transform of each channel, what lies beyond a fraction
rho of the largest Manhattan frequency, H + W - 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lrcore.errors import LrcoreError
from lrcore.metrics.jackknife import Estimate, check_grid, check_tokens, chunks, jackknife

FRACTIONS = (0.25, 0.5)
"""Where high frequencies begin."""

ENERGY_PROTOCOL = (
    "energy of the orthonormal 2-D DCT-II over latent pixels at frequencies u + v > rho (H + W - 2), over that at all, "
    "the mean included; sums over channels and images; jackknife over images"
)


def spectral_energy(tokens: Tensor, grid: tuple[int, int], fractions: Sequence[float] = FRACTIONS) -> list[Estimate]:
    """The share in [0, 1] beyond each rho of `fractions`, by `ENERGY_PROTOCOL`; scalars.

    White latents have about the share of frequencies that are beyond, constant ones 0.

    Args:
        tokens: (N, rows x columns, C), row after row, any floating-point type: latent pixels, not patches of them.
        grid: (rows, columns), at least 2 x 2.
        fractions: each in [0, 1).

    Raises:
        LrcoreError: another shape or type, fewer than 2 images, NaN or infinity, latents that are zero everywhere, or a
            fraction that is not allowed.
    """
    check_tokens(tokens)
    check_grid(grid, tokens.shape[1], 2)
    if bad := [fraction for fraction in fractions if not 0.0 <= fraction < 1.0]:
        raise LrcoreError(f"a fraction of the largest frequency must be in [0, 1), got {bad[0]}")
    rows, columns = (_cosines(side) for side in grid)
    manhattan = torch.arange(grid[0])[:, None] + torch.arange(grid[1])
    beyond = torch.stack([manhattan > fraction * (sum(grid) - 2) for fraction in fractions]).double()
    sums = []
    for part in chunks(tokens):
        field = part.transpose(1, 2).unflatten(2, grid)
        energy = (rows @ field @ columns.T).square().sum(dim=1)
        high = torch.einsum("bhw,fhw->bf", energy, beyond)
        sums.append(torch.cat([energy.sum(dim=(1, 2))[:, None], high], dim=1))
    each = torch.cat(sums)
    if not each[:, 0].sum():
        raise LrcoreError("the latents are zero everywhere: they have no spectral energy")
    found = jackknife(each, lambda total: total[:, 1:] / total[:, :1])
    pairs = zip(found.value, found.standard_error, strict=True)
    return [Estimate(value, error, len(tokens)) for value, error in pairs]


def _cosines(side: int) -> Tensor:
    """(side, side) float64: the rows of the orthonormal DCT-II."""
    place = torch.arange(side, dtype=torch.float64)
    table = torch.cos(math.pi / side * (place + 0.5) * place[:, None]) * math.sqrt(2 / side)
    table[0] /= math.sqrt(2)
    return table
