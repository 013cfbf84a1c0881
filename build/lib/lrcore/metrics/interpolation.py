"""Interpolated FID: a predictor of how learnable a latent space is that needs no training.

Every latent is moved half-way to its nearest neighbour and decoded; the Frechet distance of these images to the
originals is the interpolated FID (Xu et al. 2026, arXiv:2603.05630). It is small where the straight line between
neighbours stays on the manifold of images, which is what a generative model has to fill. It goes by the name of FID in
the features of the 2015 Inception alone.

Straight lines, Euclidean neighbours and one set of images are ours. The authors' released code goes half-way, too, but
on great circles, towards one of the ten nearest by cosine among the training images, drawn at random: their published
figures must not be compared with these.
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


def interpolated_frechet(
    autoencoder: Autoencoder,
    latents: Tensor,
    network: FeatureNetwork,
    originals: FrechetReference,
    before_chunk: Callable[[], None] = lambda: None,
) -> float:
    """The Frechet distance of decoded interpolations to the images whose latents these are.

    Args:
        latents: (N, tokens, channels), normalised as `autoencoder` encodes them.
        originals: the statistics of the same N images in the features of `network`.
        before_chunk: called before every block of distances and every batch that is decoded; may raise to stop.

    Raises:
        LrcoreError: as `nearest_neighbours`, a decoded image holds NaN, or the network's dimension is not that of the
            statistics.
    """
    moved = interpolated_latents(latents, before_block=before_chunk)

    def images() -> Iterator[Tensor]:
        for chunk in moved.split(IMAGES_PER_FORWARD):
            before_chunk()
            decoded = autoencoder.decode(chunk)
            if torch.isnan(decoded).any():
                raise LrcoreError("interpolated latents decode to NaN: no distance of such images")
            yield to_uint8(decoded).cpu()

    return originals.distance(statistics(network, images()))
