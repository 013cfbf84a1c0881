"""Latent spaces without training: an image's patches as they are, or their first principal components.

Tokens are patches of pixels minus the mean patch, in an orthonormal basis, times one number for all coefficients. One
for each would be whitening: fine structure, which has little variance in images, would count as much as coarse.
Decoding is the transpose, so all that is lost is what lies along the components left out.

Principal components of small patches of natural images: Hancock, Baddeley and Smith 1992, "The principal components of
natural images", Network 3(1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lrcore.autoencoders.base import IMAGES_PER_FORWARD, Autoencoder, CollapsedError, LatentShape, token_grid
from lrcore.autoencoders.patches import from_tokens, to_tokens


def patch_moments(pixels: Any, patch: int, before_chunk: Callable[[], None] = lambda: None) -> Tensor:
    """Mean and covariance of the patches of all images, in the units of images in [-1, 1].

    The sums are of whole numbers below 2^53, so float64 holds them exactly: neither the order of the images nor the
    number of threads moves a bit of the result.

    Args:
        pixels: uint8 images (N, 3, H, W), a tensor or `LazyImages`.
        patch: side of a patch, which divides H and W.
        before_chunk: called before each chunk of images; may raise to stop.

    Returns:
        float64 (V + 1, V), with V = 3 patch^2: the mean, then the covariance (over N patches, not N - 1).
    """
    values = 3 * patch**2
    count, total, products = 0, torch.zeros(values).double(), torch.zeros(values, values).double()
    for chunk in pixels.split(IMAGES_PER_FORWARD):
        before_chunk()
        patches = to_tokens(chunk, patch).flatten(0, 1).double()
        count += len(patches)
        total += patches.sum(dim=0)
        products += patches.T @ patches
    mean = total / count
    covariance = products / count - torch.outer(mean, mean)
    return torch.cat([(mean / 127.5 - 1.0).unsqueeze(0), covariance / 127.5**2])


def principal_components(covariance: Tensor) -> Tensor:
    """The orthonormal eigenvectors of a covariance (V, V) as rows (V, V), by falling variance.

    An eigenvector's sign is free, and libraries choose it as it comes: here the first of its entries that is at least
    half as large as the largest is positive. (Not the largest itself: in patches of images two of opposite sign are
    often equal but for rounding.)
    """
    components: Tensor = torch.linalg.eigh(covariance).eigenvectors.flip(1).T.contiguous()
    magnitude = components.abs()
    first = (magnitude >= magnitude.amax(dim=1, keepdim=True) / 2).int().argmax(dim=1, keepdim=True)
    return components * components.gather(1, first).sign()


def latent_shape(resolution: int, patch: int, coefficients: int = 0) -> LatentShape:
    """Of images of `resolution` px: see `PatchAutoencoder`.

    Raises:
        LrcoreError: the patch does not divide the resolution.
    """
    # principal components have no places inside a token
    channels, inside = (coefficients, 1) if coefficients else (3 * patch**2, patch)
    return LatentShape(resolution, token_grid(resolution, 1, patch), channels, inside)


class PatchAutoencoder(Autoencoder):
    """(patch - mean) times the transposed basis, times one scale; back again by the basis."""

    mean: Tensor
    basis: Tensor
    scale: Tensor
    one_scale = True

    def __init__(self, moments: Tensor, resolution: int, patch: int, coefficients: int = 0) -> None:
        """`moments`: of `patch_moments`; `coefficients`: 1 to 3 patch^2, or 0 for pixels as they are.

        Raises:
            CollapsedError: the training images are all the same.
            LrcoreError: the patch does not divide the resolution.
        """
        super().__init__()
        self.shape, self.patch = latent_shape(resolution, patch, coefficients), patch
        mean, covariance = moments[0], moments[1:]
        basis = principal_components(covariance)[:coefficients] if coefficients else torch.eye(len(mean)).double()
        variance = torch.trace(basis @ covariance @ basis.T) / len(basis)
        if not variance > 0:
            raise CollapsedError("the patches of all training images are the same: there is nothing to normalise")
        for name, value in ("mean", mean), ("basis", basis), ("scale", variance.rsqrt()):
            self.register_buffer(name, value.float())

    def encode_batch(self, images: Tensor) -> Tensor:
        return (to_tokens(images, self.patch) - self.mean) @ self.basis.T * self.scale

    def decode_batch(self, tokens: Tensor) -> Tensor:
        return from_tokens(tokens / self.scale @ self.basis + self.mean, self.patch, self.shape.grid)
