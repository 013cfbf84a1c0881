"""Images in shards, few large files with many images each: tar archives in WebDataset's layout, or Parquet.

Shards keep the order in which they were written, since writers shuffle: the first images are the first of the first
shard. Where neighbours are of one class far more often than chance would have it, one fixed shuffle takes its place.
"""

from __future__ import annotations

import functools
import glob
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

from lrcore.datasets.classes import matched
from lrcore.datasets.lazy import EncodedImages
from lrcore.datasets.listing import report_others
from lrcore.datasets.parquet_shards import ParquetImages
from lrcore.datasets.sets import Readable, Splits, as_splits, shuffled
from lrcore.datasets.tar_shards import TarImages
from lrcore.errors import LrcoreError
from lrcore.spec.study import Data

_SPECIAL = re.compile(r"[*?\[{]")


class Shards:
    """The shards that `data` names; their index is made when it is first asked for."""

    def __init__(self, data: Data) -> None:
        """Raises:
        LrcoreError: a pattern that names no files, or files that are in both.
        """
        self._data = data
        self._train, self._validation = _files(data)
        self.where = f"{data.path} {data.validation_path}"

    def files(self) -> Iterator[tuple[str, Path]]:
        """What the images and their classes are read from, by name."""
        for name, pattern, files in (
            ("train", self._data.path, self._train),
            ("validation", self._data.validation_path, self._validation),
        ):
            for file in files:
                yield f"{name} {file.relative_to(_fixed_folder(pattern))}", file

    def splits(self, data: Data) -> Splits:
        """The first images of the training shards and of the validation shards; see the module for their order."""
        train, validation = self._indexed
        taken = []
        for images, name, key, wanted in (
            (train, "train", "path", data.train_images),
            (validation, "validation", "validation_path", data.validation_images),
        ):
            pattern = getattr(data, key)
            readable = Readable(images, data, pattern)
            found = len(readable.codes)
            if found < wanted:
                raise LrcoreError(f"'{pattern}' holds {found} readable images, data.{name}_images asks for {wanted}")
            order = shuffled(found) if in_class_order(readable.codes) else torch.arange(found)
            taken.append(readable.select(order[:wanted], f"{_fixed_folder(pattern).name}/{name}[:{wanted}]"))
        return as_splits(*taken)

    @functools.cached_property
    def _indexed(self) -> tuple[EncodedImages, EncodedImages]:
        """Both sets, with the same classes in the same order."""
        train, validation = _index(self._train, self._data), _index(self._validation, self._data)
        for images, pattern in ((train, self._data.path), (validation, self._data.validation_path)):
            if isinstance(images, TarImages):
                report_others(images.others, pattern, "member", images.hint)
        where = self._data.path, self._data.validation_path
        train.labels, validation.labels = matched(train.labels, validation.labels, where)
        return train, validation


def in_class_order(labels: Tensor) -> bool:
    """Whether neighbours share a class far more often than in a shuffled set of the same codes of classes (N,).

    A shuffled set has sum_c p_c^2 of them, with p_c the share of class c, a sorted one almost 1; the line is half-way.
    """
    if len(labels) < 2:
        return False
    by_chance = (torch.bincount(labels).double() / len(labels)).square().sum()
    equal = (labels[1:] == labels[:-1]).double().mean()
    return bool(equal > (1 + by_chance) / 2)


def expand(pattern: str, key: str) -> list[Path]:
    """The files that a pattern names, in its order: braces (`{000..127}`, `{a,b}`) first, then `*`, `?`, `[...]`, `**`.

    Raises:
        LrcoreError: a file that braces name is absent, nothing fits the wildcards, or braces that mean nothing. `key`
            is where the pattern stands.
    """
    found: list[str] = []
    for name in _braces_expanded(pattern, key):
        matches = sorted(glob.glob(name, recursive=True)) if glob.has_magic(name) else [name]  # noqa: PTH207
        if not matches:
            raise LrcoreError(f"{key} '{pattern}': no file fits '{name}'")
        found += matches
    files = [Path(name) for name in dict.fromkeys(found)]
    absent = [str(file) for file in files if not file.is_file()]
    if absent:
        hint = "; name the shards in it, as in '/*.tar'" if Path(absent[0]).is_dir() else ""
        raise LrcoreError(f"{key} '{pattern}': {len(absent)} of {len(files)} are no files, first '{absent[0]}'{hint}")
    return files


def _index(files: list[Path], data: Data) -> TarImages | ParquetImages:
    if data.dataset == "webdataset":
        return TarImages.index(files)
    return ParquetImages.index(files, data.image_column, data.label_column)


def _files(data: Data) -> tuple[list[Path], list[Path]]:
    train, validation = expand(data.path, "data.path"), expand(data.validation_path, "data.validation_path")
    shared = sorted(set(train) & set(validation))
    if shared:
        raise LrcoreError(f"data.path and data.validation_path share {len(shared)} shards, first '{shared[0]}'")
    return train, validation


def _braces_expanded(pattern: str, key: str) -> list[str]:
    parts = re.split(r"\{([^{}]*)\}", pattern)
    if any(re.search(r"[{}]", text) for text in parts[::2]):
        raise LrcoreError(f"{key} '{pattern}': braces must come in pairs, not one within another")
    choices = [[part] if place % 2 == 0 else _choices(part, pattern, key) for place, part in enumerate(parts)]
    return ["".join(chosen) for chosen in product(*choices)]


def _choices(inside: str, pattern: str, key: str) -> list[str]:
    if numbers := re.fullmatch(r"(\d+)\.\.(\d+)", inside):
        first, last = numbers.groups()
        if int(first) <= int(last):
            width = max(len(first), len(last)) if first.startswith("0") else 0
            return [f"{number:0{width}d}" for number in range(int(first), int(last) + 1)]
    elif "," in inside:
        return inside.split(",")
    raise LrcoreError(f"{key} '{pattern}': '{{{inside}}}' means nothing; allowed: {{000..127}} and {{a,b}}")


def _fixed_folder(pattern: str) -> Path:
    """The folder above the first part that varies."""
    parts = Path(pattern).parts
    varying = next((place for place, part in enumerate(parts) if _SPECIAL.search(part)), len(parts) - 1)
    return Path(*parts[:varying])
