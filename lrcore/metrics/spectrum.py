"""The spatial power spectrum of latents: how fast a token's neighbours stop resembling it.

Images fall off like 1/f^2 in power (Field 1987); latents that are flatter hold more of their variance in differences
between neighbouring tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lrcore.metrics.jackknife import Estimate, check_grid, check_tokens, chunks, jackknife

SMALLEST_GRID = 4
"""The least number of rows and columns: two rings of frequencies, through which a line can be drawn."""

SPECTRUM_PROTOCOL = (
    "|orthonormal 2-D FFT over latent pixels|^2, no window, mean removed per image and channel (no DC); mean over "
    "channels, images and the frequencies of a ring one grid step of the shorter side wide, corners above 0.5 cycles "
    "per latent pixel left out; frequency: geometric mean of the ring's, cycles per token; jackknife over images"
)
SLOPE_PROTOCOL = (
    f"ordinary least squares of log power on log frequency, every ring one point; NaN where a ring holds no power; "
    f"{SPECTRUM_PROTOCOL}"
)

# Power this far below the tokens' mean square is rounding, not signal.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Spectrum:
    """`frequency` (K,) in cycles per step of the grid, ascending; `power` (K,) in tokens squared; `slope`, a scalar.

    White tokens of standard deviation 1 have a power of 1 in every ring.
    """

    frequency: Tensor
    power: Estimate
    slope: Estimate


def power_spectrum(tokens: Tensor, grid: tuple[int, int]) -> Spectrum:
    """The radially averaged spectrum by `SPECTRUM_PROTOCOL` and its slope by `SLOPE_PROTOCOL`.

    The slope is 0 for white tokens and -a for power that falls like 1 / f^a. On a small grid the lowest rings hold few
    frequencies, and edges that do not match leak into all of them: compare slopes of equal grids only. A grid that is
    not square also has frequencies below the first ring; they are left out.

    Args:
        tokens: (N, rows x columns, C), row after row, any floating-point type, N >= 2.
        grid: (rows, columns), each at least `SMALLEST_GRID`; they may differ.

    Raises:
        LrcoreError: another shape or type, fewer than 2 images, NaN or infinity, or a grid too small.
    """
    check_tokens(tokens)
    check_grid(grid, tokens.shape[1], SMALLEST_GRID)
    rings, frequency = _rings(grid)
    log_frequency = frequency.log()
    deviations = log_frequency - log_frequency.mean()
    weights = deviations / deviations.square().sum()

    def powers_and_slope(sums: Tensor) -> Tensor:
        means = sums / sums[:, :1]
        mean_square, power = means[:, 1:2], means[:, 2:]
        slope = power.log() @ weights
        silent = (power <= _ROUNDING * mean_square).any(dim=1)
        return torch.cat([power, torch.where(silent, torch.nan, slope)[:, None]], dim=1)

    found = jackknife(_ring_sums(tokens, grid, rings), powers_and_slope)
    errors, images = found.standard_error, len(tokens)
    power = Estimate(found.value[:-1], errors[:-1], images)
    return Spectrum(frequency, power, Estimate(found.value[-1], errors[-1], images))


def _rings(grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Averaging weights (rows x columns, K) of K rings, and the frequency (K,) of each."""
    rows, columns = (torch.fft.fftfreq(side, dtype=torch.float64) for side in grid)
    radius = (rows[:, None].square() + columns.square()).sqrt().flatten()
    shorter = min(grid)
    # Rings of the coarser of the two frequency steps: a finer one would leave rings empty.
    nearest = (radius * shorter).round()
    members = (nearest[:, None] == torch.arange(1, shorter // 2 + 1)).double()
    weights = members / members.sum(dim=0)
    # DC is in no ring; its logarithm must not turn 0 * log(0) into NaN.
    logs = torch.where(radius > 0, radius, 1.0).log()
    return weights, (logs @ weights).exp()


def _ring_sums(tokens: Tensor, grid: tuple[int, int], rings: Tensor) -> Tensor:
    """(N, 2 + K): for each image 1, the mean square of its tokens, and the power in each ring, mean over channels."""
    sums = []
    for part in chunks(tokens):
        field = part.transpose(1, 2).unflatten(2, grid)
        power = torch.fft.fft2(field, norm="ortho").abs().square().mean(dim=1).flatten(1)
        # Parseval: with the orthonormal transform the mean power over frequencies is the mean square.
        sums.append(torch.cat([torch.ones(len(part), 1, dtype=torch.float64), power.mean(1, True), power @ rings], 1))
    return torch.cat(sums)
