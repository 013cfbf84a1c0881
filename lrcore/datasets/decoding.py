"""One encoded image to pixels: 8-bit RGB, cropped and resized to the study's resolution."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import numpy
import torch
from PIL import Image
from torch import Tensor

from lrcore.datasets.images import rgb

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")

UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)
"""What Pillow raises for damaged images of one format or another, and what a source raises for missing bytes."""

CROP = "ADM centre crop"
"""The name of `centre_crop`, part of every fingerprint: other pixels of the same files are other data."""


def centre_crop(image: Image.Image, size: int) -> Image.Image:
    """The central `size` x `size` px of an image of any size, resized so that its shorter side is `size`.

    The preprocessing of ADM (Dhariwal & Nichol 2021, arXiv 2105.05233), on which reference statistics of ImageNet rest:
    halve by box averaging while the shorter side is at least 2 `size`; resize the whole by bicubic interpolation, its
    sides rounded half to even; cut out the centre, offsets rounded down. Images smaller than `size` are enlarged.
    """
    while min(image.size) >= 2 * size:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = size / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))


def read_image(file: Path | BinaryIO, resolution: int) -> Tensor:
    """One image as uint8 (3, resolution, resolution): RGB by `lrcore.datasets.images.rgb`, then `centre_crop`.

    Raises:
        One of `UNREADABLE`: it cannot be decoded.
    """
    with Image.open(file) as opened:
        pixels = centre_crop(rgb(opened), resolution)
    return torch.from_numpy(numpy.array(pixels)).permute(2, 0, 1)
