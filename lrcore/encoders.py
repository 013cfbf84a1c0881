"""Frozen vision encoders: patch features for REPA, semantic alignment and the RAE-like autoencoder, pooled
features as a space for Frechet distances.

    >>> encoder = load_encoder("efficientnet_lite0")   # doctest: +SKIP
    >>> encoder(images).pooled.shape                   # doctest: +SKIP
    torch.Size([8, 1280])
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from lrcore import pretrained
from lrcore.errors import LrcoreError, unknown

ENCODERS = ("efficientnet_lite0",)
"""The names that `load_encoder` knows; each is also a value of `repa` in the data."""

PATCH_STRIDE = 16
"""Input pixels per patch, in each direction."""

RESIZE_RULE = "antialiased bicubic, half-pixel centres"
"""How images reach the encoder's input size."""


@dataclass(frozen=True)
class Features:
    """What one forward pass gives, float32.

    `patches`: (B, patch_channels, size/16, size/16), the last feature map of stride 16.
    `pooled`: (B, pooled_dim), the global average of the last feature map, before the classifier.
    """

    patches: Tensor
    pooled: Tensor


class VisionEncoder(nn.Module):
    """A frozen ImageNet classifier read at two depths (EfficientNet: Tan & Le 2019, arXiv:1905.11946).

    Images are float in [-1, 1], (B, 3, H, W), any H and W; they are resized to `size` px by `RESIZE_RULE`.
    Always in eval mode and float32, autocast or not, and without gradients, so that its features are the
    same wherever it is called from. Outputs are ordinary tensors: a loss may keep them for its backward pass.
    """

    patch_channels = 112
    pooled_dim = 1280

    def __init__(self, name: str, network: Any, size: int, sha256: str) -> None:
        """`network`: timm's EfficientNet-Lite0 (copied); `sha256`: of the file its weights came from."""
        super().__init__()
        if size < PATCH_STRIDE or size % PATCH_STRIDE:
            raise LrcoreError(f"encoder size {size} must be a positive multiple of {PATCH_STRIDE} px")
        self.name = name
        self.size = size
        self.sha256 = sha256
        folded = copy.deepcopy(network).eval()
        _fold_normalisation(folded)
        # On a CPU twice the speed of the default layout (depthwise convolutions).
        self.network = folded.to(memory_format=torch.channels_last).requires_grad_(False)
        self.eval()

    def forward(self, images: Tensor) -> Features:
        """Both depths in one pass.

        Raises:
            LrcoreError: `images` is not a floating-point (B, 3, H, W) tensor.
        """
        _check(images)
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            patches = [self._stride16(self._input(part)) for part in _parts(images)]
            pooled = [self._pooled(part) for part in patches]
        return Features(patches=torch.cat(patches), pooled=torch.cat(pooled))

    def patches_only(self, images: Tensor) -> Tensor:
        """`Features.patches` without computing the later stages, for training loops; raises as `forward`."""
        _check(images)
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            return torch.cat([self._stride16(self._input(part)) for part in _parts(images)])

    def train(self, mode: bool = True) -> VisionEncoder:
        """Stays in eval mode: batch statistics would move when a module that holds this one is trained."""
        return super().train(False)

    def _input(self, images: Tensor) -> Tensor:
        images = images.float()
        if images.shape[-2:] != (self.size, self.size):
            images = functional.interpolate(
                images, size=(self.size, self.size), mode="bicubic", align_corners=False, antialias=True
            )
        # (pixel - 127) / 128 with pixel = 127.5 * (image + 1): the input these weights were trained with.
        return ((127.5 * images + 0.5) / 128.0).contiguous(memory_format=torch.channels_last)

    def _stride16(self, inputs: Tensor) -> Tensor:
        stem = self.network.bn1(self.network.conv_stem(inputs))
        features: Tensor = self.network.blocks[:5](stem)
        return features

    def _pooled(self, patches: Tensor) -> Tensor:
        last = self.network.bn2(self.network.conv_head(self.network.blocks[5:](patches)))
        features: Tensor = self.network.global_pool(last)
        return features


def load_encoder(name: str, size: int = 128) -> VisionEncoder:
    """The encoder `name`, on the CPU, taking images at `size` px (a multiple of 16).

    Raises:
        LrcoreError: `name` is not one of `ENCODERS`, `size` does not fit, or the weights cannot be had.
    """
    if name not in ENCODERS:
        raise unknown("encoder", name, ENCODERS)
    return VisionEncoder(name, pretrained.efficientnet_lite0(), size, pretrained.sha256(name))


def _check(images: Tensor) -> None:
    if not images.is_floating_point() or images.ndim != 4 or images.shape[1] != 3:
        raise LrcoreError(
            f"an encoder takes float images (B, 3, H, W) in [-1, 1], got {images.dtype} {tuple(images.shape)}"
        )


def _parts(images: Tensor) -> Sequence[Tensor]:
    """The batch as it is computed: on a CPU in small parts, whose feature maps its cache holds (twice as fast)."""
    return torch.split(images, 16) if images.device.type == "cpu" else [images]


def _fold_normalisation(network: Any) -> None:
    """Put each frozen batch normalisation into the convolution before it: half as fast again on a CPU."""
    pairs = [(network, "conv_stem", "bn1"), (network, "conv_head", "bn2")]
    for block in (block for stage in network.blocks for block in stage):
        # Depthwise-separable blocks have two convolutions, inverted residuals three.
        expands = hasattr(block, "conv_pwl")
        names = ("conv_pw", "conv_dw", "conv_pwl") if expands else ("conv_dw", "conv_pw")
        pairs += [(block, name, f"bn{place}") for place, name in enumerate(names, start=1)]
    for parent, convolution_name, normalisation_name in pairs:
        convolution, bn = getattr(parent, convolution_name), getattr(parent, normalisation_name)
        convolution.weight, convolution.bias = fuse_conv_bn_weights(
            convolution.weight, convolution.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
        )
        setattr(parent, normalisation_name, bn.act)  # timm's normalisation carries the activation
