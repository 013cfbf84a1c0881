"""The training loss over training times: which noise levels a latent space is hard at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas
import plotly.graph_objects as go

from lrcore.errors import LrcoreError
from lrcore.figures import style, words
from lrcore.figures.labels import MOST_LINES, End, name_lines
from lrcore.figures.site_figure import SiteFigure, Words
from lrcore.results import naming
from lrcore.results.numbers import shown
from lrcore.results.study_rows import StudyRows
from lrcore.spec.study import NO_REPA


def loss_over_time(study: StudyRows) -> SiteFigure:
    """Flow-matching loss over the training time t at the end of training, one line per autoencoder.

    The mean over the trainings without REPA, weighted by the images that each has in a bin. The loss of a bin hardly
    depends on the density of training times, the mean over bins does.

    Raises:
        LrcoreError: no finite loss.
    """
    losses = study.losses
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
    figure.update_xaxes(title="training time t (0 data, 1 noise)")
    figure.update_yaxes(title="mean squared error of the velocity")
    lay_out_over_time(figure, rows, "loss", [0.0, 1.05 * rows["loss"].max()])
    lowest = rows.loc[rows.groupby("ae")["loss"].idxmin()]
    said = "; ".join(
        f"{naming.ae_style(str(row['ae'])).label} lowest with {shown(row['loss'])} at t {row['t_low']:.2f} to "
        f"{row['t_high']:.2f}"
        for _, row in lowest.iterrows()
    )
    about = Words(
        finding(rows),
        "Mean squared error of the predicted velocity at each training time t, averaged over all trainings without "
        f"REPA (representation alignment) at each autoencoder's last step. {words.images(study.generation)}.",
        "The average is weighted by images. Compare values within one bin of t. "
        f"{words.study_source(study.name, 'losses')}",
    )
    alt = f"Flow-matching loss over training time. {said}."
    return SiteFigure(figure, rows, f"{study.name}-losses", alt, words=about)


def finding(rows: pandas.DataFrame) -> str:
    """At which timesteps the losses are lowest, in one sentence: columns ae, t_low, t_high, loss."""
    lowest = rows.loc[rows.groupby("ae")["loss"].idxmin()].sort_values(["t_low", "ae"])
    bins = lowest[["t_low", "t_high"]].drop_duplicates()
    first, last = lowest.iloc[0], lowest.iloc[-1]
    within = f"t {first['t_low']:.1f}–{first['t_high']:.1f}"
    if len(lowest) == 1:
        return f"The loss of {naming.ae_style(str(first['ae'])).label} is lowest at {within}"
    if len(bins) == 1:
        return f"The loss is lowest at {within} in every latent space"
    ends = [
        f"t {row['t_low']:.1f}–{row['t_high']:.1f} ({naming.ae_style(str(row['ae'])).label})" for row in (first, last)
    ]
    return f"The loss is lowest at different timesteps: {ends[0]} to {ends[1]}"


def lay_out_over_time(
    figure: go.Figure, rows: pandas.DataFrame, column: str, limits: list[float], more: Sequence[End] = ()
) -> None:
    """Axes of t and, between `limits`, of `column`; names at the ends of few lines and of `more`, a legend of many."""
    figure.update_layout(template=style.TEMPLATE, height=400, margin={"t": 20, "b": 46})
    figure.update_xaxes(range=[0, 1])
    figure.update_yaxes(range=limits)
    aes = naming.in_order(rows["ae"])
    ends = list(more)
    if few := len(aes) <= MOST_LINES:
        for ae in aes:
            look, last = naming.ae_style(ae), rows[rows["ae"] == ae].sort_values("t_low").iloc[-1]
            end = (last["t_low"] + last["t_high"]) / 2
            ends.append((look.label, look.colour, float(end), float(last[column])))
    if ends:
        name_lines(figure, ends)
    if not few:
        figure.update_layout(legend=style.LEGEND_BELOW, margin_b=90)
        style.legend_of_many(figure, len(aes))


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
