"""The timestep explorer: shift, densities and sampling grid under one slider. No measurement is involved."""

from __future__ import annotations

from collections.abc import Sequence

import pandas
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

from lrcore.figures import style
from lrcore.figures.site_figure import SteppedFigure, Words
from lrcore.figures.site_table import SiteTable
from lrcore.flow.timesteps import SHIFTS, TRAINING_DENSITIES, density, sampling_grid, timeshift
from lrcore.results import naming, numbers

STEPS = 50
"""Sampling steps, as in the studies."""

POINTS = 101
_BETWEEN = (0.50, 0.71, 1.33, 2.24, 3.65, 5.62, 9.00, 12.00)
"""Shifts beside those of the grid, about evenly spaced on a logarithmic scale."""

_START = 2.95
_DENSITIES = 6.0
"""Where the axis of densities ends, as long as all stay below."""
_COLOURS = {"ts": "#D98B1F", "ln": "#3C9BC4", "pln": "#C4473A"}
_DASHES = {"ts": "dash", "ln": "solid", "pln": "dot"}


def explored_shifts() -> list[float]:
    """The stops of the slider, rising; the shifts of the studies are among them."""
    return sorted({*SHIFTS, *_BETWEEN})


def timestep_explorer() -> SteppedFigure:
    """Three panels for the shift that a slider sets.

    The curve s(a, t); the three densities of training timesteps with train shift a; and the timesteps that 50 steps
    visit with sample shift a, one bar each, as high as the step that follows.
    """
    shifts = explored_shifts()
    rows = pandas.concat([_rows(a) for a in shifts], ignore_index=True)
    frames = {f"{a:.2f}": _frame(rows[rows["shift"] == a], a) for a in shifts}
    alt = (
        "Three panels for one shift a, set by a slider: the timeshift curve, the densities of training timesteps ts, "
        f"ln and pln, and the {STEPS} sampling steps. A larger shift moves all three towards noise: at {_START:.2f} a "
        f"uniform timestep of 0.5 becomes {float(timeshift(_START, torch.tensor(0.5))):.2f}."
    )
    about = Words(
        "A larger shift moves training and sampling towards noise",
        f"Timeshift s(a, t), densities of training timesteps, and the start and size of {STEPS} sampling steps, for "
        "the shift a that the slider sets; 0 is data, 1 is noise.",
        "Source: the formulas; nothing is measured.",
    )
    return SteppedFigure(frames, f"{_START:.2f}", "Shift a", rows, "timestep-explorer", alt, words=about)


def shares_of_time(shifts: Sequence[float] = SHIFTS) -> SiteTable:
    """Where training and sampling spend their time, for each density and shift: a row each.

    Median training timestep; shares of training with t below 0.1 and above 0.9; the last timestep above 0 that 50
    sampling steps visit, and the share of steps that begin above 0.9.
    """
    rows = []
    tenths = torch.tensor([0.1, 0.9], dtype=torch.float64)
    for a in shifts:
        grid = sampling_grid(STEPS, a)[:-1]
        for trainp in TRAINING_DENSITIES:
            p = density(trainp, a)
            low, high = p.cdf(tenths).tolist()
            median = float(p.quantile(torch.tensor(0.5, dtype=torch.float64)))
            rows.append(
                {
                    "shift": a,
                    "density": trainp,
                    "median t": round(median, 4),
                    "training below 0.1 (%)": 100 * low,
                    "training above 0.9 (%)": 100 * (1 - high),
                    "last sampling t": round(float(grid[-1]), 4),
                    "sampling above 0.9 (%)": round(100 * float((grid > 0.9).double().mean()), 4),
                }
            )
    caption = "Where training and sampling spend their timesteps, for each density and shift"
    return SiteTable(pandas.DataFrame(rows), "shares-of-time", caption)


