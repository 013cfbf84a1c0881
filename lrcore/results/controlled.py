"""Which latent spaces are controlled comparisons: in each one thing varies, the channels or the alignment.

By the names that they have in the shipped study `cifar10-cpu`, as `naming` has their looks. A study that lacks them has
no such comparison.
"""

from __future__ import annotations

from dataclasses import dataclass

LINEAR = ("pca4", "pca8", "pca16", "pca32", "pixels")
"""Channels alone: patches of 4 x 4 pixels in ever more coordinates, times one scale, so that their mean variance is 1.

The coordinates of `pcaN` are the first N principal components. Those of `pixels` are the pixels themselves: all of the
components, rotated (`autoencoders.patch_autoencoder`).
"""


@dataclass(frozen=True)
class Alignment:
    """One autoencoder without alignment to a vision encoder, and with it.

    `aligned`: its trainings with alignment, which differ in their seed alone. `also`: what differs from `unaligned`
    beside alignment and seed; "" for nothing.
    """

    unaligned: str
    aligned: tuple[str, ...]
    also: str = ""


ALIGNMENTS = (
    Alignment("flux1", ("flux1-aligned",), "normalisation"),  # one scale for all channels, against one for each
    Alignment("flux2-plain", ("flux2", "flux2-again")),
)
"""What alignment does at the same number of channels, and, by two trainings with it, what the seed alone does."""
