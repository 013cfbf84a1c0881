"""Arrays of an .npz as other programs write it: their names and shapes without reading them; nothing is unpickled."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from lrcore.errors import LrcoreError
from lrcore.metrics.file_errors import naming_errors


def array_names(path: Path) -> frozenset[str]:
    """The names of the arrays in an npz file.

    Raises:
        LrcoreError: the file is missing, damaged or no npz.
    """
    with naming_errors(path, "arrays of numpy"):
        return frozenset(headers(path))


@dataclass(frozen=True)
class Header:
    """What an array is, as its file says."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype


def headers(path: Path) -> dict[str, Header]:
    """Shape and type of every array, without reading one."""
    found = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if not entry.filename.endswith(".npy"):
                continue
            with archive.open(entry) as file:
                header = header_of(file)
                # before anything of that size is allocated
                if file.tell() + prod(header.shape) * header.dtype.itemsize != entry.file_size:
                    raise LrcoreError(f"array '{entry.filename}' is not as long as its shape {header.shape} says")
            found[entry.filename.removesuffix(".npy")] = header
    return found


def header_of(file: IO[bytes]) -> Header:
    """The header of an open .npy file.

    Raises:
        LrcoreError: an unknown version, or pickled objects.
    """
    version = npy.read_magic(file)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise LrcoreError(f"version {version} of the npy format is not known")
    header = Header(*read(file))
    if header.dtype.hasobject:
        raise LrcoreError("it holds pickled Python objects, which are not read")
    return header
