"""How the figures look beside what `lrcore.results.naming` says of each autoencoder: one template, axes, legends."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import plotly.graph_objects as go

FEW = 6
"""Of more points than this names would lie on one another: a legend and what appears on pointing name them."""

TEMPLATE = go.layout.Template(
    layout={
        "margin": {"l": 60, "r": 15, "t": 20, "b": 46},
        "hoverlabel": {"align": "left"},
        # labels stand off their axes: where both begin with 0, one would touch the other
        "xaxis": {"zeroline": False, "automargin": True, "ticklabelstandoff": 4, "title": {"standoff": 8}},
        "yaxis": {"zeroline": False, "automargin": True, "ticklabelstandoff": 6, "title": {"standoff": 12}},
    }
)
"""Colours of text and grid are the page's, which `site/figures.js` puts in for its light and dark theme."""

ON_PAGE = {"templateitemname": "on-page", "visible": True}
"""Of an annotation: it hides what is behind it, in the page's colour of the light or dark theme (`site/figures.js`)."""

LEGEND_BELOW = {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"}
"""A legend at the lower edge of the figure, on screens of any width."""


def padded(values: Iterable[float], share: float) -> list[float]:
    """An axis range around the finite values, with `share` of their span to spare at either end; log10 for log axes."""
    finite = [value for value in values if math.isfinite(value)]
    pad = share * (max(finite) - min(finite)) or 0.05
    return [min(finite) - pad, max(finite) + pad]


def distance_axis(values: Iterable[float], share: float, nticks: int = 6) -> dict[str, Any]:
    """An axis of all the distances: logarithmic, or linear where one is not above 0, as an unbiased distance may be."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return {"type": "linear", "nticks": nticks, "tickformat": "~g"}
    log = min(finite) > 0
    limits = padded([math.log10(value) for value in finite] if log else finite, share)
    axis = {"type": "log" if log else "linear", "range": limits, "nticks": nticks, "tickformat": "~g"}
    if log and 9 * (decades := limits[1] - limits[0]) > 1.5 * nticks:
        axis["dtick"] = (
            "D2" if decades < 3 else 1
        )  # 1, 2, 5, or powers of ten: all digits, as plotly has them, would touch
    return axis


def scales_in_words(types: Iterable[str]) -> str:
    """Of axes of distance, by their types, whether they are logarithmic, as a sentence with a space; "" for none."""
    found = ["log" if one == "log" else "linear" for one in types]
    if "log" not in found:
        return ""
    which = "Axes of distance are" if set(found) == {"log"} else "Axes of distance are, but where one is not above 0,"
    return f"{which if len(found) > 1 else 'The axis of distance is'} logarithmic. "


def legend_of_many(figure: go.Figure, entries: int) -> None:
    """A legend, and height for it: a narrow screen shows its entries one below the other under the plot."""
    figure.update_layout(showlegend=True, height=figure.layout.height + 14 * entries)


def legend_entry(name: str, symbol: str, colour: str) -> go.Scatter:
    """An entry of the legend without a mark in the figure."""
    marker = {"symbol": symbol, "color": colour, "size": 11}
    return go.Scatter(x=[None], y=[None], name=name, mode="markers", marker=marker)
