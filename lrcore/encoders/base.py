"""Frozen vision encoders: patch features for REPA, semantic alignment and the RAE-like autoencoder, pooled
features as a space for Frechet distances.

    >>> encoder = load_encoder("efficientnet_lite0")   # doctest: +SKIP
    >>> encoder(images).pooled.shape                   # doctest: +SKIP
    torch.Size([8, 1280])
    >>> load_encoder("dinov2b", size=224).grid         # doctest: +SKIP
    16

EfficientNet-Lite0 is read here, with weights pinned by `lrcore.assets.pretrained`; every other image model of timm by
`lrcore.encoders.timm_model`.
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

from lrcore.assets import pretrained
from lrcore.errors import LrcoreError, unknown

ENCODERS = ("efficientnet_lite0",)
"""The encoders whose weights are pinned; each is also a value of `repa` in the data."""

ALIASES = {"dinov2b": "vit_base_patch14_reg4_dinov2.lvd142m"}
"""Short names of timm models."""

PATCH_STRIDE = 16
"""Input pixels per patch of EfficientNet-Lite0, in each direction."""

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


class VisionEncoder(nn.Module):
    """A frozen image network read at two depths, here EfficientNet-Lite0 (Tan & Le 2019, arXiv:1905.11946).

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

    patch_channels: int = 112
    pooled_dim: int = 1280

    def __init__(self, name: str, network: Any, size: int, sha256: str) -> None:
        """`network`: timm's EfficientNet-Lite0 (copied); `sha256`: of the file its weights came from.

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

    # What differs between networks; `lrcore.encoders.timm_model` has its own of these.

    def _stride(self, network: Any) -> int:
        """Input pixels per patch."""
        return PATCH_STRIDE

    def _prepared(self, network: Any) -> nn.Module:
        folded = copy.deepcopy(network).eval()
        _fold_normalisation(folded)
        # On a CPU twice the speed of the default layout (depthwise convolutions).
        prepared: nn.Module = folded.to(memory_format=torch.channels_last)
        return prepared

    def _input(self, images: Tensor) -> Tensor:
        # (pixel - 127) / 128 with pixel = 127.5 * (image + 1): the input these weights were trained with.
        inputs = (127.5 * resized(images, self.size) + 0.5) / 128.0
        return inputs.contiguous(memory_format=torch.channels_last)

    def _patches(self, inputs: Tensor) -> Tensor:
        network: Any = self.network
        features: Tensor = network.blocks[:5](network.bn1(network.conv_stem(inputs)))
        return features

    def _read(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Patches and pooled features of one part of a batch."""
        network: Any = self.network
        patches = self._patches(inputs)
        last = network.bn2(network.conv_head(network.blocks[5:](patches)))
        return patches, network.global_pool(last)


def load_encoder(name: str, size: int = 128, weights: str = "") -> VisionEncoder:
    """The encoder `name`, on the CPU, taking images at `size` px.

    Args:
        name: one of `ENCODERS` or `ALIASES`, or any image model of timm, with or without the tag of its weights.
            `efficientnet_lite0` is the pinned one; timm's own model of that name needs its tag.
        size: a multiple of the patch size (transformers) or of 16 (other networks), in px.
        weights: a local state dict of the model, in safetensors or torch's format; "" takes the pinned weights, or
            those that timm fetches and caches.

    Raises:
        LrcoreError: unknown name, a size that does not fit, or weights that cannot be had, are damaged or belong to
            another architecture.
    """
    check_encoder_name(name)
    if name not in ENCODERS:
        from lrcore.encoders import timm_model as timm_encoder

        return timm_encoder.load(name, ALIASES.get(name, name), size, weights)
    if weights:
        raise LrcoreError(
            f"encoder {name!r} has pinned weights and takes no others, but '{weights}' is given; "
            f"its architecture with other weights is encoder 'tf_{name}'"
        )
    check_size(size, PATCH_STRIDE)
    return VisionEncoder(name, pretrained.efficientnet_lite0(), size, pretrained.sha256(name))


def check_encoder_name(name: str) -> None:
    """Check `name` as `load_encoder` would, building nothing. Takes seconds once, to import timm, unless it is pinned.

    Raises:
        LrcoreError: no encoder has that name; says which name is nearest.
    """
    if name in ENCODERS or name in ALIASES:
        return
    from lrcore.encoders import timm_model as timm_encoder

    near = timm_encoder.nearest_names(name, (*ENCODERS, *ALIASES))
    if near is not None:
        raise unknown("encoder", name, (*near, "any other of timm.list_models()"))


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
