"""Errors of the readers of statistics and images, as errors that name the file."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from safetensors import SafetensorError

from lrcore.errors import LrcoreError


@contextmanager
def naming_errors(path: Path, what: str) -> Iterator[None]:
    """Errors of readers as errors that name the file."""
    try:
        yield
    except FileNotFoundError as error:
        raise LrcoreError(f"there is no file '{path}'") from error
    except (
        *(OSError, EOFError, ValueError, KeyError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error),
        *(pa.ArrowException, SafetensorError, LrcoreError),
    ) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise LrcoreError(f"'{path}' is damaged or holds no {what}: {reason}") from error


def listed(names: Iterable[str]) -> str:
    """Names as text."""
    return ", ".join(sorted(names)) or "none"
