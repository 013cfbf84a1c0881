"""What a latent space is like before anything is trained on it: all diagnostics of one autoencoder's latents at once.

Distribution (`moments`), smoothness (`spectrum`), symmetry (`equivariance`) and meaning (`probe`). Each value has a
standard error over images and the protocol it was computed by.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from lrcore.errors import LrcoreError
from lrcore.metrics.equivariance import EQUIVARIANCE_PROTOCOL, SMALLEST_SHIFT_GRID, equivariance_errors
from lrcore.metrics.jackknife import Estimate, check_grid, check_tokens
from lrcore.metrics.moments import DIMENSION_PROTOCOL, MOMENTS_PROTOCOL, channel_moments, effective_dimension
from lrcore.metrics.probe import PROBE_PROTOCOL, linear_probe
from lrcore.metrics.spectrum import SLOPE_PROTOCOL, SMALLEST_GRID, SPECTRUM_PROTOCOL, power_spectrum


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


def diagnose(latents: LatentSample) -> list[Diagnostic]:
    """All that is known about `latents`, in a fixed order.

    Metrics: `channel_mean`, `channel_std`, `channel_kurtosis` (C rows each; NaN for a constant channel),
    `effective_dimension`, `spectrum_power` (one row a ring), `spectrum_slope`, `flip_error`, `shift_error` and
    `probe_accuracy`. On a grid of fewer than 4 rows or columns the spectrum and the shift do not exist, nor does the
    probe where all training images are of one class: they have no rows.

    Raises:
        LrcoreError: parts that do not fit together, or that one of the metrics refuses.
    """
    _check(latents)
    side = min(latents.grid)
    found = _distribution(latents)
    if side >= SMALLEST_GRID:
        found += _spectrum(latents)
    names = [name for name in EQUIVARIANCE_PROTOCOL if name != "shift_error" or side >= SMALLEST_SHIFT_GRID]
    errors = equivariance_errors(latents.encode, latents.images, latents.grid, latents.patch, names)
    for name, estimate in errors.items():
        found += _rows(name, estimate, EQUIVARIANCE_PROTOCOL[name])
    if len(latents.train_labels.unique()) > 1:
        parts = (latents.train_tokens, latents.train_labels, latents.tokens, latents.labels)
        found += _rows("probe_accuracy", linear_probe(*parts, latents.classes), PROBE_PROTOCOL)
    return found


def _distribution(latents: LatentSample) -> list[Diagnostic]:
    moments = channel_moments(latents.tokens)
    channels = {"channel_mean": moments.mean, "channel_std": moments.std, "channel_kurtosis": moments.kurtosis}
    found = [row for name, estimate in channels.items() for row in _rows(name, estimate, MOMENTS_PROTOCOL[name])]
    return found + _rows("effective_dimension", effective_dimension(latents.tokens), DIMENSION_PROTOCOL)


def _spectrum(latents: LatentSample) -> list[Diagnostic]:
    spectrum = power_spectrum(latents.tokens, latents.grid)
    power = _rows("spectrum_power", spectrum.power, SPECTRUM_PROTOCOL, spectrum.frequency)
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
