"""The training loss over training times: which noise levels a latent space is hard at."""

from __future__ import annotations

from typing import Any

import pandas
import plotly.graph_objects as go

from lrcore.errors import LrcoreError
from lrcore.figures import style
from lrcore.figures.embed import SiteFigure
from lrcore.results import naming
from lrcore.results.numbers import shown
from lrcore.spec.study import NO_REPA


def loss_over_time(losses: pandas.DataFrame) -> SiteFigure:
    """Flow-matching loss over the training time t at the end of training, one line per autoencoder.

    The mean over the trainings without REPA, weighted by the images that each has in a bin; from the rows of one study
    of `read_losses`. The loss of a bin hardly depends on the density of training times, the mean over bins does.

    Raises:
        LrcoreError: no finite loss.
    """
    plain = losses[(losses["repa"] == NO_REPA) & (losses["count"] > 0)].dropna(subset="loss")
    if plain.empty:
        raise LrcoreError("no rows: no training without REPA has a loss yet; run `python -m lrcore.train` first")
    last = plain[plain["step"] == plain.groupby("ae")["step"].transform("max")]
    weighted = last.assign(total=last["loss"] * last["count"]).groupby(["ae", "t_low", "t_high", "step"])
    rows = weighted[["total", "count"]].sum().reset_index()
    rows["loss"] = rows["total"] / rows["count"]
    rows = rows[["ae", "step", "t_low", "t_high", "loss", "count"]]
    figure = go.Figure()
    for ae in naming.in_order(rows["ae"]):
        look, line = naming.ae_style(ae), rows[rows["ae"] == ae]
        figure.add_trace(over_time(look, line, "loss", f"{look.label}, t %{{text}}: %{{y:.3f}}<extra></extra>"))
    study = str(losses["study"].iloc[0])
    figure.update_layout(template=style.TEMPLATE, title=f"Loss over training time, study {study}", height=430)
    figure.update_layout(legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"}, margin_b=90)
    figure.update_xaxes(title="training time t (0 data, 1 noise)", range=[0, 1])
    figure.update_yaxes(title="mean squared error of the velocity", rangemode="tozero")
    lowest = rows.loc[rows.groupby("ae")["loss"].idxmin()]
    said = "; ".join(
        f"{naming.ae_style(str(row['ae'])).label} lowest with {shown(row['loss'])} at t {row['t_low']:.2f} to "
        f"{row['t_high']:.2f}"
        for _, row in lowest.iterrows()
    )
    return SiteFigure(figure, rows, f"{study}-losses", f"Flow-matching loss over training time. {said}.")


def over_time(look: naming.AeStyle, rows: pandas.DataFrame, column: str, hover: str, **more: Any) -> go.Scatter:
    """A column of one autoencoder's rows over the middle of their bins of t; `%{text}` of `hover` is the bin.

    `more`: of `go.Scatter`.
    """
    return go.Scatter(
        x=(rows["t_low"] + rows["t_high"]) / 2,
        y=rows[column],
        name=look.label,
        mode="lines+markers",
        line={"color": look.colour, "width": 2},
        marker={"symbol": look.symbol, "size": 7, "color": look.colour},
        text=[f"{low:.2f} to {high:.2f}" for low, high in zip(rows["t_low"], rows["t_high"], strict=True)],
        hovertemplate=hover,
        **more,
    )
