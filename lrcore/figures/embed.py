"""Figures and tables as a page of the site embeds them: data only, drawn by `site/figures.js`.

A cell that ends in a `SiteFigure` or a `SiteTable` shows it. Both go out as Markdown holding one raw HTML
block, not as an HTML output: for HTML outputs Quarto's Jupyter engine adds require.js and jQuery from another
host to the page, and the site asks no other host for anything.
"""

from __future__ import annotations

import base64
import html
import itertools
import json
import re
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas
import plotly.graph_objects
from itables.javascript import get_itables_extension_arguments

from lrcore.errors import LrcoreError, unknown
from lrcore.figures.fetched import apart
from lrcore.results.numbers import aligned

DRAWN = Path("site/drawn")
"""Still pictures of figures, for readers without scripts, where cells run in the root of the project."""

DEFAULT_HEIGHT = 450
"""Height in pixels of a figure whose layout names none."""

ROWS_PER_PAGE = 15
"""A table with more rows than this is split into pages (of the table, not of the site)."""

FEW_ROWS = 10
"""A table of no more rows than this is read at one glance: it stays plain, without search, sorting and their script."""


_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection)."""

_OUR_TAGS = ("<br>", "<b>", "</b>", "<extra>", "</extra>")
"""What our figures write of the HTML that plotly.js understands."""

_ANOTHER_TAG = re.compile(rf"<(?!{'|'.join(tag[1:] for tag in _OUR_TAGS)})")


class Embedded(ABC):
    """What a page can show; a cell that ends in one shows it."""

    @property
    @abstractmethod
    def markup(self) -> str:
        """HTML of one element."""

    def _repr_markdown_(self) -> str:
        return raw_html(self.markup)


@dataclass(frozen=True)
class Markup(Embedded):
    """HTML that a figure module wrote itself."""

    text: str

    @property
    def markup(self) -> str:
        return self.text


@dataclass(frozen=True)
class Words:
    """What stands around a figure: over it `title`, which says what it shows, and `subtitle`, which says what was
    measured, on which images and in whose features; under it `notes`, where it has any, such as its source.
    """

    title: str
    subtitle: str
    notes: str = ""


@dataclass(frozen=True)
class SiteFigure(Embedded):
    """A Plotly figure, the rows it was drawn from, and what it shows in words.

    `name` is the figure's file name for downloads (lower-case letters, digits, '-'), unique on its page. `alt` is
    read by screen readers, and shown where scripts do not run. `min_width` is the width in pixels below which the
    figure scrolls sideways instead of shrinking: leave 0 for a single panel, set it for a grid of panels.

    Raises:
        LrcoreError: the name is no slug, or the alternative text is empty.
    """

    figure: plotly.graph_objects.Figure
    rows: pandas.DataFrame
    name: str
    alt: str
    words: Words
    min_width: int = 0

    def __post_init__(self) -> None:
        _check("figure", self.name, "alt", self.alt)

    @property
    def markup(self) -> str:
        """The figure as HTML."""
        plot = _plot(self.name, self.figure, self.alt, self.min_width)
        return _figure(self.name, self.words, plot, figure_spec(self.figure), self.rows)


@dataclass(frozen=True)
class SteppedFigure(Embedded):
    """Figures of one layout that a slider goes through, for what depends on one more number.

    `frames`: the figures by the text of their step, in order; `start` is the text of the one shown first (and the only
    one that a page without scripts describes); `label` says what the slider sets. The rest is as in `SiteFigure`.

    Raises:
        LrcoreError: fewer than two frames, an unknown `start`, or as `SiteFigure`.
    """

    frames: Mapping[str, plotly.graph_objects.Figure]
    start: str
    label: str
    rows: pandas.DataFrame
    name: str
    alt: str
    words: Words
    min_width: int = 0

    def __post_init__(self) -> None:
        _check("figure", self.name, "alt", self.alt)
        if len(self.frames) < 2:
            raise LrcoreError(f"figure '{self.name}' needs at least two frames for its slider, got {len(self.frames)}")
        if self.start not in self.frames:
            raise unknown("frame", self.start, list(self.frames))

    @property
    def markup(self) -> str:
        """The figure and its slider as HTML."""
        steps = list(self.frames)
        specs = [figure_spec(figure) for figure in self.frames.values()]
        at = steps.index(self.start)
        spec = {**specs[at], "frames": [{"label": step, **frame} for step, frame in zip(steps, specs, strict=True)]}
        slider = (
            f'<label class="lrcore-stepper">{html.escape(self.label)} <input type="range" min="0" '
            f'max="{len(steps) - 1}" step="1" value="{at}" data-steps="{html.escape(json.dumps(steps))}" '
            f'aria-valuetext="{html.escape(self.start)}"> '
            f"<output>{html.escape(self.start)}</output></label>"
        )
        without = without_scripts(f"With scripts, a slider sets this: {self.label}. Shown here: {self.start}.")
        plot = _plot(self.name, self.frames[self.start], self.alt, self.min_width)
        return _figure(self.name, self.words, slider + without + plot, spec, self.rows)


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
        _check("table", self.name, "caption", self.caption)
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
        return _holder("table", self.name, table, table_options(frame) if sorts else None, rows)


@dataclass(frozen=True)
class Switch(Embedded):
    """Several of the same thing, such as one figure of each study, of which the reader sees one at a time.

    `choices`: by the text of the choice; the first is shown first, without scripts all are, unless they are `scripted`:
    views of the same, of which a page without scripts has the first alone. Where a page has several switches of one
    label, one choice sets all that offer it. `notes`: a word after the text of a choice.

    Raises:
        LrcoreError: no choices.
    """

    choices: Mapping[str, Embedded]
    label: str = "Study"
    notes: Mapping[str, str] = field(default_factory=dict)
    scripted: bool = False

    def __post_init__(self) -> None:
        if not self.choices:
            raise LrcoreError("no rows: a switch needs at least one choice")

    def _named(self, choice: str) -> str:
        return f"{choice} ({self.notes[choice]})" if choice in self.notes else choice

    @property
    def markup(self) -> str:
        """The choices as HTML, under radio buttons where there are several."""
        if len(self.choices) == 1:
            return next(iter(self.choices.values())).markup
        first = next(iter(self.choices))
        # a name that no other switch of the page has: buttons of one name switch one another off
        group = f"choice-{zlib.crc32(''.join(shown.markup for shown in self.choices.values()).encode()):08x}"
        buttons = "".join(
            f'<label><input type="radio" name="{group}" value="{html.escape(choice)}"'
            f"{' checked' if choice == first else ''}> {html.escape(self._named(choice))}</label>"
            for choice in self.choices
        )
        kind = "lrcore-choice lrcore-scripted" if self.scripted else "lrcore-choice"
        parts = "".join(
            f'<div class="{kind}" data-choice="{html.escape(choice)}" '
            f'data-said="{html.escape(f"{self.label}: {self._named(choice)}")}"{"" if choice == first else " hidden"}>'
            f"{shown.markup if choice == first else apart(shown.markup)}</div>"
            for choice, shown in self.choices.items()
        )
        legend = f"<legend>{html.escape(self.label)}</legend>"
        return f'<div class="lrcore-switch"><fieldset>{legend}{buttons}</fieldset>{parts}</div>'


def figure_spec(figure: plotly.graph_objects.Figure) -> dict[str, Any]:
    """The figure as plain JSON values for plotly.js, with null for every NaN and infinity.

    Of what plotly.js reads as HTML in texts, names and values, only what our figures use is left: `_OUR_TAGS`.
    """
    spec = json.loads(figure.to_json(), parse_constant=lambda _: None)
    return {"data": _without_html(spec["data"]), "layout": _without_html(spec["layout"])}


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


_NUMBER = re.compile(r"[−+-]?\(?[−+-]?[\d.,]+(\s[±–]\s[−+-]?[\d.,]+)?\)?(e[−-]?\d+)?(\s%)?(\s\([\d.,]+\))?")


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


def csv_link(frame: pandas.DataFrame, name: str) -> str:
    """A link that holds the rows themselves, so that it works from a file, without scripts and without a server.

    Text that a spreadsheet would take for a formula gets an apostrophe before it; numbers stay as they are.
    """
    text = frame.rename(columns=_no_formula).map(_no_formula).to_csv(index=False)
    rows = base64.b64encode(text.encode()).decode()
    return (
        f'<a class="lrcore-download" download="{name}.csv" href="data:text/csv;charset=utf-8;base64,{rows}">'
        "Download the rows (CSV)</a>"
    )


def script_json(value: Any) -> str:
    """JSON that is safe inside a `<script>` element: nothing in it can close the element or open a shortcode."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def raw_html(text: str) -> str:
    """A Pandoc raw block: Markdown that passes `text` through to the page untouched."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{{=html}}\n{text}\n{fence}\n"


def without_scripts(said: str) -> str:
    """A sentence for readers without scripts, where others have something to set."""
    return f'<noscript><p class="lrcore-note">{html.escape(said)}</p></noscript>'


def _without_html(value: Any) -> Any:
    """JSON values whose strings plotly.js shows as they are, but for `_OUR_TAGS`."""
    if isinstance(value, str):
        return _ANOTHER_TAG.sub("&lt;", value.replace("&", "&amp;"))
    if isinstance(value, list):
        return [_without_html(one) for one in value]
    if isinstance(value, dict):
        return {key: _without_html(one) for key, one in value.items()}
    return value


def _no_formula(value: Any) -> Any:
    """The value, if it is text that begins like a formula, marked as text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value


