"""Which train shifts and guidance scales sources used, by channels per token."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping

import pandas
import plotly.graph_objects as go

from lrcore.figures import style, words
from lrcore.figures.atlas import (
    FAMILY_LOOKS,
    Look,
    Work,
    address,
    each,
    linked,
    look,
    short_title,
    source_looks,
)
from lrcore.figures.atlas_marks import BESIDE, CHOOSE, SOURCE, mark_key, with_sources
from lrcore.figures.atlas_scatter import name_outermost, profile_link
from lrcore.figures.beside import side_by_side
from lrcore.figures.embed import Embedded, Markup
from lrcore.figures.site_figure import SiteFigure, Words
from lrcore.results import atlas as statistics
from lrcore.results.atlas_settings import with_sizes
from lrcore.results.numbers import shown


def shifts(atlas: pandas.DataFrame, works: Mapping[str, Work], looks: Mapping[str, Look] | None = None) -> Embedded:
    """Which train shifts were used by channels per token; exempt from groups, since it compares no latents.

    `looks`: of `atlas.source_looks`, where figures share them; else those of the sources shown.
    """
    rows = statistics.shifts_used(atlas)
    rows = rows[(rows["channels_per_token"] > 0) & rows["trainshift"].notna()]
    columns = ["source", "canonical", "channels_per_token", "tokens", "trainshift", "density", "label"]
    rows = rows.drop_duplicates(columns, ignore_index=True)
    if rows.empty:
        return Markup("<p>No source states the shift of a latent space whose channels are known yet.</p>")
    figure = go.Figure(layout={"template": style.TEMPLATE, "height": 480})
    looks = looks or source_looks(rows["source"])
    keys = ["source", "canonical", "channels_per_token", "trainshift"]
    points = rows.drop_duplicates(keys, ignore_index=True)  # one for each latent of each source
    at = side_by_side(points["channels_per_token"], points["trainshift"], _by_source(points, looks))
    points = points.assign(x=[x for x, _ in at], y=[y for _, y in at])
    for source, part in points.groupby("source", sort=False):
        figure.add_trace(
            go.Scatter(
                x=part["x"].tolist(),
                y=part["y"].tolist(),
                mode="markers",
                name=short_title(str(source), works),
                marker={"color": looks[str(source)].colour, "symbol": looks[str(source)].symbol, "size": 9},
                text=[
                    f"{row.canonical}<br>{row.channels_per_token:,} channels per token, shift {shown(row.trainshift)}"
                    for row in each(part)
                ],
                customdata=[mark_key(row.source, row.canonical, row.trainshift) for row in each(part)],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    figure.update_xaxes(
        title="channels per token, log scale", type="log", tickvals=[4, 16, 64, 256, 1024], tickformat="~g"
    )
    figure.update_yaxes(
        title="train shift (above 1: more noise), log scale", type="log", tickvals=[0.5, 1, 2, 4, 8, 16]
    )
    figure.update_layout(showlegend=True, legend=style.LEGEND_BELOW)
    style.legend_of_many(figure, points["source"].nunique())
    title = finding_of_shifts(rows)
    alt = f"{title}. " + "; ".join(
        f"{row.canonical}, {row.channels_per_token} channels: {shown(row.trainshift)} ({row.source})"
        for row in each(rows.drop_duplicates(["source", "channels_per_token", "trainshift"]))
    )
    about = (
        "Train shifts that sources used or found best, in this project's convention; one point for each latent space "
        "of each source."
    )
    notes = f"{words.capital(statistics.EXEMPT)}. {BESIDE} {CHOOSE} {SOURCE}"
    lines = {
        mark_key(row.source, row.canonical, row.trainshift): [
            linked(row.canonical, profile_link(row.canonical)),
            f"{row.channels_per_token:,}",
            linked(shown(row.trainshift), address(row.source, row.repository, works)),
            f"{html.escape(short_title(row.source, works))}, {html.escape(row.place)}",
        ]
        for row in each(rows)
    }
    drawn = SiteFigure(figure, rows[columns], "shifts-used", alt, Words(title, about, notes))
    return with_sources(drawn, ("autoencoder", "channels per token", "train shift", "place in the source"), lines)


def _by_source(rows: pandas.DataFrame, looks: Mapping[str, Look]) -> list[tuple[int, str]]:
    """The order in which latents of one place stand: by source, then by name."""
    order = list(looks)
    return [(order.index(row.source), row.canonical) for row in each(rows)]


def finding_of_shifts(rows: pandas.DataFrame) -> str:
    """The range of shifts of narrow tokens and of wide ones."""
    channels, shift = rows["channels_per_token"], rows["trainshift"]
    narrow, wide = shift[channels <= 64], shift[channels > 256]
    if narrow.empty or wide.empty:
        return f"Train shifts of {_span(rows['trainshift'])} have been used"
    modes = wide.mode()  # one of several that are as frequent is none
    often = f", most often {shown(modes.iloc[0])}" if len(modes) == 1 and wide.nunique() > 1 else ""
    return (
        f"Sources train tokens of up to 64 channels with shifts of {_span(narrow)}, tokens of more than 256 channels "
        f"with {_span(wide)}{often}"
    )


def scales(atlas: pandas.DataFrame, works: Mapping[str, Work]) -> Embedded:
    """Which guidance scales were used by channels per token; exempt from groups, since it compares no latents."""
    rows = statistics.scales_used(with_sizes(statistics.primary(atlas)))
    rows = rows[rows["channels_per_token"] > 0]
    columns = ["source", "canonical", "family", "channels_per_token", "scale", "best", "label"]
    keys = columns[:-2]
    rows = rows.sort_values("best", ascending=False, kind="stable").drop_duplicates(keys, ignore_index=True)
    if rows.empty:
        return Markup("<p>No source states the guidance scale of a latent space whose channels are known yet.</p>")
    figure = go.Figure(layout={"template": style.TEMPLATE, "height": 480})
    families = list(FAMILY_LOOKS)
    order = [
        (families.index(row.family) if row.family in families else 0, not row.best, mark_key(*row))
        for row in each(rows)
    ]
    at = side_by_side(rows["channels_per_token"], rows["scale"], order)
    points = rows.assign(x=[x for x, _ in at], y=[y for _, y in at])
    for family, drawn in FAMILY_LOOKS.items():
        part = points[points["family"] == family]
        if part.empty:
            continue
        hows = ["found best" if best else "used" for best in part["best"]]
        figure.add_trace(
            go.Scatter(
                x=part["x"].tolist(),
                y=part["y"].tolist(),
                mode="markers",
                name=drawn.label,
                marker={
                    "color": drawn.colour,
                    "symbol": [drawn.symbol if best else f"{drawn.symbol}-open" for best in part["best"]],
                    "size": 9,
                },
                text=[
                    f"{row.canonical}<br>{row.channels_per_token:,} channels per token, scale {shown(row.scale)}, {how}"
                    for row, how in zip(each(part), hows, strict=True)
                ],
                customdata=[mark_key(*once) for once in part[keys].itertuples(index=False)],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    limits = [style.padded([math.log10(value) for value in points[end]], 0.06) for end in ("x", "y")]
    ticks = {"type": "log", "tickformat": "~g"}
    figure.update_xaxes(
        title="channels per token, log scale", tickvals=[4, 16, 64, 256, 1024], range=limits[0], **ticks
    )
    figure.update_yaxes(title="guidance scale, log scale", tickvals=[1, 2, 4, 8, 16], range=limits[1], **ticks)
    figure.update_layout(showlegend=True, legend=style.LEGEND_BELOW, margin={"b": 90})
    name_outermost(figure, points["canonical"], points["x"], points["y"], [9.0] * len(points))
    title = finding_of_scales(rows, works)
    alt = f"{title}. " + "; ".join(
        f"{row.canonical}, {row.channels_per_token} channels: {shown(row.scale)} ({row.source})" for row in each(rows)
    )
    about = "Guidance scales that sources used (hollow), or found best among those that they tried (filled)."
    notes = f"{words.capital(statistics.EXEMPT)}. {BESIDE} {CHOOSE} {SOURCE}"
    lines = {
        mark_key(*(getattr(row, name) for name in keys)): [
            linked(row.canonical, profile_link(row.canonical)),
            f"{row.channels_per_token:,}",
            linked(shown(row.scale), address(row.source, row.repository, works)),
            "found best" if row.best else "used",
            f"{html.escape(short_title(row.source, works))}, {html.escape(row.place)}",
        ]
        for row in each(rows)
    }
    drawn_figure = SiteFigure(figure, rows[columns], "scales-used", alt, Words(title, about, notes))
    heads = ("autoencoder", "channels per token", "guidance scale", "how", "place in the source")
    return with_sources(drawn_figure, heads, lines)


def finding_of_scales(rows: pandas.DataFrame, works: Mapping[str, Work]) -> str:
    """The best scales of each family, in the source that searched for most of them: no source stands beside another."""
    best = rows[rows["best"].astype(bool)]
    counts = best.groupby("source").size().sort_values(ascending=False, kind="stable")
    if counts.empty or best[best["source"] == counts.index[0]]["family"].nunique() < 2:
        return f"Guidance scales of {_span(rows['scale'])} have been used"
    source = str(counts.index[0])
    spans = {str(family): part["scale"] for family, part in best[best["source"] == source].groupby("family")}
    first, *others = sorted(spans, key=lambda family: (-spans[family].median(), family))
    where = f"In {short_title(source, works)}, the best guidance scale of {look(first).label} latents is"
    told = words.joined([f"{look(family).label} ({_span(spans[family])})" for family in others])
    apart = spans[first].min() > max(spans[family].max() for family in others)
    return f"{where} {_span(spans[first])}, {'above' if apart else 'compared with'} {told}"


def _span(values: pandas.Series) -> str:
    low, high = shown(values.min()), shown(values.max())
    return low if low == high else f"{low} to {high}"
