"""A look at an autoencoder before anything is measured of it: a few images there and back, in seconds.

Each thing looked at gives one `Finding`. What a study would refuse, or measure and be wrong, fails, and says what to
change; what is worth a word is a warning.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lrcore.autoencoders.base import Autoencoder, LatentShape, spread
from lrcore.autoencoders.guard import NotNormalisedError, guard_scale, line_for, scale_of, spread_note
from lrcore.autoencoders.normalised import Normalised
from lrcore.autoencoders.patches import from_tokens
from lrcore.datasets.images import to_float, to_uint8
from lrcore.errors import LrcoreError
from lrcore.metrics.reconstruction import psnr

OK, WARNING, FAILURE = "ok", "warning", "FAILED"

FEW, FEWEST = 4, 2
"""Images that all but the statistics are looked at with, and those that go through once for every range."""

MOST_DECODED, MOST_ENCODED = 64, 512
SECONDS = 6.0
"""At most so many images are decoded, and encoded, and as many as take so long, but no fewer than `FEW` and 16."""

LEAST_ENCODED = 16

BETTER = 3.0
"""dB by which another range has to be better: reconstructions in the right range are never worse by as much."""

POOR = 15.0
"""dB: an image of one colour has about as much."""

CLAMPED, BEYOND = 0.02, 1.1
"""Share of decoded values that is worth a word, outside +- the second: a little beyond 1 decoders often are."""


FLAT = 0.25
"""Share of the images' deviation below which decoded images show next to nothing."""


@dataclass(frozen=True)
class Finding:
    """`level`: `OK`, `WARNING` or `FAILURE`; `what` was looked at; `text`: what was found, and what to change."""

    level: str
    what: str
    text: str


def inspect(
    autoencoder: Autoencoder, train: Any, validation: Any, name: str, in_study: bool = True
) -> Iterator[Finding]:
    """Look at `autoencoder`, whose latents may be at any scale, with uint8 images (N, 3, H, W) of both splits.

    `name`: under `[autoencoders]` in a study; `in_study`: whether it stands in one, where a line can mend its scale. An
    `autoencoder` that is `Normalised` and has no statistics yet is given those of the images that are encoded.

    Raises:
        Exception: whatever the autoencoder's own code raises.
    """
    pixels = spread(validation, FEW)
    inside = autoencoder.inner if isinstance(autoencoder, Normalised) and not autoencoder.measured else autoencoder
    yield _shapes(inside.shape)
    began = time.perf_counter()
    tokens = inside.encode(pixels)
    encoding = (time.perf_counter() - began) / len(pixels)
    inside.decode(tokens)
    decoding = (time.perf_counter() - began) / len(pixels) - encoding
    if not tokens.isfinite().all():
        yield Finding(FAILURE, "images", "encode_batch gave NaN or infinite values for images: look for a division")
        return
    yield _same_twice(inside, pixels, tokens)
    if found := _alone(inside, pixels, tokens):
        yield found
    yield from filter(None, [_token_order(inside, pixels, tokens), _channel_order(inside.shape, tokens)])
    yield _range(inside, pixels, tokens)
    decoded = _as_many(len(validation), SECONDS, encoding + decoding, FEW, MOST_DECODED)
    yield _faithful(inside, spread(validation, decoded))
    encoded = _as_many(len(train), SECONDS, encoding, LEAST_ENCODED, MOST_ENCODED)
    yield from _scale(autoencoder, inside, spread(train, encoded), name, in_study)


def _as_many(there: int, seconds: float, each: float, least: int, most: int) -> int:
    return min(there, most, max(least, int(seconds / max(each, 1e-9))))


def _shapes(shape: LatentShape) -> Finding:
    rows, columns = shape.grid
    text = (
        f"{shape.resolution} x {shape.resolution} px to {rows} x {columns} tokens of {shape.channels_per_token} "
        f"channels (patch {shape.patch}), {shape.pixels_per_token} px each: {shape.dimension:,} numbers for "
        f"{3 * shape.resolution**2:,} pixel values"
    )
    if shape.channels_per_token % shape.patch**2:
        text += (
            f"; patch {shape.patch} means {shape.patch**2} latent pixels a token, which do not divide "
            f"{shape.channels_per_token} channels: correct patch or channels_per_token of self.shape"
        )
        return Finding(FAILURE, "shape", text)
    return Finding(OK, "shape", text)


def _apart(a: Tensor, b: Tensor) -> float:
    """The largest difference, in deviations of `a`."""
    return ((a - b).abs().max() / a.std().clamp(min=1e-12)).item()