def titled(title: str, subtitle: str) -> str:
    """What stands over a figure as HTML."""
    return f'<p class="lrcore-title">{_typeset(title)}</p><p class="lrcore-subtitle">{_typeset(subtitle)}</p>'


def _figure(name: str, words: Words, inside: str, spec: dict[str, Any], rows: pandas.DataFrame) -> str:
    """A figure between its words."""
    over = titled(words.title, words.subtitle)
    under = f'<p class="lrcore-note">{_typeset(words.notes)}</p>' if words.notes else ""
    return _holder("figure", name, over + inside + under, spec, rows)


def _typeset(text: str) -> str:
    """Text as HTML whose numbers stay on one line with their per cent signs, and ranges with their ends."""
    text = re.sub(r"(?<=\d)–(?=\d)", "\N{WORD JOINER}–\N{WORD JOINER}", text.replace(" %", "\N{NO-BREAK SPACE}%"))
    return html.escape(text)


def _holder(kind: str, name: str, inside: str, spec: dict[str, Any] | None, rows: pandas.DataFrame) -> str:
    """What `site/figures.js` looks for: what is shown without scripts, what to draw, and the rows as a download."""
    drawn = "" if spec is None else f'<script type="application/json" class="lrcore-spec">{script_json(spec)}</script>'
    return f'<div class="lrcore-{kind}" id="{kind}-{name}">{inside}{drawn}{csv_link(rows, name)}</div>'


