"""What guidance hides: gFIDs of one source without it and with it."""

from __future__ import annotations

import html
from collections.abc import Mapping

import pandas
import plotly.graph_objects as go

from lrcore.figures import style, words
from lrcore.figures.atlas import Work, address, each, linked, look, short_title
from lrcore.figures.atlas_marks import CHOOSE, SOURCE, with_sources
from lrcore.figures.atlas_scatter import profile_link
from lrcore.figures.embed import Embedded, Markup
from lrcore.figures.site_figure import SiteFigure, Words
from lrcore.figures.switch import Switch
from lrcore.results import atlas_order, correlations
from lrcore.results.numbers import factor, shown


def guided(atlas: pandas.DataFrame, works: Mapping[str, Work], least: int = correlations.LEAST) -> Embedded:
    """For each setting of a source with `least` latents that was measured with and without guidance, both gFIDs."""
    found = {}
    by_source = {str(source): rows for source, rows in atlas[atlas["quantity"] == "gfid"].groupby("source")}
    for source, of_source in by_source.items():
        for number, rows in enumerate(atlas_order.with_and_without(of_source, source, least)):
            title = short_title(source, works)
            setting = str(rows["generator"].iloc[0]).split(" ")[0]
            name = f"guidance-{source.replace('_', '-')}-{number}"
            found[f"{title}, {setting}"] = _with_ends(guided_figure(rows, name, title), rows, source, works)
    return (
        Switch(found, "Setting")
        if found
        else Markup("<p>No source has latent spaces with and without guidance yet.</p>")
    )


def guided_figure(rows: pandas.DataFrame, name: str, source: str) -> SiteFigure:
    """Lines from the gFID without guidance to that with it, a line a latent, of `with_and_without`."""
    figure = go.Figure(layout={"template": style.TEMPLATE, "height": 560})
    seen: set[str] = set()
    for row in each(rows):
        drawn = look(row.family)
        text = (
            f"{row.canonical}<br>unguided {shown(row.unguided)} (place {row.place_unguided}), "
            f"guided {shown(row.guided)} (place {row.place_guided})"
        )
        figure.add_trace(
            go.Scatter(
                x=[0, 1],
                y=[row.unguided, row.guided],
                mode="lines+markers",
                line={"color": drawn.colour, "width": 1.5},
                marker={"color": drawn.colour, "symbol": drawn.symbol, "size": 9},
                name=drawn.label,
                legendgroup=row.family,
                showlegend=row.family not in seen,
                text=[text, text],
                customdata=[row.canonical, row.canonical],
                hovertemplate="%{text}<extra></extra>",
            )
        )
        seen.add(row.family)
    figure.update_xaxes(tickvals=[0, 1], ticktext=["without guidance", "with guidance"], range=[-0.25, 1.25])
    values = [*rows["unguided"], *rows["guided"]]
    axis = style.distance_axis(values, 0.04)
    figure.update_yaxes(title=f"gFID, lower is better{', log scale' if axis['type'] == 'log' else ''}", **axis)
    figure.update_layout(legend=style.LEGEND_BELOW, showlegend=True, margin={"b": 90})
    title = finding_of_guidance(rows)
    alt = f"{title}. {source}. " + "; ".join(
        f"{row.canonical}: {shown(row.unguided)}, guided {shown(row.guided)}" for row in each(rows)
    )
    about = f"gFID without guidance and with it: {source}, {rows['generator'].iloc[0]}, one training each."
    return SiteFigure(figure, rows, name, alt, Words(title, about, f"{CHOOSE} {SOURCE}"))


def _with_ends(figure: SiteFigure, rows: pandas.DataFrame, source: str, works: Mapping[str, Work]) -> Markup:
    """The figure above both ends of each line, as links to where they stand."""
    lines = {
        row.canonical: [
            linked(row.canonical, profile_link(row.canonical)),
            linked(shown(row.unguided), address(source, row.repository_unguided, works)),
            linked(shown(row.guided), address(source, row.repository_guided, works)),
            html.escape(row.stands_unguided),
        ]
        for row in each(rows)
    }
    return with_sources(figure, ("autoencoder", "without guidance", "with guidance", "place in the source"), lines)


def finding_of_guidance(rows: pandas.DataFrame) -> str:
    """By how much guidance narrows the distance from the best latent to the worst, and who wins."""
    spans = [float(rows[end].max() / rows[end].min()) for end in ("unguided", "guided")]
    span = f"the worst gFID is {factor(spans[0])} times the best without guidance, {factor(spans[1])} times with it"
    best = [rows.loc[rows[end] == rows[end].min(), "canonical"].tolist() for end in ("unguided", "guided")]
    names = [words.joined(found) if len(found) <= 2 else f"{len(found)} latent spaces" for found in best]
    if best[0] == best[1]:
        wins = f"{names[0]} {_wins(best[0])} both"
    else:
        wins = f"{names[0]} {_wins(best[0])} without it, {names[1]} with it"
    return words.capital(f"{span}; {wins}")


def _wins(found: list[str]) -> str:
    return "wins" if len(found) == 1 else "tie"
