"""The training loss over that of a linear denoiser: at which noise levels a model knows more than second moments."""

from __future__ import annotations

import pandas
import plotly.graph_objects as go

from lrcore.figures import style, words
from lrcore.figures.losses import lay_out_over_time, over_time
from lrcore.figures.site_figure import SiteFigure, Words
from lrcore.results import denoising, findings, naming, numbers
from lrcore.results.numbers import shown
from lrcore.results.study_rows import StudyRows

_GREY = "rgb(128,128,128)"


def loss_over_gaussian(study: StudyRows) -> SiteFigure:
    """The ratio of `denoising.over_gaussian` over the training time t, one line per autoencoder; 1 is drawn as a line.

    Bars are two standard errors of the linear denoiser's loss.

    Raises:
        LrcoreError: there is nothing to divide, see `denoising.over_gaussian`.
    """
    rows = denoising.over_gaussian(study.losses, study.latents)
    figure = go.Figure()
    for ae in naming.in_order(rows["ae"]):
        look, line = naming.ae_style(ae), rows[rows["ae"] == ae]
        hover = (
            f"{look.label}, t %{{text}}: %{{y:.3f}}<br>loss %{{customdata[0]:.3f}} over %{{customdata[1]:.3f}}, "
            "%{customdata[2]:,} images<extra></extra>"
        )
        errors = {"array": 2 * line["standard_error"], "color": look.colour, "thickness": 1}
        parts = line[["loss", "gaussian_loss", "count"]]
        figure.add_trace(over_time(look, line, "ratio", hover, error_y=errors, customdata=parts))
    figure.add_hline(y=1, line={"color": _GREY, "dash": "dash", "width": 1})
    figure.update_xaxes(title="training time t (0 data, 1 noise)")
    figure.update_yaxes(title="loss over a linear denoiser's")
    ends = [
        *(rows["ratio"] - 2 * rows["standard_error"]),
        *(rows["ratio"] + 2 * rows["standard_error"]),
        *rows["ratio"],
        1.0,
    ]
    lay_out_over_time(figure, rows, "ratio", style.padded(ends, 0.06), [("linear", _GREY, 1.0, 1.0)])
    alt = f"Training loss divided by a linear denoiser's, by training time. {finding(rows)}. {_extremes(rows)}."
    about = Words(
        finding(rows),
        "Training loss divided by the loss of a linear denoiser, which knows only means and covariances. Below 1, a "
        "model has found further structure. Trainings without REPA (representation alignment), at each "
        f"autoencoder's last step. {words.images(study.generation)}.",
        "Bars are two standard errors of the linear denoiser's loss over images. "
        f"{words.study_source(study.name, 'losses', 'latents')}",
    )
    return SiteFigure(figure, rows, f"{study.name}-loss-over-gaussian", alt, words=about)


def finding(rows: pandas.DataFrame) -> str:
    """Whose model is furthest below the linear denoiser, and where, of rows of `over_gaussian`.

    Those share a place whose ratios lie within two standard errors of their difference, as far as these are known.
    """
    each = rows.loc[rows.groupby("ae")["ratio"].idxmin()].sort_values("ratio")
    lowest, count = each.iloc[0], len(each)
    if lowest["ratio"] + 2 * lowest["standard_error"] >= 1:
        return "No model is clearly better than a linear denoiser"
    found = words.leaders(findings.by_ae(each, "ratio"), errors=findings.by_ae(each, "standard_error"))
    share, named = numbers.percent(1 - lowest["ratio"], signed=False), words.capital(words.named(found, count))
    where = f", at t {lowest['t_low']:.1f} to {lowest['t_high']:.1f}"
    if count == 1:
        return f"{named} is up to {share} below a linear denoiser{where}"
    if len(found) == 1:
        return f"{named} is furthest below a linear denoiser: by {share}{where}"
    return f"{named} are furthest below a linear denoiser: by up to {share}{where}"


def _extremes(rows: pandas.DataFrame) -> str:
    """Where each autoencoder's ratio is lowest and highest."""
    parts = []
    for ae in naming.in_order(rows["ae"]):
        ends = rows[rows["ae"] == ae].sort_values("ratio").iloc[[0, -1]]
        told = " to ".join(
            f"{shown(end['ratio'])} (t {end['t_low']:.1f}–{end['t_high']:.1f})" for _, end in ends.iterrows()
        )
        parts.append(f"{naming.ae_style(ae).label} {told}")
    return "; ".join(parts)
