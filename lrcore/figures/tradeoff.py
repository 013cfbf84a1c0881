"""Learnability against fidelity: one point per autoencoder, arrows of change from a baseline.

Learnability is the lowest distance a generative model reached in the latent space; fidelity is a reconstruction
metric. The ideal autoencoder is the one that is good at both.
"""

from __future__ import annotations

import math

import pandas
import plotly.graph_objects as go

from lrcore.errors import LrcoreError
from lrcore.figures import style
from lrcore.figures.embed import SiteFigure
from lrcore.results import findings, naming, numbers
from lrcore.results.numbers import shown
from lrcore.results.published import FOLLOWED

HEIGHT = 480


def published_tradeoff(published: pandas.DataFrame, metric: str = "lpips", baseline: str = "sd") -> SiteFigure:
    """The figure of the published study, from rows of `records.reading.read_published`.

    `metric` is one of lpips, ssim, psnr, rfid; arrows lead from `baseline` to every other autoencoder.

    Raises:
        LrcoreError: unknown metric, or no rows of it.
    """
    study = published[published["source"] == FOLLOWED]
    distances = study[(study["table"] == "trade-off") & (study["quantity"] == "gfid")]
    # figures repeated from the autoencoders' own authors follow another protocol
    measured = study[(study["table"] == "reconstruction") & ~study["setting"].str.startswith("as reported")]
    points = _points(findings.by_ae(distances, "value"), measured[measured["quantity"] == metric], metric, baseline)
    return _draw(points, "gFID", metric, baseline, "ImageNet 256 (published)", "published-tradeoff")


def study_tradeoff(
    generation: pandas.DataFrame, reconstruction: pandas.DataFrame, metric: str = "lpips_vgg", baseline: str = "sd"
) -> SiteFigure:
    """The same figure of one study, from its rows of `read_generation` and `read_reconstruction`.

    Raises:
        LrcoreError: no rows, two protocols in one figure, or no row of `metric`.
    """
    settings = findings.mean_over_seeds(generation)
    best = findings.best_per_ae(settings)
    label = findings.label(settings)
    measured = reconstruction[reconstruction["metric"] == metric]
    points = _points(findings.by_ae(best, "distance"), measured, metric, baseline)
    study = str(generation["study"].iloc[0])
    return _draw(points, label, metric, baseline, f"study {study}", f"{study}-tradeoff")


def tradeoff_axes(figure: go.Figure, points: pandas.DataFrame, distance: str, metric: naming.Metric) -> None:
    """Axes of fidelity and, logarithmic, of distance, with room around `points` (columns fidelity, distance)."""
    figure.update_xaxes(title=f"{metric.label}, {metric.direction}", range=style.padded(points["fidelity"], 0.3))
    limits = style.padded(points["distance"].map(math.log10), 0.3)
    figure.update_yaxes(title=f"best {distance}, lower is better", type="log", range=limits, nticks=6, tickformat="~g")


def _points(distances: dict[str, float], measured: pandas.DataFrame, metric: str, baseline: str) -> pandas.DataFrame:
    """ae, distance, fidelity, standard_error and the relative changes of both from `baseline` (NaN without it)."""
    naming.metric_style(metric)
    if measured["ae"].duplicated().any():
        raise LrcoreError(f"two rows of {metric} for one autoencoder: keep those of one network and image set")
    fidelity, errors = findings.by_ae(measured, "value"), findings.by_ae(measured, "standard_error")
    aes = naming.in_order(distances.keys() & fidelity.keys())
    if not aes:
        raise LrcoreError(f"no rows: no autoencoder has both a distance and {metric}")
    points = pandas.DataFrame(
        {
            "ae": aes,
            "distance": [distances[ae] for ae in aes],
            "fidelity": [fidelity[ae] for ae in aes],
            "standard_error": [errors[ae] for ae in aes],
        }
    )
    at = points[points["ae"] == baseline]
    for column in ("distance", "fidelity"):
        base = float(at[column].iloc[0]) if len(at) else math.nan
        points[f"{column}_change"] = [findings.relative_change(value, base) for value in points[column]]
    return points


def _draw(points: pandas.DataFrame, distance: str, metric: str, baseline: str, where: str, name: str) -> SiteFigure:
    look = naming.metric_style(metric)
    figure = go.Figure()
    start, few = points[points["ae"] == baseline], len(points) <= style.FEW
    for _, point in points.iterrows():
        if few and len(start) and point["ae"] != baseline:
            figure.add_trace(_arrow(start.iloc[0], point))
    for (_, point), place in zip(points.iterrows(), _label_places(points), strict=True):
        figure.add_trace(_marker(point, distance, look, place, few))
    figure.update_layout(
        template=style.TEMPLATE,
        title=f"Learnability against fidelity, {where}",
        height=HEIGHT,
        showlegend=False,
    )
    if not few:
        style.legend_of_many(figure, len(points))
    tradeoff_axes(figure, points, distance, look)
    values = "; ".join(
        f"{naming.ae_style(ae).label} {distance} {shown(y)}, {look.label} {shown(x)}"
        for ae, y, x in zip(points["ae"], points["distance"], points["fidelity"], strict=True)
    )
    return SiteFigure(figure, points, name, f"Scatter of {distance} against {look.label}, {where}. {values}.")


def _arrow(start: pandas.Series, end: pandas.Series) -> go.Scatter:
    return go.Scatter(
        x=[start["fidelity"], end["fidelity"]],
        y=[start["distance"], end["distance"]],
        mode="lines+markers",
        line={"color": "rgba(128,128,128,0.7)", "width": 1.5},
        marker={
            "symbol": "arrow",
            "size": [0, 12],
            "angleref": "previous",
            "standoff": [0, 9],
            "color": "rgb(128,128,128)",
            "opacity": 1,
            "line": {"width": 0},
        },
        hoverinfo="skip",
    )


def _label_places(points: pandas.DataFrame) -> list[str]:
    """Above or below each point: away from its nearest neighbour, so that names do not lie on one another."""
    x, y = points["fidelity"], points["distance"].map(math.log10)
    x, y = x / ((x.max() - x.min()) or 1), y / ((y.max() - y.min()) or 1)
    places = []
    for at in points.index:
        away = ((x - x[at]) ** 2 + (y - y[at]) ** 2).drop(at)
        near = away.idxmin() if len(away) else at
        places.append("bottom center" if y[near] > y[at] else "top center")
    return places


def _marker(point: pandas.Series, distance: str, metric: naming.Metric, place: str, named: bool) -> go.Scatter:
    look = naming.ae_style(str(point["ae"]))
    text = f"<b>{look.label}</b>"
    if point["distance_change"] and not math.isnan(point["distance_change"]):
        changes = numbers.percent(point["distance_change"]), numbers.percent(point["fidelity_change"])
        text += f"<br>{_bare(distance)} {changes[0]}<br>{_bare(metric.label)} {changes[1]}"
    error = None if math.isnan(point["standard_error"]) else [point["standard_error"]]
    return go.Scatter(
        x=[point["fidelity"]],
        y=[point["distance"]],
        error_x={"type": "data", "array": error, "thickness": 1.5} if error else None,
        name=look.label,
        mode="markers+text" if named else "markers",
        text=[text],
        textposition=place,
        marker={"color": look.colour, "symbol": look.symbol, "size": 14},
        hovertemplate=f"%{{text}}<br>{distance} %{{y:.3f}}<br>{metric.label} %{{x:.4f}}<extra></extra>",
        cliponaxis=False,
    )


def _bare(label: str) -> str:
    """A label without what stands in brackets."""
    return label.split(" (")[0]
