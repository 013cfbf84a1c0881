"""What changes the winner: pairs of latent spaces that swap places inside one source."""

from __future__ import annotations

import html
from collections.abc import Mapping

import pandas
import plotly.graph_objects as go

from lrcore.figures import style, words
from lrcore.figures.atlas import Work, each, linked, quantity_label, short_title
from lrcore.figures.atlas_marks import CHOOSE, SOURCE, mark_key, source_address, with_sources
from lrcore.figures.embed import Embedded, Markup
from lrcore.figures.site_figure import SiteFigure, Words
from lrcore.results import atlas_order
from lrcore.results.numbers import percent

FEWEST_PAIRS = 10
"""Fewer pairs than this make no share that a title could speak of."""

_OVER = {
    "guidance": "guidance",
    "generator": "network",
    "steps": "sampling steps",
    "epochs": "training time",
}
_CHANGES = {
    "guidance": "guidance",
    "generator": "another network",
    "steps": "another number of sampling steps",
    "epochs": "more training",
}


def winners(atlas: pandas.DataFrame, works: Mapping[str, Work], quantity: str = "gfid") -> Embedded:
    """How many pairs of latents swap places inside one source where one thing changes; a word where none is told."""
    rows = swaps(atlas, quantity)
    if rows.empty:
        return Markup("<p>No source has two settings that differ in one thing alone yet.</p>")
    rows = rows.assign(title=[short_title(source, works) for source in rows["source"]])
    kinds = [over for over in _OVER if over in set(rows["over"])]
    figure = go.Figure(layout={"template": style.TEMPLATE, "height": 60 + 26 * (len(rows) + len(kinds))})
    names: list[str] = []
    for kind, colour in zip(kinds, ("#D55E00", "#0072B2", "#009E73", "#CC79A7"), strict=False):
        part = rows[rows["over"] == kind].sort_values(["share", "pairs"], ascending=False, kind="stable")
        names.append(f"<b>{words.capital(_OVER[kind])}</b>")
        figure.add_trace(
            go.Bar(
                x=(100 * part["share"]).tolist(),
                y=[len(names) + number for number in range(len(part))],
                orientation="h",
                width=0.6,
                # the line shows a bar of 0, too
                marker={"color": colour, "line": {"color": colour, "width": 2}, "opacity": _opacities(part)},
                name=_OVER[kind],
                text=[f"{row.crossing} of {row.pairs}" for row in each(part)],
                textposition="outside",
                cliponaxis=False,
                hovertext=part["title"].tolist(),
                customdata=[mark_key(row.over, row.source) for row in each(part)],
                hovertemplate="%{hovertext}: %{text} pairs<extra></extra>",
            )
        )
        names += part["title"].tolist()
    figure.update_xaxes(title="pairs of latents that swap places (%)", range=[0, max(60, 115 * rows["share"].max())])
    places = list(range(len(names)))
    figure.update_yaxes(tickvals=places, ticktext=names, range=[len(names) - 0.5, -0.5], showgrid=False)
    figure.update_layout(showlegend=False)
    title = finding_of_swaps(rows)
    alt = f"{title}. " + "; ".join(
        f"{_OVER[row.over]} in {row.title}: {row.crossing} of {row.pairs} pairs" for row in each(rows)
    )
    about = (
        f"Pairs of latent spaces whose order by {quantity_label(quantity)} reverses when one source changes one thing, "
        "and nothing else that it states."
    )
    few = f"Paler bars have fewer than {FEWEST_PAIRS} pairs; the title leaves them out. "
    few = few if (rows["pairs"] < FEWEST_PAIRS).any() else ""
    notes = (
        f"Sources with three pairs or more; each bar says how many of its pairs swap. {few}Noise alone swaps some "
        f"pairs, since each latent space was trained once. {SOURCE}"
    )
    drawn = SiteFigure(figure, rows, f"winners-{quantity}", alt, Words(title, about, f"{notes} {CHOOSE}"))
    lines = {
        mark_key(row.over, row.source): [
            _OVER[row.over],
            linked(row.title, source_address(atlas, row.source, works)),
            f"{row.settings}",
            f"{row.crossing} of {row.pairs}",
            html.escape(row.places),
        ]
        for row in each(rows)
    }
    return with_sources(
        drawn, ("changed", "source", "pairs of settings", "pairs that swap", "place in the source"), lines
    )


def _opacities(rows: pandas.DataFrame) -> list[float]:
    return [1.0 if pairs >= FEWEST_PAIRS else 0.45 for pairs in rows["pairs"]]


def swaps(atlas: pandas.DataFrame, quantity: str = "gfid") -> pandas.DataFrame:
    """Pairs and swaps of every source with three pairs or more: over, source, settings, pairs, crossing, share, places.

    `places` names where in the source its figures stand, three at most.
    """
    found = []
    by_source = {str(source): rows for source, rows in atlas[atlas["quantity"] == quantity].groupby("source")}
    for over in atlas_order.OVER:
        for source, rows in by_source.items():
            told = atlas_order.rank_agreement(rows, source, over, quantity)
            pairs, crossing = int(told["pairs"].sum()), int(told["crossing"].sum())
            if pairs >= 3:
                places = _places(atlas[(atlas["source"] == source) & (atlas["quantity"] == quantity)]["place"])
                found.append((over, source, len(told), pairs, crossing, crossing / pairs, places))
    return pandas.DataFrame(found, columns=["over", "source", "settings", "pairs", "crossing", "share", "places"])


def _places(places: pandas.Series) -> str:
    """The three places with most figures, most first."""
    names = list(places.value_counts().index)
    return "; ".join(names[:3]) + ("; …" if len(names) > 3 else "")


def finding_of_swaps(rows: pandas.DataFrame) -> str:
    """Which change swaps most inside a source, of those with enough pairs."""
    enough = rows[rows["pairs"] >= FEWEST_PAIRS]
    if enough.empty:
        return "No source has enough pairs of latent spaces to say what changes the ranking"
    parts: list[str] = []
    for over in dict.fromkeys(enough["over"]):
        shares = enough[enough["over"] == over]["share"]
        low, high = percent(shares.min(), signed=False), percent(shares.max(), signed=False)
        verb = "" if parts else " swaps"
        parts.append(f"{_CHANGES[over]}{verb} {high if low == high else f'{low[:-2]} to {high}'}")
    parts[0] += " of the pairs of latent spaces"
    where = "" if len(enough) == len(rows) else f", in sources with {FEWEST_PAIRS} pairs or more"
    return words.capital(f"{', '.join(parts)}{where}")
