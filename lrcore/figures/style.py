"""How the figures look beside what `lrcore.results.naming` says of each autoencoder: one template, axes, legends."""

from __future__ import annotations

import math
from collections.abc import Iterable

import plotly.graph_objects as go

FEW = 6
"""Of more points than this names would lie on one another: a legend and what appears on pointing name them."""

TEMPLATE = go.layout.Template(
    layout={
        "margin": {"l": 60, "r": 15, "t": 60, "b": 55},
        "title": {"x": 0, "xanchor": "left", "xref": "paper", "font": {"size": 15}},
        "hoverlabel": {"align": "left"},
        "xaxis": {"zeroline": False, "automargin": True},
        "yaxis": {"zeroline": False, "automargin": True},
    }
)
"""Colours of text and grid are the page's, which `site/figures.js` puts in for its light and dark theme."""


def padded(values: Iterable[float], share: float) -> list[float]:
    """An axis range around the finite values, with `share` of their span to spare at either end; log10 for log axes."""
    finite = [value for value in values if math.isfinite(value)]
    pad = share * (max(finite) - min(finite)) or 0.05
    return [min(finite) - pad, max(finite) + pad]


def title_at_the_edge(title: str) -> dict[str, object]:
    """A title that starts at the edge of the figure, where long names of rows leave the plot little width."""
    return {"text": title, "xref": "container", "x": 0.01}


def legend_of_many(figure: go.Figure, entries: int) -> None:
    """A legend, and height for it: a narrow screen shows its entries one below the other under the plot."""
    figure.update_layout(showlegend=True, height=figure.layout.height + 14 * entries)


def legend_entry(name: str, symbol: str, colour: str) -> go.Scatter:
    """An entry of the legend without a mark in the figure."""
    marker = {"symbol": symbol, "color": colour, "size": 11}
    return go.Scatter(x=[None], y=[None], name=name, mode="markers", marker=marker)
