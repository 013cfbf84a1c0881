"""CSV that people edit, as numbered lines of texts."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from lrcore.errors import LrcoreError, shown, unknown


def read_table(path: Path, allowed: Iterable[str], required: Iterable[str]) -> list[tuple[int, dict[str, str]]]:
    """The lines of a CSV, numbered, as texts without space around them; columns that it leaves out are empty.

    Raises:
        LrcoreError: no readable CSV, or an unknown, doubled or missing column, or a line of another length.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as text:
            table = csv.reader(text, strict=True)
            header = [name.strip() for name in next(table, [])]
            lines = [(table.line_num, line) for line in table if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LrcoreError(f"{path.name}: not a CSV that can be read: {' '.join(str(error).split())}") from error
    columns = tuple(allowed)
    for name in header:
        if name not in columns:
            raise LrcoreError(f"{path.name}: {unknown('column', name, columns)}")
        if header.count(name) > 1:
            raise LrcoreError(f"{path.name}: column {shown(name)} stands there twice")
    if missing := [name for name in required if name not in header]:
        raise LrcoreError(f"{path.name}: lacks the column {', '.join(missing)}")
    found = []
    for number, line in lines:
        if len(line) != len(header):
            raise LrcoreError(f"{path.name}, line {number}: {len(line)} fields, but {len(header)} columns")
        given = dict(zip(header, (field.strip() for field in line), strict=True))
        found.append((number, {name: given.get(name, "") for name in columns}))
    return found
