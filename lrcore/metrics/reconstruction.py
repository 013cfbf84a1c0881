"""Distances between images and their reconstructions, one value an image: PSNR, SSIM and LPIPS.

All take uint8 batches (B, 3, H, W): what a viewer would see, after rounding. The protocol strings go into every row,
since published tables differ by just these choices.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrcore.assets import pretrained
from lrcore.datasets.images import to_float
from lrcore.errors import LrcoreError, unknown
from lrcore.metrics._similarity import mean_ssim, squared_error

PSNR_PROTOCOL = (
    "dB, uint8 RGB, data range 255, mean squared error over pixels and channels; "
    "identical images count as one value off by one"
)
SSIM_WINDOW = 11
SSIM_PROTOCOL = (
    f"uint8 RGB, data range 255, Gaussian window {SSIM_WINDOW} px sigma 1.5, K1 0.01, K2 0.03, population covariance, "
    f"mean over channels and pixels at least {SSIM_WINDOW // 2} px from the border (Wang et al. 2004)"
)
LPIPS_PROTOCOL = {
    "lpips_vgg": "VGG16, version 0.1 linear weights, images in [-1, 1], not resized",
    "lpips_alex": "AlexNet, version 0.1 linear weights, images in [-1, 1], not resized",
    "lpips_vgg_unweighted": (
        "VGG16, no linear weights (lpips=False): sum over layers of the squared difference of unit features, "
        "images in [-1, 1], not resized"
    ),
}
"""By the metric's name, for all that `load_lpips` knows."""

LPIPS_SMALLEST = {"vgg": 16, "alex": 31}
"""Pixels a side: below, the last pooling of the trunk has nothing left."""

_LPIPS_CHUNK = 16


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio by `PSNR_PROTOCOL`, (B,) float64 on the CPU, in dB.

    Identical images would have an infinite ratio, and one of them would make every mean infinite. They get the largest
    finite one of their size instead, that of a single value off by one: 10 log10(255^2 * 3 * H * W).

    Raises:
        LrcoreError: the batches are not uint8 (B, 3, H, W) of one shape.
    """
    _check_pair(a, b, smallest=1, metric="psnr")
    a, b = _with_float64(a, b)
    # Errors are whole numbers and their sums exact, so only identical images have less than one.
    error = squared_error(a.flatten(1), b.flatten(1)).clamp_(min=1.0).cpu()
    peak: float = 255.0**2 * math.prod(a.shape[1:])
    return torch.log10(error.reciprocal_().mul_(peak)).mul_(10.0)


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity by `SSIM_PROTOCOL`, (B,) float64 on the CPU, in [-1, 1].

    Computed on the device of `a`, in pieces: memory does not grow with B. Agrees with scikit-image's
    `structural_similarity` to 1e-12.

    Raises:
        LrcoreError: the batches are not uint8 (B, 3, H, W) of one shape, or smaller than the window.
    """
    _check_pair(a, b, smallest=SSIM_WINDOW, metric="ssim")
    a, b = _with_float64(a, b)
    return mean_ssim(a.flatten(0, 1), b.flatten(0, 1)).view(-1, 3).mean(1).cpu()


@dataclass(frozen=True)
class Lpips:
    """Learned perceptual image patch similarity (Zhang et al. 2018, arXiv:1801.03924), through the lpips package.

    `sha256` is that of the file the trunk's weights came from. Made by `load_lpips`.
    """

    name: str
    network: str
    sha256: str
    protocol: str
    device: torch.device
    module: Any

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """(B,) float64 on the CPU, at least 0.

        Raises:
            LrcoreError: the batches are not uint8 (B, 3, H, W) of one shape, or smaller than the trunk takes
                (16 px for VGG16, 31 px for AlexNet).
        """
        _check_pair(a, b, smallest=LPIPS_SMALLEST[self.network], metric=self.name)
        values = [torch.zeros(0, dtype=torch.float64)]
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            for x, y in zip(torch.split(a, _LPIPS_CHUNK), torch.split(b, _LPIPS_CHUNK), strict=True):
                distances = self.module(to_float(x.to(self.device)), to_float(y.to(self.device)))
                values.append(distances.flatten().cpu().double())
        return torch.cat(values)


