"""The 2015 Inception as fast as its features allow: batch norm folded into the convolutions, channels last.

The network and its weights are torch-fidelity's (`pretrained.inception2015`). The features are the same but for the
rounding of float32, at most 2e-5 (either is as far from float64). The resize is TensorFlow 1's bilinear rule, bit for
bit, along one axis after the other.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

SIZE = 299
"""Side of the images that the network sees."""

_LAYERS = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "MaxPool_1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "MaxPool_2"),
    *("Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
    *("Mixed_7a", "Mixed_7b", "Mixed_7c", "AvgPool"),
)


class Inception2015(nn.Module):
    """uint8 images (B, 3, H, W) to the pool features (B, 2048), float32, of the network of the FID.

    Source: Szegedy et al. 2015 (arXiv:1512.00567) as exported for Heusel et al. 2017 (arXiv:1706.08500).
    """

    def __init__(self, network: nn.Module) -> None:
        """`network`: torch-fidelity's extractor in eval mode; it is left without its layers, which move here."""
        super().__init__()
        layers = nn.Sequential(*(getattr(network, name) for name in _LAYERS), nn.Flatten())
        _fold_batch_norm(layers)
        self.layers = layers.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.of_resized(resize_tensorflow1(pixels.float(), SIZE))

    def of_resized(self, pixels: Tensor) -> Tensor:
        """Features (B, 2048) of float images (B, 3, 299, 299) in [0, 255]."""
        features: Tensor = self.layers(((pixels - 128) / 128).contiguous(memory_format=torch.channels_last))
        return features


def resize_tensorflow1(images: Tensor, size: int) -> Tensor:
    """Float images (B, C, H, W) as (B, C, size, size) by TensorFlow 1's `resize_bilinear`, corners not aligned.

    Output pixel i lies at i * H / size of the input (no half-pixel offset, no antialiasing); columns are interpolated
    first, then rows, in float32, as the TensorFlow kernel does. Differs visibly from today's resizes: FID computed
    with another rule is another number (Parmar et al. 2022, arXiv:2104.11222).
    """
    left, right, across = _taps(images.shape[3], size, images.device)
    columns = images[..., left] + (images[..., right] - images[..., left]) * across
    above, below, down = _taps(images.shape[2], size, images.device)
    return columns[:, :, above] + (columns[:, :, below] - columns[:, :, above]) * down[:, None]


def _taps(length: int, size: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Indices of the two neighbours of every output pixel and the weight of the second, (size,) each."""
    # on the CPU, so that every device gets the same float32 positions
    at = torch.arange(size, dtype=torch.float32) * torch.tensor(length / size, dtype=torch.float32)
    first = at.long()
    second = (first + 1).clamp(max=length - 1)
    return first.to(device), second.to(device), (at - first).to(device)


def _fold_batch_norm(module: nn.Module) -> None:
    """Replace every convolution, batch norm, ReLU by a convolution with bias and the ReLU; folded in float64."""
    from torch_fidelity.feature_extractor_inceptionv3 import BasicConv2d  # here, since it takes seconds

    for name, child in module.named_children():
        if isinstance(child, BasicConv2d):
            folded = fuse_conv_bn_eval(child.conv.double(), child.bn.double()).float()
            setattr(module, name, nn.Sequential(folded, nn.ReLU(inplace=True)))
        else:
            _fold_batch_norm(child)
