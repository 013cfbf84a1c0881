"""Sensitivity of the distance to the timestep choices, one parameter at a time around each autoencoder's best."""

from __future__ import annotations

import math

import pandas
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lrcore.errors import LrcoreError
from lrcore.figures import style, words
from lrcore.figures.embed import SiteFigure, Words
from lrcore.flow.timesteps import TRAINING_DENSITIES
from lrcore.results import findings, naming, numbers, verdicts
from lrcore.spec.study import NO_REPA

_PANEL_HEIGHT = 180


def parameter_sensitivity(generation: pandas.DataFrame, repa: str = NO_REPA) -> SiteFigure:
    """A row of panels per autoencoder, a column per parameter, at the last step that all autoencoders reached.

    The symbols of a panel move one parameter and hold the others at the autoencoder's best; the ring marks the best.
    A line joins shifts, but no densities, which have no order.
    Above it stands the relative spread, (worst - best) / best. Faint points are all other settings of the autoencoder;
    those of one setting carry the same `customdata`, by which the page marks them in all panels. Nothing is left
    out but runs that diverged. Panels of a row share their axis of distance, panels of a column that of values.

    Raises:
        LrcoreError: no rows, two protocols, no common step, or every run with this `repa` diverged.
    """
    settings = findings.mean_over_seeds(generation)
    step = findings.last_common_step(settings)
    rows = findings.sensitivity(settings, step, repa)
    everything = settings[(settings["step"] == step) & (settings["repa"] == repa)].dropna(subset="distance")
    if rows.empty:
        raise LrcoreError(f"no rows: no finite distance at step {step} with repa {repa!r}")
    aes = naming.in_order(rows["ae"])
    label = findings.label(settings)
    figure = make_subplots(
        len(aes),
        len(findings.PARAMETERS),
        shared_xaxes=True,
        shared_yaxes=True,
        subplot_titles=[_panel_title(rows, ae, parameter) for ae in aes for parameter in findings.PARAMETERS],
        vertical_spacing=0.3 / len(aes) ** 1.3,
        horizontal_spacing=0.03,
    )
    for row, ae in enumerate(aes, start=1):
        for column, parameter in enumerate(findings.PARAMETERS, start=1):
            figure.add_trace(_cloud(everything[everything["ae"] == ae], ae, parameter, label), row, column)
            figure.add_trace(_panel(_of(rows, ae, parameter), ae, label, joined=parameter != "trainp"), row, column)
        # given, since the panel of a single value would stretch the shared axis over decades
        figure.update_yaxes(**style.distance_axis(everything.loc[everything["ae"] == ae, "distance"], 0.1, 5), row=row)
        figure.update_yaxes(title=f"{naming.ae_style(ae).label}<br>{label}", row=row, col=1)
    for column, parameter in enumerate(findings.PARAMETERS, start=1):
        values = _in_order(everything.loc[everything["ae"].isin(aes), parameter].map(numbers.value_text))
        ends = [-0.5, len(values) - 0.5]
        figure.update_xaxes(type="category", categoryorder="array", categoryarray=values, range=ends, col=column)
        figure.update_xaxes(title=naming.PARAMETER_LABELS[parameter], row=len(aes), col=column)
    study = str(generation["study"].iloc[0])
    figure.update_layout(
        template=style.TEMPLATE,
        height=100 + _PANEL_HEIGHT * len(aes),
        margin_t=30,
        showlegend=False,
        meta={"linked": True},  # site/figures.js: what has the same customdata is marked together
    )
    figure.update_annotations(font_size=12)
    about = Words(
        finding(rows, findings.noise_of_difference(generation)),
        f"{words.bare(label)} of samples {words.features(generation)}, lower is better, when one choice is varied "
        f"around the best setting {naming.repa_label(repa)}, at step {step:,}. {words.images(generation)}.",
        "Full symbols vary one choice, the ring is the best setting, faint points are all other settings. Spread: "
        f"(worst − best) / best. {words.samples(generation)} {words.study_source(study, 'generation')}",
    )
    return SiteFigure(figure, everything, f"{study}-sensitivity", _alt(rows, label, step), words=about, min_width=520)


