"""Sensitivity of the distance to the timestep choices, one parameter at a time around each autoencoder's best."""

from __future__ import annotations

import math

import pandas
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lrcore.errors import LrcoreError
from lrcore.figures import style, words
from lrcore.figures.site_figure import SiteFigure, Words
from lrcore.flow.timesteps import TRAINING_DENSITIES
from lrcore.results import findings, naming, numbers, verdicts
from lrcore.spec.study import NO_REPA

_PANEL_HEIGHT = 180
_LEAST_WIDTH = 175
"""Pixels of a panel below which three of them scroll; two fit on a phone."""


def parameter_sensitivity(generation: pandas.DataFrame, repa: str = NO_REPA, noise: float = math.nan) -> SiteFigure:
    """A row of panels per autoencoder, a column per parameter that was varied, at the last step that all reached.

    The symbols of a panel move one parameter and hold the others at the autoencoder's best; the ring marks the best.
    A line joins shifts, but no densities, which have no order.
    That is the best of all its own settings: here no two autoencoders are compared, but values of one.
    Above it stands the relative spread, (worst - best) / best, "or more" where fewer values were tried than
    there are. Faint points are all other settings of the autoencoder;
    those of one setting carry the same `customdata`, by which the page marks them in all panels. Nothing is left
    out but runs that diverged. `noise`: of a difference of two settings, relative (`StudyRows.noise`); NaN where it is
    not known. Panels of a row share their axis of distance, panels of a column that of values.

    Raises:
        LrcoreError: no rows, two protocols, no common step, or every run with this `repa` diverged.
    """
    settings = findings.mean_over_seeds(generation)
    step = findings.last_common_step(settings)
    rows, spread = findings.sensitivity(settings, step, repa), findings.spreads(settings, step, repa)
    everything = settings[(settings["step"] == step) & (settings["repa"] == repa)].dropna(subset="distance")
    if rows.empty:
        raise LrcoreError(f"no rows: no finite distance at step {step} with repa {repa!r}")
    aes = naming.in_order(rows["ae"])
    label = findings.label(settings)
    varied = [parameter for parameter in findings.PARAMETERS if everything[parameter].nunique() > 1]
    varied = varied or [*findings.PARAMETERS]
    figure = make_subplots(
        len(aes),
        len(varied),
        shared_xaxes=True,
        shared_yaxes=True,
        subplot_titles=[_panel_title(spread, ae, parameter) for ae in aes for parameter in varied],
        vertical_spacing=0.3 / len(aes) ** 1.3,
        horizontal_spacing=0.03,
    )
    for row, ae in enumerate(aes, start=1):
        for column, parameter in enumerate(varied, start=1):
            figure.add_trace(_cloud(everything[everything["ae"] == ae], ae, parameter, label), row, column)
            figure.add_trace(_panel(_of(rows, ae, parameter), ae, label, joined=parameter != "trainp"), row, column)
        # given, since the panel of a single value would stretch the shared axis over decades
        figure.update_yaxes(**style.distance_axis(everything.loc[everything["ae"] == ae, "distance"], 0.1, 5), row=row)
        figure.update_yaxes(title=f"{naming.ae_style(ae).label}<br>{label}", row=row, col=1)
    for column, parameter in enumerate(varied, start=1):
        values = _in_order(everything.loc[everything["ae"].isin(aes), parameter].map(numbers.value_text))
        ends = [-0.5, len(values) - 0.5]
        figure.update_xaxes(type="category", categoryorder="array", categoryarray=values, range=ends, col=column)
        # level, and short enough for a phone
        figure.update_xaxes(tickvals=values, ticktext=_brief(values), tickangle=0, col=column)
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
        finding(spread, words.bare(label), noise),
        f"{words.bare(label)} of samples {words.features(generation)} when one choice is varied around the best of all "
        f"an autoencoder's own settings {naming.repa_label(repa)}, at step {step:,}. {words.images(generation)}.",
        "Full symbols vary one choice, the ring is that best setting, faint points are all other settings. Spread: "
        f"(worst − best) / best; it grows with the number of values. {values_tried(spread)} "
        f"{_scale(figure)}{words.samples(generation)} {words.seed_noise(noise)} "
        f"{words.study_source(study, 'generation')}",
    )
    alt = _alt(spread, aes, varied, label, step)
    least = _LEAST_WIDTH * len(varied) if len(varied) > 2 else 0
    return SiteFigure(figure, everything, f"{study}-sensitivity", alt, words=about, min_width=least)


def _scale(figure: go.Figure) -> str:
    """Which axes of distance are logarithmic, as a sentence; "" for none."""
    return style.scales_in_words([axis.type for axis in figure.select_yaxes()])