def _varying(frame: pandas.DataFrame) -> tuple[pandas.DataFrame, str]:
    """The frame without columns that hold one value, and these as a line of HTML; the first two columns stay."""
    columns = [frame.iloc[:, place] for place in range(len(frame.columns))]
    same = [place for place, column in enumerate(columns) if place > 1 and len(frame) > 1 and _is_one(column)]
    stated = [columns[place] for place in same if columns[place].notna().any() and columns[place].iloc[0] not in _NONE]
    said = [f"{column.name} {_in_words(column.iloc[0])}" for column in stated]
    kept = frame.iloc[:, [place for place in range(len(columns)) if place not in same]]
    return kept, f'<p class="lrcore-note">In every row: {html.escape("; ".join(said))}.</p>' if said else ""


_NONE = ("", "–")
"""Text of a table where nothing is known."""


def _is_one(column: pandas.Series) -> bool:
    """Whether a column says the same in every row; nothing is the same as nothing."""
    return column.map(lambda value: "" if value is None or value != value else str(value)).nunique() == 1


def _in_words(value: Any) -> str:
    return aligned(value) if isinstance(value, float) else str(value)


def _plot(name: str, figure: plotly.graph_objects.Figure, alt: str, min_width: int) -> str:
    """Where a script draws the figure; its height is known before, so that nothing moves when it does."""
    height = int(figure.layout.height or DEFAULT_HEIGHT)
    style = f"min-height:{height}px" + (f";min-width:{min_width}px" if min_width else "")
    said = html.escape(alt)
    still = DRAWN / f"{name}.svg"
    picture = f'<img class="lrcore-still" src="/{still}" alt="{said}" loading="lazy">' if still.is_file() else ""
    return (
        f'<div class="lrcore-figure-scroll" tabindex="0" role="group" aria-label="Figure">'
        f'<div class="lrcore-plot" role="img" aria-label="{said}" style="{style}">'
        f'{picture}<p class="lrcore-alt" style="max-height:{height}px">{said}</p></div></div>'
    )


def _check(kind: str, name: str, field: str, text: str) -> None:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise LrcoreError(f"{kind} name {name!r} must be lower-case letters and digits joined by single '-'")
    if not text.strip():
        raise LrcoreError(f"{kind} '{name}' needs a non-empty {field}: what it shows, in words")
