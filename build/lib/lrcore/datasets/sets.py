"""Sets of images with their classes, and the selection of the part that a study takes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lrcore.datasets.classes import numbered
from lrcore.datasets.lazy import AHEAD, REMEDY, EncodedImages, LazyImages, decode, described
from lrcore.datasets.listing import shown
from lrcore.errors import LrcoreError
from lrcore.spec.study import Data

IN_MEMORY = 2**30
"""Sets up to so many bytes of pixels are decoded once and kept."""


@dataclass(frozen=True)
class ImageSet:
    """Images with `labels` int64 (N,) of `classes` many, and a `name` that says exactly which images they are.

    Classes are those of the training images, numbered from 0 (`classes.numbered`); a validation image of another class
    has the label `classes.NO_CLASS`.

    `images` is a uint8 tensor (N, 3, H, W), or `LazyImages`, which behaves as one where the tensor would be large.
    """

    images: Any
    labels: Tensor
    classes: int
    name: str

    def first(self, count: int) -> Any:
        """The first `count` images, of which `LazyImages` stay undecoded until they are asked for."""
        return self.images.narrow(0, 0, min(count, len(self.images)))


@dataclass(frozen=True)
class Splits:
    """What is trained on, and what reconstruction is measured on; no image is in both."""

    train: ImageSet
    validation: ImageSet


class Taken(NamedTuple):
    """The part of a set that a study takes: images as in `ImageSet`, the codes of their classes, and its name."""

    images: Any
    codes: Tensor
    name: str


def as_splits(train: Taken, validation: Taken) -> Splits:
    """Both, with the classes that the training images have."""
    classes, labels = numbered(train.codes, validation.codes)
    sets = zip((train, validation), labels, strict=True)
    return Splits(*(ImageSet(taken.images, own, classes, taken.name) for taken, own in sets))


class Readable:
    """The images of a source that can be read, as far as that is known before they are used.

    Of a source of up to `IN_MEMORY` bytes of pixels all images are decoded here, so broken ones are found here. Of a
    larger one all are decoded here, and dropped again, if broken ones are to be skipped; if they are to be refused,
    that happens when the image is used.

    Attributes:
        codes: of the classes (`classes.Labels`), int64 (N,), of the readable images in the order of the source.
    """

    def __init__(self, encoded: EncodedImages, data: Data, where: str) -> None:
        """Raises:
        LrcoreError: images of `where` cannot be read (named and counted) and are not to be skipped; or none can.
        """
        self._encoded, self._resolution = encoded, data.resolution
        self._kept: Tensor | None = None
        self._numbers = torch.arange(len(encoded.labels.codes))
        small = len(self._numbers) * self._bytes <= IN_MEMORY
        if small or data.unreadable == "skip":
            self._decode(small, data.unreadable, where)
        self.codes = encoded.labels.codes[self._numbers]

    def select(self, order: Tensor, name: str) -> Taken:
        """The readable images at the places `order`; decoded now if they fit into `IN_MEMORY` bytes."""
        return Taken(self._pixels(order), self.codes[order], shown(name))

    @property
    def _bytes(self) -> int:
        return 3 * self._resolution**2

    def _pixels(self, order: Tensor) -> Tensor | LazyImages:
        if self._kept is not None:
            return self._kept[order]
        lazy = LazyImages(self._encoded, self._numbers[order], self._resolution)
        return lazy[:] if len(lazy) * self._bytes <= IN_MEMORY else lazy

    def _decode(self, keep: bool, unreadable: str, where: str) -> None:
        chunks: list[Tensor] = []
        broken: dict[int, str] = {}
        for chunk, failed in decode(self._encoded, self._numbers.split(AHEAD), self._resolution):
            broken |= failed
            if keep:
                chunks.append(chunk)
        _report(self._encoded, broken, len(self._numbers), unreadable, where)
        whole = torch.tensor([number not in broken for number in self._numbers.tolist()])
        self._numbers = self._numbers[whole]
        if keep:
            self._kept = torch.cat(chunks)[whole] if broken else torch.cat(chunks)


def _report(encoded: EncodedImages, broken: dict[int, str], listed: int, unreadable: str, where: str) -> None:
    if not broken:
        return
    report = f"{len(broken)} of {listed} images cannot be read: {described(encoded, broken)}"
    if unreadable == "refuse":
        raise LrcoreError(f"{report}. {REMEDY}")
    print(f"skipped: {report}", file=sys.stderr)
    if len(broken) == listed:
        raise LrcoreError(f"none of the {listed} images under '{shown(where)}' can be read")


def shuffled(count: int) -> Tensor:
    """The numbers 0 to `count` - 1 in one fixed order, so that every part of a sorted set holds every class."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))