def _same_twice(autoencoder: Autoencoder, pixels: Tensor, tokens: Tensor) -> Finding:
    apart = _apart(tokens, autoencoder.encode(pixels))
    if apart == 0:
        return Finding(OK, "twice", "encoded twice, the same bits")
    text = f"encoded twice, latents differ by up to {apart:.2g} deviations"
    if not autoencoder.cacheable:
        return Finding(OK, "twice", f"{text}; cacheable = False says so")
    if apart < 1e-3:
        return Finding(WARNING, "twice", f"{text}: rounding that is not the same each time, so rows will not be either")
    return Finding(
        FAILURE, "twice",
        f"{text}: return the posterior's mode instead of a sample, or set cacheable = False in the class",
    )  # fmt: skip


def _alone(autoencoder: Autoencoder, pixels: Tensor, tokens: Tensor) -> Finding | None:
    """Whether an image's latent depends on others; nothing where it is another each time by itself."""
    if not autoencoder.cacheable:
        return None
    alone = autoencoder.encode(pixels[:1])
    apart = _apart(tokens[:1], alone)
    limit = 0.1 if autoencoder.precision == "bfloat16" else 1e-2
    if apart <= limit:
        return Finding(OK, "alone", "alone and among others, an image has the same latent, to rounding")
    return Finding(
        FAILURE, "alone",
        f"alone, an image has another latent than among {len(pixels)}, by up to {apart:.2g} deviations: encode_batch "
        "must look at each image by itself (statistics of the batch?)",
    )  # fmt: skip


def _token_order(autoencoder: Autoencoder, pixels: Tensor, tokens: Tensor) -> Finding | None:
    """An image moved by a token to the right has its tokens a column further, where latents follow the image at all."""
    rows, columns = autoencoder.shape.grid
    if min(rows, columns) < 3:
        return None
    moved = autoencoder.encode(pixels.roll(autoencoder.shape.pixels_per_token, -1)).unflatten(1, (rows, columns))
    still = tokens.unflatten(1, (rows, columns))
    right = (moved[:, :, 1:] - still[:, :, :-1]).square().mean().item()
    down = (moved[:, 1:] - still[:, :-1]).square().mean().item()
    if down < 0.5 * right and down < 0.5 * 2 * tokens.var().item():
        return Finding(
            FAILURE, "order",
            "an image moved to the right has its tokens one row down: they come column after column; encode_batch must "
            "give them row after row (latent.flatten(2).transpose(1, 2)), and decode_batch take them so",
        )  # fmt: skip
    if right < 0.5 * 2 * tokens.var().item():
        return Finding(OK, "order", "tokens come row after row")
    return None


