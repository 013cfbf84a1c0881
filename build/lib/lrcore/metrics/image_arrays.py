"""Images in one array of an .npz: `arr_0`, uint8 (N, H, W, 3), as guided-diffusion writes it (ADM; Dhariwal & Nichol
2021, arXiv:2105.05233)."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor

from lrcore.errors import LrcoreError
from lrcore.metrics.file_errors import naming_errors
from lrcore.metrics.npz_arrays import header_of, headers
from lrcore.runtime.files import atomic_path

ORDINARY_PIXELS = 2**20
"""Images of up to so many pixels come in batches as large as they are asked for."""

BATCH_PIXELS = 2**24
"""Of batches of larger images, one image at least: a network takes them at their own size, in float32."""


def batch_of(size: int, height: int, width: int) -> int:
    """How many images of height x width px are a batch, where `size` are asked for."""
    return size if height * width <= ORDINARY_PIXELS else max(1, min(size, BATCH_PIXELS // (height * width)))


class ImageArray:
    """The images `arr_0` of an npz file, read a batch at a time; labels in `arr_1` are passed over.

    Attributes:
        path: of the file.
        count: number of images.
        size: (height, width) in px.
    """

    def __init__(self, path: Path) -> None:
        """Reads the header only.

        Raises:
            LrcoreError: the file is missing or damaged, or `arr_0` is not uint8 (N, H, W, 3) with N > 0.
        """
        self.path = path
        with naming_errors(path, "images"):
            header = headers(path).get("arr_0")
            if header is None:
                raise LrcoreError("it has no array 'arr_0'")
            shape = header.shape
            if header.dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or 0 in shape or header.fortran_order:
                order = " in Fortran order" if header.fortran_order else ""
                raise LrcoreError(f"'arr_0' is {header.dtype} {shape}{order}, not uint8 (N, H, W, 3) in C order")
        self.count, self.size = shape[0], (shape[1], shape[2])

    def batches(self, size: int) -> Iterator[Tensor]:
        """The images in order, uint8 (`batch_of(size, H, W)`, 3, H, W), the last batch as it comes.

        Raises:
            LrcoreError: the file is damaged; zipfile compares its checksum with the last batch.
        """
        height, width = self.size
        size = batch_of(size, height, width)
        with (
            naming_errors(self.path, "images"),
            zipfile.ZipFile(self.path) as archive,
            archive.open("arr_0.npy") as entry,
        ):
            header_of(entry)
            for start in range(0, self.count, size):
                shape = (min(size, self.count - start), height, width, 3)
                data = entry.read(prod(shape))
                if len(data) < prod(shape):
                    raise LrcoreError(f"it ends before image {self.count} of {self.count}")
                pixels = torch.frombuffer(bytearray(data), dtype=torch.uint8).reshape(shape)
                yield pixels.permute(0, 3, 1, 2).contiguous()


def write_images(path: Path, batches: Iterable[Tensor]) -> int:
    """Write uint8 batches (B, 3, H, W) of one size as `arr_0` (N, H, W, 3) of an npz, atomically; returns N.

    One batch is in memory at a time. The pixels lie on the disk twice until they are all there, since the header in
    front of them states their number.

    Raises:
        LrcoreError: there are no images, their sizes differ, or the file cannot be written.
    """
    count, size = 0, None
    with atomic_path(path) as temporary, tempfile.TemporaryFile(dir=path.parent) as spooled:
        for batch in batches:
            if size not in (None, batch.shape[1:]):
                raise LrcoreError(f"images of sizes {_px(size)} and {_px(batch.shape[1:])} do not fit into one array")
            count, size = count + len(batch), batch.shape[1:]
            spooled.write(batch.permute(0, 2, 3, 1).contiguous().cpu().numpy().tobytes())
        if size is None:
            raise LrcoreError(f"no images to write to '{path}'")
        spooled.seek(0)
        about = {"descr": "|u1", "fortran_order": False, "shape": (count, size[1], size[2], 3)}
        with (
            zipfile.ZipFile(temporary, "w") as archive,
            archive.open("arr_0.npy", "w", force_zip64=True) as entry,
        ):
            npy.write_array_header_1_0(entry, about)
            shutil.copyfileobj(spooled, entry)
    return count


def _px(shape: torch.Size | None) -> str:
    return "nothing" if shape is None else f"{shape[2]} x {shape[1]} px"