def finding(rows: pandas.DataFrame, noise: float = math.nan) -> str:
    """Which choice has the widest median spread over autoencoders, of rows of `findings.sensitivity`.

    A spread counts where it exceeds `noise` (relative; NaN where it is not known). It grows with the number of values,
    so that of an autoencoder which was tried with fewer than another is at least this: it may be the widest, but makes
    none other so.
    """
    groups = rows.dropna(subset="distance").groupby(["parameter", "ae"])["distance"]
    spread = groups.agg(findings.relative_spread).unstack("ae")
    spread = spread[spread.notna().all(axis=1)]
    partly = set(spread.index[groups.size().unstack("ae").loc[spread.index].nunique(axis=1) > 1])
    medians = spread.median(axis=1)
    medians = medians[medians > verdicts.known(noise)]
    if medians.empty:
        return "The distance when one choice of timesteps is varied"
    widest = [str(name) for name in medians.index[medians == medians.max()]]
    named = words.capital(words.joined([f"the {naming.PARAMETER_LABELS[parameter]}" for parameter in widest]))
    verb, share = "moves" if len(widest) == 1 else "move", numbers.percent(medians.max(), signed=False)
    median = " (median)" if spread.shape[1] > 1 else ""
    if len(spread) == len(widest) or partly - set(widest):
        return f"{named} {verb} the distance by {share}{median}"
    return f"{named} {verb} the distance most: {share}{median}"


def _of(rows: pandas.DataFrame, ae: str, parameter: str) -> pandas.DataFrame:
    return rows[(rows["ae"] == ae) & (rows["parameter"] == parameter)]


def _in_order(values: pandas.Series) -> list[str]:
    """Densities in the order of the library, shifts by size."""
    found = set(values)
    return [p for p in TRAINING_DENSITIES if p in found] or sorted(found, key=float)


def _panel_title(rows: pandas.DataFrame, ae: str, parameter: str) -> str:
    distances = _of(rows, ae, parameter)["distance"]
    spread = findings.relative_spread(distances)
    if math.isnan(spread):
        return "one value only" if distances.count() < 2 else "spread not known"
    return f"spread {numbers.percent(spread, signed=False)}"


def _panel(rows: pandas.DataFrame, ae: str, label: str, joined: bool) -> go.Scatter:
    """The values of one choice; a line joins those that have an order, which densities have not."""
    look = naming.ae_style(ae)
    return go.Scatter(
        x=rows["value"].tolist(),
        y=rows["distance"].tolist(),
        name=look.label,
        mode="lines+markers" if joined else "markers",
        line={"color": look.colour, "width": 2},
        marker={
            "color": look.colour,
            "symbol": look.symbol,
            "opacity": 1,
            "size": [13 if best else 8 for best in rows["best"]],
            "line": {"width": [2 if best else 0 for best in rows["best"]], "color": "rgba(128,128,128,1)"},
        },
        hovertemplate=f"{look.label}, %{{x}}: {label} %{{y:.2f}}<extra></extra>",
    )


def _cloud(settings: pandas.DataFrame, ae: str, parameter: str, label: str) -> go.Scatter:
    look = naming.ae_style(ae)
    named = [
        f"{trainp}, train shift {trainshift:.2f}, sample shift {sampleshift:.2f}"
        for trainp, trainshift, sampleshift in settings[[*findings.PARAMETERS]].itertuples(index=False)
    ]
    return go.Scatter(
        x=[numbers.value_text(value) for value in settings[parameter]],
        y=settings["distance"].tolist(),
        customdata=[f"{ae}, {name}" for name in named],
        text=named,
        name=look.label,
        mode="markers",
        marker={"color": look.colour, "size": 6, "opacity": 0.3},
        selected={"marker": {"size": 13, "opacity": 1}},
        unselected={"marker": {"opacity": 0.12}},
        hovertemplate=f"{look.label}, %{{text}}: {label} %{{y:.2f}}<extra></extra>",
    )


def _alt(rows: pandas.DataFrame, label: str, step: int) -> str:
    parts = []
    for ae in naming.in_order(rows["ae"]):
        spreads = ", ".join(
            f"{naming.PARAMETER_LABELS[p]} {_panel_title(rows, ae, p).removeprefix('spread ')}"
            for p in findings.PARAMETERS
        )
        parts.append(f"{naming.ae_style(ae).label}: {spreads}")
    return f"Spread of {label} at step {step} when one choice is varied and the others are held. {'; '.join(parts)}."
