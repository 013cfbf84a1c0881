"""By how much figures differ that several sources state alike."""

from __future__ import annotations

import math

import pandas
import plotly.graph_objects as go

from lrcore.figures import style, words
from lrcore.figures.atlas import FAMILY_LOOKS, each, quantity_label
from lrcore.figures.atlas_marks import SOURCE
from lrcore.figures.embed import Embedded, Markup
from lrcore.figures.site_figure import SiteFigure, Words
from lrcore.results import atlas as statistics
from lrcore.results.atlas_repeats import differences
from lrcore.results.numbers import factor, percent, shown

_LEAST_PERCENT = 0.1


def reproducible(atlas: pandas.DataFrame) -> Embedded:
    """By how much figures differ that several sources state alike; exempt from groups, since it compares no latents."""
    rows = differences(atlas)
    if rows.empty:
        return Markup("<p>No two sources state the same protocol for one value yet.</p>")
    order = list(rows.groupby("quantity")["difference"].median().sort_values(ascending=False).index)
    figure = go.Figure(layout={"template": style.TEMPLATE, "height": 120 + 44 * len(order), "showlegend": False})
    for at, quantity in enumerate(order):
        part = rows[rows["quantity"] == quantity].sort_values("difference", kind="stable")
        figure.add_trace(
            go.Scatter(
                # a logarithmic axis has no 0: what agrees to the last digit stands at the left edge
                x=(100 * part["difference"]).clip(lower=_LEAST_PERCENT).tolist(),
                y=[at + 0.17 * (number % 3 - 1) for number in range(len(part))],  # neighbours do not cover one another
                mode="markers",
                name=quantity_label(quantity),
                marker={"color": FAMILY_LOOKS["kl"].colour, "size": 11, "opacity": 0.6},
                text=[
                    f"{row.canonical}: {shown(row.low)} to {shown(row.high)}<br>{percent(row.difference)}, "
                    f"{row.sources} sources"
                    for row in each(part)
                ],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    ticks = [value for value in (0.1, 1, 10, 100, 1000, 10000) if value <= 200 * max(1, rows["difference"].max())]
    texts = ["0", *[f"{value:g}" for value in ticks[1:]]]
    limits = [math.log10(_LEAST_PERCENT) - 0.15, math.log10(max(1, 100 * rows["difference"].max())) + 0.15]
    figure.update_xaxes(
        title="highest above lowest figure (%), log scale", type="log", tickvals=ticks, ticktext=texts, range=limits
    )
    names = {"tickvals": list(range(len(order))), "ticktext": [words.bare(quantity_label(name)) for name in order]}
    figure.update_yaxes(**names, range=[len(order) - 0.5, -0.5])
    title = finding_of_repeats(rows)
    alt = f"{title}. " + "; ".join(
        f"{quantity_label(row.quantity)} of {row.canonical}: {shown(row.low)} to {shown(row.high)}"
        for row in each(rows)
    )
    about = (
        "Each point is one quantity of one autoencoder, from two sources or more whose stated protocols do not differ."
    )
    notes = (
        f"{words.capital(statistics.EXEMPT)}. Left out: autoencoders whose checkpoint is not stated, and values that "
        f"one source quotes from another. LPIPS has variants, and few sources say which they use. {SOURCE}"
    )
    return SiteFigure(figure, rows, "reproducible", alt, Words(title, about, notes))


def finding_of_repeats(rows: pandas.DataFrame) -> str:
    """By how much the same quantity differs between sources in the median, and which differs most and least."""
    by_quantity = rows.groupby("quantity")["difference"]
    medians = by_quantity.median()
    enough = by_quantity.size()
    medians = medians[enough >= 3] if (enough >= 3).any() else medians
    worst, best = str(medians.idxmax()), str(medians.idxmin())
    median = percent(rows["difference"].median(), signed=False)
    title = "The same quantity, with the same stated protocol, differs between sources by"
    if len(rows) == 1:
        return f"{title} {median}"
    if worst == best:
        return f"{title} {median} in the median"
    told = [f"{words.bare(quantity_label(name))} {_apart(medians[name])}" for name in (worst, best)]
    ends = [_ends(by_quantity.get_group(name)) for name in (worst, best)]
    return f"{title} {median} in the median: {told[0]} ({ends[0]}), {told[1]} ({ends[1]})"


def _ends(differences: pandas.Series) -> str:
    """From the least difference to the greatest, in the unit that the median has."""
    low, high = float(differences.min()), float(differences.max())
    if differences.median() < 1:
        return f"{100 * low:.0f} to {percent(high, signed=False)}"
    return f"{factor(1 + low)} to {factor(1 + high)}"


def _apart(difference: float) -> str:
    """How far two figures are apart, as a reader says it: 'by 8 %', 'by a factor of 11'."""
    return f"by {percent(difference, signed=False)}" if difference < 1 else f"by a factor of {factor(1 + difference)}"
