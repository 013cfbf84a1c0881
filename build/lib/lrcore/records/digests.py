"""Parquet files that say when they are damaged.

Three things tell, of which the format brings the first:

- checksums of the pages;
- `DIGEST` in the metadata of the schema: the sha256 of the rows, names and types of the columns, every value, and all
  other metadata. It depends on the rows alone, not on how they are cut into pages and row groups;
- the seal: the sha256 of all other bytes of the file, which finds what the two leave unseen, such as a minimum or an
  offset in the footer that is another. It stands between the pages and the footer, where the format has no use for the
  bytes, so that every program reads the file as ever.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from lrcore.errors import LrcoreError
from lrcore.runtime.files import atomic_path

DIGEST = b"lrcore_sha256"

_SEAL = b"lrcore_seal:"
_SEALED = len(_SEAL) + hashlib.sha256().digest_size
_END = 8
"""Bytes after the footer: its length and the format's name."""


class UnreadableError(LrcoreError):
    """A file is damaged, or none of Parquet; the message says what of it, without its name."""


def table_digest(table: pa.Table) -> str:
    """The sha256 of a table, in hex digits: columns, values (NaN by its bits) and metadata but `DIGEST`."""
    digest = hashlib.sha256()
    for key, value in sorted((table.schema.metadata or {}).items()):
        if key != DIGEST:
            digest.update(b"%d %s %d %s\n" % (len(key), key, len(value), value))
    for field, column in zip(table.schema, table.columns, strict=True):
        digest.update(f"{field.name} {_named(field.type)} {len(column)}\n".encode())
        _add(digest, pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], field.type))
    return digest.hexdigest()


def write_table(table: pa.Table, path: Path, **options: Any) -> None:
    """Write a table with checksums and its digest, atomically; `options` as for `pyarrow.parquet.write_table`.

    Raises:
        LrcoreError: the file cannot be written.
    """
    with atomic_path(path) as temporary:
        pa.parquet.write_table(signed(table), temporary, write_page_checksum=True, **options)
        seal(temporary)


def seal(path: Path) -> None:
    """Put the seal into a file that has none, in place."""
    content = path.read_bytes()
    pages, footer = content[: (at := _footer(content))], content[at:]
    path.write_bytes(pages + _SEAL + hashlib.sha256(pages + footer).digest() + footer)


def signed(table: pa.Table) -> pa.Table:
    """The table with its digest in the metadata."""
    return table.replace_schema_metadata({**(table.schema.metadata or {}), DIGEST: table_digest(table).encode()})


def read_table(path: Path) -> pa.Table:
    """The table in a file, its pages checked, and its seal if it has one; `require_digest` checks the rows.

    Raises:
        UnreadableError: it is missing, no regular file, no Parquet, or damaged.
    """
    # a pipe would be waited for, and a folder be read as many files
    if not path.is_file():
        raise UnreadableError("it is no regular file" if path.exists() or path.is_symlink() else "it is missing")
    try:
        content = path.read_bytes()
        if not _seal_holds(content):
            raise UnreadableError("its bytes are not those that were written")
        # ParquetFile reads the one file: read_table would add the partition column of its folder
        with pa.parquet.ParquetFile(pa.BufferReader(content), page_checksum_verification=True) as file:
            table = file.read()
        table.validate(full=True)
    except LrcoreError:
        raise
    except Exception as error:  # damaged metadata make pyarrow raise whatever its own code happens to
        raise UnreadableError(" ".join(str(error).split()) or type(error).__name__) from error
    return table


def is_sealed(path: Path) -> bool:
    """Whether a file has a seal, right or wrong."""
    content = path.read_bytes()
    return content[: _footer(content)][-_SEALED:].startswith(_SEAL)


def _footer(content: bytes) -> int:
    """Where the footer begins; 0 where its length makes no sense."""
    return max(0, len(content) - _END - int.from_bytes(content[-_END:-4], "little"))


def _seal_holds(content: bytes) -> bool:
    """Whether the seal is that of the content, or there is none."""
    found = content.rfind(_SEAL)
    if found < 0:
        return True
    rest = hashlib.sha256(content[:found] + content[found + _SEALED :])
    return content[found + len(_SEAL) : found + _SEALED] == rest.digest() and found + _SEALED == _footer(content)


def require_digest(table: pa.Table) -> None:
    """Check a table that was read against the digest that it carries.

    Raises:
        UnreadableError: it is another one.
    """
    try:
        found = table_digest(table)
    except Exception as error:  # values that their types do not allow
        raise UnreadableError(f"its rows cannot be read: {error}") from error
    if found.encode() != (table.schema.metadata or {}).get(DIGEST):
        raise UnreadableError("its rows are not those that were written")


def has_digest(table: pa.Table) -> bool:
    """Whether a table that was read carries a digest."""
    return DIGEST in (table.schema.metadata or {})


def _named(kind: pa.DataType) -> str:
    # Parquet gives the values of a list a name of its own
    return f"list {_named(kind.value_type)}" if pa.types.is_list(kind) else str(kind)


def _add(digest: Any, values: pa.Array) -> None:
    """Add an array: which values are null, then the values, texts and lists with their lengths."""
    if values.null_count:
        digest.update(b"null" + np.packbits(values.is_valid().to_numpy(zero_copy_only=False)).tobytes())
    if pa.types.is_list(values.type):
        digest.update(_bytes(pa.compute.list_value_length(values)))
        _add(digest, values.flatten())
    elif pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        digest.update(_bytes(pa.compute.binary_length(values)))
        digest.update(b"".join(text for text in values.cast(pa.large_binary()).to_pylist() if text is not None))
    else:
        digest.update(_bytes(values))


def _bytes(numbers: pa.Array) -> bytes:
    found = numbers.fill_null(0).to_numpy(zero_copy_only=False) if numbers.null_count else numbers.to_numpy(False)
    return bytes(np.ascontiguousarray(found, found.dtype.newbyteorder("<")).tobytes())
