"""Channels and alignment, each varied alone: distance and G over the channels of a token (`results.channels`)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pandas
import plotly.graph_objects as go

from lrcore.errors import LrcoreError
from lrcore.figures import style, words
from lrcore.figures.channels_prose import finding, seed_in_words
from lrcore.figures.labels import Name, name_points, roomy
from lrcore.figures.site_figure import SiteFigure, Words
from lrcore.figures.switch import Switch
from lrcore.results import channels, naming, numbers
from lrcore.results.channels import Measure
from lrcore.results.controlled import Alignment
from lrcore.results.numbers import shown
from lrcore.results.study_rows import StudyRows

_GREY = "rgb(128,128,128)"
_SIZE = 11
_ASIDE = 0.065
"""Latent spaces of the same channels stand so far apart, in decimal logarithms of channels, that marks stay apart."""
_CORNERS = ("top right", "top left", "bottom right", "bottom left")
_PARTS = 16
"""Of a line, that names keep off."""
_NAMED_AT_RIGHT = 0.17
"""Room to the right for the name of the last mark, as a share of the axis."""


def over_channels(study: StudyRows) -> Switch:
    """The deciding distance, and G where there is one, over channels per token.

    A line joins linear patches, which differ in their channels alone; an arrow leads from an autoencoder without
    alignment to each training of it with, dotted where more than alignment differs.

    Raises:
        LrcoreError: the study has no such comparison.
    """
    rows = channels.compared(study)
    if rows.empty:
        raise LrcoreError(f"no rows: study {study.name} has no comparison of channels or of alignment alone")
    distance, label = Measure("distance", study.noise_of_best), study.distance.split(" (")[0]
    views = {"distance": _draw(study, rows, distance, f"{label}, lower is better")}
    if len(told := channels.with_share(rows)):
        views["share learned"] = _draw(study, told, Measure("g_kid"), "share learned G, higher is better")
    return Switch(views, label="Measured by")


def _draw(study: StudyRows, rows: pandas.DataFrame, measure: Measure, title: str) -> SiteFigure:
    column = measure.column
    by_distance = column == "distance"
    ends = ("low", "high") if by_distance else ("g_low", "g_high")
    rows = rows.assign(x=_places(rows), y=rows[column], low_end=rows[ends[0]], high_end=rows[ends[1]])
    figure = go.Figure()
    line = channels.linear(rows)
    if len(line):
        figure.add_trace(_line(line))
    for one in channels.alignments(rows):
        for ae in one.aligned:
            figure.add_trace(_arrow(rows, one, ae))
    for _, row in rows.iterrows():
        figure.add_trace(_point(row))
    _lay_out(figure, rows, title, by_distance)
    _name(figure, rows)
    name = words.bare(study.distance) if by_distance else "G"
    about = Words(finding(rows, measure, name), _subtitle(study, by_distance), _notes(study, rows, measure, name))
    said = "; ".join(
        f"{naming.ae_style(str(row['ae'])).label} ({row['channels']} channels) {shown(row['y'])}"
        for _, row in rows.iterrows()
    )
    alt = f"{title.split(',')[0]} over channels per token, study {study.name}. {said}."
    made = rows.drop(columns=["x", "y", "low_end", "high_end"])
    kind = "distance" if by_distance else "share"
    return SiteFigure(figure, made, f"{study.name}-channels-{kind}", alt, words=about)


def _places(rows: pandas.DataFrame) -> list[float]:
    """Decimal logarithms of channels; beside linear patches, to the left, where those of an alignment stand."""
    aside: dict[str, float] = {}
    for one in channels.alignments(rows):
        for step, ae in enumerate(one.aligned, start=1):
            aside[ae] = step * _ASIDE
        # one training is beside where it comes from; of several, it comes from their middle
        count = len(one.aligned)
        aside[one.unaligned] = (2 if count == 1 else (count + 1) / 2) * _ASIDE
    return [math.log10(row["channels"]) - aside.get(str(row["ae"]), 0.0) for _, row in rows.iterrows()]


def _line(rows: pandas.DataFrame) -> go.Scatter:
    return go.Scatter(
        x=rows["x"].tolist(),
        y=rows["y"].tolist(),
        name="linear patches, of which the channels alone vary",
        mode="lines",
        line={"color": _GREY, "width": 2},
        hoverinfo="skip",
    )


def _arrow(rows: pandas.DataFrame, one: Alignment, ae: str) -> go.Scatter:
    """From an autoencoder without alignment to one with it."""
    ends = rows.set_index("ae").loc[[one.unaligned, ae]]
    return go.Scatter(
        x=ends["x"].tolist(),
        y=ends["y"].tolist(),
        name=f"alignment and another {one.also}" if one.also else "alignment alone",
        showlegend=ae == one.aligned[0],
        mode="lines+markers",
        line={"color": _GREY, "width": 1.5, "dash": "dot" if one.also else "solid"},
        marker={
            "symbol": "arrow",
            "size": [0, 11],
            "angleref": "previous",
            "standoff": [0, 7],
            "color": _GREY,
            "opacity": 1,
            "line": {"width": 0},
        },
        hoverinfo="skip",
    )


def _point(row: pandas.Series) -> go.Scatter:
    look = naming.ae_style(str(row["ae"]))
    ends = {"array": [row["high_end"] - row["y"]], "arrayminus": [row["y"] - row["low_end"]]}
    known = not math.isnan(row["low_end"]) and row["high_end"] > row["low_end"]
    return go.Scatter(
        x=[row["x"]],
        y=[row["y"]],
        name=look.label,
        mode="markers",
        marker={"color": look.colour, "symbol": look.symbol, "size": _SIZE, "opacity": 1},
        error_y={**ends, "color": look.colour, "thickness": 1.5, "width": 3} if known else None,
        customdata=[[int(row["channels"]), int(row["trainings"])]],
        hovertemplate=f"{look.label}, %{{customdata[0]}} channels: %{{y:.4g}}<br>"
        "mean of %{customdata[1]} trainings<extra></extra>",
    )


def _lay_out(figure: go.Figure, rows: pandas.DataFrame, title: str, by_distance: bool) -> None:
    figure.update_layout(template=style.TEMPLATE, height=450, margin={"t": 20})
    counts = sorted(rows["channels"].unique())
    left, right = style.padded(rows["x"], 0.08)
    figure.update_xaxes(
        title="channels per token",
        range=[left, right + _NAMED_AT_RIGHT * (right - left)],
        tickvals=[math.log10(count) for count in counts],
        ticktext=[str(count) for count in counts],
    )
    values = [value for value in rows[["y", "low_end", "high_end"]].to_numpy().flatten() if not math.isnan(value)]
    axis = style.distance_axis(values, 0.1) if by_distance else {"range": style.padded(values, 0.1)}
    figure.update_yaxes(title=title, **axis)


def _name(figure: go.Figure, rows: pandas.DataFrame) -> None:
    """Names beside the points that have room for one; a legend has the others, and says what the lines are."""
    (left, right), (low, high) = figure.layout.xaxis.range, figure.layout.yaxis.range
    log = figure.layout.yaxis.type == "log"

    def at(x: float, y: float, text: str, size: float) -> Name:
        height = (math.log10(y) if log else y) - low
        return Name((x - left) / (right - left), height / (high - low), [text], size)

    each = [row for _, row in rows.iterrows()]
    names = [at(row["x"], row["y"], naming.ae_style(str(row["ae"])).label, _SIZE + 4) for row in each]
    bars = [
        at(row["x"], row[end], "", 6) for row in each for end in ("low_end", "high_end") if not math.isnan(row[end])
    ]
    # a name is beside its own mark alone, and on no line
    around = [Name(one.x, one.y, one.lines, _SIZE + 6) for one in names]
    linear = set(channels.linear(rows)["ae"])
    # short names first, which fit where long ones do not
    order = sorted(range(len(names)), key=lambda one: len(names[one].lines[0]))
    taken = [*around, *bars, *_along_lines(figure, at)]
    while True:
        chosen = roomy([names[one] for one in order], taken)
        # at a corner of one of several marks side by side, a name may seem to be another's: others have its room
        astray = {
            one for one, place in zip(order, chosen, strict=True) if place in _CORNERS and each[one]["ae"] not in linear
        }
        if not astray:
            break
        order = [one for one in order if one not in astray]
    placed = [(names[one], place) for one, place in zip(order, chosen, strict=True) if place]
    name_points(figure, [name for name, _ in placed], [place for _, place in placed], **style.ON_PAGE)
    said = {name.lines[0] for name, _ in placed}
    figure.for_each_trace(lambda trace: trace.update(showlegend=False) if trace.name in said else None)
    figure.update_layout(legend=style.LEGEND_BELOW)
    style.legend_of_many(figure, sum(trace.showlegend is not False for trace in figure.data))


def _along_lines(figure: go.Figure, at: Callable[[float, float, str, float], Name]) -> list[Name]:
    """Marks that cover the lines of the figure."""
    found = []
    for trace in figure.data:
        ends = list(zip(trace.x, trace.y, strict=True)) if "lines" in trace.mode else []
        for (x0, y0), (x1, y1) in itertools.pairwise(ends):
            shares = [step / _PARTS for step in range(1, _PARTS)]
            found += [at(x0 + (x1 - x0) * share, y0 + (y1 - y0) * share, "", 6) for share in shares]
    return found


def _subtitle(study: StudyRows, by_distance: bool) -> str:
    features = words.features(study.generation)
    what = (
        f"{words.bare(study.distance)} of samples {features}"
        if by_distance
        else f"Share G learned apart from the decoder, by KID {features}"
    )
    return f"{what}, by the channels of a token, at the setting chosen for each. {words.images(study.generation)}."


def _notes(study: StudyRows, rows: pandas.DataFrame, measure: Measure, name: str) -> str:
    samples = " or ".join(shown(float(count)) for count in sorted(rows["n_samples"].unique()))
    edge = int(rows["at_edge"].sum())
    said = [
        "Marks to the left of a number of channels have that number, too.",
        f"{samples} samples, {words.trainings(rows['trainings'])} a point.",
        _bars(rows, measure),
        words.seed_noise(measure.noise) if measure.column == "distance" else "",
        seed_in_words(rows, measure, name),
        f"Shifts chosen at an edge of those tried, so that a better one may lie beyond: of "
        f"{numbers.part(edge, len(rows), 'latent space')}."
        if edge
        else "",
        words.study_source(study.name, "generation"),
    ]
    return " ".join(filter(None, said))


def _bars(rows: pandas.DataFrame, measure: Measure) -> str:
    if not (rows["high_end"] > rows["low_end"]).any():
        return ""
    if measure.column == "distance":
        return "Bars: from the best to the worst of them."
    return (
        "Bars: 95 % interval over trainings (Student). A difference counts where its own 95 % interval (Welch) leaves "
        "out 0."
    )
