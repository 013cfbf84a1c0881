"""Sets of images as a path names them: a folder of image files, or one of the files of `reference_files`.

    >>> source = open_source(Path("samples"))          # doctest: +SKIP
    >>> for pixels in source.images.batches(64): ...   # doctest: +SKIP

Images are decoded when their batch is due, so that a set may be larger than memory.

Every image of a folder becomes 8-bit RGB, at its own size:

- grey is repeated in the three channels, palettes and CMYK are converted by Pillow;
- transparency is dropped, not composited, as torch-fidelity and pytorch-fid do;
- 16-bit grey v becomes round(v / 257), which maps 65535 to 255; of 16-bit colour Pillow keeps the high byte;
- 32-bit grey has no known white and is refused as unreadable;
- of an animation or several pages the first is taken; the orientation that a camera noted is passed over;
- one of more than `lrcore.datasets.images.MOST_PIXELS` is refused as unreadable.

Which files are images, and what is passed over, says `lrcore.datasets.listing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from lrcore.datasets.images import UNREADABLE, open_image, rgb
from lrcore.datasets.listing import IMAGE_ENDINGS, list_images, report_others, shown
from lrcore.errors import LrcoreError
from lrcore.metrics import shipped
from lrcore.metrics.image_arrays import ImageArray, batch_of
from lrcore.metrics.npz_arrays import array_names
from lrcore.metrics.reference_files import STATISTICS_ENDINGS, FeatureStatistics, read_statistics

PIXEL_RULE = "image files become 8-bit RGB: alpha dropped, 16-bit grey v to round(v / 257)"
"""What is done to the images of a folder, for the record."""

_AHEAD = 64
_AHEAD_PIXELS = 2**26
"""Images, and their pixels, decoded at a time by several threads; one image at least."""

T = TypeVar("T")


class ImageFolder:
    """The images under a folder, at any depth, in order of their paths within each size.

    They are those of `lrcore.datasets.listing`; a line on stderr counts other files. Images of different sizes are
    allowed: batches hold one size, and the sizes follow one another from the smallest height and width. So what is in
    which batch is a property of the folder.

    Attributes:
        path: of the folder.
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
        listing = list_images(path)
        report_others(listing.others, shown(path))
        if not listing.images:
            raise LrcoreError(f"'{shown(path)}' holds no images; known endings: {', '.join(IMAGE_ENDINGS)}")
        for file in (path / name for name in listing.images):
            try:
                with open_image(file) as opened:
                    self._files.setdefault((opened.height, opened.width), []).append(file)
            except UNREADABLE as error:
                self._leave_out(file, error)
        if not self._files:
            raise self._nothing()

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """The distinct (height, width) in px of the images, sorted, without those found unreadable so far."""
        return sorted(key for key, files in self._files.items() if any(file not in self.unreadable for file in files))

    def find_unreadable(self) -> None:
        """Decode every image once, if unreadable ones are to be left out, so that `count` and `sizes` are final."""
        if self._skip_corrupt:
            for _ in self.batches(1):
                pass

    @property
    def count(self) -> int:
        """The number of images, without those found unreadable so far."""
        listed = (file for files in self._files.values() for file in files)
        return sum(file not in self.unreadable for file in listed)

    def batches(self, size: int) -> Iterator[Tensor]:
        """The images, uint8 (`batch_of(size, H, W)`, 3, H, W), the last batch of each (H, W) as it comes.

        Raises:
            LrcoreError: an image cannot be read, with its name, unless those are skipped; or all of them.
        """
        found = 0
        for (height, width), files in sorted(self._files.items()):
            ahead = max(1, min(_AHEAD, _AHEAD_PIXELS // (height * width)))
            for batch in _chunks(self._decoded(files, ahead), batch_of(size, height, width)):
                found += len(batch)
                yield torch.stack(batch)
        if not found:
            raise self._nothing()

    def _nothing(self) -> LrcoreError:
        return LrcoreError(f"none of the {len(self.unreadable)} images under '{shown(self.path)}' can be read")

    def _decoded(self, files: list[Path], ahead: int) -> Iterator[Tensor]:
        with ThreadPoolExecutor() as pool:
            for some in _chunks(files, ahead):
                for file, outcome in zip(some, pool.map(_attempt, some), strict=True):
                    if isinstance(outcome, Tensor):
                        yield outcome
                    else:
                        self._leave_out(file, outcome)

    def _leave_out(self, file: Path, error: Exception) -> None:
        reason = shown(" ".join(str(error).split())) or type(error).__name__
        if not self._skip_corrupt:
            raise LrcoreError(f"image '{shown(file)}' cannot be read: {reason}") from error
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
        raise LrcoreError(
            f"there is no file or folder '{shown(path)}', and no statistics of that name ship with lrcore"
        )
    ending = path.suffix.lower()
    if ending not in STATISTICS_ENDINGS:
        raise LrcoreError(
            f"'{shown(path)}' is no set of images; allowed: a folder of images, or a file "
            f"{', '.join(STATISTICS_ENDINGS)}"
        )
    names = array_names(path) if ending == ".npz" else frozenset({"mu"})
    if not names & {"arr_0", "mu", "sigma"}:
        raise LrcoreError(
            f"'{shown(path)}' holds neither images (arr_0) nor statistics (mu, sigma), "
            f"but {', '.join(sorted(names)) or 'nothing'}"
        )
    images = ImageArray(path) if "arr_0" in names else None
    return Source(path, images, read_statistics(path, network) if names & {"mu", "sigma"} else None)


def _attempt(file: Path) -> Tensor | Exception:
    try:
        with open_image(file) as opened:
            return torch.from_numpy(np.array(rgb(opened))).permute(2, 0, 1).contiguous()
    except UNREADABLE as error:
        return error


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in order, `size` at a time."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
