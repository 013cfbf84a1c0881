"""Correlations with the gFID as sources print them, beside those that the atlas's own groups give."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import pandas

from lrcore.figures import words
from lrcore.figures.atlas import Work, address, each, linked, predictor_label, short_title
from lrcore.figures.atlas_forest import counted, table_of
from lrcore.figures.embed import Embedded, Markup
from lrcore.records.atlas_vocabulary import GUIDANCE
from lrcore.results import atlas as statistics
from lrcore.results.numbers import as_printed

_SIGNS = {"pearson_with_gfid": "r", "pearson_abs_with_gfid": "|r|", "r2_with_gfid": "R²"}
"""How papers write what they print, of those that are with the gFID."""


def table(atlas: pandas.DataFrame, rows: Mapping[str, pandas.DataFrame], works: Mapping[str, Work]) -> Embedded:
    """`others` as a table; a word where there is none. `rows` of `atlas_forest.computed`."""
    found = others(atlas, rows)
    if found.empty:
        return Markup("<p>No source without groups prints a correlation yet.</p>")
    lines = [
        f"<tr><td>{html.escape(words.capital(predictor_label(row.predictor)))}</td>"
        f"<td>{linked(_value(row), address(row.source, row.repository, works))}</td>"
        f"<td>{row.n or 'not stated'}</td><td>{html.escape(short_title(row.source, works))}</td>"
        f"<td>{html.escape(row.place)}</td><td>{html.escape(_of_what(row))}</td></tr>"
        for row in each(found)
    ]
    heads = "".join(
        f"<th>{head}</th>"
        for head in ("predictor", "as printed", "latent spaces", "source", "place in the source", "measured with")
    )
    return table_of("printed-correlations", heads, lines, "Correlations with the gFID as sources print them")


def others(atlas: pandas.DataFrame, rows: Mapping[str, pandas.DataFrame]) -> pandas.DataFrame:
    """Correlations with the gFID, as `results.atlas.printed` has them, of sources that have no group that counts.

    The same columns and `predictor`; by source and predictor, the strongest first.
    """
    of_groups = set(counted(rows)["source"]) if rows else set()
    every = dict.fromkeys(atlas.loc[atlas["quantity"].isin(list(_SIGNS)), "predictor"])
    parts = [statistics.printed(atlas, name).assign(predictor=name) for name in every or [""]]
    found = pandas.concat(parts, ignore_index=True)
    found = found[found["quantity"].isin(list(_SIGNS)) & ~found["source"].isin(of_groups)]
    by = ["source", "predictor", "strength"]
    return found.assign(strength=-found["value"].abs()).sort_values(by).drop(columns="strength")


def _value(row: Any) -> str:
    return f"{_SIGNS[row.quantity]} {as_printed(row.value)}"


def _of_what(row: Any) -> str:
    """The network, guidance and latents of a correlation, and what its source remarks."""
    guidance = GUIDANCE.get(row.guidance, "").split(",")[0].split(";")[0]
    return ", ".join(part for part in (row.generator, guidance, row.variant, row.note) if part)
