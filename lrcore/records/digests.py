"""Parquet files that say when they are damaged: pages carry checksums, and the file a digest of its rows.

The format's checksums cover pages, not what says where pages are and what they mean. `DIGEST` in the metadata of the
schema covers the whole: names and types of the columns, every value, and all other metadata. It depends on the rows
alone, not on how they are cut into pages and row groups.
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


def signed(table: pa.Table) -> pa.Table:
    """The table with its digest in the metadata."""
    return table.replace_schema_metadata({**(table.schema.metadata or {}), DIGEST: table_digest(table).encode()})


def read_table(path: Path) -> pa.Table:
    """The table in a file, pages checked; `require_digest` checks the rest.

    Raises:
        UnreadableError: it is missing, no regular file, no Parquet, or damaged.
    """
    # a pipe would be waited for, and a folder be read as many files
    if not path.is_file():
        raise UnreadableError("it is no regular file" if path.exists() or path.is_symlink() else "it is missing")
    try:
        # ParquetFile reads the one file: read_table would add the partition column of its folder
        with pa.parquet.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
        table.validate(full=True)
    except Exception as error:  # damaged metadata make pyarrow raise whatever its own code happens to
        raise UnreadableError(" ".join(str(error).split()) or type(error).__name__) from error
    return table


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