def _channel_order(shape: LatentShape, tokens: Tensor) -> Finding | None:
    """Latent pixels are smooth: put together in the wrong order they are rougher."""
    patch, channels = shape.patch, shape.channels_per_token
    if patch == 1 or channels % patch**2:
        return None
    turned = tokens.unflatten(2, (patch, patch, channels // patch**2)).permute(0, 1, 4, 2, 3).flatten(2)
    ours, other = (_roughness(from_tokens(order, patch, shape.grid)) for order in (tokens, turned))
    if other < 0.7 * ours:
        return Finding(
            FAILURE, "patch",
            f"channels of a token look like (row, column, channel) of its {patch} x {patch} latent pixels; they must "
            "come as (channel, row, column): lrcore.autoencoders.patches.to_tokens makes them",
        )  # fmt: skip
    return Finding(
        OK, "patch", f"channels of a token come as (channel, row, column) of {patch} x {patch} latent pixels"
    )


def _roughness(latent: Tensor) -> float:
    """Mean squared difference of neighbours (B, C, H, W), against that of any two values of a channel."""
    apart = [latent.diff(dim=dim).square().mean() for dim in (-2, -1)]
    return (sum(apart) / latent.var(dim=(0, 2, 3)).mean().clamp(min=1e-12)).item()


def _raw(autoencoder: Autoencoder, work: Callable[[], Tensor]) -> Tensor:
    device = autoencoder.device.type
    with torch.no_grad(), torch.autocast(device, torch.bfloat16, enabled=autoencoder.precision == "bfloat16"):
        return work().float()


def _range(autoencoder: Autoencoder, pixels: Tensor, tokens: Tensor) -> Finding:
    device = autoencoder.device
    decoded = _raw(autoencoder, lambda: autoencoder.decode_batch(tokens.to(device)))
    if not decoded.isfinite().all():
        return Finding(FAILURE, "range", "decode_batch gave NaN or infinite values for latents of images")
    outside = (decoded.abs() > BEYOND).float().mean().item()
    text = f"decode_batch gives {decoded.min().item():.3g} to {decoded.max().item():.3g} where images are in [-1, 1]"
    if outside > CLAMPED:
        return Finding(WARNING, "range", f"{text}; {100 * outside:.0f} % are outside +-{BEYOND}; at 1 they are clamped")
    contrast = (decoded.std() / to_float(pixels).std().clamp(min=1e-12)).item()
    if contrast < FLAT:
        return Finding(
            WARNING, "range", f"{text}; with {100 * contrast:.2g} % of the images' contrast: nearly one colour"
        )
    return Finding(OK, "range", text)


RANGES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "[-1, 1]": (lambda x: x, lambda x: x),
    "[0, 1]": (lambda x: (x + 1) / 2, lambda x: 2 * x - 1),
    "[0, 255]": (lambda x: 127.5 * (x + 1), lambda x: x / 127.5 - 1),
    "[-1, 1] as BGR": (lambda x: x.flip(1), lambda x: x.flip(1)),
}
"""From lrcore's images to another convention, and back."""

MENDS = {
    "[0, 1]": ("(images + 1) / 2", "2 * images - 1"),
    "[0, 255]": ("127.5 * (images + 1)", "images / 127.5 - 1"),
    "[-1, 1] as BGR": ("images.flip(1)", "images.flip(1)"),
}
"""What encode_batch makes of its images, and decode_batch of its result, for a network of that convention."""


def _faithful(autoencoder: Autoencoder, pixels: Tensor) -> Finding:
    """PSNR, with a warning where images in another range would be better."""
    found = psnr(pixels, to_uint8(autoencoder(pixels)).cpu()).mean().item()
    text = f"PSNR {found:.2f} dB over {len(pixels)} validation images of {autoencoder.shape.resolution} px"
    in_ranges = _psnr_in_ranges(autoencoder, spread(pixels, FEWEST))
    own = in_ranges["[-1, 1]", "[-1, 1]"]
    (taken, given), best = max(in_ranges.items(), key=lambda item: item[1])
    if not math.isfinite(best) or best < own + BETTER:
        if found < POOR:
            return Finding(WARNING, "PSNR", f"{text}: little of the images is left; are the right weights loaded?")
        return Finding(OK, "PSNR", text)
    changes = []
    if taken != "[-1, 1]":
        changes.append(f"give your encoder {MENDS[taken][0]}")
    if given != "[-1, 1]":
        changes.append(f"return {MENDS[given][1]} of your decoder's images")
    return Finding(
        WARNING, "PSNR",
        f"{text} looks like a wrong range, {best:.2f} dB in another: {', and '.join(changes)}; lrcore's images are RGB "
        "in [-1, 1]",
    )  # fmt: skip


def _psnr_in_ranges(autoencoder: Autoencoder, pixels: Tensor) -> dict[tuple[str, str], float]:
    """By the range of the images that the encoder sees, and the range that the decoder's images are taken to be in."""
    found = {}
    for taken, (seen_as, _) in RANGES.items():
        seen = seen_as(to_float(pixels).to(autoencoder.device))
        try:
            decoded = _raw(autoencoder, lambda: autoencoder.decode_batch(autoencoder.encode_batch(seen).float()))  # noqa: B023
        except Exception:  # a class may refuse another range
            decoded = torch.full_like(seen, torch.nan)
        for given, (_, back) in RANGES.items():
            images = back(decoded).clamp(-1, 1)
            fits = images.isfinite().all()
            found[taken, given] = psnr(pixels, to_uint8(images).cpu()).mean().item() if fits else -math.inf
    return found


def _scale(
    autoencoder: Autoencoder, inside: Autoencoder, pixels: Tensor, name: str, in_study: bool
) -> Iterator[Finding]:
    """Mean, deviation and channels of the latents, and the line that mends them."""
    raw = inside.encode(pixels).cpu()
    scale = scale_of(raw)
    text = (
        f"mean {scale.mean:.3g}, deviation {scale.std:.3g}, channels {scale.low:.3g} to {scale.high:.3g} "
        f"({len(pixels)} training images)"
    )
    try:
        if isinstance(autoencoder, Normalised) and autoencoder is not inside:
            autoencoder.measure(pixels)
            guard_scale(autoencoder.encode(pixels).cpu(), name, autoencoder.one_scale)
            yield Finding(OK, "latents", f'{text}; by normalise = "{autoencoder.by}" mean 0 and deviation 1')
            return
        guard_scale(raw, name, inside.one_scale)
    except NotNormalisedError as error:
        # a class by itself is no study yet, which is where the line stands
        level = WARNING if error.by and not in_study else FAILURE
        yield Finding(level, "latents", f"{text}: {f'mended by {line_for(name, error.by)}' if error.by else error}")
        return
    except LrcoreError as error:
        yield Finding(FAILURE, "latents", f"{text}: {error}")
        return
    note = "" if inside.one_scale else spread_note(scale, name)
    if note:
        yield Finding(WARNING, "latents", f"{text}, {scale.spread:.2g} times apart: {line_for(name, 'channel')}")
    else:
        yield Finding(OK, "latents", text)
