"""One encoded image to pixels: 8-bit RGB, cropped and resized to the study's resolution."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from threading import Condition
from typing import BinaryIO

import numpy
import torch
from PIL import Image
from torch import Tensor

from lrcore.datasets.images import open_image, rgb

CROP = "ADM centre crop"
"""The name of `centre_crop`, part of every fingerprint: other pixels of the same files are other data."""

WHOLE = 16
"""Images up to so many times as long as they are wide are resized whole, longer ones where they are cut out."""

PIXELS_AT_ONCE = 2**26
"""Of images that are decoded at a time, by all threads together, at about ten bytes each; one image in any case."""


def centre_crop(image: Image.Image, size: int) -> Image.Image:
    """The central `size` x `size` px of an image of any size, resized so that its shorter side is `size`.

    The preprocessing of ADM (Dhariwal & Nichol 2021, arXiv 2105.05233), on which reference statistics of ImageNet rest:
    halve by box averaging while the shorter side is at least 2 `size`; resize the whole by bicubic interpolation, its
    sides rounded half to even; cut out the centre, offsets rounded down. Images smaller than `size` are enlarged.
    Where the sides differ by more than `WHOLE` times, only the centre is resized: the same pixels to rounding (of
    Pillow's two passes, whose order depends on the sizes), without a long picture that is thrown away. Nothing is made
    smaller while it is decoded (JPEG's `draft`), since these would be other pixels.
    """
    while min(image.size) >= 2 * size:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = size / min(image.size)
    resized = round(image.width * scale), round(image.height * scale)
    if max(resized) > WHOLE * size:
        return _resized_centre(image, resized, size)
    image = image.resize(resized, Image.Resampling.BICUBIC)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))


def read_image(file: Path | BinaryIO, resolution: int) -> Tensor:
    """One image as uint8 (3, resolution, resolution): RGB by `lrcore.datasets.images.rgb`, then `centre_crop`.

    Raises:
        One of `UNREADABLE`: it cannot be decoded.
    """
    with open_image(file) as opened, _ROOM.taken(opened.width * opened.height):
        pixels = centre_crop(rgb(opened), resolution)
    return torch.from_numpy(numpy.array(pixels)).permute(2, 0, 1)


def _resized_centre(image: Image.Image, resized: tuple[int, int], size: int) -> Image.Image:
    """The central `size` x `size` px of `image` at the size `resized`, of which no more is made."""
    cut, boxes = [], []
    for length, new in zip(image.size, resized, strict=True):
        step, first = length / new, (new - size) // 2
        start, end = first * step, (first + size) * step
        reach = 2 * math.ceil(max(step, 1.0)) + 2  # what the bicubic filter sees around a pixel
        low, high = max(0, math.floor(start) - reach), min(length, math.ceil(end) + reach)
        cut.append((low, high))
        boxes.append((start - low, min(end, high) - low))
    (left, right), (top, bottom) = cut
    (x0, x1), (y0, y1) = boxes
    part = image.crop((left, top, right, bottom))
    return part.resize((size, size), Image.Resampling.BICUBIC, box=(x0, y0, x1, y1))


class _Room:
    """For so many pixels at a time: a thread waits until what it brings fits in, or nothing else is there."""

    def __init__(self, pixels: int) -> None:
        self._most, self._taken = pixels, 0
        self._changed = Condition()

    @contextlib.contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Room for `pixels` inside."""
        with self._changed:
            self._changed.wait_for(lambda: self._taken == 0 or self._taken + pixels <= self._most)
            self._taken += pixels
        try:
            yield
        finally:
            with self._changed:
                self._taken -= pixels
                self._changed.notify_all()


_ROOM = _Room(PIXELS_AT_ONCE)
