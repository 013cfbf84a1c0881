"""safetensors files that say when they are damaged: every one under `runs/` and `data/` goes through here.

The format has no checksum of its own: a flipped bit is another number. Two digests stand in its metadata:

    lrcore_sha256           of the tensors' bytes, in the order of the file
    lrcore_header_sha256    of the header: names, types, shapes, offsets and all metadata, the digest above among them

The second tells without reading the tensors whether what a file says of itself is true. Weights in diffusers' layout
also hold the digest of the `config.json` beside them, which says how they are used. Other programs pass over all three.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from lrcore.errors import LrcoreError
from lrcore.runtime.files import NO_DIGEST, atomic_path, removal

DATA_DIGEST, HEADER_DIGEST = "lrcore_sha256", "lrcore_header_sha256"
CONFIG_DIGEST = "lrcore_config_sha256"
CONFIG = "config.json"

_LENGTH = 8
"""Bytes of the header's length, which a file begins with (little-endian)."""

_CHUNK = 2**22


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors (contiguous, on the CPU) with their digests, atomically; the same bytes for the same content.

    Raises:
        LrcoreError: the file cannot be written.
    """
    with atomic_path(path) as temporary:
        # written first with digests of zeros, which have the length of the real ones
        blank = {**(metadata or {}), DATA_DIGEST: "0" * 64, HEADER_DIGEST: "0" * 64}
        save_file(dict(tensors), temporary, metadata=blank)
        with temporary.open("r+b") as file:
            header, start = _header(file)
            _sign(header, file)
            # in one order: the library's is another in every process
            text = _text(header).ljust(start - _LENGTH)
            assert len(text) == start - _LENGTH
            file.seek(_LENGTH)
            file.write(text)


def load_tensors(path: Path, mend: str = "") -> dict[str, Tensor]:
    """The tensors of a file that is whole, on the CPU.

    Args:
        path: of the file, which is read twice: for its digest, and for its tensors, which are mapped.
        mend: what repairs it, for the message; "" for what can be made again by the command that needs it.

    Raises:
        LrcoreError: it is missing, damaged or without digest; names it and says what repairs it.
    """
    require_whole(path, mend)
    return dict(load_file(path))


def require_whole(path: Path, mend: str = "") -> dict[str, str]:
    """Check every byte of a file against its digests; returns its metadata. Arguments and errors as `load_tensors`."""
    return _checked(path, mend, data=True)


@functools.cache
def require_whole_once(path: Path) -> None:
    """As `require_whole`, once for every path in a process: for what is mapped and read again and again."""
    require_whole(path)


def checked_metadata(path: Path, mend: str = "") -> dict[str, str]:
    """The metadata of a file, whose header alone is read and checked. Arguments and errors as `load_tensors`."""
    return _checked(path, mend, data=False)


def tensor_files(folder: Path) -> list[Path]:
    """All files of safetensors under a folder, in order; what is hidden, such as what is being written, is left out."""
    found = sorted(folder.rglob("*.safetensors"))
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def has_digests(path: Path) -> bool:
    """Whether a file has digests, right or wrong; False of one that is none of safetensors."""
    try:
        with path.open("rb") as file:
            metadata = _header(file)[0].get("__metadata__", {})
    except (OSError, ValueError):
        return False
    return DATA_DIGEST in metadata or HEADER_DIGEST in metadata


def add_digests(path: Path) -> None:
    """Write a file of safetensors anew with digests; its tensors and what it says of itself stay.

    Where a `config.json` is beside it, that one's digest is added too.

    Raises:
        LrcoreError: it is no whole file of safetensors, or cannot be written.
    """
    try:
        load_file(path)  # whatever the format itself can tell
        with path.open("rb") as file:
            header, start = _header(file)
            metadata = header.setdefault("__metadata__", {})
            if path.with_name(CONFIG).exists():
                metadata[CONFIG_DIGEST] = _config_digest(path.with_name(CONFIG))
            _sign(header, file)
            text = _text(header)
            text = text.ljust(-(-len(text) // 8) * 8)  # tensors are to begin at a multiple of 8
            with atomic_path(path) as temporary, temporary.open("wb") as target:
                target.write(len(text).to_bytes(_LENGTH, "little") + text)
                file.seek(start)
                while chunk := file.read(_CHUNK):
                    target.write(chunk)
    except (OSError, ValueError, SafetensorError) as error:
        raise _damaged(path, error, "") from error


def _checked(path: Path, mend: str, data: bool) -> dict[str, str]:
    try:
        if not path.is_file():
            raise ValueError("it is missing, or no regular file")
        with path.open("rb") as file:
            header, _ = _header(file)
            metadata: dict[str, str] = header.get("__metadata__", {})
            if DATA_DIGEST not in metadata or HEADER_DIGEST not in metadata:
                raise LrcoreError(NO_DIGEST.format(path))
            if metadata[HEADER_DIGEST] != _header_digest(header):
                raise ValueError("its header is not the one that was written")
            if data and metadata[DATA_DIGEST] != _digest_of_rest(file):
                raise ValueError("its tensors are not those that were written")
            if CONFIG_DIGEST in metadata and metadata[CONFIG_DIGEST] != _config_digest(path.with_name(CONFIG)):
                raise ValueError(f"the {CONFIG} beside it is not the one that was written")
    except (OSError, ValueError) as error:
        raise _damaged(path, error, mend) from error
    return metadata


def _damaged(path: Path, error: Exception, mend: str) -> LrcoreError:
    reason = (error.strerror if isinstance(error, OSError) else "") or str(error)
    mend = mend or f"`{removal(path)}`, then the same command makes it again"
    return LrcoreError(f"'{path}' is damaged ({reason}): {mend}")


def _header(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """The header of a file, and where the tensors begin, which is where the file is read next.

    Raises:
        ValueError: it has none.
    """
    length = int.from_bytes(file.read(_LENGTH), "little")
    if not 0 < length <= os.fstat(file.fileno()).st_size - _LENGTH:
        raise ValueError("it has no header of safetensors")
    try:
        header = json.loads(file.read(length))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its header cannot be read: {error}") from error
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__", {}), dict):
        raise ValueError("its header is none of safetensors")
    return header, _LENGTH + length


def _sign(header: dict[str, Any], file: BinaryIO) -> None:
    """Put the digests into `header`; `file` stands where its tensors begin."""
    header["__metadata__"][DATA_DIGEST] = _digest_of_rest(file)
    header["__metadata__"][HEADER_DIGEST] = _header_digest(header)


def _header_digest(header: dict[str, Any]) -> str:
    metadata = {name: value for name, value in header["__metadata__"].items() if name != HEADER_DIGEST}
    return hashlib.sha256(_text({**header, "__metadata__": metadata})).hexdigest()


def _config_digest(path: Path) -> str:
    """Of what a JSON file says, however it is laid out."""
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"the {CONFIG} beside it cannot be read: {error}") from error
    return hashlib.sha256(_text(content)).hexdigest()


def _digest_of_rest(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _text(header: dict[str, Any]) -> bytes:
    # escapes as the library does, so that the length stays
    return json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
