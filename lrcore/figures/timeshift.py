"""What the timeshift does to timesteps, and the three training densities it makes. No measurement is involved."""

from __future__ import annotations

from collections.abc import Sequence

import pandas
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

from lrcore.figures import style
from lrcore.figures.site_figure import SiteFigure, Words
from lrcore.flow.timesteps import SHIFTS, TRAINING_DENSITIES, density, timeshift
from lrcore.results import naming

POINTS = 201
_COLOURS = ("#8A8A8A", "#3C9BC4", "#55A630", "#D98B1F", "#C4473A")
_DASHES = ("dot", "dash", "dashdot", "longdash", "solid")


def timeshift_curves(shifts: Sequence[float] = SHIFTS) -> SiteFigure:
    """s(a, t) over t for each shift a; shift 1 is the diagonal."""
    t = torch.linspace(0, 1, POINTS, dtype=torch.float64)
    rows = pandas.concat(
        [pandas.DataFrame({"shift": a, "t": t.tolist(), "shifted_t": timeshift(a, t).tolist()}) for a in shifts],
        ignore_index=True,
    )
    figure = go.Figure()
    for number, a in enumerate(shifts):
        part = rows[rows["shift"] == a]
        figure.add_trace(_line(part["t"], part["shifted_t"], a, number))
    figure.update_layout(template=style.TEMPLATE, height=400, legend_title="shift a")
    figure.update_xaxes(title="uniform timestep t (0 data, 1 noise)", range=[0, 1])
    figure.update_yaxes(title="shifted timestep s(a, t)", range=[0, 1])
    named = ", ".join(f"{a:.2f}" for a in shifts)
    alt = f"Shifted over uniform timestep for the shifts {named}: a larger shift bends the curve further towards noise."
    about = Words(
        "A larger shift moves timesteps towards noise",
        "Shifted timestep s(a, t) = a t / (1 + (a − 1) t) over the uniform timestep t; 0 is data, 1 is noise.",
        "Source: the formula; nothing is measured.",
    )
    return SiteFigure(figure, rows, "timeshift", alt, words=about)


def density_curves(shifts: Sequence[float] = SHIFTS) -> SiteFigure:
    """The density of training timesteps for each of ts, ln, pln (one panel each) and each shift."""
    t = torch.linspace(0, 1, POINTS, dtype=torch.float64)
    rows = pandas.concat(
        [
            pandas.DataFrame({"trainp": p, "shift": a, "t": t.tolist(), "density": density(p, a).pdf(t).tolist()})
            for p in TRAINING_DENSITIES
            for a in shifts
        ],
        ignore_index=True,
    )
    titles = [naming.DENSITY_LABELS[p] for p in TRAINING_DENSITIES]
    figure = make_subplots(len(titles), 1, shared_xaxes=True, vertical_spacing=0.08, subplot_titles=titles)
    for panel, p in enumerate(TRAINING_DENSITIES, start=1):
        for number, a in enumerate(shifts):
            part = rows[(rows["trainp"] == p) & (rows["shift"] == a)]
            figure.add_trace(_line(part["t"], part["density"], a, number, legend=panel == 1), panel, 1)
        figure.update_yaxes(title="density", row=panel, rangemode="tozero")
    figure.update_layout(
        template=style.TEMPLATE,
        height=720,
        margin_t=30,
        legend_title="shift a",
    )
    figure.update_xaxes(range=[0, 1])
    figure.update_xaxes(title="timestep t (0 data, 1 noise)", row=len(titles))
    alt = (
        "Three panels with the density of training timesteps for each shift. Shifted uniform rises towards noise; "
        "logit-normal has one peak that moves towards noise; plateau logit-normal rises alike, then stays level."
    )
    about = Words(
        "A larger shift trains more near noise, whichever the density",
        "Density of training timesteps t for each train shift a; 0 is data, 1 noise. The area under each curve is 1.",
        "Source: the formulas; nothing is measured.",
    )
    return SiteFigure(figure, rows, "densities", alt, words=about)


def _line(x: pandas.Series, y: pandas.Series, shift: float, number: int, legend: bool = True) -> go.Scatter:
    return go.Scatter(
        x=x,
        y=y,
        name=f"{shift:.2f}",
        legendgroup=f"{shift:.2f}",
        showlegend=legend,
        mode="lines",
        line={"color": _COLOURS[number % 5], "dash": _DASHES[number % 5], "width": 2},
        hovertemplate="%{y:.3f}",
    )
