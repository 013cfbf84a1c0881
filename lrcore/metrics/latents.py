"""What a latent space is like before anything is trained on it: all diagnostics of one autoencoder's latents at once.

Distribution (`moments`), smoothness (`spectrum`), symmetry (`equivariance`) and meaning (`probe`), and what others
propose as predictors of generation (`velocity_variance`, `neighbours`, `spectral_energy`). Each value has a standard
error and the protocol it was computed by.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lrcore.autoencoders.patches import from_tokens
from lrcore.errors import LrcoreError
from lrcore.metrics.equivariance import EQUIVARIANCE_PROTOCOL, SMALLEST_SHIFT_GRID, equivariance_errors
from lrcore.metrics.jackknife import Estimate, check_grid, check_tokens
from lrcore.metrics.moments import DIMENSION_PROTOCOL, MOMENTS_PROTOCOL, channel_moments, effective_dimension
from lrcore.metrics.neighbours import CONSISTENCY_PROTOCOL, NEIGHBOURS, neighbour_consistency
from lrcore.metrics.probe import PROBE_PROTOCOL, linear_probe
from lrcore.metrics.spectral_energy import ENERGY_PROTOCOL, FRACTIONS, spectral_energy
from lrcore.metrics.spectrum import SLOPE_PROTOCOL, SMALLEST_GRID, SPECTRUM_PROTOCOL, power_spectrum
from lrcore.metrics.velocity_variance import FEWEST_IMAGES, VIV_PROTOCOL, WITHIN_CLASS_PROTOCOL, velocity_variance

ONE_CLASS = "not measured: all images are of one class"
"""The protocol of what is about classes and so is NaN."""


@dataclass(frozen=True)
class LatentSample:
    """Normalised latents of one autoencoder, and the encoder that made them.

    `train_tokens` (M, T, C) and `train_labels` (M,) fit the linear probe; everything else is measured on validation
    images: `tokens` (N, T, C), `labels` (N,) and `images` (N, 3, H, W) uint8. `encode` takes float32 images
    (B, 3, H, W) in [-1, 1] and returns tokens (B, T, C). T is rows x columns of `grid`, row after row. `patch` is the
    side of the patch of latent pixels inside a token, whose channels are then in (channel, row, column) order, or 1.
    `classes` is the number of classes.
    """

    train_tokens: Tensor
    train_labels: Tensor
    tokens: Tensor
    labels: Tensor
    images: Tensor
    encode: Callable[[Tensor], Tensor]
    grid: tuple[int, int]
    patch: int
    classes: int


@dataclass(frozen=True)
class Diagnostic:
    """One number about a latent space.

    `index` counts channels, rings of frequencies or times from 0, and is -1 for a metric of the whole; `x` is a ring's
    frequency in cycles per token or a time, NaN elsewhere. `n_images` are those the number is from.
    """

    metric: str
    index: int
    x: float
    value: float
    standard_error: float
    n_images: int
    protocol: str
    split: str = "validation"
    network: str = ""
    network_sha256: str = ""


@dataclass(frozen=True)
class LatentPixels:
    """The latent as the autoencoder makes it, not cut into patches: `tokens` (N, rows x columns, C) on `grid`."""

    tokens: Tensor
    grid: tuple[int, int]


def latent_pixels(tokens: Tensor, grid: tuple[int, int], patch: int) -> LatentPixels:
    """The latent pixels inside patches: what a latent space is like must not depend on who reads it how.

    Raises:
        LrcoreError: tokens whose channels do not hold patches of that size.
    """
    if tokens.shape[2] % patch**2:
        raise LrcoreError(f"tokens of {tokens.shape[2]} channels do not hold patches of {patch} x {patch}")
    field = from_tokens(tokens, patch, grid)
    rows, columns = field.shape[2:]
    return LatentPixels(field.flatten(2).mT, (rows, columns))


def diagnose(latents: LatentSample) -> list[Diagnostic]:
    """All that is known about `latents`, in a fixed order.

    Metrics: `channel_mean`, `channel_std`, `channel_kurtosis` (C rows each; NaN for a constant channel),
    `effective_dimension`, `spectrum_power` (one row a ring), `spectrum_slope`, `flip_error`, `shift_error` and
    `probe_accuracy`. On a grid of fewer than 4 rows or columns the spectrum and the shift do not exist, nor does the
    probe where all training images are of one class: they have no rows. The spectrum is that of latent pixels.

    Raises:
        LrcoreError: parts that do not fit together, or that one of the metrics refuses.
    """
    _check(latents)
    side = min(latents.grid)
    found = _distribution(latents)
    if side * latents.patch >= SMALLEST_GRID:
        found += _spectrum(latents)
    names = [name for name in EQUIVARIANCE_PROTOCOL if name != "shift_error" or side >= SMALLEST_SHIFT_GRID]
    errors = equivariance_errors(latents.encode, latents.images, latents.grid, latents.patch, names)
    for name, estimate in errors.items():
        found += _rows(name, estimate, EQUIVARIANCE_PROTOCOL[name])
    if len(latents.train_labels.unique()) > 1:
        parts = (latents.train_tokens, latents.train_labels, latents.tokens, latents.labels)
        found += _rows("probe_accuracy", linear_probe(*parts, latents.classes), PROBE_PROTOCOL)
    return found


def predict(tokens: Tensor, labels: Tensor, grid: tuple[int, int], patch: int) -> list[Diagnostic]:
    """What Zhong et al. 2026 (arXiv 2606.03578) propose as predictors of generation, in a fixed order.

    `tokens` (N, T, C), `labels` (N,), `grid` and `patch` are those of `LatentSample`.

    Metrics: `viv`, `viv_scaled` (times the square root of the dimension), `within_class_variance`,
    `neighbour_consistency_5` and `_10`, `spectral_energy_25` and `_50`, all of latent pixels on validation images.
    Where no class has enough images the first three have no rows, nor has what needs more images or pixels than there
    are. Where all images are of one class, what is about classes is NaN, and its protocol says why.

    Raises:
        LrcoreError: parts that do not fit together, or that one of the metrics refuses.
    """
    check_tokens(tokens)
    check_grid(grid, tokens.shape[1])
    pixels = latent_pixels(tokens, grid, patch)
    found: list[Diagnostic] = []
    one_class = len(labels.unique()) == 1
    if int(labels.unique(return_counts=True)[1].max()) >= FEWEST_IMAGES:
        viv = velocity_variance(pixels.tokens, labels)
        found += _rows("viv", viv.viv, VIV_PROTOCOL)
        found += _rows("viv_scaled", viv.scaled, f"{VIV_PROTOCOL}; times the square root of the latent's dimension")
        within = _undefined(viv.within_class) if one_class else viv.within_class
        found += _rows("within_class_variance", within, ONE_CLASS if one_class else WITHIN_CLASS_PROTOCOL)
    counts = [count for count in NEIGHBOURS if count < len(pixels.tokens)]
    shares = neighbour_consistency(pixels.tokens, labels, counts) if counts else []
    for count, share in zip(counts, shares, strict=True):
        protocol = ONE_CLASS if one_class else f"{count} neighbours; {CONSISTENCY_PROTOCOL}"
        found += _rows(f"neighbour_consistency_{count}", _undefined(share) if one_class else share, protocol)
    if min(pixels.grid) > 1:
        for rho, share in zip(FRACTIONS, spectral_energy(pixels.tokens, pixels.grid), strict=True):
            found += _rows(f"spectral_energy_{round(100 * rho)}", share, f"rho = {rho:g}; {ENERGY_PROTOCOL}")
    return found


def _undefined(estimate: Estimate) -> Estimate:
    nothing = torch.full_like(estimate.value, math.nan)
    return Estimate(nothing, nothing, estimate.n_images)


def _distribution(latents: LatentSample) -> list[Diagnostic]:
    moments = channel_moments(latents.tokens)
    channels = {"channel_mean": moments.mean, "channel_std": moments.std, "channel_kurtosis": moments.kurtosis}
    found = [row for name, estimate in channels.items() for row in _rows(name, estimate, MOMENTS_PROTOCOL[name])]
    return found + _rows("effective_dimension", effective_dimension(latents.tokens), DIMENSION_PROTOCOL)


def _spectrum(latents: LatentSample) -> list[Diagnostic]:
    pixels = latent_pixels(latents.tokens, latents.grid, latents.patch)
    spectrum = power_spectrum(pixels.tokens, pixels.grid)
    # per token, whose side is the same part of the image in every latent space of a study
    power = _rows("spectrum_power", spectrum.power, SPECTRUM_PROTOCOL, spectrum.frequency * latents.patch)
    return power + _rows("spectrum_slope", spectrum.slope, SLOPE_PROTOCOL)


def _rows(metric: str, estimate: Estimate, protocol: str, x: Tensor | None = None) -> list[Diagnostic]:
    whole = estimate.value.ndim == 0
    values, errors = estimate.value.reshape(-1).tolist(), estimate.standard_error.reshape(-1).tolist()
    places = [math.nan] * len(values) if x is None else x.tolist()
    return [
        Diagnostic(metric, -1 if whole else index, place, value, error, estimate.n_images, protocol)
        for index, (place, value, error) in enumerate(zip(places, values, errors, strict=True))
    ]


def _check(latents: LatentSample) -> None:
    """Refuse what does not fit before the first, slow metric."""
    for tokens in (latents.tokens, latents.train_tokens):
        check_tokens(tokens)
        check_grid(latents.grid, tokens.shape[1])
    if len(latents.images) != len(latents.tokens):
        raise LrcoreError(f"{len(latents.images)} images do not go with latents of {len(latents.tokens)}")
