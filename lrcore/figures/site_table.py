"""Data frames as tables that a page of the site embeds, to be sorted and searched where they are long."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas
from itables.javascript import get_itables_extension_arguments

from lrcore.errors import LrcoreError
from lrcore.figures.embed import Embedded, check, holder
from lrcore.results.numbers import aligned

ROWS_PER_PAGE = 15
"""A table with more rows than this is split into pages (of the table, not of the site)."""


FEW_ROWS = 10
"""A table of no more rows than this is read at one glance: it stays plain, without search, sorting and their script."""


_NONE = ("", "–")
"""Text of a table where nothing is known."""


_NUMBER = re.compile(r"[−+-]?\(?[−+-]?[\d.,]+(\s[±–]\s[−+-]?[\d.,]+)?\)?(e[−-]?\d+)?(\s%)?(\s\([\d.,]+\))?")


@dataclass(frozen=True)
class SiteTable(Embedded):
    """A data frame as a table with a download of its rows; of more than `FEW_ROWS`, one to be sorted and searched.

    `name` is as in `SiteFigure`; `caption` says in words what the table holds, for screen readers (the visible
    caption and the number are the page's `tbl-cap`). Floats are shown by `numbers.aligned`, and sorted by their full
    value; the download has the full values, or is of `rows` where the frame shows them as text. The index is left out.
    A column that holds the same in every row, but for the first two, which say what a row is and what it measured,
    becomes a line under the table, unless nothing is known there; so does the text `note`. A `plain` table needs no
    script, however long it is.

    Raises:
        LrcoreError: the name is no slug, the caption is empty, or the frame has no rows.
    """

    frame: pandas.DataFrame
    name: str
    caption: str
    rows: pandas.DataFrame | None = None
    note: str = ""
    plain: bool = False

    def __post_init__(self) -> None:
        check("table", self.name, "caption", self.caption)
        if self.frame.empty:
            raise LrcoreError(f"table '{self.name}' has no rows; a page needs at least one")

    @property
    def markup(self) -> str:
        """The table as HTML."""
        frame, same = _varying(self.frame.map(_unbroken))
        same += f'<p class="lrcore-note">{html.escape(self.note)}</p>' if self.note else ""
        table = frame.to_html(index=False, border=0, float_format=aligned, na_rep="–", justify="left")
        table = _marked(table, len(frame.columns), numeric_columns(frame))
        # Quarto would otherwise read the table into its own model, and lose what the script looks for.
        table = table.replace(
            "<table ", f'<table data-quarto-disable-processing="true" aria-label="{html.escape(self.caption)}" ', 1
        )
        table = f'<div class="lrcore-table-scroll">{table}</div>{same}'
        rows = self.frame if self.rows is None else self.rows
        sorts = len(frame) > FEW_ROWS and not self.plain
        return holder("table", self.name, table, table_options(frame) if sorts else None, rows)


def table_options(frame: pandas.DataFrame) -> dict[str, Any]:
    """What itables' `ITable` needs to show the whole frame: search above, pages below where they are needed.

    Columns keep the widths that the browser gave them before, so that nothing moves.
    """
    many = len(frame) > ROWS_PER_PAGE
    with pandas.option_context("display.float_format", aligned):
        options, _ = get_itables_extension_arguments(
            frame,
            showIndex=False,
            allow_html=False,
            maxBytes=0,
            maxColumns=0,
            paging=many,
            pageLength=ROWS_PER_PAGE,
            autoWidth=False,
            text_in_header_can_be_selected=False,
            layout={
                "topStart": "search",
                "topEnd": None,
                "bottomStart": "info",
                "bottomEnd": "paging" if many else None,
            },
        )
    if numeric := numeric_columns(frame):
        own = options.get("columnDefs", [])  # which value of a float is shown, and which it is sorted by
        options["columnDefs"] = [*own, {"className": "lrcore-number", "targets": numeric}]
    # itables writes NaN, the plain table a dash
    options["data_json"] = options["data_json"].replace('["NaN", "___NaN___"]', '["\\u2013", "___NaN___"]')
    return dict(options)


def numeric_columns(frame: pandas.DataFrame) -> list[int]:
    """The columns after the first that hold numbers alone, with their errors, units, the other end of a range, or
    another number in brackets."""
    return [
        place
        for place in range(1, len(frame.columns))
        if (texts := [_cell(value) for value in frame.iloc[:, place] if _cell(value) not in (*_NONE, "n/a")])
        and all(_NUMBER.fullmatch(text) for text in texts)
    ]


def _cell(value: Any) -> str:
    """A value of a table as text; nothing for what is not known."""
    if isinstance(value, float):
        return "" if value != value else aligned(value)
    return "" if value is None else str(value).strip()


def _marked(table: str, columns: int, numeric: Sequence[int]) -> str:
    """HTML of a table whose cells of numbers are marked; on paper a number may break before its error."""
    places = itertools.cycle(range(columns))
    table = re.sub(
        "<(t[hd])>", lambda cell: f'<{cell[1]} class="lrcore-number">' if next(places) in numeric else cell[0], table
    )
    return table.replace("\N{NO-BREAK SPACE}±", "\N{NO-BREAK SPACE}<wbr>±")


def _unbroken(value: Any) -> Any:
    """A value whose text, if it is one, keeps numbers on one line with their errors, and ranges with their ends."""
    if not isinstance(value, str):
        return value
    return re.sub(r"(?<=\d) ([±–]) (?=[\d\N{MINUS SIGN}])", "\N{NO-BREAK SPACE}\\1\N{NO-BREAK SPACE}", value)


def _varying(frame: pandas.DataFrame) -> tuple[pandas.DataFrame, str]:
    """The frame without columns that hold one value, and these as a line of HTML; the first two columns stay."""
    columns = [frame.iloc[:, place] for place in range(len(frame.columns))]
    same = [place for place, column in enumerate(columns) if place > 1 and len(frame) > 1 and _is_one(column)]
    stated = [columns[place] for place in same if columns[place].notna().any() and columns[place].iloc[0] not in _NONE]
    said = [f"{column.name} {_in_words(column.iloc[0])}" for column in stated]
    kept = frame.iloc[:, [place for place in range(len(columns)) if place not in same]]
    return kept, f'<p class="lrcore-note">In every row: {html.escape("; ".join(said))}.</p>' if said else ""


def _is_one(column: pandas.Series) -> bool:
    """Whether a column says the same in every row; nothing is the same as nothing."""
    return column.map(lambda value: "" if value is None or value != value else str(value)).nunique() == 1


def _in_words(value: Any) -> str:
    return aligned(value) if isinstance(value, float) else str(value)
