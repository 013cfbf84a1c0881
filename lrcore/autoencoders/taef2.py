"""TAEF2: FLUX.2's latent space through a tiny convolutional encoder and decoder, 1.35 million parameters each.

Ollin Boer Bohan's distillation of FLUX.2's autoencoder (github.com/madebyollin/taesd, MIT). Images are in [0, 1]; the
latent has 32 channels and is 8 times smaller. Both networks are stacks of residual blocks of width 64; those at the
latent's resolution have a branch with GroupNorm, through which every place sees the statistics of the whole image.
diffusers' AutoencoderTiny has no such branch and cannot hold the weights.

The networks were made for photographs of hundreds of pixels. Images of 32 px are resized inside: up before encoding,
down again after decoding, so that their latent has as many tokens as those of the other autoencoders.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from lrcore.assets import cache, table
from lrcore.autoencoders.base import Autoencoder, LatentShape, encode_all, spread
from lrcore.autoencoders.patches import from_tokens, to_tokens
from lrcore.autoencoders.resized import resized
from lrcore.errors import LrcoreError

WEIGHTS = ("taef2_encoder", "taef2_decoder")
"""The assets with the weights."""

CHANNELS, DOWNSAMPLING = 32, 8
"""Of the latent."""

MEASURED_IMAGES = 2048
"""Images over which the latent's mean and deviation are measured, spread over the training images."""

LARGE = 128
"""Pixels a side from which on layers keep channels last, and a CPU sees few images at a time."""

PIXELS_AT_ONCE = 2**16
"""Of these few images: what the layers of more hold is no longer in the caches."""

_WIDTH = 64
_LIMIT = 3.0
"""The decoder squashes its latents softly into +- this."""


def _convolution(inputs: int, outputs: int, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=bias)


class _Block(nn.Module):
    """Three convolutions around which the input goes; `pooled` adds the branch with GroupNorm before them."""

    def __init__(self, pooled: bool = False) -> None:
        super().__init__()
        three = [_convolution(_WIDTH, _WIDTH) for _ in range(3)]
        self.conv = nn.Sequential(three[0], nn.ReLU(), three[1], nn.ReLU(), three[2])
        self.pool: nn.Sequential | None = None
        if pooled:
            wide = 4 * _WIDTH
            into, back = nn.Conv2d(_WIDTH, wide, 1, bias=False), nn.Conv2d(wide, _WIDTH, 1, bias=False)
            self.pool = nn.Sequential(into, nn.GroupNorm(4, wide), nn.ReLU(), back)

    def forward(self, x: Tensor) -> Tensor:
        if self.pool is not None:
            x = x + self.pool(x)
        return functional.relu(x + self.conv(x))


class _SoftClamp(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x / _LIMIT) * _LIMIT


def encoder_network() -> nn.Sequential:
    """Images (B, 3, H, W) in [0, 1] to raw latents (B, 32, H / 8, W / 8), with random weights.

    Names of the parameters are those of the author's file.
    """
    layers: list[nn.Module] = [_convolution(3, _WIDTH), _Block()]
    for pooled in (False, False, True):
        layers += [_convolution(_WIDTH, _WIDTH, stride=2, bias=False), *(_Block(pooled) for _ in range(3))]
    return nn.Sequential(*layers, _convolution(_WIDTH, CHANNELS))


def decoder_network() -> nn.Sequential:
    """Raw latents (B, 32, h, w) to images (B, 3, 8 h, 8 w) around [0, 1], not clamped, with random weights."""
    layers: list[nn.Module] = [_SoftClamp(), _convolution(CHANNELS, _WIDTH), nn.ReLU()]
    for pooled in (True, False, False):
        layers += [_Block(pooled) for _ in range(3)]
        layers += [nn.Upsample(scale_factor=2), _convolution(_WIDTH, _WIDTH, bias=False)]
    return nn.Sequential(*layers, _Block(), _convolution(_WIDTH, 3))


