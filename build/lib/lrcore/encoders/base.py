"""What a frozen vision encoder is: patch features for REPA, semantic alignment and the RAE-like autoencoder, pooled
features as a space for Frechet distances.

`lrcore.encoders.loading` makes one by its name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lrcore.errors import LrcoreError

RESIZE_RULE = "antialiased bicubic, half-pixel centres"
"""How images reach the encoder's input size."""


@dataclass(frozen=True)
class Features:
    """What one forward pass gives, float32.

    `patches`: (B, patch_channels, grid, grid), the last feature map of stride 16, or the patch tokens of a transformer.
    `pooled`: (B, pooled_dim), one vector per image from the end of the network, before the classifier.
    """

    patches: Tensor
    pooled: Tensor


class VisionEncoder(nn.Module, ABC):
    """A frozen image network read at two depths.

    Images are float in [-1, 1], (B, 3, H, W), any H and W; they are resized to `size` px by `RESIZE_RULE`.
    Always in eval mode and float32, autocast or not, and without gradients, so that its features are the
    same wherever it is called from. Outputs are ordinary tensors: a loss may keep them for its backward pass.

    Attributes:
        name: as given to `load_encoder`.
        size: side in px at which the network sees every image.
        sha256: of the weights.
        patch_channels, pooled_dim: channels of the two kinds of `Features`.
        grid: rows, and columns, of the patch map.
    """

    patch_channels: int
    pooled_dim: int

    def __init__(self, name: str, network: Any, size: int, sha256: str) -> None:
        """`network`: of which `_prepared` is kept; `sha256`: of its weights.

        Raises:
            LrcoreError: `size` is not whole patches.
        """
        super().__init__()
        stride = self._stride(network)
        check_size(size, stride)
        self.name = name
        self.size = size
        self.sha256 = sha256
        self.grid = size // stride
        self.network = self._prepared(network).requires_grad_(False)
        self.eval()

    def forward(self, images: Tensor) -> Features:
        """Both depths in one pass.

        Raises:
            LrcoreError: `images` is not a floating-point (B, 3, H, W) tensor.
        """
        _check(images)
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            read = [self._read(self._input(part)) for part in _parts(images)]
        patches, pooled = zip(*read, strict=True)
        return Features(patches=torch.cat(patches), pooled=torch.cat(pooled))

    def patches_only(self, images: Tensor) -> Tensor:
        """`Features.patches` without computing the later stages, for training loops; raises as `forward`."""
        _check(images)
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            return torch.cat([self._patches(self._input(part)) for part in _parts(images)])

    def train(self, mode: bool = True) -> VisionEncoder:
        """Stays in eval mode: batch statistics would move when a module that holds this one is trained."""
        return super().train(False)

    # What differs between networks.

    @abstractmethod
    def _stride(self, network: Any) -> int:
        """Input pixels per patch."""

    @abstractmethod
    def _prepared(self, network: Any) -> nn.Module:
        """The network as it is computed."""

    @abstractmethod
    def _input(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [-1, 1] as the network takes them."""

    @abstractmethod
    def _patches(self, inputs: Tensor) -> Tensor:
        """Patches (B, patch_channels, grid, grid) of one part of a batch."""

    @abstractmethod
    def _read(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Patches and pooled features (B, pooled_dim) of one part of a batch."""


def check_size(size: int, stride: int) -> None:
    """Check that `size` px are whole patches of `stride` px.

    Raises:
        LrcoreError: they are not; names the allowed sizes.
    """
    if size < stride or size % stride:
        below = max(size // stride, 1) * stride
        raise LrcoreError(
            f"encoder size {size} must be a positive multiple of {stride} px, such as {below} or {below + stride}"
        )


def resized(images: Tensor, size: int) -> Tensor:
    """Images (B, C, H, W) as float32 (B, C, size, size), by `RESIZE_RULE`."""
    images = images.float()
    if images.shape[-2:] == (size, size):
        return images
    return functional.interpolate(images, size=(size, size), mode="bicubic", align_corners=False, antialias=True)


def patches_at(features: Tensor, grid: tuple[int, int]) -> Tensor:
    """A patch map (B, C, h, w) on another grid (rows, columns), so that a loss can compare it with tokens there.

    Averages over areas along an axis that shrinks, interpolates linearly (half-pixel centres) along one that grows;
    an equal grid gives `features` itself. Differentiable.

    Raises:
        LrcoreError: not a 4-d map, or a grid without rows or columns.
    """
    rows, columns = grid
    if features.ndim != 4 or rows < 1 or columns < 1:
        raise LrcoreError(f"a patch map (B, C, h, w) is needed for grid {grid}, got {tuple(features.shape)}")
    coarse = (min(rows, features.shape[2]), min(columns, features.shape[3]))
    if coarse != tuple(features.shape[2:]):
        features = functional.adaptive_avg_pool2d(features, coarse)
    if coarse != (rows, columns):
        features = functional.interpolate(features, size=(rows, columns), mode="bilinear", align_corners=False)
    return features


def _check(images: Tensor) -> None:
    if not images.is_floating_point() or images.ndim != 4 or images.shape[1] != 3:
        raise LrcoreError(
            f"an encoder takes float images (B, 3, H, W) in [-1, 1], got {images.dtype} {tuple(images.shape)}"
        )


def _parts(images: Tensor) -> Sequence[Tensor]:
    """The batch as it is computed: on a CPU in small parts, whose feature maps its cache holds (twice as fast)."""
    return torch.split(images, 16) if images.device.type == "cpu" else [images]
