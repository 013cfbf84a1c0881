"""What every autoencoder offers, whoever trained it: images to normalised tokens and back.

To add your own, subclass `Autoencoder`: set `self.shape` and write `encode_batch` and `decode_batch`. Everything else
(image range, shapes, chunks, eval mode, precision) is done here, once for all. `lrcore.autoencoders.custom` says how
a study finds it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lrcore.autoencoders.patches import to_tokens
from lrcore.datasets.images import to_float
from lrcore.errors import LrcoreError


class CollapsedError(LrcoreError):
    """A trained latent, or some of its channels, are the same for every image: no statistics can normalise them."""


PIXELS_PER_FORWARD = 2**20
IMAGES_PER_FORWARD = 64
"""Images are encoded and decoded in chunks of at most so many pixels and images, whatever batch comes in."""


@dataclass(frozen=True)
class LatentShape:
    """The latent of one image: `resolution` px a side become a `grid` (rows, columns) of tokens of so many channels.

    `patch`: latent pixels a token spans in each direction. A token's channels then come in the order (channel, row,
    column), as `patches.to_tokens` makes them; 1 where the autoencoder's latent has no pixels inside a token.
    """

    resolution: int
    grid: tuple[int, int]
    channels_per_token: int
    patch: int = 1

    @property
    def tokens(self) -> int:
        """Number of tokens of an image."""
        return self.grid[0] * self.grid[1]

    @property
    def dimension(self) -> int:
        """Numbers in the latent of an image."""
        return self.tokens * self.channels_per_token

    @property
    def compression(self) -> float:
        """Values of an RGB image over numbers of its latent."""
        return 3 * self.resolution**2 / self.dimension

    @property
    def pixels_per_token(self) -> int:
        """Image pixels a token spans in each direction."""
        return self.resolution // self.grid[0]


class Posterior(NamedTuple):
    """What an encoder says of images: `mean` and `std` of their normalised tokens, (B, N, C) each.

    `std` is None where the encoder gives one latent an image and no distribution.
    """

    mean: Tensor
    std: Tensor | None


class Autoencoder(nn.Module, ABC):
    """Encoder and decoder with the normalisation between them, frozen and always in eval mode.

    `shape` must be set by a subclass. `cacheable` says whether `encode` is a function of the image alone, so that its
    results may be stored. `one_scale` says that channels are meant to differ in mean and scale, so that the guard looks
    at all values together alone. `precision` "bfloat16" runs the network under autocast; tokens and images stay
    float32. `before_chunk` is called before every pass of the network, and may raise to stop.
    """

    shape: LatentShape
    cacheable: bool = True
    one_scale: bool = False
    precision: str = "float32"
    before_chunk: Callable[[], None] = staticmethod(lambda: None)

    @abstractmethod
    def encode_batch(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W), float32 in [-1, 1] at `shape.resolution`, to normalised tokens (B, N, C)."""

    @abstractmethod
    def decode_batch(self, tokens: Tensor) -> Tensor:
        """Normalised tokens (B, N, C), float32, to images (B, 3, H, W); `decode` clamps them to [-1, 1]."""

    def posterior_batch(self, images: Tensor) -> Posterior:
        """As `encode_batch`, with the deviation of the posterior where the family has one."""
        return Posterior(self.encode_batch(images), None)

    @property
    def _pixels_seen(self) -> int:
        """Pixels a side of what the network sees: more than `shape.resolution` where images are resized inside."""
        return self.shape.resolution

    @property
    def device(self) -> torch.device:
        """Where the weights are; results are on it, inputs may be anywhere."""
        held = next(chain(self.parameters(), self.buffers()), None)
        return torch.device("cpu") if held is None else held.device

    def train(self, mode: bool = True) -> Autoencoder:
        """Stays in eval mode: batch statistics would move with every batch otherwise."""
        return super().train(False)

    def encode(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Images to tokens (B, N, C), float32: mean 0 and standard deviation 1 over the images they are made for.

        Args:
            images: (B, 3, H, W) with H = W = `shape.resolution`: uint8, or float in [-1, 1].
            generator: none takes the posterior's mode, which is what every stage does; a CPU generator draws a sample
                of the posterior instead, in the KL families.

        Raises:
            LrcoreError: wrong number of channels, size or range of values; or a sample asked of a family without
                posterior.
        """
        _check_images(images, self.shape.resolution)

        if generator is None:
            return self._in_chunks(images, lambda chunk: self.encode_batch(_as_float(chunk)))
        mean, std = self.posterior(images)
        if std is None:
            raise LrcoreError(f"{type(self).__name__} has no posterior to sample from: leave `generator` out")
        return mean + std * self._noise(len(mean), generator).to(mean)

    def posterior(self, images: Tensor) -> Posterior:
        """Mean (the mode, as `encode` gives it) and deviation of the tokens, float32; arguments as for `encode`."""
        _check_images(images, self.shape.resolution)
        deviations: list[Tensor] = []

        def encode_chunk(chunk: Tensor) -> Tensor:
            mean, std = self.posterior_batch(_as_float(chunk))
            deviations.extend([] if std is None else [std.float()])
            return mean

        return Posterior(self._in_chunks(images, encode_chunk), torch.cat(deviations) if deviations else None)

    def decode(self, tokens: Tensor) -> Tensor:
        """Normalised tokens (B, N, C) to images (B, 3, H, W), float32 in [-1, 1].

        Raises:
            LrcoreError: the tokens are not of this latent's shape.
        """
        wanted = (self.shape.tokens, self.shape.channels_per_token)
        if tokens.ndim != 3 or tuple(tokens.shape[1:]) != wanted or not tokens.is_floating_point():
            raise LrcoreError(f"decode takes float tokens (B, {wanted[0]}, {wanted[1]}), got {_described(tokens)}")
        return self._in_chunks(tokens, lambda chunk: self.decode_batch(chunk.float()).clamp(-1.0, 1.0))

    def forward(self, images: Tensor) -> Tensor:
        """The reconstruction of `images`."""
        return self.decode(self.encode(images))

    def _noise(self, count: int, generator: torch.Generator) -> Tensor:
        """Normal tokens, drawn as a latent map and cut, as diffusers' posteriors draw them."""
        (rows, columns), patch = self.shape.grid, self.shape.patch
        channels = self.shape.channels_per_token // patch**2
        return to_tokens(torch.randn(count, channels, rows * patch, columns * patch, generator=generator), patch)

    def _in_chunks(self, batch: Tensor, work: Callable[[Tensor], Tensor]) -> Tensor:
        # a subclass may have set up its parts after the last call of eval()
        self.eval()
        size = min(IMAGES_PER_FORWARD, max(1, PIXELS_PER_FORWARD // self._pixels_seen**2))
        device = self.device
        autocast = torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bfloat16")
        found = []
        with torch.no_grad(), autocast:
            for chunk in batch.split(size):
                self.before_chunk()
                found.append(work(chunk.to(device)).float())
        return torch.cat(found)


def token_grid(resolution: int, downsampling: int, patch: int) -> tuple[int, int]:
    """The grid of a latent `downsampling` times smaller than the image, in patches.

    Raises:
        LrcoreError: they do not divide the resolution.
    """
    step = downsampling * patch
    if resolution < step or resolution % step:
        lower = resolution // step * step
        near = [size for size in (lower, lower + step) if size > 0]
        raise LrcoreError(
            f"resolution {resolution} must be a multiple of {step} px (downsampling {downsampling} x patch {patch}); "
            f"nearest: {', '.join(map(str, near))}"
        )
    return (resolution // step, resolution // step)


def encode_all(autoencoder: Autoencoder, pixels: Tensor, count: Callable[[int], None] = lambda images: None) -> Tensor:
    """Tokens (N, tokens, channels), float32 on the CPU, of any number of images; `count` is told of every few."""
    found = torch.empty(len(pixels), autoencoder.shape.tokens, autoencoder.shape.channels_per_token)
    # filled, not joined: there is memory for one copy of large latents
    for number, chunk in enumerate(pixels.split(IMAGES_PER_FORWARD)):
        start = number * IMAGES_PER_FORWARD
        found[start : start + len(chunk)] = autoencoder.encode(chunk).cpu()
        count(len(chunk))
    return found


def spread(pixels: Any, count: int) -> Any:
    """At most `count` of the images, evenly spread: those of a folder come class after class."""
    count = min(count, len(pixels))
    return pixels[torch.arange(count) * len(pixels) // max(count, 1)]


def _as_float(images: Tensor) -> Tensor:
    return to_float(images) if images.dtype == torch.uint8 else images.float()


def _check_images(images: Tensor, resolution: int) -> None:
    if images.ndim != 4 or images.shape[1] != 3:
        raise LrcoreError(f"an autoencoder takes RGB images (B, 3, H, W), got {_described(images)}")
    if images.shape[0] == 0:
        raise LrcoreError("an autoencoder takes at least one image, got an empty batch")
    if tuple(images.shape[2:]) != (resolution, resolution):
        got = f"{images.shape[2]} x {images.shape[3]}"
        raise LrcoreError(f"this autoencoder was set up for images of {resolution} x {resolution} px, got {got}")
    if images.dtype == torch.uint8:
        return
    if not images.is_floating_point():
        raise LrcoreError(f"images must be uint8, or float in [-1, 1]; got {images.dtype}")
    low, high = images.min().item(), images.max().item()
    if not (low >= -1.001 and high <= 1.001):  # also refuses NaN
        raise LrcoreError(f"float images must be in [-1, 1], got {low:.4g} to {high:.4g}; pixels 0 to 255 go as uint8")
    if low >= 0.0:
        raise LrcoreError(
            f"float images must be in [-1, 1], got {low:.4g} to {high:.4g} without a value below 0, which looks like "
            "[0, 1]: use 2 * images - 1; images as bright as that go as uint8"
        )


def _described(tensor: Tensor) -> str:
    return f"{tensor.dtype} {tuple(tensor.shape)}"
