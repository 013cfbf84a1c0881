"""Images in Parquet files in Hugging Face's layout: a column of encoded images and one of classes.

Parquet is read by row groups, of about a hundred images in that layout: neighbours are read together, and an image by
itself costs the reading of its group.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from io import BytesIO
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow
import pyarrow.compute
import pyarrow.parquet
import torch

from lrcore.datasets.classes import Labels
from lrcore.errors import LrcoreError

KEPT_BYTES = 2**28
"""Row groups stay in memory up to this size together, the latest two in any case."""


class ParquetImages:
    """The rows of Parquet files, as `EncodedImages`.

    Attributes:
        labels: of the N rows.
    """

    def __init__(self, files: list[Path], metadata: list[Any], column: str, labels: Labels) -> None:
        """`column` is that of the bytes in Parquet's notation, `metadata` pyarrow's of each file."""
        self.labels = labels
        self._files, self._metadata, self._column = files, metadata, column
        self._groups = [(file, group) for file, found in enumerate(metadata) for group in range(found.num_row_groups)]
        sizes = [metadata[file].row_group(group).num_rows for file, group in self._groups]
        self._starts = [0, *accumulate(sizes)][:-1]
        self._read = _Kept(self._row_group)

    @classmethod
    def index(cls, files: list[Path], image_column: str, label_column: str) -> ParquetImages:
        """Reads the footers and the classes, but no image.

        `image_column` is binary, or a struct with a binary field `bytes`; `label_column` is of integers, or of
        text, as dictionary or not.

        Raises:
            LrcoreError: a file cannot be read, lacks a column or has one of another type; or there are no rows.
        """
        columns, metadata, labels = set(), [], []
        for file in files:
            try:
                with pyarrow.parquet.ParquetFile(file) as opened:
                    columns.add(_bytes_column(file, opened.schema_arrow, image_column))
                    metadata.append(opened.metadata)
                    labels.append(_labels(file, opened, label_column))
            except (pyarrow.ArrowException, OSError, UnicodeError) as error:
                raise LrcoreError(f"shard '{file}' cannot be read as Parquet: {error}") from error
        if len(columns) > 1:
            raise LrcoreError(f"column '{image_column}' is of different types in '{files[0]}' and later shards")
        kinds = {isinstance(name, str): file for file, part in zip(files, labels, strict=True) for name in part.names}
        if len(kinds) > 1:
            raise LrcoreError(f"column '{label_column}' is of integers in '{kinds[False]}', of text in '{kinds[True]}'")
        found = cls(files, metadata, columns.pop(), Labels.joined(labels))
        if not len(found.labels.codes):
            raise LrcoreError(f"'{files[0]}'{' and the other shards' if len(files) > 1 else ''} hold no rows")
        return found

    def open(self, number: int) -> BytesIO:
        """The bytes of the image.

        Raises:
            ValueError: there are none in the row, or the row group is damaged.
            OSError: the file is gone, or the row group is damaged.
        """
        group = bisect_right(self._starts, number) - 1
        value = self._read(group)[number - self._starts[group]].as_py()
        encoded = value.get("bytes") if isinstance(value, dict) else value
        if encoded is None:
            raise ValueError("the row holds no bytes")
        return BytesIO(encoded)

    def name(self, number: int) -> str:
        """File and row."""
        file = self._groups[bisect_right(self._starts, number) - 1][0]
        return f"{self._files[file]}:{number - self._starts[self._groups.index((file, 0))]}"

    def _row_group(self, number: int) -> Any:
        file, group = self._groups[number]
        with pyarrow.parquet.ParquetFile(self._files[file], metadata=self._metadata[file], memory_map=True) as opened:
            return opened.read_row_group(group, columns=[self._column], use_threads=False).column(0)


class _Kept:
    """A function of integers whose latest results are kept; what several threads ask for at once is made once."""

    def __init__(self, make: Callable[[int], Any]) -> None:
        self._make = make
        self._lock = Lock()
        self._made: OrderedDict[int, Future[Any]] = OrderedDict()

    def __call__(self, key: int) -> Any:
        with self._lock:
            future, missing = self._made.get(key), key not in self._made
            if future is None:
                future = self._made[key] = Future()
            self._made.move_to_end(key)
        if missing:
            try:
                future.set_result(self._make(key))
            except Exception as error:
                future.set_exception(error)
            with self._lock:
                self._forget()
        return future.result()

    def _forget(self) -> None:
        """Drops the oldest until the rest fits; those still being read count as nothing."""
        done = [key for key, future in self._made.items() if future.done()]
        sizes = {key: 0 if self._made[key].exception() else self._made[key].result().nbytes for key in done}
        total = sum(sizes.values())
        for key in done[:-2]:
            if total <= KEPT_BYTES:
                return
            total -= sizes[key]
            del self._made[key]


def _bytes_column(file: Path, schema: Any, name: str) -> str:
    kind = _field(file, schema, name, "image_column").type
    binary = (pyarrow.types.is_binary, pyarrow.types.is_large_binary)
    if any(fits(kind) for fits in binary):
        return name
    if pyarrow.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        inner = kind.field("bytes").type
        if any(fits(inner) for fits in binary):
            return f"{name}.bytes"
    raise LrcoreError(f"column '{name}' of '{file}' must be binary or a struct with binary 'bytes', got {kind}")


def _labels(file: Path, opened: Any, name: str) -> Labels:
    types = pyarrow.types
    kind = _field(file, opened.schema_arrow, name, "label_column").type
    value = kind.value_type if types.is_dictionary(kind) else kind
    text = types.is_string(value) or types.is_large_string(value)
    if not (text or types.is_integer(value) or types.is_boolean(value)):
        raise LrcoreError(f"column '{name}' of '{file}' must be of integers or of text, got {kind}")
    column = opened.read(columns=[name]).column(0).cast(value)
    if column.null_count:
        raise LrcoreError(f"column '{name}' of '{file}' lacks {column.null_count} of {len(column)} classes")
    names = pyarrow.compute.unique(column)
    codes = pyarrow.compute.index_in(column, value_set=names).to_numpy()
    return Labels(
        tuple(found if text else int(found) for found in names.to_pylist()), torch.tensor(codes.astype("int64"))
    )


def _field(file: Path, schema: Any, name: str, key: str) -> Any:
    if schema.get_field_index(name) < 0:
        raise LrcoreError(f"'{file}' has no column '{name}' (data.{key}); it has: {', '.join(schema.names)}")
    return schema.field(name)
