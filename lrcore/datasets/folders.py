"""Folders with one sub-folder of images a class: one such folder, or ImageNet's `train` and `val`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

import torch
from torch import Tensor

from lrcore.datasets.decoding import IMAGE_ENDINGS
from lrcore.datasets.sets import Readable, Splits, shuffled
from lrcore.errors import LrcoreError
from lrcore.spec.study import Data


@dataclass(frozen=True)
class FolderImages:
    """Image files: `root`, their paths relative to it, and `labels` int64 (N,)."""

    root: Path
    files: list[str]
    labels: Tensor

    def open(self, number: int) -> Path:
        """The file itself."""
        return self.root / self.files[number]

    def name(self, number: int) -> str:
        """The path."""
        return str(self.root / self.files[number])


def folder_splits(data: Data) -> Splits:
    """Both splits out of one folder of class folders, by one fixed shuffle."""
    root = Path(data.path)
    listed = _listed(root, _classes(root))
    readable = Readable(listed, data, data.path)
    found, wanted = len(readable.labels), data.train_images + data.validation_images
    if found < wanted:
        raise LrcoreError(f"'{root}' holds {found} readable images, the study asks for {wanted}")
    order, classes = shuffled(found), 1 + int(listed.labels.max())
    train, validation = order[: data.train_images], order[data.train_images : wanted]
    return Splits(
        readable.select(train, classes, f"{root.name}/train[:{len(train)}]"),
        readable.select(validation, classes, f"{root.name}/validation[:{len(validation)}]"),
    )


def imagenet_splits(data: Data) -> Splits:
    """`train` and `val` of a folder, each with the same class folders; the first ones of one fixed shuffle of each."""
    root = Path(data.path)
    parts = _imagenet_parts(root)
    taken = []
    for (name, listed), wanted in zip(parts.items(), (data.train_images, data.validation_images), strict=True):
        readable = Readable(listed, data, str(root / name))
        found, key = len(readable.labels), "train_images" if name == "train" else "validation_images"
        if found < wanted:
            raise LrcoreError(f"'{root / name}' holds {found} readable images, data.{key} asks for {wanted}")
        classes = 1 + int(listed.labels.max())
        taken.append(readable.select(shuffled(found)[:wanted], classes, f"{root.name}/{name}[:{wanted}]"))
    return Splits(*taken)


def listing(data: Data) -> Iterator[str]:
    """Name and size of every image of a `folder` or an `imagenet`, in order of the path."""
    root = Path(data.path)
    parts = {"": _listed(root, _classes(root))} if data.dataset == "folder" else _imagenet_parts(root)
    for name, images in parts.items():
        for number, file in enumerate(images.files):
            yield f"{PurePath(name, file)} {_size(images.open(number))}"


def _imagenet_parts(root: Path) -> dict[str, FolderImages]:
    for name in ("train", "val"):
        if not (root / name).is_dir():
            raise LrcoreError(
                f"'{root}' holds no folder '{name}': dataset 'imagenet' needs 'train' and 'val' in data.path"
            )
    classes = {name: _classes(root / name) for name in ("train", "val")}
    lacking, unknown = (sorted(set(classes[a]) - set(classes[b])) for a, b in (("train", "val"), ("val", "train")))
    if lacking or unknown:
        raise LrcoreError(
            f"'{root}': train and val must hold the same class folders; only in train: {_few(lacking)}; "
            f"only in val: {_few(unknown)}"
        )
    parts = {name: _listed(root / name, found) for name, found in classes.items()}
    for name, images in parts.items():
        counts = torch.bincount(images.labels, minlength=len(classes[name])).tolist()
        if empty := [label for label, count in zip(classes[name], counts, strict=True) if not count]:
            raise LrcoreError(f"class folders of '{root / name}' hold no images: {_few(empty)}")
    return parts


def _few(names: list[str]) -> str:
    return ", ".join([*names[:5], "..."] if len(names) > 5 else names) or "(none)"


def _classes(root: Path) -> list[str]:
    """The sub-folders, sorted by name."""
    if not root.is_dir():
        raise LrcoreError(f"data.path '{root}' is not a folder; it must hold one sub-folder of images a class")
    return sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def _listed(root: Path, classes: list[str]) -> FolderImages:
    """Every image of the class folders, in order of the path."""
    inside = [_images_under(root / name) for name in classes]
    files = [f"{name}/{file}" for name, found in zip(classes, inside, strict=True) for file in found]
    if not files:
        raise LrcoreError(f"'{root}' holds no images in sub-folders; known endings: {', '.join(IMAGE_ENDINGS)}")
    counts = torch.tensor([len(found) for found in inside])
    return FolderImages(root, files, torch.arange(len(classes)).repeat_interleave(counts))


def _images_under(folder: Path) -> list[str]:
    """At any depth, sorted by the parts of the path."""
    found = []
    for here, _, names in os.walk(folder):
        parts = Path(here).relative_to(folder).parts
        found += [(*parts, name) for name in names if PurePath(name).suffix.lower() in IMAGE_ENDINGS]
    return ["/".join(parts) for parts in sorted(found)]


def _size(path: Path) -> int:
    """In bytes; -1 of a link that leads nowhere, which is an unreadable image."""
    try:
        return path.stat().st_size
    except OSError:
        return -1
