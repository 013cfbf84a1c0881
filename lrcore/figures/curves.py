"""Distance over training steps: every run of the grid, the one without timeshift, and the best."""

from __future__ import annotations

import math

import pandas
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lrcore.errors import LrcoreError
from lrcore.figures import style, words
from lrcore.figures.embed import SiteFigure, Words
from lrcore.results import findings, naming
from lrcore.results.numbers import shown
from lrcore.spec.study import NO_REPA, SELF_REPA

_PANEL_HEIGHT = 190


def distance_over_steps(generation: pandas.DataFrame) -> SiteFigure:
    """A row of panels per autoencoder, a column without REPA and one for each kind of it.

    Faint: every setting. Dotted: those without timeshift (both shifts 1). Bold: the best at the last step of the
    settings that all autoencoders of the column share (`findings.line_of_best`). Lines end where a run diverged. Panels
    of a row share their logarithmic axis.

    Raises:
        LrcoreError: no rows, two protocols, two REPA encoders, or every run diverged.
    """
    settings = findings.mean_over_seeds(generation)
    best = findings.line_of_best(settings)
    if best.empty:
        raise LrcoreError("no rows: every run diverged")
    columns = _repa_columns(settings)
    aes = naming.in_order(settings["ae"])
    titles = [f"{naming.ae_style(ae).label} {naming.repa_label(r)}" for ae in aes for r in columns]
    figure = make_subplots(
        len(aes),
        len(columns),
        shared_xaxes=True,
        shared_yaxes=True,
        subplot_titles=titles,
        vertical_spacing=0.3 / len(aes) ** 1.3,
        horizontal_spacing=0.04,
    )
    for row, ae in enumerate(aes, start=1):
        for column, repa in enumerate(columns, start=1):
            for trace in _panel(_of(settings, ae, repa), _of(best, ae, repa), first=row == column == 1):
                figure.add_trace(trace, row, column)
    label = findings.label(settings)
    study = str(generation["study"].iloc[0])
    figure.update_layout(template=style.TEMPLATE, height=130 + _PANEL_HEIGHT * len(aes))
    figure.update_layout(margin={"t": 30, "b": 90}, legend=style.LEGEND_BELOW)
    figure.update_annotations(font_size=12)
    figure.update_xaxes(nticks=5)
    figure.update_xaxes(title="training step", row=len(aes))
    for row, ae in enumerate(aes, start=1):
        kind = style.distance_axis(settings.loc[settings["ae"] == ae, "distance"], 0.05, 5)
        figure.update_yaxes(**kind, row=row)
    figure.update_yaxes(title=label, col=1)
    about = Words(
        finding(settings, findings.noise_of_difference(generation)),
        f"{words.bare(label)} of samples {words.features(generation)} over training steps"
        f"{', without and with REPA' if len(columns) > 1 else ''}. {words.images(generation)}.",
        "Faint: every setting. Dotted: those without timeshift. Bold: the best at the last step of the settings that "
        f"all autoencoders{' of a column' if len(columns) > 1 else ''} share. "
        f"{style.scales_in_words([axis.type for axis in figure.select_yaxes()])}{words.samples(generation)} "
        f"{words.study_source(study, 'generation')}",
    )
    return SiteFigure(figure, settings, f"{study}-curves", _alt(best, label), words=about)


