"""The images of a study: CIFAR-10, or a folder with one sub-folder of images a class."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from lrcore import cifar10
from lrcore.errors import LrcoreError
from lrcore.images import rgb
from lrcore.studies import Data

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


@dataclass(frozen=True)
class ImageSet:
    """`images` uint8 (N, 3, H, W), `labels` int64 (N,), and a `name` that says exactly which images they are."""

    images: Tensor
    labels: Tensor
    classes: int
    name: str


@dataclass(frozen=True)
class Splits:
    """What is trained on, and what reconstruction is measured on; no image is in both."""

    train: ImageSet
    validation: ImageSet


def load_splits(data: Data) -> Splits:
    """The training and validation images of a study.

    Raises:
        LrcoreError: too few images, a wrong resolution, a missing folder, an unreadable image (named and counted).
    """
    return _cifar10_splits(data) if data.dataset == "cifar10" else _folder_splits(data)


def fingerprint(data: Data) -> str:
    """What the images are, for telling whether work on them is still good: names and sizes of a folder's files."""
    if data.dataset == "cifar10":
        return "cifar10"
    listed = [f"{path.relative_to(data.path)} {path.stat().st_size}" for path, _ in _listed(Path(data.path))]
    return hashlib.sha256("\n".join(listed).encode()).hexdigest()


def _cifar10_splits(data: Data) -> Splits:
    if data.resolution != 32:
        raise LrcoreError(f"data.resolution must be 32 for cifar10, got {data.resolution}")

    def split(name: str, limit: int) -> ImageSet:
        images, labels = cifar10.load(name, limit)
        return ImageSet(images, labels, 10, f"cifar10/{name}[:{limit}]")

    return Splits(split("train", data.train_images), split("test", data.validation_images))


def _listed(root: Path) -> list[tuple[Path, int]]:
    """Every image of a folder with the number of its class, in order of the path."""
    if not root.is_dir():
        raise LrcoreError(f"data.path '{root}' is not a folder; it must hold one sub-folder of images a class")
    classes = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    listed = [(path, label) for label, folder in enumerate(classes) for path in sorted(folder.rglob("*"))
              if path.suffix.lower() in IMAGE_ENDINGS]  # fmt: skip
    if not listed:
        raise LrcoreError(f"'{root}' holds no images in sub-folders; known endings: {', '.join(IMAGE_ENDINGS)}")
    return listed


def _folder_splits(data: Data) -> Splits:
    root = Path(data.path)
    listed = _listed(root)
    classes = 1 + max(label for _, label in listed)
    images, labels = _read_all(listed, data)
    wanted = data.train_images + data.validation_images
    if len(images) < wanted:
        raise LrcoreError(f"'{root}' holds {len(images)} readable images, the study asks for {wanted}")
    # one fixed shuffle, so that both splits hold every class
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))

    def split(name: str, part: Tensor) -> ImageSet:
        return ImageSet(images[part], labels[part], classes, f"{root.name}/{name}[:{len(part)}]")

    return Splits(split("train", order[: data.train_images]), split("validation", order[data.train_images : wanted]))


def _read_all(listed: list[tuple[Path, int]], data: Data) -> tuple[Tensor, Tensor]:
    images, labels, broken = [], [], []
    for path, label in listed:
        try:
            images.append(read_image(path, data.resolution))
            labels.append(label)
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
            broken.append(f"'{path}' ({error})")
    if broken:
        report = f"{len(broken)} of {len(listed)} images cannot be read: {'; '.join(broken[:5])}" + (
            "; ..." if len(broken) > 5 else ""
        )
        if data.unreadable == "refuse":
            raise LrcoreError(f'{report}. Repair or remove them, or set unreadable = "skip" in [data]')
        print(f"skipped: {report}", file=sys.stderr)
    if not images:
        raise LrcoreError(f"none of the {len(listed)} images under '{data.path}' can be read")
    return torch.stack(images), torch.tensor(labels)


def read_image(path: Path, resolution: int) -> Tensor:
    """One image as uint8 (3, resolution, resolution): largest centred square, antialiased bicubic resize, RGB."""
    with Image.open(path) as opened:
        image = rgb(opened)
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side)).resize((resolution, resolution), Image.Resampling.BICUBIC)
    return torch.from_numpy(numpy.asarray(square).copy()).permute(2, 0, 1)
