"""Sets of images as a path names them: a folder of image files, or one of the files of `reference_files`.

    >>> source = open_source(Path("samples"))          # doctest: +SKIP
    >>> for pixels in source.images.batches(64): ...   # doctest: +SKIP

Images are decoded when their batch is due, so that a set may be larger than memory.

Every image of a folder becomes 8-bit RGB, at its own size:

- grey is repeated in the three channels, palettes and CMYK are converted by Pillow;
- transparency is dropped, not composited, as torch-fidelity and pytorch-fid do;
- 16-bit grey v becomes round(v / 257), which maps 65535 to 255; of 16-bit colour Pillow keeps the high byte;
- 32-bit grey has no known white and is refused as unreadable;
- of an animation or several pages the first is taken; the orientation that a camera noted is passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lrcore.datasets import decoding
from lrcore.datasets.images import rgb
from lrcore.errors import LrcoreError
from lrcore.metrics import shipped
from lrcore.metrics.image_arrays import ImageArray
from lrcore.metrics.npz_arrays import array_names
from lrcore.metrics.reference_files import STATISTICS_ENDINGS, FeatureStatistics, read_statistics

IMAGE_ENDINGS = (*decoding.IMAGE_ENDINGS, ".tif", ".tiff")

PIXEL_RULE = "image files become 8-bit RGB: alpha dropped, 16-bit grey v to round(v / 257)"
"""What is done to the images of a folder, for the record."""

# What Pillow raises for damaged files of one format or another.
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)

_AHEAD = 64
"""Images decoded at a time, by several threads."""

T = TypeVar("T")


class ImageFolder:
    """The images under a folder, at any depth, in order of their paths within each size.

    Hidden files and folders are passed over, and so are symbolic links to folders. Images of different sizes are
    allowed: batches hold one size, and the sizes follow one another from the smallest height and width. So what is in
    which batch is a property of the folder.

    Attributes:
        path: of the folder.
        sizes: the distinct (height, width) in px, sorted.
        unreadable: path and reason of the files that were left out; complete once all batches have been read.
    """

    def __init__(self, path: Path, skip_corrupt: bool = False) -> None:
        """Reads the header of every file. `skip_corrupt`: leave out, instead of refusing, what cannot be read.

        Raises:
            LrcoreError: no folder, no images in it, or one whose header cannot be read, with its name.
        """
        self.path = path
        self.unreadable: dict[Path, str] = {}
        self._skip_corrupt = skip_corrupt
        self._files: dict[tuple[int, int], list[Path]] = {}
        listed = _image_files(path)
        for file in listed:
            try:
                with Image.open(file) as opened:
                    self._files.setdefault((opened.height, opened.width), []).append(file)
            except _UNREADABLE as error:
                self._leave_out(file, error)
        if not self._files:
            raise LrcoreError(f"none of the {len(listed)} images under '{path}' can be read")
        self.sizes = sorted(self._files)

    @property
    def count(self) -> int:
        """The number of images, without those found unreadable so far."""
        listed = (file for files in self._files.values() for file in files)
        return sum(file not in self.unreadable for file in listed)

    def batches(self, size: int) -> Iterator[Tensor]:
        """The images, uint8 (`size`, 3, H, W), the last batch of each (H, W) as it comes.

        Raises:
            LrcoreError: an image cannot be read, with its name, unless those are skipped; or all of them.
        """
        found = 0
        for key in self.sizes:
            for batch in _chunks(self._decoded(self._files[key]), size):
                found += len(batch)
                yield torch.stack(batch)
        if not found:
            raise LrcoreError(f"none of the {len(self.unreadable)} images under '{self.path}' can be read")

    def _decoded(self, files: list[Path]) -> Iterator[Tensor]:
        with ThreadPoolExecutor() as pool:
            for some in _chunks(files, _AHEAD):
                for file, outcome in zip(some, pool.map(_attempt, some), strict=True):
                    if isinstance(outcome, Tensor):
                        yield outcome
                    else:
                        self._leave_out(file, outcome)

    def _leave_out(self, file: Path, error: Exception) -> None:
        reason = " ".join(str(error).split()) or type(error).__name__
        if not self._skip_corrupt:
            raise LrcoreError(f"image '{file}' cannot be read: {reason}") from error
        self.unreadable[file] = reason


@dataclass(frozen=True)
class Source:
    """What a path holds: images, statistics of features, or both, as the reference batches of guided-diffusion do."""

    path: Path
    images: ImageFolder | ImageArray | None
    statistics: FeatureStatistics | None


def open_source(path: Path, skip_corrupt: bool = False, network: str = "") -> Source:
    """What is at `path`: a folder of images or a file of `reference_files`. Reads statistics, and headers of images.

    Args:
        path: of a folder, or of a file with one of `STATISTICS_ENDINGS`; or one of `shipped.NAMES`.
        skip_corrupt: see `ImageFolder`.
        network: see `read_statistics`.

    Raises:
        LrcoreError: there is nothing, something else, or something damaged.
    """
    if path.is_dir():
        return Source(path, ImageFolder(path, skip_corrupt), None)
    if not path.exists():
        if str(path) in shipped.NAMES:
            return Source(path, None, read_statistics(shipped.shipped_path(str(path))))
        raise LrcoreError(f"there is no file or folder '{path}', and no statistics of that name ship with lrcore")
    ending = path.suffix.lower()
    if ending not in STATISTICS_ENDINGS:
        raise LrcoreError(
            f"'{path}' is no set of images; allowed: a folder of images, or a file {', '.join(STATISTICS_ENDINGS)}"
        )
    names = array_names(path) if ending == ".npz" else frozenset({"mu"})
    if not names & {"arr_0", "mu", "sigma"}:
        raise LrcoreError(
            f"'{path}' holds neither images (arr_0) nor statistics (mu, sigma), "
            f"but {', '.join(sorted(names)) or 'nothing'}"
        )
    images = ImageArray(path) if "arr_0" in names else None
    return Source(path, images, read_statistics(path, network) if names & {"mu", "sigma"} else None)


def _image_files(folder: Path) -> list[Path]:
    """Sorted by path relative to the folder, so that moving it changes nothing."""
    found = [
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_ENDINGS and path.is_file()
    ]
    shown = sorted(path for path in found if not any(part.startswith(".") for part in path.parts))
    if not shown:
        raise LrcoreError(f"'{folder}' holds no images; known endings: {', '.join(IMAGE_ENDINGS)}")
    return [folder / path for path in shown]


def _attempt(file: Path) -> Tensor | Exception:
    try:
        with Image.open(file) as opened:
            return torch.from_numpy(np.array(rgb(opened))).permute(2, 0, 1).contiguous()
    except _UNREADABLE as error:
        return error


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in order, `size` at a time."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
