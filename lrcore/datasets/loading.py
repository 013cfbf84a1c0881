"""The images of a study, by `[data] dataset`.

| dataset | `path` | `validation_path` |
| --- | --- | --- |
| `cifar10` | | |
| `folder` | one sub-folder of images a class, split by one fixed shuffle | or another such folder |
| `imagenet` | `train/<class>/...` and `val/<class>/...`, as torchvision's ImageFolder takes them | |
| `webdataset` | tar shards with `<key>.jpg` (jpeg, png, webp) and `<key>.cls` | the same |
| `parquet` | Parquet files with columns `image` and `label`, Hugging Face's layout | the same |

Paths of shards are patterns: `/x/train-{000000..000127}.tar`, `/x/train-*.parquet`. What is an image in a folder, and
what is passed over, says `listing`. Labels are integers or text of any value: the name of the folder, the text of
`.cls`, or the column. The classes are those of the training images that the study takes, numbered from 0 in ascending
order (`classes`). A class folder without images is refused, and so are validation images of a class that no image of
the training shards has; if only the training images that are taken lack it, they count as wrong in the linear probe.

Images other than CIFAR-10's go through `decoding.centre_crop`. What is larger than `sets.IN_MEMORY` is decoded when it
is used, see `lazy.LazyImages`; when unreadable images are found, see `sets.Readable`.

What the images are, the `fingerprint`, is what their files hold: names, classes and every byte, by sha256. So a first
start reads all files once, as the first pass over the images does; later ones look at sizes and times (`contents`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from lrcore.assets import cache
from lrcore.datasets import cifar10
from lrcore.datasets.classes import RULE
from lrcore.datasets.contents import fingerprint_of, sha256s
from lrcore.datasets.decoding import CROP, read_image
from lrcore.datasets.folders import ClassFolders
from lrcore.datasets.lazy import LazyImages
from lrcore.datasets.listing import IMAGE_ENDINGS
from lrcore.datasets.sets import ImageSet, Splits, Taken, as_splits
from lrcore.datasets.shards import Shards
from lrcore.errors import LrcoreError, unknown
from lrcore.spec.study import Data

__all__ = [
    "IMAGE_ENDINGS", "ImageSet", "ImageSource", "LazyImages", "Splits", "contents", "fingerprint", "load_splits",
    "read_image",
]  # fmt: skip


class _Files(Protocol):
    """Where images come from, on disk; `where` is what that place is called."""

    where: str

    def files(self) -> Iterator[tuple[str, Path]]:
        """What images and classes are read from, by name."""

    def splits(self, data: Data) -> Splits:
        """The part that a study takes."""


class _Cifar10:
    where = "cifar10"

    def files(self) -> Iterator[tuple[str, Path]]:
        yield "cifar10", cache.fetch("cifar10")

    def splits(self, data: Data) -> Splits:
        if data.resolution != 32:
            raise LrcoreError(f"data.resolution must be 32 for cifar10, got {data.resolution}")
        parts = (("train", data.train_images), ("test", data.validation_images))
        return as_splits(*(Taken(*cifar10.load(split, limit), f"cifar10/{split}[:{limit}]") for split, limit in parts))


_KINDS: dict[str, Callable[[Data], _Files]] = {
    "cifar10": lambda data: _Cifar10(),
    "folder": ClassFolders,
    "imagenet": ClassFolders,
    "webdataset": Shards,
    "parquet": Shards,
}


class ImageSource:
    """The images of a study, listed and indexed once for all that is asked of them."""

    def __init__(self, data: Data) -> None:
        """Looks at nothing yet.

        Raises:
            LrcoreError: no data set of that name.
        """
        if data.dataset not in _KINDS:
            raise unknown("dataset", data.dataset, _KINDS)
        self._data = data

    def splits(self, data: Data | None = None) -> Splits:
        """As `load_splits`; `data` may ask for other numbers of images than the source was made with."""
        return self._files.splits(data or self._data)

    def contents(self, check: Callable[[], None] = lambda: None, reread: bool = False) -> list[tuple[str, str]]:
        """As the function `contents`."""
        named = list(self._files.files())
        found = sha256s([file for _, file in named], self._files.where, check, reread)
        return [(name, sha256) for (name, _), sha256 in zip(named, found, strict=True)]

    def fingerprint(self, check: Callable[[], None] = lambda: None, reread: bool = False) -> str:
        """As the function `fingerprint`."""
        if self._data.dataset != "cifar10":
            return fingerprint_of(self.contents(check, reread), CROP, RULE)
        if self._data.train_images >= cifar10.HOLD_EVERY_CLASS:
            return "cifar10"
        classes = cifar10.load("train", self._data.train_images)[1].unique().tolist()
        return f"cifar10, classes {classes}"

    @functools.cached_property
    def _files(self) -> _Files:
        return _KINDS[self._data.dataset](self._data)


def load_splits(data: Data) -> Splits:
    """The training and validation images of a study.

    Raises:
        LrcoreError: too few images, a wrong resolution, missing files, an empty class folder, classes that differ
            between the splits, an unreadable image (named and counted; see `sets.Readable` for those that are found
            only when used).
    """
    return ImageSource(data).splits()


def contents(data: Data, check: Callable[[], None] = lambda: None, reread: bool = False) -> list[tuple[str, str]]:
    """Name and sha256 of every file that images or classes are read from, in order; "" of an unreadable one.

    Args:
        data: what the study says.
        check: called while files are read, and may raise to stop.
        reread: read all files anew, whatever is known of those that have kept size and times: to find what changed
            unnoticed, compare the result with one without it.

    Raises:
        LrcoreError: missing files, or folders or shards that are none.
    """
    return ImageSource(data).contents(check, reread)


def fingerprint(data: Data, check: Callable[[], None] = lambda: None, reread: bool = False) -> str:
    """What the images are, for telling whether work on them is still good; arguments and errors as for `contents`.

    Names, classes and contents of all files, with the way from an image to pixels and from a label to a class.
    CIFAR-10's is its name, or beside it the classes where so few training images are taken that one is missing.
    """
    return ImageSource(data).fingerprint(check, reread)
