"""The second reading of the atlas: which rows were held against their source again, and what came of it.

    drawn(read_atlas("data"))                     # the random tenth, in the order of the draw
    records = read_second_reading(Path("data"))   # data/atlas/second_reading.csv

A row is drawn by a hash of what identifies it: nobody chooses, anybody can draw again, and a new source adds its own
tenth without moving that of the others. The first rows in the order of the draw are a random sample, too.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas

from lrcore.errors import LrcoreError, shown, unknown
from lrcore.records.csv_tables import read_table
from lrcore.records.schema import ATLAS_KEY, AtlasRow

FILE = "second_reading.csv"
SEED = 1
SHARE = 0.1
"""Rows whose place in the draw is below this are read a second time."""

OUTCOMES = {
    "agrees": "the source prints what the row says",
    "differs": "it does not; `mended` says what became of the row",
    "not reachable": "the source, or what of it the column is about, could not be had",
    "not read": "the source could be had, but not all of it was read",
}
PARTS = {
    "drawn": "of the random tenth",
    "stated": "a figure that a page states or draws by itself",
    "both": "of the random tenth, and stated",
}

_ROW = re.compile(r"[0-9a-f]{12}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Record:
    """One row of the atlas, read a second time.

    `row` identifies it (`identity`), "" where the reading removed it; `drawn` is its identity before the reading
    changed it, "" where it did not. `read` is the address of what was read and `place` where in it. `value` and
    `protocol` are of `OUTCOMES`; `columns` names the columns of the protocol that differed, `mended` what was
    corrected, and from what.
    """

    row: str
    drawn: str
    source: str
    autoencoder: str
    quantity: str
    part: str
    date: str
    read: str
    place: str
    value: str
    protocol: str
    columns: str
    mended: str

    @property
    def at_the_draw(self) -> str:
        """The identity of the row when it was drawn."""
        return self.drawn or self.row


COLUMNS = tuple(Record.__dataclass_fields__)


def identity(row: Any) -> str:
    """12 hex digits that identify a row: an `AtlasRow`, or any object with the attributes `ATLAS_KEY`."""
    values = (getattr(row, name) for name in ATLAS_KEY)
    texts = ["" if isinstance(value, float) and math.isnan(value) else str(value) for value in values]
    return hashlib.sha256("\x1f".join(texts).encode()).hexdigest()[:12]


def place_in_draw(row: str) -> float:
    """Where a row of this identity stands in the draw: a number from 0 to 1, as if drawn uniformly."""
    return int(hashlib.sha256(f"{SEED} {row}".encode()).hexdigest()[:12], 16) / 16**12


def drawn(atlas: pandas.DataFrame) -> pandas.DataFrame:
    """The random tenth of the atlas in the order of the draw, with the columns `row` and `at`, its place in it."""
    rows = with_identity(atlas)
    rows = rows.assign(at=[place_in_draw(row) for row in rows["row"]])
    return rows[rows["at"] < SHARE].sort_values("at", ignore_index=True)


def with_identity(atlas: pandas.DataFrame) -> pandas.DataFrame:
    """The rows of the atlas with the column `row`, what identifies each."""
    return atlas.assign(row=[identity(row) for row in atlas.itertuples(index=False)])


def read_second_reading(data: Path) -> list[Record]:
    """The records of the second reading, in the order of the file; none where there is no file.

    Raises:
        LrcoreError: no CSV with these columns.
    """
    return [record for _, record in _numbered(data)]


def problems(data: Path, rows: Iterable[AtlasRow]) -> list[str]:
    """What is to be mended in the second reading under `data`, one line each, given the rows of the atlas.

    Nothing where there was no second reading.
    """
    try:
        records = _numbered(data)
    except LrcoreError as error:
        return [str(error)]
    return list(faults(records, {identity(row): row for row in rows})) if records else []


def faults(records: Iterable[tuple[int, Record]], rows: Mapping[str, AtlasRow]) -> Iterator[str]:
    """What is to be mended in records, numbered by their lines, given the rows of the atlas by their identity."""
    seen: dict[str, int] = {}
    read: set[str] = set()
    for number, record in records:
        at = f"{FILE}, line {number}: "
        yield from (at + fault for fault in _faults_of_words(record))
        read.add(record.row)
        if record.row and record.row not in rows:
            yield f"{at}row: no row of the atlas is {shown(record.row)}"
        elif record.row:
            told = [getattr(rows[record.row], name) for name in ("source", "autoencoder", "quantity")]
            if told != [record.source, record.autoencoder, record.quantity]:
                yield f"{at}row: {record.row} is {', '.join(told)}"
        if (before := seen.setdefault(record.at_the_draw, number)) != number:
            yield f"{at}row: {record.at_the_draw} stands in line {before}, too"
        if (place_in_draw(record.at_the_draw) < SHARE) != (record.part in ("drawn", "both")):
            yield f"{at}part: {shown(record.part)}, but the draw says otherwise"
    for name, row in rows.items():
        if row.table and name not in read:
            what = f"{row.source}, {row.place}, {row.autoencoder}, {row.quantity}"
            yield f"{FILE}: a page compares with row {name} ({what}), which was not read a second time"


def _numbered(data: Path) -> list[tuple[int, Record]]:
    path = Path(data) / "atlas" / FILE
    if not path.is_file():
        return []
    return [(number, Record(**line)) for number, line in read_table(path, COLUMNS, COLUMNS)]


def _faults_of_words(record: Record) -> Iterator[str]:
    if not _ROW.fullmatch(record.at_the_draw) or not (record.row == "" or _ROW.fullmatch(record.row)):
        yield f"row, drawn: {shown(record.row)}, {shown(record.drawn)} must be 12 hex digits, one of them at least"
    if record.part not in PARTS:
        yield str(unknown("part", record.part, PARTS))
    if not _DATE.fullmatch(record.date):
        yield f"date: {shown(record.date)} must be year-month-day"
    for name in ("value", "protocol"):
        if getattr(record, name) not in OUTCOMES:
            yield str(unknown(name, getattr(record, name), OUTCOMES))
    reached = {record.value, record.protocol} & {"agrees", "differs"}
    if reached and not (record.read and record.place):
        yield "read, place: must say what was read, and where in it"
    if not reached and record.read:
        yield "read: nothing was read, so it must be empty"
    if ("differs" in (record.value, record.protocol)) != bool(record.mended):
        yield "mended: must say what was corrected where something differs, and nothing elsewhere"
    if (record.protocol == "differs") != bool(record.columns):
        yield "columns: must name what differs where the protocol does, and nothing elsewhere"
    if not record.row and record.value != "differs":
        yield "row: empty only where the figure was not in the source and is gone"
