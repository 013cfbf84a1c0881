"""What a page of the site embeds: data only, drawn by `site/figures.js`.

A cell that ends in an `Embedded` shows it. It goes out as Markdown holding one raw HTML block, not as an HTML output:
for HTML outputs Quarto's Jupyter engine adds require.js and jQuery from another host to the page, and the site asks no
other host for anything.
"""

from __future__ import annotations

import base64
import html
import json
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import pandas

from lrcore.errors import LrcoreError

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection)."""


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


def raw_html(text: str) -> str:
    """A Pandoc raw block: Markdown that passes `text` through to the page untouched."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{{=html}}\n{text}\n{fence}\n"


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


def _no_formula(value: Any) -> Any:
    """The value, if it is text that begins like a formula, marked as text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value


def script_json(value: Any) -> str:
    """JSON that is safe inside a `<script>` element: nothing in it can close the element or open a shortcode."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def without_scripts(said: str) -> str:
    """A sentence for readers without scripts, where others have something to set."""
    return f'<noscript><p class="lrcore-note">{html.escape(said)}</p></noscript>'


def holder(kind: str, name: str, inside: str, spec: dict[str, Any] | None, rows: pandas.DataFrame) -> str:
    """What `site/figures.js` looks for: what is shown without scripts, what to draw, and the rows as a download."""
    drawn = "" if spec is None else f'<script type="application/json" class="lrcore-spec">{script_json(spec)}</script>'
    return f'<div class="lrcore-{kind}" id="{kind}-{name}">{inside}{drawn}{csv_link(rows, name)}</div>'


def check(kind: str, name: str, field: str, text: str) -> None:
    """Raise where what a page is to show has no usable name or is not described in words.

    Raises:
        LrcoreError: the name is no slug, or `text`, which is its `field`, is empty.
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise LrcoreError(f"{kind} name {name!r} must be lower-case letters and digits joined by single '-'")
    if not text.strip():
        raise LrcoreError(f"{kind} '{name}' needs a non-empty {field}: what it shows, in words")