def plateau_in_words() -> str:
    """How much less `pln` trains than `ln` before the plateau, at the least and the largest shift: Markdown."""
    parts = []
    for a in (min(SHIFTS), max(SHIFTS)):
        early = torch.tensor([0.1], dtype=torch.float64)
        ln, pln = (float(density(name, a).cdf(early)) for name in ("ln", "pln"))
        parts.append(f"by {numbers.percent(1 - pln / ln, signed=False)} at shift {a:.2f}")
    return (
        "At every shift, `pln` trains more near noise than `ln`. In exchange it trains less everywhere before its "
        f"mode: {' and '.join(parts)}."
    )


def _rows(a: float) -> pandas.DataFrame:
    t = torch.linspace(0, 1, POINTS, dtype=torch.float64)
    parts = [pandas.DataFrame({"quantity": "timeshift", "t": t.tolist(), "value": timeshift(a, t).tolist()})]
    for p in TRAINING_DENSITIES:
        found = density(p, a).pdf(t).tolist()
        parts.append(pandas.DataFrame({"quantity": f"density {p}", "t": t.tolist(), "value": found}))
    grid = sampling_grid(STEPS, a)
    steps = pandas.DataFrame({"quantity": "sampling step", "t": grid[:-1].tolist(), "value": (-grid.diff()).tolist()})
    # four digits are more than the figure shows
    return pandas.concat([*parts, steps], ignore_index=True).round(4).assign(shift=a)


def _frame(rows: pandas.DataFrame, a: float) -> go.Figure:
    titles = [f"timeshift s({a:.2f}, t)", "density of training timesteps", f"{STEPS} sampling steps"]
    figure = make_subplots(3, 1, shared_xaxes=True, vertical_spacing=0.1, subplot_titles=titles)
    curve = rows[rows["quantity"] == "timeshift"]
    figure.add_trace(
        go.Scatter(x=[0, 1], y=[0, 1], mode="lines", line={"dash": "dot", "color": "#8A8A8A"}, hoverinfo="skip",
                   name="no shift", showlegend=False), 1, 1,
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(x=curve["t"], y=curve["value"], mode="lines", line={"width": 2.5, "color": "#55A630"},
                   name="s(a, t)", showlegend=False, hovertemplate="t %{x}: %{y}<extra></extra>"), 1, 1,
    )  # fmt: skip
    for p in TRAINING_DENSITIES:
        part = rows[rows["quantity"] == f"density {p}"]
        line = {"width": 2, "color": _COLOURS[p], "dash": _DASHES[p]}
        figure.add_trace(
            go.Scatter(x=part["t"], y=part["value"], mode="lines", line=line, name=naming.DENSITY_LABELS[p],
                       hovertemplate="t %{x}: %{y}"), 2, 1,
        )  # fmt: skip
    steps = rows[rows["quantity"] == "sampling step"]
    figure.add_trace(
        go.Bar(x=steps["t"], y=steps["value"], width=0.004, marker_color="#8C6BB1", name="sampling steps",
               showlegend=False, hovertemplate="from t %{x} by %{y}<extra></extra>"), 3, 1,
    )  # fmt: skip
    figure.update_layout(
        template=style.TEMPLATE,
        height=650,
        # in the panel of the lines that it names, where every density is low
        legend={"x": 0.01, "xanchor": "left", "y": figure.layout.yaxis2.domain[1], "yanchor": "top", "font_size": 11},
        legend_bgcolor="rgba(0,0,0,0)",
        margin={"t": 30, "b": 50},
        meta={"legend": "inside"},  # site/figures.js: it stays there on narrow screens
    )
    figure.update_xaxes(range=[-0.01, 1.01], showticklabels=True)
    figure.update_xaxes(title="timestep t (0 data, 1 noise)", row=3)
    figure.update_yaxes(range=[0, 1.02], title="s(a, t)", row=1)
    # one axis for the stops of the slider, but for those that reach beyond it
    highest = rows.loc[rows["quantity"].str.startswith("density"), "value"].max()
    figure.update_yaxes(range=[0, max(_DENSITIES, 1.05 * highest)], title="density", row=2)
    figure.update_yaxes(range=[-3.5, 0], type="log", title="step, log scale", tickformat="~g", dtick=1, row=3)
    return figure
