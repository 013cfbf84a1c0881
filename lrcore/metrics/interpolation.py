"""Interpolated FID: a predictor of how learnable a latent space is that needs no training.

Every latent is moved half-way to its nearest neighbour and decoded; the Frechet distance of these images to the
originals is the interpolated FID (Xu et al. 2026, arXiv:2603.05630). It is small where the straight line between
neighbours stays on the manifold of images, which is what a generative model has to fill. It goes by the name of FID in
the features of the 2015 Inception alone.

Straight lines, Euclidean neighbours and one set of images are ours (`interpolated_latents`). The authors' released code
goes half-way, too, but on great circles, towards one of the ten nearest by cosine, drawn at random
(`great_circle_latents`). They take neighbours among all training images of ImageNet, so their published figures must
not be compared with these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from lrcore.autoencoders.base import IMAGES_PER_FORWARD, Autoencoder
from lrcore.datasets.images import to_uint8
from lrcore.errors import LrcoreError
from lrcore.metrics.features import FeatureNetwork, statistics
from lrcore.metrics.frechet import FrechetReference

HALF_WAY = 0.5
"""Weight of the neighbour: furthest from both images."""

NEAREST = 10
"""One of so many neighbours is drawn for a great circle."""

BLOCK = 512
"""Rows of the distance matrix held at once: 512 x N numbers of 4 bytes."""


def nearest_neighbours(latents: Tensor, before_block: Callable[[], None] = lambda: None) -> Tensor:
    """The number (N,), int64, of the nearest other latent of each, Euclidean, over all tokens and channels.

    `latents`: (N, tokens, channels). A copy of a latent is its nearest neighbour. `before_block` may raise to stop.

    Raises:
        LrcoreError: fewer than 2 latents, NaN or infinity.
    """
    points = latents.flatten(1).float()
    if len(points) < 2:
        raise LrcoreError(f"a nearest neighbour needs at least 2 latents, got {len(points)}")
    if not torch.isfinite(points).all():
        raise LrcoreError("latents hold NaN or infinity: no nearest neighbours")
    points = points - points.mean(dim=0)  # distances stay; float32 keeps more of their digits
    found = []
    for start in range(0, len(points), BLOCK):
        before_block()
        distances = torch.cdist(points[start : start + BLOCK], points)
        rows = torch.arange(len(distances), device=points.device)
        distances[rows, rows + start] = torch.inf
        found.append(distances.argmin(dim=1))
    return torch.cat(found)


def interpolated_latents(
    latents: Tensor, weight: float = HALF_WAY, before_block: Callable[[], None] = lambda: None
) -> Tensor:
    """(1 - weight) z + weight z', z' the nearest neighbour of z; shape as `latents`.

    Raises:
        LrcoreError: as `nearest_neighbours`, or `weight` is outside [0, 1].
    """
    if not 0.0 <= weight <= 1.0:
        raise LrcoreError(f"the neighbour's weight must be in [0, 1], got {weight}")
    return torch.lerp(latents, latents[nearest_neighbours(latents, before_block)], weight)


def great_circle_latents(
    latents: Tensor, generator: torch.Generator, before_block: Callable[[], None] = lambda: None
) -> Tensor:
    """Each latent half-way to one of its `NEAREST` neighbours by cosine, drawn at random; shape as `latents`.

    Spherical interpolation over all numbers of a latent: (z + z') / (2 cos(w / 2)), w the angle between them, so that
    two of one length keep it (Shoemake 1985, Animating rotation with quaternion curves). Of fewer than 11 latents all
    others are neighbours.

    Args:
        latents: (N, tokens, channels).
        generator: on the CPU; draws the neighbours.
        before_block: may raise to stop.

    Raises:
        LrcoreError: fewer than 2 latents, NaN or infinity, or one that is zero.
    """
    points = latents.flatten(1).float()
    if len(points) < 2:
        raise LrcoreError(f"a nearest neighbour needs at least 2 latents, got {len(points)}")
    if not torch.isfinite(points).all():
        raise LrcoreError("latents hold NaN or infinity: no nearest neighbours")
    if not points.any(dim=1).all():
        raise LrcoreError("a latent is zero: it has no direction, and no neighbours by it")
    directions = torch.nn.functional.normalize(points, dim=1)
    nearest = min(NEAREST, len(points) - 1)
    drawn = torch.randint(nearest, (len(points),), generator=generator).to(points.device)
    moved = torch.empty_like(latents)
    for start in range(0, len(points), BLOCK):
        before_block()
        similarity = directions[start : start + BLOCK] @ directions.T
        rows = torch.arange(len(similarity), device=points.device)
        similarity[rows, rows + start] = -torch.inf
        found = similarity.topk(nearest, dim=1)
        place = drawn[start : start + BLOCK, None]
        cosine = found.values.gather(1, place).clamp(-1, 1)
        neighbour = latents[found.indices.gather(1, place)[:, 0]]
        # cos(w / 2) = sqrt((1 + cos w) / 2), which is 0 for opposite ones alone
        scale = (2 * (1 + cosine)).sqrt().clamp(min=1e-6).to(latents.dtype)
        moved[start : start + BLOCK] = (latents[start : start + BLOCK] + neighbour) / scale[:, :, None]
    return moved


def interpolated_frechet(
    autoencoder: Autoencoder,
    moved: Tensor,
    network: FeatureNetwork,
    originals: FrechetReference,
    before_chunk: Callable[[], None] = lambda: None,
    count: Callable[[int], None] = lambda images: None,
) -> float:
    """The Frechet distance of decoded interpolations to the images that these lie between.

    Args:
        moved: (N, tokens, channels), interpolations of latents that are normalised as `autoencoder` encodes them.
        originals: the statistics of the N images whose latents were moved, in the features of `network`.
        before_chunk: called before every batch that is decoded; may raise to stop.
        count: told of every few images that were decoded.

    Raises:
        LrcoreError: a decoded image holds NaN, or the network's dimension is not that of the statistics.
    """

    def images() -> Iterator[Tensor]:
        for chunk in moved.split(IMAGES_PER_FORWARD):
            before_chunk()
            decoded = autoencoder.decode(chunk)
            if torch.isnan(decoded).any():
                raise LrcoreError("interpolated latents decode to NaN: no distance of such images")
            yield to_uint8(decoded).cpu()
            count(len(chunk))

    return originals.distance(statistics(network, images()))
