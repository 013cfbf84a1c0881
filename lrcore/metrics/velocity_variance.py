"""Velocity irreducible variance (VIV): how much of the velocity no denoiser can know, if each class were Gaussian.

Zhong et al. 2026 (arXiv 2606.03578) integrate over t the loss I(t) that is left of the best guess of the velocity
(`lrcore.metrics.gaussian_loss`). Along a direction of variance l the integral is (pi / 2) sqrt(l), and VIV is its mean
over directions and classes. They find that it orders generators well within one family of tokenizers; on unlike latents
it does not, and as it depends on the latent's dimension, what they list beside it is computed here, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lrcore.errors import LrcoreError
from lrcore.metrics.deviations import class_deviations
from lrcore.metrics.jackknife import Estimate, check_tokens, chunks
from lrcore.metrics.kronecker import ALTERNATIONS, kronecker_covariance

FEWEST_IMAGES = 8
"""Classes of fewer images are left out: their covariance is mostly chance."""

VIV_PROTOCOL = (
    "mean over directions and classes of (pi / 2) sqrt(l), l: eigenvalues of each class's covariance as a Kronecker "
    f"product of positions and channels ({ALTERNATIONS} alternations of flip-flop), scaled to the class's variance; "
    f"latent pixels standardised per channel; classes of at least {FEWEST_IMAGES} images; standard error over classes"
)
WITHIN_CLASS_PROTOCOL = (
    "mean over classes of the variance within the class, of latent pixels standardised per channel, whose variance in "
    f"all is 1 a number; classes of at least {FEWEST_IMAGES} images; standard error over classes"
)


@dataclass(frozen=True)
class VelocityVariance:
    """`viv`; `scaled`, that times the square root of the latent's dimension; `within_class`, the share of variance.

    Scalars. White latents that know nothing of classes have a VIV of pi / 2 and a share of 1.
    """

    viv: Estimate
    scaled: Estimate
    within_class: Estimate


def velocity_variance(tokens: Tensor, labels: Tensor, check: Callable[[], None] = lambda: None) -> VelocityVariance:
    """VIV by `VIV_PROTOCOL`.

    Args:
        tokens: (N, T, C), any floating-point type: latent pixels, not patches of them.
        labels: (N,) integers.
        check: called before each class; may raise to stop.

    Raises:
        LrcoreError: another shape or type, NaN or infinity, a latent that does not vary, or no class of
            at least `FEWEST_IMAGES` images that differ.
    """
    check_tokens(tokens)
    if labels.shape != tokens.shape[:1]:
        raise LrcoreError(f"labels must be one integer for each of {len(tokens)} images, got {tuple(labels.shape)}")
    mean, deviation = _channels(tokens)
    classes, images = labels.unique(return_counts=True)
    found, looked_at = [], 0
    for name, count in zip(classes, images, strict=True):
        if count < FEWEST_IMAGES:
            continue
        check()
        own = (tokens[labels == name].to("cpu", torch.float64) - mean) / deviation
        deviations = class_deviations(own, torch.zeros(len(own), dtype=torch.int64))
        if not deviations.variance:  # a class of one image many times, such as blank ones
            continue
        looked_at += len(own)
        covariance = kronecker_covariance(deviations)
        eigenvalues = covariance.eigenvalues
        found.append((math.pi / 2 * eigenvalues.clamp(min=0).sqrt().mean(), eigenvalues.mean()))
    if not found:
        raise LrcoreError(
            f"VIV needs a class of at least {FEWEST_IMAGES} images that differ, the largest has {int(images.max())}"
        )
    each = torch.tensor(found, dtype=torch.float64)
    viv, within = (_over_classes(column, looked_at) for column in each.T)
    root = math.sqrt(tokens[0].numel())
    return VelocityVariance(viv, Estimate(viv.value * root, viv.standard_error * root, looked_at), within)


def _channels(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (C,) over images and positions; a constant channel's deviation is 1."""
    sums = torch.zeros(2, tokens.shape[2], dtype=torch.float64)
    for part in chunks(tokens):
        sums += torch.stack([part.sum(dim=(0, 1)), part.square().sum(dim=(0, 1))])
    mean, square = sums / tokens[..., 0].numel()
    variance = square - mean.square()
    constant = variance <= 1e-12 * square
    if constant.all():
        raise LrcoreError("the latents are the same everywhere: they have no covariance")
    return mean, torch.where(constant, 1.0, variance.clamp(min=0)).sqrt()


def _over_classes(values: Tensor, images: int) -> Estimate:
    """The mean of a value a class; its error is unknown of one class."""
    error = values.std() / math.sqrt(len(values)) if len(values) > 1 else torch.tensor(math.nan, dtype=torch.float64)
    return Estimate(values.mean(), error, images)
