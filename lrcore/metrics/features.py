"""The networks in whose features sets of images are compared.

    >>> network = load_features("efficientnet_lite0")    # doctest: +SKIP
    >>> a, b = statistics(network, train), statistics(network, samples)   # doctest: +SKIP
    >>> frechet_distance(a, b)                           # doctest: +SKIP

A distance in the features of `inception2015` is the FID; one in any other network is not
(`records.schema.distance_label`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lrcore.assets import pretrained
from lrcore.datasets.images import to_float
from lrcore.encoders.base import RESIZE_RULE
from lrcore.encoders.loading import ENCODERS, check_encoder_name, load_encoder
from lrcore.errors import LrcoreError
from lrcore.metrics.frechet import GaussianStatistics
from lrcore.metrics.inception import Inception2015

FEATURE_NETWORKS = ("inception2015", "efficientnet_lite0")
"""The networks whose weights are pinned; any other image model of timm, and `dinov2b`, is one, too."""

PINNED_SIZE, TIMM_SIZE = 128, 224
"""Sides in px at which EfficientNet-Lite0 and timm's other networks see an image."""

CHUNK = 64
"""Images a forward pass. Convolutions round differently at different batch sizes, so this is fixed."""

CACHED_CHUNK = 16
"""The same for Inception on a CPU, at 299 px: activations of more images leave the cache, a fifth slower."""

ROWS = 2048
"""Features that moments take in at a time: fewer would write the covariance more often than it takes to compute."""


@dataclass(frozen=True)
class FeatureNetwork:
    """A frozen network: uint8 images (B, 3, H, W) to float32 features (B, dim), on its device.

    `sha256` is that of the file the weights came from; `protocol` says what happens before the network, and in which
    number format it runs where that is not float32; `chunk` images go through it at a time.
    """

    name: str
    dim: int
    sha256: str
    protocol: str
    device: torch.device
    extract: Callable[[Tensor], Tensor]
    chunk: int = CHUNK

    def __call__(self, pixels: Tensor) -> Tensor:
        """Features of one batch, without gradients.

        Raises:
            LrcoreError: `pixels` is not a uint8 (B, 3, H, W) tensor.
        """
        if pixels.dtype != torch.uint8 or pixels.ndim != 4 or pixels.shape[1] != 3:
            raise LrcoreError(
                f"features are taken of uint8 images (B, 3, H, W), got {pixels.dtype} {tuple(pixels.shape)}"
            )
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False), _whole_float32():
            return self.extract(pixels.to(self.device)).float()


@contextlib.contextmanager
def _whole_float32() -> Iterator[None]:
    """Convolutions of a GPU with all bits of float32: by default it rounds what they multiply to 10 (TF32)."""
    convolutions = torch.backends.cudnn
    before, convolutions.allow_tf32 = convolutions.allow_tf32, False
    try:
        yield
    finally:
        convolutions.allow_tf32 = before


def load_features(name: str, device: torch.device | str = "cpu", weights: str = "") -> FeatureNetwork:
    """The feature network `name` on `device`.

    `inception2015`: 2048 features, the pool of the 2015 TensorFlow Inception (Szegedy et al. 2015), resized to 299 px
    as TensorFlow 1 did. `efficientnet_lite0`: 1280 pooled features at 128 px. Any other encoder that
    `encoders.loading.load_encoder` knows, such as `dinov2b`: its pooled features at 224 px, the size at which Stein et
    al. 2023 (arXiv:2306.04675) take DINOv2's.

    Args:
        weights: a local state dict for a network that is not pinned; "" takes timm's own.

    Raises:
        LrcoreError: unknown name, or weights that cannot be had, are damaged or not the network's.
    """
    if name == "inception2015":
        if weights:
            raise LrcoreError(f"feature network '{name}' has pinned weights and takes no others, but got '{weights}'")
        return _inception2015(torch.device(device))
    check_feature_network(name)
    return _encoder(name, torch.device(device), weights)


def check_feature_network(name: str) -> None:
    """Check `name` as `load_features` would, loading nothing.

    Raises:
        LrcoreError: no network has that name; says which name is nearest.
    """
    check_encoder_name(name, "feature network", FEATURE_NETWORKS)


def statistics(network: FeatureNetwork, batches: Iterable[Tensor]) -> GaussianStatistics:
    """Mean and covariance of the features of uint8 batches (B, 3, H, W) of one image size.

    The images are cut anew into chunks of the network's size, so the result is the same, bit for bit, however they were
    batched.
    """
    # float64 does not exist on every accelerator.
    device = network.device if network.device.type == "cuda" else "cpu"
    collected = GaussianStatistics(network.dim, device)
    for features in in_rows((network(chunk) for chunk in in_rows(batches, network.chunk)), ROWS):
        collected.update(features)
    return collected


def all_features(network: FeatureNetwork, batches: Iterable[Tensor]) -> Tensor:
    """Features (N, dim), float32, of uint8 batches as for `statistics`; on the network's device, which is not waited
    for."""
    none = torch.empty(0, network.dim, device=network.device)
    return torch.cat([none, *(network(chunk) for chunk in in_rows(batches, network.chunk))])


def in_rows(batches: Iterable[Tensor], size: int) -> Iterator[Tensor]:
    """The rows of `batches` in order, `size` at a time, the last ones as they come."""
    waiting: list[Tensor] = []
    for batch in batches:
        for part in torch.split(batch, size):
            waiting.append(part)
            if sum(map(len, waiting)) >= size:
                joined = torch.cat(waiting)
                yield joined[:size]
                waiting = [joined[size:]]
    if sum(map(len, waiting)):
        yield torch.cat(waiting)


def beside(a: FeatureNetwork, b: FeatureNetwork) -> FeatureNetwork:
    """Both networks of one device as one: the features of `a`, then those of `b`, each as if it were alone."""

    def extract(pixels: Tensor) -> Tensor:
        return torch.cat([all_features(network, [pixels]) for network in (a, b)], dim=1)

    protocol = f"{a.protocol}; {b.protocol}"
    return FeatureNetwork(a.name, a.dim + b.dim, a.sha256, protocol, a.device, extract, max(a.chunk, b.chunk))


def statistics_of(features: Tensor) -> GaussianStatistics:
    """Mean and covariance of features (N, D): the same bits as `statistics` of their images on a CPU."""
    collected = GaussianStatistics(features.shape[1], features.device)
    for rows in features.split(ROWS):
        collected.update(rows)
    return collected


def _inception2015(device: torch.device) -> FeatureNetwork:
    network = Inception2015(pretrained.inception2015()).to(device)
    protocol = "2015 TensorFlow Inception, pool features, resized to 299 px by TensorFlow 1's bilinear rule"
    chunk = CHUNK if device.type == "cuda" else CACHED_CHUNK
    return FeatureNetwork("inception2015", 2048, pretrained.sha256("inception2015"), protocol, device, network, chunk)


def _encoder(name: str, device: torch.device, weights: str) -> FeatureNetwork:
    encoder = load_encoder(name, PINNED_SIZE if name in ENCODERS else TIMM_SIZE, weights).to(device)

    def extract(pixels: Tensor) -> Tensor:
        features: Tensor = encoder(to_float(pixels)).pooled
        return features

    protocol = f"{encoder.name}, pooled features, resized to {encoder.size} px: {RESIZE_RULE}"
    return FeatureNetwork(encoder.name, encoder.pooled_dim, encoder.sha256, protocol, device, extract)