def load_networks() -> tuple[nn.Sequential, nn.Sequential]:
    """Encoder and decoder with the author's weights, in float32; fetched first where the cache lacks them.

    Raises:
        LrcoreError: they cannot be had; with where they would come from and how to supply them by hand.
    """
    encoder, decoder = (
        _with_weights(make, name) for make, name in zip((encoder_network, decoder_network), WEIGHTS, strict=True)
    )
    return encoder, decoder


def _with_weights(make: Callable[[], nn.Sequential], name: str) -> nn.Sequential:
    path = cache.fetch(name)
    with torch.device("meta"):  # leaves torch's random numbers alone
        network = make()
    try:
        network.load_state_dict({key: value.float() for key, value in load_file(path).items()}, assign=True)
    except RuntimeError as error:
        raise LrcoreError(f"'{path}' does not hold the weights of {name}: {error}") from error
    return network


def fingerprint() -> str:
    """What the weights are: their pinned sha256."""
    return " ".join(table.asset(name).sha256 for name in WEIGHTS)


def latent_shape(resolution: int, size: int) -> LatentShape:
    """Of images of `resolution` px that are resized to `size` px, a multiple of 8."""
    return LatentShape(resolution, (size // DOWNSAMPLING, size // DOWNSAMPLING), CHANNELS)


class Taef2Autoencoder(Autoencoder):
    """(latent - mean) / deviation, with one of each for all channels; images resized inside."""

    mean: Tensor
    deviation: Tensor
    one_scale = True

    def __init__(
        self,
        encoder: nn.Sequential,
        decoder: nn.Sequential,
        resolution: int,
        size: int,
        moments: Tensor,
        precision: str = "float32",
    ) -> None:
        """`size`: pixels a side that the networks see; `moments`: of `measured_moments`."""
        super().__init__()
        self.shape, self.size, self.precision = latent_shape(resolution, size), size, precision
        self.encoder, self.decoder = encoder.eval().requires_grad_(False), decoder.eval().requires_grad_(False)
        if size >= LARGE:
            for network in (self.encoder, self.decoder):
                network.to(memory_format=torch.channels_last)  # the same to rounding, in two thirds of the time
        for name, value in zip(("mean", "deviation"), moments.float(), strict=True):
            self.register_buffer(name, value)

    @property
    def _pixels_seen(self) -> int:
        return self.size

    def encode_batch(self, images: Tensor) -> Tensor:
        # in [0, 1], to the same bits as ever: `resized.Resized` would do it in [-1, 1]
        seen = resized((images + 1.0) / 2.0, self.size).clamp(0.0, 1.0)
        return to_tokens((self._through(self.encoder, seen) - self.mean) / self.deviation, 1)

    def decode_batch(self, tokens: Tensor) -> Tensor:
        latent = from_tokens(tokens, 1, self.shape.grid) * self.deviation + self.mean
        return 2.0 * resized(self._through(self.decoder, latent).clamp(0.0, 1.0), self.shape.resolution) - 1.0

    def _through(self, network: nn.Sequential, batch: Tensor) -> Tensor:
        """What the network makes of a batch, float32; of large images a few at a time on a CPU."""
        if self.size < LARGE or batch.device.type != "cpu":
            found: Tensor = network(batch)
            return found.float()
        parts = batch.contiguous(memory_format=torch.channels_last).split(max(1, PIXELS_AT_ONCE // self.size**2))
        return torch.cat([network(part).float() for part in parts]).contiguous()


def measured_moments(autoencoder: Taef2Autoencoder, pixels: Any) -> Tensor:
    """Mean and standard deviation, float64 (2,), of the latents of uint8 images (N, 3, H, W).

    `autoencoder` must have been made with moments (0, 1).
    """
    latents = encode_all(autoencoder, spread(pixels, MEASURED_IMAGES)).double()
    return torch.stack([latents.mean(), latents.std()])
