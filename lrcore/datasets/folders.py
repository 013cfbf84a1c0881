"""Folders with one sub-folder of images a class: one such folder, two, or ImageNet's `train` and `val`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from lrcore.datasets.classes import Labels, Name
from lrcore.datasets.listing import IMAGE_ENDINGS, is_image, list_images, report_others, shown, visible
from lrcore.datasets.sets import Readable, Splits, Taken, as_splits, shuffled
from lrcore.errors import LrcoreError
from lrcore.spec.study import Data


@dataclass(frozen=True)
class FolderImages:
    """Image files: `root`, their paths relative to it, and their classes.

    `others`: the files that were passed over, by their endings.
    """

    root: Path
    files: list[str]
    labels: Labels
    others: Counter[str]

    def open(self, number: int) -> Path:
        """The file itself."""
        return self.root / self.files[number]

    def name(self, number: int) -> str:
        """The path."""
        return str(self.root / self.files[number])


class ClassFolders:
    """The images of a `folder` or of an `imagenet`, listed once."""

    def __init__(self, data: Data) -> None:
        """Raises:
        LrcoreError: no such folders, a class folder without images, or classes that differ between two.
        """
        self.where = data.path
        self._root, self._imagenet = Path(data.path), data.dataset == "imagenet"
        self._parts = _parts(data)
        self._reported = False

    def files(self) -> Iterator[tuple[str, Path]]:
        """What the images are read from, by name; the class is part of it."""
        for part, images in self._parts.items():
            for number, file in enumerate(images.files):
                yield f"{part}/{file}" if part else file, images.open(number)

    def splits(self, data: Data) -> Splits:
        """Both out of one folder by one fixed shuffle, or of two folders the first images of one shuffle each.

        Two folders may be the same: then validation images are training images, too.
        """
        if not self._reported:
            for images in self._parts.values():
                report_others(images.others, shown(images.root))
            self._reported = True
        return self._cut(data) if "" in self._parts else self._both(data)

    def _cut(self, data: Data) -> Splits:
        root = self._root
        readable = Readable(self._parts[""], data, data.path)
        found, wanted = len(readable.codes), data.train_images + data.validation_images
        if found < wanted:
            raise LrcoreError(f"'{shown(root)}' holds {found} readable images, the study asks for {wanted}")
        order = shuffled(found)
        train, validation = order[: data.train_images], order[data.train_images : wanted]
        return as_splits(
            readable.select(train, f"{root.name}/train[:{len(train)}]"),
            readable.select(validation, f"{root.name}/validation[:{len(validation)}]"),
        )

    def _both(self, data: Data) -> Splits:
        taken: list[Taken] = []
        for (name, listed), wanted in zip(
            self._parts.items(), (data.train_images, data.validation_images), strict=True
        ):
            readable = Readable(listed, data, str(listed.root))
            found, key = len(readable.codes), "train_images" if name == "train" else "validation_images"
            if found < wanted:
                raise LrcoreError(f"'{shown(listed.root)}' holds {found} readable images, data.{key} asks for {wanted}")
            root = self._root if self._imagenet else listed.root
            taken.append(readable.select(shuffled(found)[:wanted], f"{root.name}/{name}[:{wanted}]"))
        return as_splits(*taken)


def _parts(data: Data) -> dict[str, FolderImages]:
    """What is listed, by the part of the data set; "" of one folder that is divided."""
    root = Path(data.path)
    if data.dataset == "imagenet":
        return _imagenet_parts(root)
    if not data.validation_path:
        return {"": _listed(root)}
    parts = {"train": _listed(root), "validation": _listed(Path(data.validation_path), "data.validation_path")}
    train, validation = (set(images.labels.names) for images in parts.values())
    first, second = _few(train - validation), _few(validation - train)
    if train != validation:
        raise LrcoreError(
            f"data.path '{shown(root)}' and data.validation_path '{shown(data.validation_path)}' must hold the same "
            f"class folders; only in the first: {first}; only in the second: {second}"
        )
    return parts


def _imagenet_parts(root: Path) -> dict[str, FolderImages]:
    for name in ("train", "val"):
        if not (root / name).is_dir():
            raise LrcoreError(
                f"'{shown(root)}' holds no folder '{name}': dataset 'imagenet' needs 'train' and 'val' in data.path"
            )
    parts = {name: _listed(root / name) for name in ("train", "val")}
    train, val = (set(images.labels.names) for images in parts.values())
    if train != val:
        raise LrcoreError(
            f"'{shown(root)}': train and val must hold the same class folders; only in train: {_few(train - val)}; "
            f"only in val: {_few(val - train)}"
        )
    return parts


def _listed(root: Path, key: str = "data.path") -> FolderImages:
    """Every image of the class folders, in order of the path."""
    classes, others = _classes(root, key)
    names: list[Name] = [*classes]
    inside = [list_images(root / name, above=[root]) for name in classes]
    others = sum((found.others for found in inside), others)
    files = [f"{name}/{file}" for name, found in zip(classes, inside, strict=True) for file in found.images]
    if not files:
        raise LrcoreError(f"'{shown(root)}' holds no images in sub-folders; known endings: {', '.join(IMAGE_ENDINGS)}")
    if empty := {name for name, found in zip(names, inside, strict=True) if not found.images}:
        raise LrcoreError(f"class folders of '{shown(root)}' hold no images: {_few(empty)}; remove or fill them")
    counts = torch.tensor([len(found.images) for found in inside])
    return FolderImages(root, files, Labels(tuple(names), torch.arange(len(names)).repeat_interleave(counts)), others)


def _classes(root: Path, key: str) -> tuple[list[str], Counter[str]]:
    """The sub-folders, sorted by name; and what else there is, which is in no class."""
    if not root.is_dir():
        raise LrcoreError(f"{key} '{shown(root)}' is not a folder; it must hold one sub-folder of images a class")
    names, others = [], Counter[str]()
    for entry in visible(root):
        path = root / entry.name
        if path.is_dir():
            names.append(entry.name)
        elif path.is_symlink() and not path.exists() and not is_image(entry.name):
            raise LrcoreError(f"class folder '{shown(path)}' is a link that leads nowhere; repair or remove it")
        else:
            others[path.suffix.lower()] += 1
    return names, others


def _few(names: set[Name]) -> str:
    some = [shown(str(name)) for name in sorted(names, key=str)]
    return ", ".join([*some[:5], "..."] if len(some) > 5 else some) or "(none)"