def finding(spreads: pandas.DataFrame, distance: str, noise: float = math.nan) -> str:
    """Which choice moves the distance more than the others do, of rows of `findings.spreads`.

    Of one autoencoder it does where its worst value is worse than the others' by more than `noise` (relative; NaN where
    it is not known). Choices are compared whose spread is known of all autoencoders. A spread grows with the number of
    values: one that is not `whole` may exceed others, but none is said to exceed it. Where no choice exceeds the others
    in most latent spaces, it is said in how many each moves the distance beyond a `noise` that is known.
    """
    wide = spreads.pivot(index="ae", columns="parameter", values="spread").dropna(axis="columns")
    known = [parameter for parameter in findings.PARAMETERS if parameter in wide]
    whole = spreads.groupby("parameter")["whole"].all()
    ahead = {
        parameter: [
            all(1 + own[parameter] > (1 + own[rival]) * (1 + verdicts.known(noise)) for rival in rivals)
            for _, own in wide.iterrows()
        ]
        for parameter in known
        if (rivals := [rival for rival in known if rival != parameter and whole[rival]])
    }
    varied = f"{words.capital(distance)} when one choice of timesteps is varied"
    if not len(wide) or not ahead:
        only = known[0] if len(known) == 1 else ""
        return _moved(wide[only], distance, bool(whole[only])) if only and wide[only].max() > 0 else varied
    most = max(ahead, key=lambda parameter: sum(ahead[parameter]))
    won, of = sum(ahead[most]), len(wide)
    if 2 * won <= of:
        if math.isfinite(noise):
            return _beyond(wide[known], distance, noise)
        none = of > 1 and whole[known].all()
        return f"No choice of timesteps moves {distance} most in most latent spaces" if none else varied
    others = [_named(rival) for rival in known if rival != most and whole[rival]]
    verb = "does" if len(others) == 1 else "do"
    where = "" if of == 1 else f" in {numbers.part(won, of, 'latent space')}"
    return f"{words.capital(_named(most))} moves {distance} more than {words.joined(others)} {verb}{where}"


def _beyond(wide: pandas.DataFrame, distance: str, noise: float) -> str:
    """In how many latent spaces each choice moves the distance by more than noise, most of them first."""
    counts = (wide > noise).sum().sort_values(ascending=False, kind="stable")
    first, *others = [(str(parameter), int(count)) for parameter, count in counts.items()]
    if not first[1]:
        return f"No choice of timesteps moves {distance} by more than noise in any latent space"
    where = numbers.part(first[1], len(wide), "latent space")
    said = f"{words.capital(_named(first[0]))} moves {distance} by more than noise in {where}"
    return ", ".join([said, *(f"{_named(parameter)} in {count or 'none'}" for parameter, count in others)])


def _moved(spread: pandas.Series, distance: str, whole: bool) -> str:
    """By how much the one choice that was varied moves the distance."""
    ends = dict.fromkeys(numbers.percent(end, signed=False) for end in (spread.min(), spread.max()))
    more = "" if whole else " or more"
    return f"{words.capital(_named(str(spread.name)))} moves {distance} by {' to '.join(ends)}{more}"


def _named(parameter: str) -> str:
    return f"the {naming.PARAMETER_LABELS[parameter]}"


def values_tried(spreads: pandas.DataFrame) -> str:
    """How many values of each choice the spreads are of: rows of `findings.spreads`, as a sentence of a note."""
    parts = []
    for parameter in findings.PARAMETERS:
        own = spreads[spreads["parameter"] == parameter]
        if own.empty:
            continue
        name, of = naming.PARAMETER_LABELS[parameter], int(own["of"].iloc[0])
        counts = ", ".join(
            f"{tried} ({words.named(part['ae'], len(own))})" for tried, part in own.groupby("tried", sort=True)
        )
        if of == 1:
            parts.append(f"the {name} was not varied")
        else:
            parts.append(f"{name} {of}" if own["whole"].all() else f"{name} {counts} of {of}")
    return f"Values tried: {'; '.join(parts)}."


def _of(rows: pandas.DataFrame, ae: str, parameter: str) -> pandas.DataFrame:
    return rows[(rows["ae"] == ae) & (rows["parameter"] == parameter)]


def _in_order(values: pandas.Series) -> list[str]:
    """Densities in the order of the library, shifts by size."""
    found = set(values)
    return [p for p in TRAINING_DENSITIES if p in found] or sorted(found, key=float)


def _brief(values: list[str]) -> list[str]:
    """Shifts as '1', '1.78', '6.93', or where more than four are to fit on a phone as '1', '1.8', '6.9'; as they are
    where that does not tell them apart, and densities."""
    if any(value in TRAINING_DENSITIES for value in values):
        return values
    short = [f"{float(value):.{2 if len(values) > 4 else 3}g}" for value in values]
    return short if len(set(short)) == len(values) else values


def _panel_title(spreads: pandas.DataFrame, ae: str, parameter: str) -> str:
    found = _of(spreads, ae, parameter)
    if found.empty or math.isnan(spread := float(found["spread"].iloc[0])):
        return "one value only" if found.empty or found["values"].iloc[0] < 2 else "spread not known"
    return f"spread {numbers.percent(spread, signed=False)}{'' if found['whole'].iloc[0] else ' or more'}"


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
        marker={"color": look.colour, "size": 6, "opacity": 0.4},
        selected={"marker": {"size": 13, "opacity": 1}},
        unselected={"marker": {"opacity": 0.12}},
        hovertemplate=f"{look.label}, %{{text}}: {label} %{{y:.2f}}<extra></extra>",
    )


def _alt(found: pandas.DataFrame, aes: list[str], varied: list[str], label: str, step: int) -> str:
    parts = []
    for ae in aes:
        spreads = ", ".join(
            f"{naming.PARAMETER_LABELS[p]} {_panel_title(found, ae, p).removeprefix('spread ')}" for p in varied
        )
        parts.append(f"{naming.ae_style(ae).label}: {spreads}")
    return f"Spread of {label} at step {step} when one choice is varied and the others are held. {'; '.join(parts)}."
