"""Whether a latent space tells before any training how learnable it is: its properties against the best distance."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lrcore.errors import LrcoreError
from lrcore.figures import style, words
from lrcore.figures.embed import SiteFigure, Words
from lrcore.figures.latents import DIAGNOSTICS
from lrcore.results import agreement, naming
from lrcore.results.study_rows import StudyRows
from lrcore.results.wording import tau_text


def predictors(study: StudyRows) -> SiteFigure:
    """A panel per property of the latent space that needs no training: its value against the best distance.

    One point an autoencoder; tau above a panel is 1 where the property has the order of the distances, in the direction
    expected of it: lower is better for all but the probe's accuracy (`agreement.PREDICTORS`).

    Raises:
        LrcoreError: no rows, or no autoencoder with a distance and a property.
    """
    best = study.best()
    ours = dict(zip(best["ae"], best["distance"], strict=True))
    latents = study.latents
    whole = latents[(latents["index"] == -1) & latents["metric"].isin(agreement.PREDICTORS) & latents["ae"].isin(ours)]
    rows = whole[["ae", "metric", "value", "standard_error"]].assign(distance=whole["ae"].map(ours))
    metrics = [metric for metric in agreement.PREDICTORS if metric in set(rows["metric"])]
    if not metrics:
        raise LrcoreError(f"no rows: study {study.name} has no property of a latent space beside a distance")
    tau = agreement.of_predictors(best, latents).set_index("predictor")["tau"]
    titles = [f"{DIAGNOSTICS[metric]}<br>τ {tau_text(float(tau.get(metric, math.nan)))}" for metric in metrics]
    lines = math.ceil(len(metrics) / 2)
    figure = make_subplots(
        lines, 2, subplot_titles=titles, shared_yaxes=True, vertical_spacing=0.42 / lines, horizontal_spacing=0.06
    )
    for number, metric in enumerate(metrics):
        for _, point in rows[rows["metric"] == metric].iterrows():
            figure.add_trace(_point(point), row=number // 2 + 1, col=number % 2 + 1)
    label = study.distance
    figure.update_xaxes(nticks=4)
    figure.update_yaxes(range=style.padded(rows["distance"], 0.2), nticks=5)
    figure.update_yaxes(title="best distance", title_font_size=12, col=1)
    figure.update_annotations(font_size=12)
    figure.update_layout(
        template=style.TEMPLATE, height=110 + 230 * lines, margin={"t": 50, "b": 110}, legend=style.LEGEND_BELOW
    )
    for ae in naming.in_order(rows["ae"]):
        look = naming.ae_style(ae)
        figure.add_trace(style.legend_entry(look.label, look.symbol, look.colour), row=1, col=1)
    said = "; ".join(f"{DIAGNOSTICS[metric]} {tau_text(float(tau.get(metric, math.nan)))}" for metric in metrics)
    alt = (
        f"{len(metrics)} scatters, one point for each of {len(ours)} autoencoders, of a property of the latent against "
        f"the best {label}. Rank correlations: {said}."
    )
    about = Words(
        finding({metric: float(tau.get(metric, math.nan)) for metric in metrics}),
        f"Properties of the latent that need no training, against the best {words.bare(label)} "
        f"{words.features(study.generation)}, lower is better. {words.images(study.generation)}.",
        f"τ is Kendall's rank correlation over {len(ours)} autoencoders, 1 for the order that is expected: low for a "
        "low distance, of the probe high. Bars are one standard error over images. "
        f"{words.study_source(study.name, 'latents', 'generation')}",
    )
    return SiteFigure(figure, rows, f"{study.name}-predictors", alt, words=about)


def finding(taus: Mapping[str, float]) -> str:
    """Which properties come nearest to the order of the distances: Kendall's tau by metric, NaN where there is none."""
    known = {metric: tau for metric, tau in taus.items() if not math.isnan(tau)}
    if not known:
        return "Properties of the latent space against the best distance"
    most = max(known.values())
    if most <= 0:
        return "No property of the latent space has the order of the distances"
    nearest = [DIAGNOSTICS[metric].split(" ↓")[0].split(" ↑")[0] for metric, tau in known.items() if tau == most]
    if len(nearest) > 2:
        return (
            f"{len(nearest)} of {len(taus)} properties come nearest to the order of the distances (τ {tau_text(most)})"
        )
    verb = "comes" if len(nearest) == 1 else "come"
    named = words.joined(nearest)
    named = named if named.startswith("iF") else words.capital(named)
    return f"{named} {verb} nearest to the order of the distances (τ {tau_text(most)})"


def _point(point: pandas.Series) -> go.Scatter:
    look = naming.ae_style(str(point["ae"]))
    error = point["standard_error"]
    return go.Scatter(
        x=[point["value"]],
        y=[point["distance"]],
        error_x=None if math.isnan(error) else {"type": "data", "array": [error], "thickness": 1.5},
        name=look.label,
        mode="markers",
        marker={"color": look.colour, "symbol": look.symbol, "size": 12},
        showlegend=False,
        hovertemplate=f"{look.label}<br>%{{x:.4g}}, best distance %{{y:.4g}}<extra></extra>",
        cliponaxis=False,
    )
