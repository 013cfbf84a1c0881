"""The 2015 Inception in half precision, for a device that is much faster at it: another network, with its own features.

Weights and activations are rounded to half precision, products are added up in float32, and the last features are
pooled in float32. Rounded weights shift the mean of what a convolution gives, and so all distances alike; its bias is
corrected by that shift, (W - W_rounded) E[x], with E[x] over calibration images.

Two things that would save a GPU time are left out, since only a GPU could show that they are right. Convolution, bias
and ReLU are not one kernel (`torch.cudnn_convolution_relu`), and the forward pass is not replayed as a CUDA graph.
`benchmarks/README.md` says what either would save, by calculation.
"""

from __future__ import annotations

import copy
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from lrcore.metrics.features import FeatureNetwork
from lrcore.metrics.inception import SIZE, Inception2015, resize_tensorflow1
from lrcore.records.schema import HALF_PRECISION

HALVED_NETWORKS = ("inception2015",)
"""Feature networks that there are in half precision."""

CALIBRATION_IMAGES = 256
"""Images over which the shifts are known to a few thousandths of the spread of activations."""

CHUNK = 256
"""Images of a forward pass: launches of 64 would take a GPU as long as their arithmetic."""

_CALIBRATION_CHUNK = 32


def in_half_precision(network: FeatureNetwork, calibration: Tensor) -> FeatureNetwork:
    """The same network in half precision: float16 on a GPU, bfloat16 on a CPU, which is for tests alone.

    Args:
        network: `inception2015` of `lrcore.metrics.features.load_features`.
        calibration: uint8 images (N, 3, H, W) like those that will be measured.
    """
    inception = network.extract
    assert isinstance(inception, Inception2015)
    dtype = torch.float16 if network.device.type == "cuda" else torch.bfloat16
    made = HalfInception(inception, dtype, calibration.to(network.device))
    name = str(dtype).removeprefix("torch.")
    protocol = f"{network.protocol}{HALF_PRECISION} ({name}, biases corrected over {len(calibration)} images)"
    return FeatureNetwork(network.name, network.dim, network.sha256, protocol, network.device, made, CHUNK)


class HalfInception(nn.Module):
    """uint8 images (B, 3, H, W) to pool features (B, 2048), float32, with convolutions in `dtype`, channels last."""

    def __init__(self, network: Inception2015, dtype: torch.dtype, calibration: Tensor) -> None:
        super().__init__()
        self.dtype = dtype
        *layers, pool, flatten = network.layers
        batches = (_prepared(part) for part in calibration.split(_CALIBRATION_CHUNK))
        self.layers = rounded_network(nn.Sequential(*layers), dtype, list(batches))
        self.pool = nn.Sequential(pool, flatten)

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.pool(self.layers(_prepared(pixels).to(self.dtype)).float())
        return features


@torch.no_grad()
def rounded_network(network: nn.Module, dtype: torch.dtype, batches: list[Tensor]) -> nn.Module:
    """A copy with weights of convolutions in `dtype` and biases corrected for it; channels last.

    Args:
        network: convolutions with biases, and what has no weights; in float32 or float64.
        batches: its inputs, over which the means are taken.
    """
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    shifts = _mean_shifts(network, convolutions, dtype, batches)
    made = copy.deepcopy(network)
    for convolution, shift in zip((m for m in made.modules() if isinstance(m, nn.Conv2d)), shifts, strict=True):
        assert convolution.bias is not None
        convolution.bias += shift
    return made.to(dtype).to(memory_format=torch.channels_last)


def _mean_shifts(
    network: nn.Module, convolutions: list[nn.Conv2d], dtype: torch.dtype, batches: list[Tensor]
) -> list[Tensor]:
    """By how much the mean of each channel that a convolution gives falls when its weights are rounded."""
    sums = [torch.zeros_like(convolution.weight[:, 0, 0, 0], dtype=torch.float64) for convolution in convolutions]
    counts = [0] * len(convolutions)

    def seen(number: int, convolution: nn.Conv2d, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        lost = convolution.weight - convolution.weight.to(dtype).to(convolution.weight.dtype)
        shift = conv2d(inputs[0], lost, None, convolution.stride, convolution.padding, convolution.dilation)
        sums[number] += shift.double().sum((0, 2, 3))
        counts[number] += shift[:, 0].numel()

    hooks = [c.register_forward_hook(partial(seen, number)) for number, c in enumerate(convolutions)]
    try:
        for batch in batches:
            network(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return [(total / count).to(c.weight.dtype) for total, count, c in zip(sums, counts, convolutions, strict=True)]


def _prepared(pixels: Tensor) -> Tensor:
    """What `Inception2015` gives its layers."""
    resized = resize_tensorflow1(pixels.float(), SIZE)
    return ((resized - 128) / 128).contiguous(memory_format=torch.channels_last)
