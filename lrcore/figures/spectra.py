"""What the tokens of a latent space are made of: power over spatial frequency, and the numbers of single channels."""

from __future__ import annotations

import math

import pandas
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lrcore.errors import LrcoreError
from lrcore.figures import style, words
from lrcore.figures.labels import MOST_LINES, name_lines
from lrcore.figures.site_figure import SiteFigure, Words
from lrcore.results import findings, naming
from lrcore.results.numbers import shown

CHANNEL_METRICS = {"channel_std": "standard deviation", "channel_kurtosis": "excess kurtosis"}
"""Shown of every channel; normal noise has deviation 1 and excess kurtosis 0."""


def power_spectrum(latents: pandas.DataFrame) -> SiteFigure:
    """Power of the tokens over their spatial frequency (cycles per token), one line per autoencoder, both logarithmic.

    Of the rows of one study from `read_latents`.

    Raises:
        LrcoreError: no such rows.
    """
    every = latents[(latents["metric"] == "spectrum_power") & (latents["x"] > 0)].sort_values(["ae", "x"])
    rows = every[every["value"] > 0]
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
    study, aes = str(rows["study"].iloc[0]), naming.in_order(rows["ae"])
    figure.update_layout(template=style.TEMPLATE, height=400, margin={"t": 20, "b": 46})
    figure.update_xaxes(title="spatial frequency (cycles per token)", type="log", dtick="D2", tickformat="~g")
    figure.update_xaxes(range=style.padded(rows["x"].map(math.log10), 0.03))
    limits = style.padded(rows["value"].map(math.log10), 0.05)
    figure.update_yaxes(title="power", type="log", dtick="D2", tickformat="~g", range=limits)
    if len(aes) > MOST_LINES:
        figure.update_layout(legend=style.LEGEND_BELOW, margin_b=90)
        style.legend_of_many(figure, len(aes))
    else:
        looks, ends = [naming.ae_style(ae) for ae in aes], [rows[rows["ae"] == ae].iloc[-1] for ae in aes]
        name_lines(
            figure,
            [(one.label, one.colour, end["x"], end["value"]) for one, end in zip(looks, ends, strict=True)],
        )
    slopes = latents[latents["metric"] == "spectrum_slope"].set_index("ae")["value"]
    said = "; ".join(f"{naming.ae_style(ae).label} {shown(float(slopes[ae]))}" for ae in naming.in_order(slopes.index))
    about = Words(
        steepest(latents[latents["metric"] == "spectrum_slope"]),
        "Power of the tokens at each spatial frequency, averaged over channels and images. A steep fall means a smooth "
        f"latent. {words.images(rows)}.",
        "The highest frequency is half a cycle per token. The mean, at frequency 0, is not shown. "
        f"{_no_place(len(every) - len(rows))}{words.study_source(study, 'latents')}",
    )
    alt = f"Power over spatial frequency. Slopes: {said}."
    return SiteFigure(figure, rows, f"{study}-spectrum", alt, words=about)


def steepest(slopes: pandas.DataFrame) -> str:
    """Whose spectrum falls most and whose least steeply: rows of `spectrum_slope`, whose errors are over images."""
    values, errors = findings.by_ae(slopes, "value"), findings.by_ae(slopes, "standard_error")
    steep, flat = (words.leaders(values, errors=errors, highest=highest) for highest in (False, True))
    if len(values) < 2 or set(steep) & set(flat):
        return "How the power of the tokens falls with spatial frequency"
    ends = (words.named(found, len(values)) for found in (steep, flat))
    return "The spectrum falls most steeply for {}, least steeply for {}".format(*ends)


def _no_place(count: int) -> str:
    return f"{count} {'power of 0 has' if count == 1 else 'powers of 0 have'} no place on the axis. " if count else ""


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
    # many lines need the width, and their legend that of the screen: one panel stands below the other
    stacked = rows["ae"].nunique() > MOST_LINES and len(titles) > 1
    lines, columns = (len(titles), 1) if stacked else (1, len(titles))
    figure = make_subplots(lines, columns, subplot_titles=titles, horizontal_spacing=0.12, vertical_spacing=0.16)
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
            figure.add_trace(trace, *((column, 1) if stacked else (1, column)))
    study = str(rows["study"].iloc[0])
    figure.update_layout(template=style.TEMPLATE, height=380, margin={"t": 30, "b": 90}, legend=style.LEGEND_BELOW)
    figure.update_annotations(font_size=12)
    figure.update_xaxes(title="channels, sorted", tickformat=".0%", range=[0, 1])
    if stacked:
        figure.update_xaxes(title="", row=1)
        figure.update_layout(height=620)
        style.legend_of_many(figure, rows["ae"].nunique())
    ends = groups["value"].agg(["min", "max"])
    said = "; ".join(
        f"{naming.ae_style(ae).label} {CHANNEL_METRICS[metric]} {shown(float(low))} to {shown(float(high))}"
        for (metric, ae), (low, high) in zip(ends.index, ends.to_numpy(), strict=True)
    )
    about = Words(
        uneven(rows),
        f"{words.capital(words.joined(titles))} of every channel of the tokens, over images and positions. "
        f"{words.images(rows)}.",
        f"Normal noise has standard deviation 1 and excess kurtosis 0. {words.study_source(study, 'latents')}",
    )
    alt = f"Values of every channel. {said}."
    return SiteFigure(figure, rows, f"{study}-channels", alt, words=about, min_width=0 if stacked else 520)


def uneven(rows: pandas.DataFrame) -> str:
    """Whose channels differ most in their standard deviation, the largest over the least: rows of `CHANNEL_METRICS`."""
    ends = rows[rows["metric"] == "channel_std"].groupby("ae")["value"].agg(["min", "max"])
    ends = ends[ends["min"] > 0]
    ratios = {str(ae): float(ratio) for ae, ratio in (ends["max"] / ends["min"]).items()}
    most = words.leaders(ratios, highest=True)
    if len(ratios) < 2 or len(most) > 1 or ratios[most[0]] < 1.005:
        return "How the channels of the tokens differ"
    label = naming.ae_style(most[0]).label
    low, high = float(ends["min"][most[0]]), float(ends["max"][most[0]])
    return f"Channels of {label} differ most: standard deviation {shown(round(low, 2))} to {shown(round(high, 2))}"
