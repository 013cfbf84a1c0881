"""What the tokens of a latent space are made of: power over spatial frequency, and the numbers of single channels."""

from __future__ import annotations

import pandas
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lrcore.errors import LrcoreError
from lrcore.figures import style
from lrcore.figures.embed import SiteFigure
from lrcore.results import naming
from lrcore.results.numbers import shown

CHANNEL_METRICS = {"channel_std": "standard deviation", "channel_kurtosis": "excess kurtosis"}
"""Shown of every channel; normal noise has deviation 1 and excess kurtosis 0."""


def power_spectrum(latents: pandas.DataFrame) -> SiteFigure:
    """Power of the tokens over their spatial frequency (cycles per token), one line per autoencoder, both logarithmic.

    Of the rows of one study from `read_latents`.

    Raises:
        LrcoreError: no such rows.
    """
    rows = latents[(latents["metric"] == "spectrum_power") & (latents["x"] > 0)].sort_values(["ae", "x"])
    if rows.empty:
        raise LrcoreError("no rows: no spectrum has been measured yet; run `python -m lrcore.train` first")
    figure = go.Figure()
    for ae in naming.in_order(rows["ae"]):
        look, line = naming.ae_style(ae), rows[rows["ae"] == ae]
        figure.add_trace(
            go.Scatter(
                x=line["x"],
                y=line["value"],
                name=look.label,
                mode="lines+markers",
                line={"color": look.colour, "width": 2},
                marker={"symbol": look.symbol, "size": 8, "color": look.colour},
                hovertemplate=f"{look.label}, %{{x:.3f}} cycles per token: %{{y:.3g}}<extra></extra>",
            )
        )
    study = str(rows["study"].iloc[0])
    figure.update_layout(template=style.TEMPLATE, title=f"Power spectrum of the tokens, study {study}", height=430)
    figure.update_layout(legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"}, margin_b=90)
    figure.update_xaxes(title="spatial frequency (cycles per token)", type="log", dtick="D2", tickformat="~g")
    figure.update_yaxes(title="power", type="log", dtick="D2", tickformat="~g")
    slopes = latents[latents["metric"] == "spectrum_slope"].set_index("ae")["value"]
    said = "; ".join(f"{naming.ae_style(ae).label} {shown(float(slopes[ae]))}" for ae in naming.in_order(slopes.index))
    return SiteFigure(figure, rows, f"{study}-spectrum", f"Power over spatial frequency. Slopes: {said}.")


def channel_statistics(latents: pandas.DataFrame) -> SiteFigure:
    """Standard deviation and excess kurtosis of every channel, sorted, one line per autoencoder and a panel for each.

    The horizontal axis is the rank of the channel among those of its autoencoder, as a share, since their numbers
    differ. Of the rows of one study from `read_latents`.

    Raises:
        LrcoreError: no such rows.
    """
    rows = latents[latents["metric"].isin(CHANNEL_METRICS)].sort_values(["metric", "ae", "value"])
    if rows.empty:
        raise LrcoreError("no rows: no channel has been measured yet; run `python -m lrcore.train` first")
    groups = rows.groupby(["metric", "ae"])
    rows = rows.assign(rank=(groups.cumcount() + 0.5) / groups["value"].transform("size"))
    titles = [name for metric, name in CHANNEL_METRICS.items() if metric in set(rows["metric"])]
    figure = make_subplots(1, len(titles), subplot_titles=titles, horizontal_spacing=0.12)
    for column, (metric, name) in enumerate(CHANNEL_METRICS.items(), start=1):
        for ae in naming.in_order(rows.loc[rows["metric"] == metric, "ae"]):
            look, part = naming.ae_style(ae), rows[(rows["metric"] == metric) & (rows["ae"] == ae)]
            trace = go.Scatter(
                x=part["rank"],
                y=part["value"],
                name=look.label,
                legendgroup=ae,
                showlegend=column == 1,
                mode="lines+markers",
                line={"color": look.colour, "width": 1.5},
                marker={"symbol": look.symbol, "size": 5, "color": look.colour},
                text=part["index"],
                hovertemplate=f"{look.label}, channel %{{text}}: {name} %{{y:.3g}}<extra></extra>",
            )
            figure.add_trace(trace, 1, column)
    study = str(rows["study"].iloc[0])
    figure.update_layout(template=style.TEMPLATE, title=f"Channels of the tokens, study {study}", height=400)
    figure.update_layout(legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"}, margin_b=90)
    figure.update_annotations(font_size=12)
    figure.update_xaxes(title="channels, sorted", tickformat=".0%", range=[0, 1])
    ends = groups["value"].agg(["min", "max"])
    said = "; ".join(
        f"{naming.ae_style(ae).label} {CHANNEL_METRICS[metric]} {shown(float(low))} to {shown(float(high))}"
        for (metric, ae), (low, high) in zip(ends.index, ends.to_numpy(), strict=True)
    )
    return SiteFigure(figure, rows, f"{study}-channels", f"Numbers of every channel. {said}.", min_width=520)
