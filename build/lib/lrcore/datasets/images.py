"""The one image convention: float tensors in [-1, 1] or uint8 tensors, both (..., 3, H, W)."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy
import torch
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from lrcore.runtime.files import atomic_path

UINT8_RULE = "clamp to [-1, 1], 127.5 * (x + 1), round half to even"
"""How floats become pixels; recorded in every row, since it moves the Frechet distance."""

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "PPM", "TIFF", "GIF")
"""What is opened as an image, whatever the name says; others of Pillow's formats start programs, as EPS does."""

MOST_PIXELS = 89_478_485
"""Of one image: where Pillow begins to warn of files that are made to fill the memory, 268 MB of RGB."""

UNREADABLE = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError),
    *(AssertionError, RuntimeError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError),
)
"""What Pillow raises for damaged images of one format or another, and what a source raises for missing bytes."""

# `open_image` refuses what Pillow warns of
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def to_float(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 in [0, 255] to float32 in [-1, 1], any shape.

    Raises:
        TypeError: `pixels` is not uint8.
    """
    if pixels.dtype != torch.uint8:
        raise TypeError(f"expected uint8 pixels, got {pixels.dtype}")
    return pixels.float() / 127.5 - 1.0


def to_uint8(images: torch.Tensor) -> torch.Tensor:
    """Float in [-1, 1] to uint8 by `UINT8_RULE`, any shape; the inverse of `to_float`.

    Raises:
        TypeError: `images` is not floating point.
        ValueError: `images` holds NaN, which no pixel can show.
    """
    if not images.is_floating_point():
        raise TypeError(f"expected floating-point images, got {images.dtype}")
    if torch.isnan(images).any():
        raise ValueError("images hold NaN")
    return rounded(images)


def rounded(images: torch.Tensor) -> torch.Tensor:
    """As `to_uint8`, of images without NaN: nothing is looked at, so that no device is waited for."""
    return (127.5 * (images.float().clamp(-1.0, 1.0) + 1.0)).round().to(torch.uint8)


def open_image(file: Path | BinaryIO) -> Image.Image:
    """The image in a file, its header read and nothing decoded; to be closed, or used in a `with`.

    Raises:
        One of `UNREADABLE`: it is of none of `FORMATS`, is damaged, or has more than `MOST_PIXELS`.
    """
    try:
        opened = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        raise UnidentifiedImageError(f"it is no image of a known format: {', '.join(FORMATS)}") from None
    if not 0 < opened.width * opened.height <= MOST_PIXELS:
        opened.close()
        raise ValueError(f"{opened.width} x {opened.height} px: an image may have 1 to {MOST_PIXELS:,} pixels")
    return opened


def rgb(opened: Image.Image) -> Image.Image:
    """An image of any mode as 8-bit RGB: alpha dropped, 16-bit grey v to round(v / 257), grey in all three channels.

    Raises:
        ValueError: its values have no known range (32 bits a pixel).
    """
    # older releases of Pillow open the 16 bits of a PNG as 32
    if opened.mode.startswith("I;16") or (opened.mode == "I" and opened.format == "PNG"):
        # Pillow itself would clip at 255
        grey = (numpy.asarray(opened).astype(numpy.int32) + 128) // 257
        return Image.fromarray(grey.astype(numpy.uint8)).convert("RGB")
    if opened.mode in ("I", "F"):
        raise ValueError(f"mode {opened.mode}: 32 bits a pixel have no known white; convert it to 8 or 16 bits")
    if opened.mode == "P" and isinstance(opened.info.get("transparency"), bytes):
        return opened.convert("RGBA").convert("RGB")  # Pillow warns about the direct way
    if opened.mode == "RGB":  # of which convert() would make a copy
        opened.load()
        return opened
    return opened.convert("RGB")


def save_png(path: Path, pixels: torch.Tensor, text: Mapping[str, str] | None = None) -> None:
    """Write one uint8 image (3, H, W) as PNG, atomically, with `text` chunks of these keywords."""
    said = PngInfo()
    for keyword, value in (text or {}).items():
        said.add_text(keyword, value)
    with atomic_path(path) as temporary:
        image = Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
        image.save(temporary, format="PNG", optimize=True, pnginfo=said)


def png_text(path: Path) -> dict[str, str]:
    """The text chunks of a PNG; none where there is no such file, or it is no PNG."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            found = image.info.items()
            return {str(keyword): value for keyword, value in found if isinstance(value, str)}
    except (FileNotFoundError, UnidentifiedImageError):
        return {}
