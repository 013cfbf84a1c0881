"""How often the atlas is wrong: rates of its second reading, and everything that differed."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import pandas

from lrcore.figures.atlas import Work, linked, quantity_label, short_title
from lrcore.figures.atlas_forest import table_of
from lrcore.figures.embed import Embedded, Markup
from lrcore.records.atlas_second_reading import Record, drawn
from lrcore.results import atlas_verification as verification

PARTS = {"a random tenth": verification.RANDOM, "values that pages show one by one": verification.STATED}


def said(records: Sequence[Record], atlas: pandas.DataFrame) -> str:
    """What the second reading of `atlas` found, in words, and what has been drawn since; where there was none, that."""
    if not records:
        return "No row has been read again at its source yet."
    gone = sum(record.row == "" for record in records)
    rows, are = ("One of these rows was", "is") if gone == 1 else (f"{gone} of these rows were", "are")
    removed = f" {rows} in no table of the source and {are} gone." if gone else ""
    differed = sum("differs" in (record.value, record.protocol) for record in records)
    read = {record.row for record in records}
    since = sum(row not in read for row in drawn(atlas)["row"])
    later = f" Not read again yet: {_rows(since)} that changed or came later." if since else ""
    mended = f" In all, {_rows(differed)} differed; all differences are corrected." if differed else ""
    return (
        f"{verification.sentence(records)} Intervals are exact 95 % intervals (Clopper and Pearson). Rows that could "
        f"not be checked count neither as right nor as wrong.{mended}{removed}{later}"
    )


def _rows(count: int) -> str:
    return "one row" if count == 1 else f"{count:,} rows"


def rates(records: Sequence[Record]) -> Embedded:
    """A line for each part of the second reading and each kind of error, with its exact interval."""
    lines = []
    for part, of in PARTS.items():
        for kind, label in verification.KINDS.items():
            found = verification.rate(records, kind, of)
            cells = (part, label, f"{found.read:,}", f"{found.errors:,}", _interval(found))
            rest = (f"{found.unreached:,}", f"{found.unread:,}")
            lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in (*cells, *rest)) + "</tr>")
    heads = ("rows", "part of a row", "read again", "differed", "rate, 95 % interval", "not reachable", "not read")
    return table_of("second-reading", _heads(heads), lines, "Error rates of the second reading")


def corrections(records: Sequence[Record], works: Mapping[str, Work]) -> Embedded:
    """Every row that differed: what, where it was read again, and what was corrected."""
    lines = [
        f"<tr><td>{html.escape(short_title(record.source, works))}</td>"
        f"<td>{html.escape(record.autoencoder)}, {html.escape(quantity_label(record.quantity))}</td>"
        f"<td>{linked(record.place, record.read)}</td><td>{record.columns or 'value'}</td>"
        f"<td>{html.escape(record.mended.removeprefix('second reader: '))}</td></tr>"
        for record in records
        if "differs" in (record.value, record.protocol)
    ]
    heads = ("source", "value", "read again in", "differed", "corrected")
    return Markup(
        f"<details><summary>The {len(lines)} rows that differed</summary>"
        f"{table_of('second-reading-corrections', _heads(heads), lines, 'Rows that differed').markup}</details>"
    )


def _heads(names: Sequence[str]) -> str:
    return "".join(f"<th>{name}</th>" for name in names)


def _interval(found: verification.Rate) -> str:
    if not found.read:
        return "–"
    return f"{100 * found.errors / found.read:.1f} % ({100 * found.low:.1f} to {100 * found.high:.1f} %)"
