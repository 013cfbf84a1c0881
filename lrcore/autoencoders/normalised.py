"""Normalisation for an autoencoder whose own is none, or not enough: statistics of its latents on training images.

    autoencoder = Normalised(Mine(256), by="channel")
    autoencoder.measure(training_images)                 # uint8 (N, 3, H, W)
    torch.save(autoencoder.state_dict(), "mine.pt")      # holds the statistics beside the weights

A study does the same for `normalise = "channel"`, and keeps the statistics under `runs/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lrcore.autoencoders.base import Autoencoder, CollapsedError, LatentShape, Posterior, encode_all, spread
from lrcore.autoencoders.resized import Resized
from lrcore.errors import LrcoreError, unknown
from lrcore.spec.study import NORMALISATIONS

MEASURED_IMAGES = 2048
"""Statistics are of at most so many images, spread over those that are given."""

MEASURED_NUMBERS = 2**29
"""Pixel values, and numbers of latents, of them at most: all are in memory."""

LEAST_IMAGES = 2
"""Of fewer there is no deviation at a position."""

CONSTANT = 1e-6
"""Deviations below this share of the largest, or of the values themselves, are rounding: the number is the same in all
images."""

STATISTICS = ("mean", "deviation", "images")


class Normalised(Autoencoder):
    """(token - mean) / deviation of the tokens of `inner`; decoding undoes it.

    `mean` and `deviation` broadcast to (tokens, channels): one number of each where `by` is "all", one for each of a
    token's channels for "channel", one for each channel at each position for "position". They are buffers, and `images`
    counts what they were measured on: `state_dict` holds all three.
    """

    mean: Tensor
    deviation: Tensor
    images: Tensor

    def __init__(self, inner: Autoencoder, by: str = "channel") -> None:
        """`by`: one of `spec.study.NORMALISATIONS`.

        Raises:
            LrcoreError: `inner` is no autoencoder with a shape, or `by` is unknown.
        """
        super().__init__()
        if not isinstance(inner, Autoencoder) or not isinstance(getattr(inner, "shape", None), LatentShape):
            raise LrcoreError(f"Normalised takes an Autoencoder that has set its shape, got a {type(inner).__name__}")
        if by not in NORMALISATIONS:
            raise unknown("normalisation", by, NORMALISATIONS)
        self.inner, self.by, self.shape = inner, by, inner.shape
        self.cacheable, self.precision = inner.cacheable, inner.precision
        self.one_scale = inner.one_scale and by == "all"
        sides = {"all": (1, 1), "channel": (1, self.shape.channels_per_token)}
        size = sides.get(by, (self.shape.tokens, self.shape.channels_per_token))
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))
        self.register_buffer("images", torch.zeros((), dtype=torch.int64))

    @property
    def _pixels_seen(self) -> int:
        return self.inner._pixels_seen

    @property
    def measured(self) -> bool:
        """Whether it has statistics."""
        return bool(self.images)

    @torch.no_grad()
    def measure(self, pixels: Any) -> None:
        """Take the statistics of the latents of `pixels`: uint8 (N, 3, H, W), a tensor or `LazyImages`.

        Raises:
            CollapsedError: the latent, or a part of it, is the same in all images, which no scale mends.
            LrcoreError: fewer than `LEAST_IMAGES` images, or NaN in their latents.
        """
        largest = max(3 * self.shape.resolution**2, self.shape.dimension)
        seen = spread(pixels, min(MEASURED_IMAGES, max(LEAST_IMAGES, MEASURED_NUMBERS // largest)))
        if len(seen) < LEAST_IMAGES:
            raise LrcoreError(f"normalisation is measured on at least {LEAST_IMAGES} images, got {len(seen)}")
        self.inner.before_chunk = self.before_chunk
        tokens = encode_all(self.inner, seen).double()
        if not tokens.isfinite().all():
            raise LrcoreError("the latents hold NaN or infinite values: no statistics can be taken of them")
        over = {"all": (0, 1, 2), "channel": (0, 1)}.get(self.by, (0,))
        variance, mean = torch.var_mean(tokens, dim=over, keepdim=True)
        deviation = variance.sqrt()
        largest_value = tokens.abs().amax(dim=over, keepdim=True)
        constant = (deviation <= CONSTANT * torch.maximum(deviation.max(), largest_value))[0]
        self._refuse(constant.nonzero().tolist(), tokens, len(seen))
        self.use({"mean": mean[0], "deviation": deviation[0], "images": torch.tensor(len(seen))})

    def use(self, statistics: Mapping[str, Tensor]) -> None:
        """Take `statistics` that were measured before: those of `STATISTICS`, in the shapes of the buffers.

        Raises:
            LrcoreError: one is missing, or of another shape.
        """
        for name in STATISTICS:
            found, own = statistics.get(name), getattr(self, name)
            if found is None or found.shape != own.shape:
                got = "nothing" if found is None else str(tuple(found.shape))
                raise LrcoreError(f"statistics by {self.by}: {name} must be of shape {tuple(own.shape)}, got {got}")
            own.copy_(found)

    @property
    def statistics(self) -> dict[str, Tensor]:
        """What `use` takes, on the CPU."""
        return {name: getattr(self, name).detach().cpu().contiguous() for name in STATISTICS}

    def encode_batch(self, images: Tensor) -> Tensor:
        return self._normalised(self.inner.encode_batch(images))

    def posterior_batch(self, images: Tensor) -> Posterior:
        mean, std = self.inner.posterior_batch(images)
        return Posterior(self._normalised(mean), None if std is None else std.float() / self.deviation)

    def decode_batch(self, tokens: Tensor) -> Tensor:
        self._require_measured()
        return self.inner.decode_batch(tokens * self.deviation + self.mean)

    def _normalised(self, tokens: Tensor) -> Tensor:
        self._require_measured()
        return (tokens.float() - self.mean) / self.deviation

    def _require_measured(self) -> None:
        if not self.measured:
            raise LrcoreError(
                f"Normalised({type(self.inner).__name__}) has no statistics yet: call measure(training_images), or "
                "load a state_dict that holds them"
            )

    def _refuse(self, constant: list[list[int]], tokens: Tensor, images: int) -> None:
        if not constant:
            return
        if self.by == "all":
            raise CollapsedError(f"the latent has collapsed: all values are {tokens.mean().item():.4g}")
        if self.by == "channel":
            named = ", ".join(str(channel) for _, channel in constant[:5]) + (", ..." if len(constant) > 5 else "")
            raise CollapsedError(
                f"{len(constant)} of {self.shape.channels_per_token} channels of the latent are the same in all "
                f"{images:,} images ({named}): no scale mends them, leave them out of the latent"
            )
        raise CollapsedError(
            f"{len(constant)} of the {self.shape.dimension:,} numbers of a latent are the same in all {images:,} "
            'images: normalise = "channel" takes its statistics over positions'
        )


def has_posterior(autoencoder: Autoencoder) -> bool:
    """Whether `posterior` tells a deviation."""
    inside = autoencoder
    while isinstance(inside, Normalised | Resized):
        inside = inside.inner
    return type(inside).posterior_batch is not Autoencoder.posterior_batch


def tried(autoencoder: Autoencoder) -> Autoencoder:
    """What can be tried out before there are images: the inside of one whose statistics are not measured yet."""
    return autoencoder.inner if isinstance(autoencoder, Normalised) and not autoencoder.measured else autoencoder


def seeing(autoencoder: Autoencoder, resolution: int) -> Autoencoder:
    """The autoencoder for images of `resolution` px; as it is where it was made for them.

    One that measures statistics of its latents goes on to be the outermost: a study asks it for them.
    """
    if autoencoder.shape.resolution == resolution:
        return autoencoder
    if isinstance(autoencoder, Normalised):
        autoencoder.inner = seeing(autoencoder.inner, resolution)
        autoencoder.shape = autoencoder.inner.shape
        return autoencoder
    return Resized(autoencoder, resolution)
