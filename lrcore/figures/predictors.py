"""Whether a latent space tells before any training how learnable it is: its properties against the best distance."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping

import pandas
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lrcore.errors import LrcoreError
from lrcore.figures import style, words
from lrcore.figures.latents import DIAGNOSTICS
from lrcore.figures.site_figure import SiteFigure, Words
from lrcore.results import agreement, findings, naming, numbers
from lrcore.results.study_rows import StudyRows
from lrcore.results.wording import compared_at, tau_text


def predictors(study: StudyRows) -> SiteFigure:
    """A panel per property of the latent space that needs no training: its value against the best distance.

    One point an autoencoder; Spearman's rank correlation above a panel is 1 where the property has the order of the
    distances, in the direction expected of it (`agreement.PREDICTORS`: lower is better for all but two).

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
    found = agreement.of_predictors(best, latents).set_index("predictor")["spearman"].reindex(metrics)
    correlations = {metric: float(found[metric]) for metric in metrics}
    titles = [f"{_in_lines(DIAGNOSTICS[metric])}<br>ρ {tau_text(own)}" for metric, own in correlations.items()]
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
    figure.update_yaxes(title=f"best {words.bare(label)}", title_font_size=12, col=1)
    figure.update_annotations(font_size=12)
    figure.update_layout(
        template=style.TEMPLATE, height=110 + 230 * lines, margin={"t": 50, "b": 110}, legend=style.LEGEND_BELOW
    )
    for ae in naming.in_order(rows["ae"]):
        look = naming.ae_style(ae)
        figure.add_trace(style.legend_entry(look.label, look.symbol, look.colour), row=1, col=1)
    said = "; ".join(f"{DIAGNOSTICS[metric]} {tau_text(own)}" for metric, own in correlations.items())
    alt = (
        f"{len(metrics)} scatters, one point for each of {len(ours)} autoencoders, of a property of the latent against "
        f"the best {label}. Rank correlations: {said}."
    )
    about = Words(
        finding(correlations),
        f"Properties of the latent space that need no training, against the {words.bare(label)}, "
        f"{words.features(study.generation)}, of {compared_at(findings.mean_over_seeds(study.compared))}. "
        f"{words.images(study.generation)}.",
        f"{tried(correlations, len(ours))}ρ is Spearman's rank correlation: 1 for the expected order, −1 for its "
        f"reverse. {expected(metrics)} {_bars(rows)}"
        f"{words.study_source(study.name, 'latents', 'generation')}",
    )
    return SiteFigure(figure, rows, f"{study.name}-predictors", alt, words=about)


_PANEL = 21
"""Letters of a title that a panel of two has room for on a narrow screen."""


def _in_lines(title: str) -> str:
    """The title, in lines if it is a long one; an arrow stays with its word."""
    whole = title.replace(" ↓", "\N{NO-BREAK SPACE}↓").replace(" ↑", "\N{NO-BREAK SPACE}↑")
    return title if len(title) <= _PANEL else "<br>".join(textwrap.wrap(whole, _PANEL, break_on_hyphens=False))


def finding(correlations: Mapping[str, float]) -> str:
    """Which properties come nearest to the order of the distances, and which as near, or nearer, to its reverse.

    `correlations`: Spearman's by metric, NaN where there is none. One that orders the other way round tells as much.
    """
    known = {metric: own for metric, own in correlations.items() if not math.isnan(own)}
    if not known:
        return "Properties of the latent space against the best distance"
    most, least = max(known.values()), min(known.values())
    order = _nearest(known, most, "the order of the distances")
    reverse = _nearest(known, least, "the reverse order" if most > 0 else "the reverse of the order of the distances")
    if most <= 0:
        return reverse if least < 0 else "No property of the latent space has the order of the distances"
    return f"{order}; {reverse[:1].lower() + reverse[1:]}" if -least >= most - _EQUAL else order


_EQUAL = 1e-9


def _nearest(known: Mapping[str, float], correlation: float, what: str) -> str:
    """Who comes nearest to an order: 'Flip error has exactly its reverse', '3 properties come nearest to it'."""
    found = [bare_name(metric) for metric, own in known.items() if abs(own - correlation) < _EQUAL]
    named = words.joined(found) if len(found) <= 2 else numbers.part(len(found), len(known), "property", "properties")
    named = named if named.startswith("iF") else words.capital(named)
    if abs(correlation) > 1 - _EQUAL:
        return f"{named} {'has' if len(found) == 1 else 'have'} {what}"
    return f"{named} {'comes' if len(found) == 1 else 'come'} nearest to {what} (ρ {tau_text(correlation)})"


def bare_name(metric: str) -> str:
    """A property's name without the arrow that says which way is better."""
    return DIAGNOSTICS[metric].rstrip(" ↓↑")


def tried(correlations: Mapping[str, float], points: int) -> str:
    """Of how few points and how many properties the title speaks."""
    known = sum(not math.isnan(own) for own in correlations.values())
    if not known:
        return ""
    properties = "one property" if known == 1 else f"{known} properties"
    return f"With {points} points and {properties} tried, an order may agree by chance. "


def expected(metrics: Iterable[str]) -> str:
    """Which way each property is expected to go with the distance, by the signs of `agreement.PREDICTORS`."""
    names = {sign: [bare_name(name) for name in metrics if agreement.PREDICTORS[name] == sign] for sign in (1, -1)}
    parts = [f"{'low' if sign > 0 else 'high'} {words.joined(found)}" for sign, found in names.items() if found]
    return f"A low distance is expected to go with {', and with '.join(parts)}."


def _bars(rows: pandas.DataFrame) -> str:
    """What the bars are, and which properties have none; "" where no property has."""
    known = rows["standard_error"].notna().groupby(rows["metric"], sort=False).any()
    if not known.any():
        return ""
    without = [bare_name(str(metric)) for metric in known.index[~known]]
    lacking = f"; {words.joined(without)} {'has' if len(without) == 1 else 'have'} none" if without else ""
    return f"Bars are one standard error, and may be shorter than the mark{lacking}. "


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
