"""The images of a study, by `[data] dataset`.

| dataset | `path` | `validation_path` |
| --- | --- | --- |
| `cifar10` | | |
| `folder` | one sub-folder of images a class, split by one fixed shuffle | |
| `imagenet` | `train/<class>/...` and `val/<class>/...`, as torchvision's ImageFolder takes them | |
| `webdataset` | tar shards with `<key>.jpg` (jpeg, png, webp) and `<key>.cls` | the same |
| `parquet` | Parquet files with columns `image` and `label`, Hugging Face's layout | the same |

Paths of shards are patterns: `/x/train-{000000..000127}.tar`, `/x/train-*.parquet`. Classes of folders are numbered by
name. Images other than CIFAR-10's go through `decoding.centre_crop`. What is larger than `sets.IN_MEMORY` is decoded
when it is used, see `lazy.LazyImages`; when unreadable images are found, see `sets.Readable`.
"""

from __future__ import annotations

import hashlib

from lrcore.datasets import cifar10, folders, shards
from lrcore.datasets.decoding import CROP, IMAGE_ENDINGS, read_image
from lrcore.datasets.lazy import LazyImages
from lrcore.datasets.sets import ImageSet, Splits
from lrcore.errors import LrcoreError, unknown
from lrcore.spec.study import Data

__all__ = ["IMAGE_ENDINGS", "ImageSet", "LazyImages", "Splits", "fingerprint", "load_splits", "read_image"]

_LOADERS = {
    "folder": folders.folder_splits,
    "imagenet": folders.imagenet_splits,
    "webdataset": shards.shard_splits,
    "parquet": shards.shard_splits,
}


def load_splits(data: Data) -> Splits:
    """The training and validation images of a study.

    Raises:
        LrcoreError: too few images, a wrong resolution, missing files, classes that differ between the splits, an
            unreadable image (named and counted; see `sets.Readable` for those that are found only when used).
    """
    if data.dataset == "cifar10":
        return _cifar10_splits(data)
    if data.dataset not in _LOADERS:
        raise unknown("dataset", data.dataset, ["cifar10", *_LOADERS])
    return _LOADERS[data.dataset](data)


def fingerprint(data: Data) -> str:
    """What the images are, for telling whether work on them is still good.

    Names and sizes of a folder's images or of the shards, with the way from an image to pixels.
    """
    if data.dataset == "cifar10":
        return "cifar10"
    listing = folders.listing if data.dataset in ("folder", "imagenet") else shards.listing
    return hashlib.sha256("\n".join([CROP, *listing(data)]).encode()).hexdigest()


def _cifar10_splits(data: Data) -> Splits:
    if data.resolution != 32:
        raise LrcoreError(f"data.resolution must be 32 for cifar10, got {data.resolution}")

    def split(name: str, limit: int) -> ImageSet:
        images, labels = cifar10.load(name, limit)
        return ImageSet(images, labels, 10, f"cifar10/{name}[:{limit}]")

    return Splits(split("train", data.train_images), split("test", data.validation_images))
