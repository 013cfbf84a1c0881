"""The loss of the best linear denoiser: what second moments alone tell of the velocity at each noise level.

Of x with covariance S and x_t = (1 - t) x + t eps the best affine guess of the velocity eps - x leaves, in each
direction of S with variance l,

    I(t) = (1 + l) - ((1 - t) l - t)^2 / ((1 - t)^2 l + t^2) = l / (t^2 + (1 - t)^2 l)

the variance of eps - x less its squared covariance with x_t over the variance of x_t. A Gaussian has no better guess,
and any other x of that covariance one at least as good, so I(t) bounds the irreducible loss from above (Zhong et al.
2026, arXiv 2606.03578, whose velocity irreducible variance is its integral over t).

Eigenvalues of a covariance from few images are too unequal, which makes I(t) too low, and those of a Kronecker product
by class, as in that work, are no substitute: of the FLUX.1 latents of study cifar10 they give 0.98 at t = 0.6, where a
linear denoiser leaves 0.57. So what stands here is the loss of a linear denoiser on images that its directions were not
made from. It guesses along one eigenvector of the covariance of some images at a time, knowing how much others of the
class vary along it. In any orthonormal directions that loss is at least I(t) of S, since I is concave in l, and in S's
own it is I(t).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lrcore.metrics.deviations import ClassDeviations, class_deviations
from lrcore.metrics.jackknife import Estimate, jackknife
from lrcore.metrics.kronecker import ALTERNATIONS, kronecker_covariance

GAUSSIAN_LOSS = "gaussian_loss"
"""Name of the metric."""

TIMES = torch.linspace(0, 1, 101, dtype=torch.float64)
"""Times the loss is given at."""

FITTED = 4
"""One image in so many is measured; the others determine the directions."""

GROUPS = 50
"""Groups of images that the loss is jackknifed over."""

LARGE_CLASS = 100
"""Measured images of a class that has variances of its own. From n Gaussian ones these err by sqrt(2 / n), which lowers
the loss by at most 1 / (2 n) of it, here 0.5 %."""

GAUSSIAN_PROTOCOL = (
    "mean over directions and images of l / (t^2 + (1 - t)^2 l), t = 0 data, t = 1 noise; l: variance within the class "
    f"along a direction, of every {FITTED}th image; classes with fewer than {LARGE_CLASS} of these share theirs; "
    "directions: eigenvectors of the mean covariance within classes of the other images, or, of fewer images than "
    f"numbers in a latent, of its Kronecker product of positions and channels ({ALTERNATIONS} alternations of "
    "flip-flop); latents as they are, the posterior's mode, images not mirrored; delete-a-group jackknife over "
    f"{GROUPS} groups of the measured images, directions held"
)


def loss_of_variances(variances: Tensor, t: Tensor) -> Tensor:
    """I(t), mean over directions: (..., K) of `variances` (..., D), at least 0, and times `t` (K,) in [0, 1].

    I(0) is 1, or the share of directions that vary at all, and I(1) the mean variance.
    """
    wide = variances[..., None, :]
    time = t[:, None]
    loss = wide / (time.square() + (1 - time).square() * wide)
    return torch.where(wide > 0, loss, 0.0).mean(dim=-1)  # 0 / 0 at t = 0


def gaussian_loss(
    tokens: Tensor, labels: Tensor, t: Tensor = TIMES, check: Callable[[], None] = lambda: None
) -> Estimate:
    """I(t) of latents of images whose class is given, (K,) by `GAUSSIAN_PROTOCOL`.

    At least that of the best linear denoiser, and the nearer the more images there are. The standard error is that from
    the measured images; it knows nothing of how far the directions are from the best.

    Args:
        tokens: (N, T, C), any floating-point type.
        labels: (N,) integers.
        t: (K,) float64 in [0, 1].
        check: called between parts of the work, and may raise to stop.

    Raises:
        LrcoreError: another shape or type, NaN or infinity, too few images of each class, or images that do not differ.
    """
    measured = torch.arange(len(tokens)) % FITTED == FITTED - 1
    fitted = class_deviations(tokens[~measured], labels[~measured])
    others = class_deviations(tokens[measured], labels[measured])
    check()
    rotate = _rotation(fitted)
    check()
    found = jackknife(_sums(others, rotate), lambda sums: _loss(sums, t))
    return Estimate(found.value, found.standard_error, len(tokens))


def _rotation(fitted: ClassDeviations) -> Callable[[Tensor], Tensor]:
    """Deviations (B, T, C) to their parts (B, D) along the eigenvectors of the covariance of `fitted`."""
    dimension = fitted.tokens[0].numel()
    degrees = len(fitted) - len(fitted.labels.unique())
    if degrees < dimension:
        kronecker = kronecker_covariance(fitted)
        return lambda deviations: kronecker.rotated(deviations).flatten(1)
    covariance = torch.zeros(dimension, dimension, dtype=torch.float64)
    for part in fitted:
        covariance.addmm_(part.flatten(1).T, part.flatten(1))
    vectors = torch.linalg.eigh(covariance).eigenvectors
    return lambda deviations: deviations.flatten(1) @ vectors


def _sums(measured: ClassDeviations, rotate: Callable[[Tensor], Tensor]) -> Tensor:
    """(G, V, 1 + D): of each group of images and each class with variances of its own, or all others together, the
    number of images and the sum of squares along each direction."""
    _, classes, images = measured.labels.unique(return_inverse=True, return_counts=True)
    # classes that are too small share the last place
    places = torch.where(images >= LARGE_CLASS, (images >= LARGE_CLASS).cumsum(0) - 1, len(images))
    _, shared = places[classes].unique(return_inverse=True)
    groups = min(GROUPS, len(measured))
    sums = torch.zeros(groups, int(shared.max()) + 1, 1 + measured.tokens[0].numel(), dtype=torch.float64)
    first = 0
    for part in measured:
        along = rotate(part).square()
        number = torch.arange(first, first + len(part))
        rows = torch.cat([torch.ones(len(part), 1, dtype=torch.float64), along], dim=1)
        sums.index_put_((number % groups, shared[number]), rows, accumulate=True)
        first += len(part)
    return sums


def _loss(sums: Tensor, t: Tensor) -> Tensor:
    """(B, K) of `_sums` (B, V, 1 + D)."""
    images = sums[..., 0]
    variances = sums[..., 1:] / images.clamp(min=1)[..., None]
    # a time and a row at a time: all at once would be as many numbers as latents of all images
    each = torch.stack([loss_of_variances(variances, time[None])[..., 0] for time in t], dim=-1)
    return (each * images[..., None]).sum(dim=1) / images.sum(dim=1)[:, None]
