"""What figures of the atlas share whose marks lead to where their values come from."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import pandas

from lrcore.figures.atlas import Work, address
from lrcore.figures.atlas_forest import table_of
from lrcore.figures.embed import Markup
from lrcore.figures.site_figure import SiteFigure

SOURCE = "Source: data/atlas."
CHOOSE = "Choose a mark to see where its values come from."
BESIDE = "Marks with equal values stand side by side; point at one to read its value."


def with_sources(figure: SiteFigure, heads: Sequence[str], lines: Mapping[str, Sequence[str]]) -> Markup:
    """A figure above a table that leads to the sources: HTML of the cells by the `customdata` of the mark they are of.

    `site/atlas.js` shows the line of a mark that is chosen.
    """
    name = f"{figure.name}-sources"
    body = [
        f'<tr data-mark="{html.escape(key)}">{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for key, cells in lines.items()
    ]
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads)
    table = table_of(name, head, body, f"Where the values come from: {figure.words.title}").markup
    return Markup(
        f'{figure.markup}<p class="lrcore-note lrcore-marks" data-figure="figure-{figure.name}" '
        f'data-table="table-{name}" aria-live="polite">&nbsp;</p>'
        f"<details><summary>Where the values come from</summary>{table}</details>"
    )


def source_address(atlas: pandas.DataFrame, source: str, works: Mapping[str, Work]) -> str:
    """Where most rows of a source can be checked: the commit that was read, or the source's own page."""
    return address(source, str(atlas[atlas["source"] == source]["repository"].mode().iloc[0]), works)


def mark_key(*parts: object) -> str:
    """What a mark and its line of the table share."""
    return "|".join(str(part) for part in parts)