def finding(settings: pandas.DataFrame, noise: float = math.nan) -> str:
    """Whether who leads without REPA changes between the first and the last step that all autoencoders have.

    Of `findings.mean_over_seeds`, over the settings that all have. Differences of at most `noise` (relative; NaN where
    it is not known) do not count.
    """
    plain = settings[settings["repa"] == NO_REPA]
    shared = findings.shared_settings(plain, "ae").dropna(subset="distance")
    places: dict[int, list[str]] = {}
    for step in sorted(shared["step"].unique()):
        part = shared[shared["step"] == step]
        lowest = {str(ae): float(value) for ae, value in part.groupby("ae")["distance"].min().items()}
        if len(lowest) == plain["ae"].nunique() > 1:
            places[int(step)] = words.leaders(words.above_zero(lowest), noise)
    if not places:
        return "The distance over training steps"
    (first, leading), (last, ending) = min(places.items()), max(places.items())
    count = plain["ae"].nunique()
    verb = "lead" if len(ending) > 1 else "leads"
    if len(ending) == count:
        return f"No autoencoder leads after {last:,} steps"
    if first == last:
        return f"{words.named(ending, count)} {verb} after {last:,} steps"
    if all(found == ending for found in places.values()):
        return f"{words.named(ending, count)} {verb} from step {first:,} to step {last:,}"
    if leading == ending or len(leading) == count:
        return f"{words.named(ending, count)} {verb} after {last:,} steps"
    before = "lead" if len(leading) > 1 else "leads"
    return f"{words.named(leading, count)} {before} after {first:,} steps, {words.named(ending, count)} after {last:,}"


def _repa_columns(settings: pandas.DataFrame) -> list[str]:
    kinds = set(settings["repa"])
    encoders = sorted(kinds - {NO_REPA, SELF_REPA})
    if len(encoders) > 1:
        raise LrcoreError(f"runs with different REPA encoders in one figure: {', '.join(encoders)}; keep those of one")
    return [NO_REPA, *encoders, *sorted(kinds & {SELF_REPA})]


def _of(rows: pandas.DataFrame, ae: str, repa: str) -> pandas.DataFrame:
    return rows[(rows["ae"] == ae) & (rows["repa"] == repa)]


def _panel(settings: pandas.DataFrame, best: pandas.DataFrame, first: bool) -> list[go.Scatter]:
    if settings.empty:
        return []
    look = naming.ae_style(str(settings["ae"].iloc[0]))
    plain = findings.no_shift(settings)
    return [
        _lines(settings, "all settings", first, look, {"width": 1}, opacity=0.3),
        _lines(plain, "no timeshift", first, look, {"width": 2, "dash": "dot"}, opacity=1.0),
        _lines(best, "best at the last step", first, look, {"width": 3.5}, opacity=1.0, markers=True),
    ]


def _lines(
    rows: pandas.DataFrame,
    name: str,
    legend: bool,
    look: naming.AeStyle,
    line: dict[str, object],
    opacity: float,
    markers: bool = False,
) -> go.Scatter:
    """One trace of one line per setting, with a gap after each."""
    x: list[float | None] = []
    y: list[float | None] = []
    text: list[str | None] = []
    for _, run in rows.groupby(findings.SETTING):
        run = run.sort_values("step")
        first = run.iloc[0]
        named = f"{first['trainp']}, train shift {first['trainshift']:.2f}, sample shift {first['sampleshift']:.2f}"
        x += [*run["step"].tolist(), None]
        y += [*run["distance"].tolist(), None]
        text += [*[named] * len(run), None]
    return go.Scatter(
        x=x,
        y=y,
        text=text,
        name=name,
        legendgroup=name,
        showlegend=legend,
        mode="lines+markers",
        opacity=opacity,
        line={"color": look.colour, **line},
        marker={"color": look.colour, "symbol": look.symbol, "size": 8 if markers else 3},
        hovertemplate="step %{x}: %{y:.2f}<br>%{text}<extra>" + name + "</extra>",
        connectgaps=False,
    )


def _alt(best: pandas.DataFrame, label: str) -> str:
    ends = []
    for (ae, repa), line in best.groupby(["ae", "repa"]):
        last = line.dropna(subset="distance").sort_values("step").iloc[-1]
        named = f"{naming.ae_style(str(ae)).label} {naming.repa_label(str(repa))}"
        ends.append(f"{named} {shown(float(last['distance']))} at step {last['step']}")
    return f"{label} over training steps for each autoencoder, without and with REPA. Best settings: {'; '.join(ends)}."