def load_lpips(name: str, device: torch.device | str = "cpu") -> Lpips:
    """The LPIPS variant `name`, a key of `LPIPS_PROTOCOL`, on `device`.

    Raises:
        LrcoreError: `name` is unknown, or the weights cannot be had.
    """
    if name not in LPIPS_PROTOCOL:
        raise unknown("LPIPS variant", name, LPIPS_PROTOCOL)
    network = "alex" if name == "lpips_alex" else "vgg"
    module = pretrained.lpips_metric(network, weighted=name != "lpips_vgg_unweighted").to(device)
    sha256 = pretrained.sha256({"vgg": "lpips_vgg16", "alex": "lpips_alexnet"}[network])
    return Lpips(name, network, sha256, LPIPS_PROTOCOL[name], torch.device(device), module)


def lpips_together(variants: Sequence[Lpips], a: Tensor, b: Tensor) -> list[Tensor]:
    """What each of `variants` gives for `a` and `b`, bit for bit; the features of a network are computed once for all.

    Raises:
        LrcoreError: as they do.
    """
    found: dict[str, list[Tensor]] = {variant.name: [torch.zeros(0, dtype=torch.float64)] for variant in variants}
    for network in dict.fromkeys(variant.network for variant in variants):
        alike = [variant for variant in variants if variant.network == network]
        _check_pair(a, b, smallest=LPIPS_SMALLEST[network], metric=alike[0].name)
        device, module = alike[0].device, alike[0].module
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            for x, y in zip(torch.split(a, _LPIPS_CHUNK), torch.split(b, _LPIPS_CHUNK), strict=True):
                layers = _layer_differences(module, to_float(x.to(device)), to_float(y.to(device)))
                for variant in alike:
                    found[variant.name].append(_summed(variant.module, layers).flatten().cpu().double())
    return [torch.cat(found[variant.name]) for variant in variants]


def _layer_differences(module: Any, a: Tensor, b: Tensor) -> list[Tensor]:
    """Squared differences of the unit features of two batches in [-1, 1], by layer of an `lpips.LPIPS`."""
    import lpips

    outputs = zip(*(module.net(module.scaling_layer(images)) for images in (a, b)), strict=True)
    return [(lpips.normalize_tensor(x) - lpips.normalize_tensor(y)) ** 2 for x, y in outputs]


def _summed(module: Any, layers: Sequence[Tensor]) -> Tensor:
    """The distance (B, 1, 1, 1) of an `lpips.LPIPS`, from what `_layer_differences` gives."""
    weighted = [
        module.lins[depth](layer) if module.lpips else layer.sum(dim=1, keepdim=True)
        for depth, layer in enumerate(layers)
    ]
    total: Tensor = sum(layer.mean([2, 3], keepdim=True) for layer in weighted)  # type: ignore[assignment]
    return total


@dataclass(frozen=True)
class Summary:
    """A mean over `n` images and its standard error (NaN for n = 1)."""

    mean: float
    standard_error: float
    n: int


def summarise(values: Tensor | Iterable[float]) -> Summary:
    """Mean and standard error (sample standard deviation, n - 1, over sqrt(n)) of per-image values.

    Raises:
        LrcoreError: there are no values, or one is NaN or infinite.
    """
    numbers = np.asarray(values.cpu() if isinstance(values, Tensor) else list(values), dtype=np.float64).ravel()
    if numbers.size == 0:
        raise LrcoreError("no values to summarise")
    bad = int((~np.isfinite(numbers)).sum())
    if bad:
        raise LrcoreError(f"{bad} of {numbers.size} values are NaN or infinite; no mean of them")
    error = float(numbers.std(ddof=1)) / math.sqrt(numbers.size) if numbers.size > 1 else math.nan
    return Summary(mean=float(numbers.mean()), standard_error=error, n=int(numbers.size))


def _check_pair(a: Tensor, b: Tensor, smallest: int, metric: str) -> None:
    for images in (a, b):
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise LrcoreError(f"{metric} takes uint8 images (B, 3, H, W), got {images.dtype} {tuple(images.shape)}")
    if a.shape != b.shape:
        raise LrcoreError(f"{metric} takes two batches of one shape, got {tuple(a.shape)} and {tuple(b.shape)}")
    if min(a.shape[-2:]) < smallest:
        raise LrcoreError(f"{metric} needs images of at least {smallest} px, got {a.shape[-2]} x {a.shape[-1]}")


def _with_float64(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both on the device of `a`, or on the CPU where that device (Apple's) has no float64."""
    device = torch.device("cpu") if a.device.type == "mps" else a.device
    return a.to(device), b.to(device)
