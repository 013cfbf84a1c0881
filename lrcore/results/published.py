"""Figures from the literature: `published.csv`, the source a person reviews, into rows.

Each line of the CSV is one `records.schema.PublishedRow`; `source` is a key of `posts/references.bib`. An empty
`standard_error` means that the source gives none.
"""

from __future__ import annotations

import csv
import math
import shutil
import tempfile
from pathlib import Path

from lrcore.errors import LrcoreError, unknown
from lrcore.records import schema, writing
from lrcore.runtime.files import atomic_path

FOLLOWED = "bfl2025representation"
"""The study that this project re-does, as `source` names it."""

CSV = Path(__file__).with_name("published.csv")
COLUMNS = ("source", "table", "dataset", "ae", "setting", "quantity", "value", "standard_error", "unit", "note")


def read_csv(path: Path = CSV) -> list[schema.PublishedRow]:
    """The rows of a CSV with the columns `COLUMNS`, in the file's order.

    Raises:
        LrcoreError: an unknown, missing or doubled column or row, or a value that is not a number,
            each with its line.
    """
    with path.open(newline="", encoding="utf-8") as lines:
        table = csv.DictReader(lines)
        for name in table.fieldnames or ():
            if name not in COLUMNS:
                raise unknown("column", name, COLUMNS)
        if missing := set(COLUMNS) - set(table.fieldnames or ()):
            raise LrcoreError(f"'{path.name}' lacks the column {', '.join(sorted(missing))}")
        rows = [_row(path.name, table.line_num, line) for line in table]
    _refuse_doubles(path.name, rows)
    return rows


def write(data: Path, path: Path = CSV) -> Path:
    """Replace `<data>/published/figures.parquet` by the rows of the CSV; returns its path.

    The file is made in a temporary folder first, so that a line deleted from the CSV leaves the
    Parquet too and a reader sees either the old file or the new one.
    """
    target = Path(data) / "published" / "figures.parquet"
    with tempfile.TemporaryDirectory() as folder:
        writing.write_published(Path(folder), read_csv(path))
        with atomic_path(target) as temporary:
            shutil.copyfile(Path(folder) / "published" / "figures.parquet", temporary)
    return target


def _row(file: str, number: int, line: dict[str, str]) -> schema.PublishedRow:
    try:
        value = float(line["value"])
        standard_error = float(line["standard_error"] or math.nan)
    except ValueError as error:
        raise LrcoreError(f"'{file}', line {number}: {error}") from error
    return schema.PublishedRow(
        source=line["source"],
        table=line["table"],
        dataset=line["dataset"],
        ae=line["ae"],
        setting=line["setting"],
        quantity=line["quantity"],
        value=value,
        standard_error=standard_error,
        unit=line["unit"],
        note=line["note"],
    )


def _refuse_doubles(file: str, rows: list[schema.PublishedRow]) -> None:
    seen = set()
    for row in rows:
        key = tuple(getattr(row, name) for name in schema.PUBLISHED_KEY)
        if key in seen:
            raise LrcoreError(f"'{file}' has two rows of {', '.join(key)}")
        seen.add(key)
