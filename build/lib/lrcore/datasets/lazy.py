"""Images that are decoded when they are asked for, by several threads and ahead of their use.

Pillow lets go of Python's lock while it decodes and resizes, so threads scale like processes without copying pixels
between them.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Protocol

import torch
from torch import Tensor

from lrcore.datasets.classes import Labels
from lrcore.datasets.decoding import read_image
from lrcore.datasets.images import UNREADABLE
from lrcore.datasets.listing import shown
from lrcore.errors import LrcoreError

AHEAD = 256
"""So many images are decoded while those before them are in use; one chunk at least."""


class EncodedImages(Protocol):
    """Images by number, as they are stored; `open` is called by several threads at a time."""

    @property
    def labels(self) -> Labels:
        """Classes of N images."""

    def open(self, number: int) -> Path | BinaryIO:
        """What Pillow can open. Raises one of `images.UNREADABLE` where there is nothing."""

    def name(self, number: int) -> str:
        """What the image is called in messages."""


class LazyImages:
    """uint8 images (N, 3, H, W) that behave as the tensor of them does under `len`, indexing, `narrow` and `split`.

    An image that cannot be decoded raises an LrcoreError with its name whenever it is asked for.
    """

    dtype = torch.uint8
    ndim = 4

    def __init__(self, encoded: EncodedImages, numbers: Tensor, resolution: int) -> None:
        """Those of `encoded` with the `numbers` (N,), in that order, at `resolution` px a side."""
        self._encoded, self._numbers, self._resolution = encoded, numbers, resolution

    @property
    def shape(self) -> torch.Size:
        """(N, 3, H, W)."""
        return torch.Size((len(self), 3, self._resolution, self._resolution))

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, picked: int | slice | Tensor) -> Tensor:
        """The images at a place, a slice or a tensor of places, decoded."""
        numbers = self._numbers[picked]
        # in the order in which they are stored, since what lies together is read together
        order = numbers.flatten().argsort()
        images = torch.empty(numbers.numel(), *self.shape[1:], dtype=torch.uint8)
        images[order] = self._decoded(numbers.flatten()[order])
        return images.view(*numbers.shape, *self.shape[1:])

    def narrow(self, dim: int, start: int, length: int) -> LazyImages:
        """`length` images from `start` on, not decoded.

        Raises:
            ValueError: a dimension other than 0, or images that there are not.
        """
        if dim != 0 or min(start, length) < 0 or start + length > len(self):
            raise ValueError(f"narrow({dim}, {start}, {length}) of {len(self)} images")
        return LazyImages(self._encoded, self._numbers[start : start + length], self._resolution)

    def split(self, size: int) -> Iterator[Tensor]:
        """All images in order, `size` at a time, the following ones being decoded meanwhile."""
        for chunk, broken in decode(self._encoded, self._numbers.split(size), self._resolution):
            self._refuse(broken)
            yield chunk

    def _decoded(self, numbers: Tensor) -> Tensor:
        chunk, broken = next(decode(self._encoded, [numbers], self._resolution))
        self._refuse(broken)
        return chunk

    def _refuse(self, broken: dict[int, str]) -> None:
        if broken:
            raise LrcoreError(f"{described(self._encoded, broken)} cannot be read. {REMEDY}")


REMEDY = 'Repair or remove them, or set unreadable = "skip" in [data]'

Decoded = tuple[Tensor, dict[int, str]]
"""Images uint8 (B, 3, H, W), and why those that could not be decoded, by number, could not; their pixels are void."""


def decode(encoded: EncodedImages, parts: Iterable[Tensor], resolution: int) -> Iterator[Decoded]:
    """The images of each part (numbers, int64 (B,)), up to `AHEAD` of later parts being decoded meanwhile."""
    waiting: deque[tuple[Tensor, list[tuple[int, Future[str]]]]] = deque()
    pool = ThreadPoolExecutor(_threads(), thread_name_prefix="decoding")

    def attempt(number: int, target: Tensor) -> str:
        try:
            target.copy_(read_image(encoded.open(number), resolution))
        except UNREADABLE as error:
            return shown(" ".join(str(error).split())) or type(error).__name__
        return ""

    def finished(images: Tensor, attempts: list[tuple[int, Future[str]]]) -> Decoded:
        return images, {number: reason for number, attempt in attempts if (reason := attempt.result())}

    try:
        for numbers in parts:
            images = torch.empty(len(numbers), 3, resolution, resolution, dtype=torch.uint8)
            numbered = zip(numbers.tolist(), images, strict=True)
            waiting.append((images, [(number, pool.submit(attempt, number, image)) for number, image in numbered]))
            while len(waiting) > 1 and sum(len(images) for images, _ in waiting) - len(waiting[0][0]) >= AHEAD:
                yield finished(*waiting.popleft())
        while waiting:
            yield finished(*waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def described(encoded: EncodedImages, broken: dict[int, str]) -> str:
    """The first few of the broken images with the reasons."""
    listed = [f"'{shown(encoded.name(number))}' ({reason})" for number, reason in list(broken.items())[:5]]
    return "; ".join([*listed, "..."] if len(broken) > 5 else listed)


def _threads() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
