"""The distribution of tokens: mean, standard deviation and kurtosis of each channel, and the effective dimension."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lrcore.errors import LrcoreError
from lrcore.metrics.jackknife import Estimate, channel_means, check_tokens, chunks, jackknife

GROUPS = 50
"""Groups of images the effective dimension is jackknifed over; fewer where there are fewer images."""

MOMENTS_PROTOCOL = {
    "channel_mean": "over images and positions; jackknife over images",
    "channel_std": "population standard deviation over images and positions together; jackknife over images",
    "channel_kurtosis": (
        "excess kurtosis (0 for a Gaussian), population moments over images and positions together; NaN for a constant "
        "channel; jackknife over images"
    ),
}
DIMENSION_PROTOCOL = (
    "participation ratio tr(S)^2 / tr(S^2) of the covariance S (C x C) of tokens over images and positions, less its "
    f"jackknife bias; delete-a-group jackknife over {GROUPS} groups of images, or as many as there are images"
)

# A variance this far below the mean square of all images, which it is what remains of, is rounding in float64.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class ChannelMoments:
    """Three estimates of shape (C,); the units of mean and standard deviation are those of the tokens."""

    mean: Estimate
    std: Estimate
    kurtosis: Estimate


def channel_moments(tokens: Tensor) -> ChannelMoments:
    """Mean, standard deviation and excess kurtosis of every channel by `MOMENTS_PROTOCOL`.

    The kurtosis is at least -2 and, for a Gaussian, 0; heavy tails have no upper bound. It is NaN for a constant
    channel, and its standard error is NaN for a channel that is constant in all images but one.

    Args:
        tokens: (N, T, C), any floating-point type, N >= 2.

    Raises:
        LrcoreError: another shape or type, fewer than 2 images, NaN or infinity.
    """
    check_tokens(tokens)
    origin = channel_means(tokens)
    sums = _power_sums(tokens, origin)
    count, _, squares, _, _ = sums.sum(dim=0)
    rounding = _ROUNDING * squares / count

    def moments(part: Tensor) -> Tensor:
        mean, std, kurtosis = _moments(part, rounding)
        return torch.stack([mean + origin, std, kurtosis], dim=1)

    found = jackknife(sums, moments)
    errors = found.standard_error
    mean, std, kurtosis = (Estimate(found.value[i], errors[i], len(tokens)) for i in range(3))
    return ChannelMoments(mean, std, kurtosis)


def effective_dimension(tokens: Tensor) -> Estimate:
    """How many directions the tokens fill, a scalar by `DIMENSION_PROTOCOL`.

    The participation ratio (sum of eigenvalues)^2 / (sum of squared eigenvalues) of the covariance: C for channels that
    are uncorrelated and of equal variance, 1 where one direction has all of the variance. It is the dimensionality of
    Gao et al. 2017, A theory of multineuronal dimensionality, dynamics and measurement (bioRxiv 214262). From few
    images it comes out too low, the more so the more channels there are, which the jackknife takes away to first order;
    so an estimate may be above C, by less than a few standard errors. What is left matters where C is not small against
    the number of independent tokens.

    Args:
        tokens: (N, T, C), any floating-point type, N >= 2. Takes memory for `GROUPS` float64 matrices C x C.

    Raises:
        LrcoreError: as `channel_moments`, or the tokens are the same everywhere but in one group of images at most.
    """
    check_tokens(tokens)
    groups = min(GROUPS, len(tokens))
    origin = channel_means(tokens)
    # Every G-th image: neighbours in a data set are likelier to be alike.
    parts = [tokens[first::groups] for first in range(groups)]
    sums = torch.stack([_second_moments(part, origin) for part in parts])
    rounding = _ROUNDING * float(sums[:, 1:, 1:].sum(dim=0).trace() / sums[:, 0, 0].sum())
    found = jackknife(sums, lambda moments: _ratio_of_sums(moments, rounding))
    if found.replicates.isnan().any():
        raise LrcoreError(
            f"latents are the same at all positions of all images, but for one image in {groups} at most: "
            "they have no effective dimension"
        )
    value = found.corrected(torch.tensor([len(part) for part in parts]))
    return Estimate(value, found.standard_error, len(tokens))


def participation_ratio(covariance: Tensor) -> Tensor:
    """(...) of covariance matrices (..., C, C): from 1 to C; NaN for a matrix of zeros.

    Trace and Frobenius norm are sums of the eigenvalues and of their squares, so none has to be computed.
    """
    trace = covariance.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    return trace.square() / covariance.square().sum(dim=(-2, -1))


def _power_sums(tokens: Tensor, origin: Tensor) -> Tensor:
    """(N, 5, C): for each image the count of positions, and the sums of deviations from `origin` to the powers 1-4."""
    sums = []
    for part in chunks(tokens):
        deviations = part - origin
        squares = deviations.square()
        powers = [deviations, squares, squares * deviations, squares.square()]
        counts = torch.full_like(deviations[:, 0], tokens.shape[1])
        sums.append(torch.stack([counts, *(power.sum(dim=1) for power in powers)], dim=1))
    return torch.cat(sums)


def _moments(sums: Tensor, rounding: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean about the origin, standard deviation and excess kurtosis, each (B, C), of power sums (B, 5, C).

    A variance of at most `rounding` (C,) is none.
    """
    count, *totals = sums.unbind(dim=1)
    first, second, third, fourth = (total / count for total in totals)
    variance = second - first.square()
    constant = variance <= rounding
    central = fourth - 4 * first * third + 6 * first.square() * second - 3 * first.pow(4)
    kurtosis = torch.where(constant, torch.nan, central / variance.square() - 3)
    return first, torch.where(constant, 0.0, variance).sqrt(), kurtosis


def _second_moments(tokens: Tensor, origin: Tensor) -> Tensor:
    """(C + 1, C + 1): the sum of v v^T over tokens, with v = (1, token - origin); holds count, sums and products."""
    size = len(origin) + 1
    total = torch.zeros(size, size, dtype=torch.float64)
    for part in chunks(tokens):
        deviations = (part - origin).flatten(0, 1)
        sums = deviations.sum(dim=0)
        total[0, 0] += len(deviations)
        total[0, 1:] += sums
        total[1:, 0] += sums
        total[1:, 1:].addmm_(deviations.T, deviations)
    return total


def _ratio_of_sums(moments: Tensor, rounding: float) -> Tensor:
    """(B,) participation ratios of sums (B, C + 1, C + 1) made by `_second_moments`.

    NaN where the variance of all channels together is at most `rounding`.
    """
    scaled = moments / moments[:, :1, :1]
    mean = scaled[:, 0, 1:]
    covariance = scaled[:, 1:, 1:] - mean[:, :, None] * mean[:, None, :]
    variance = covariance.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    return torch.where(variance <= rounding, torch.nan, participation_ratio(covariance))
