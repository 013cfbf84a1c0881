"""Distance over training steps: every run of the grid, the best at each step, and two settings to hold it against."""

from __future__ import annotations

import math

import pandas
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lrcore.errors import LrcoreError
from lrcore.figures import style, words
from lrcore.figures.site_figure import SiteFigure, Words
from lrcore.results import findings, naming
from lrcore.results.numbers import shown
from lrcore.results.published import RAES_OWN, UNTUNED
from lrcore.spec.study import NO_REPA, SELF_REPA

_PANEL_HEIGHT = 190


def distance_over_steps(generation: pandas.DataFrame, noise: float = math.nan) -> SiteFigure:
    """All best lines in one panel; below it a row of panels per autoencoder, a column for each kind of REPA and none.

    Faint: every setting. Bold: the best at each step of the settings that all autoencoders of the column share
    (`findings.best_at_each_step`). Dotted: without tuning (`published.UNTUNED`). Dash-dotted: the setting of RAE's
    authors (`published.RAES_OWN`). Lines end where a run diverged. Panels of a row share their logarithmic axis.
    `noise`: of a difference of two settings, relative (`StudyRows.noise`); NaN where it is not known.

    Raises:
        LrcoreError: no rows, two protocols, two REPA encoders, or every run diverged.
    """
    settings = findings.mean_over_seeds(generation)
    best = findings.best_at_each_step(settings)
    if best.empty:
        raise LrcoreError("no rows: every run diverged")
    columns = _repa_columns(settings)
    aes = naming.in_order(settings["ae"])
    titles = ["the best of each"]
    titles += [f"{naming.ae_style(ae).label} {naming.repa_label(r)}" for ae in aes for r in columns]
    rows = len(aes) + 1
    figure = make_subplots(
        rows,
        len(columns),
        specs=[[{"colspan": len(columns)}, *[None] * (len(columns) - 1)], *[[{}] * len(columns)] * len(aes)],
        shared_xaxes=True,
        shared_yaxes=True,
        subplot_titles=titles,
        vertical_spacing=0.3 / rows**1.3,
        horizontal_spacing=0.04,
    )
    for row, ae in enumerate(aes, start=2):
        for column, repa in enumerate(columns, start=1):
            own = _of(best, ae, repa)
            if len(own):
                figure.add_trace(_best_line(own, [*_DASHES][column - 1]), 1, 1)
            for trace in _panel(_of(settings, ae, repa), own):
                figure.add_trace(trace, row, column)
    _name_once(figure)
    label = findings.label(settings)
    study = str(generation["study"].iloc[0])
    figure.update_layout(template=style.TEMPLATE, height=130 + _PANEL_HEIGHT * rows)
    figure.update_layout(margin={"t": 30, "b": 90}, legend=style.LEGEND_BELOW)
    figure.update_annotations(font_size=12)
    figure.update_xaxes(nticks=5)
    figure.update_xaxes(title="training step", row=rows)
    figure.update_yaxes(**style.distance_axis(best["distance"], 0.05, 5), row=1)
    for row, ae in enumerate(aes, start=2):
        kind = style.distance_axis(settings.loc[settings["ae"] == ae, "distance"], 0.05, 5)
        figure.update_yaxes(**kind, row=row)
    figure.update_yaxes(title=label, col=1)
    about = Words(
        finding(settings, noise),
        f"{words.bare(label)} of samples {words.features(generation)} over training steps"
        f"{', without and with REPA' if len(columns) > 1 else ''}. {words.images(generation)}.",
        f"{_above(columns)}Below, bold: the best at each step of the settings that all "
        f"autoencoders{' of a column' if len(columns) > 1 else ''} share. Faint: every setting. Dotted: ts at shifts "
        "of 1. Dash-dotted: ts at shifts of 6.93, RAE's own setting. "
        f"{style.scales_in_words([axis.type for axis in figure.select_yaxes()])}{words.samples(generation)} "
        f"{words.seed_noise(noise)} {words.study_source(study, 'generation')}",
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


def _panel(settings: pandas.DataFrame, best: pandas.DataFrame) -> list[go.Scatter]:
    if settings.empty:
        return []
    look = naming.ae_style(str(settings["ae"].iloc[0]))
    lines = [
        _lines(settings, "all settings", look, {"width": 1}, opacity=0.3),
        _lines(findings.at(settings, UNTUNED), "ts, no shift", look, {"width": 2, "dash": "dot"}),
        _lines(findings.at(settings, RAES_OWN), "RAE's own setting", look, {"width": 2, "dash": "dashdot"}),
    ]
    found = [line for line in lines if len(line.x)]
    return [*found, _best_line(best)] if len(best) else found


def _name_once(figure: go.Figure) -> None:
    """The legend names each kind of line once, whichever panels have it."""
    named = set()
    for trace in figure.data:
        trace.showlegend = trace.name not in named
        named.add(trace.name)


_DASHES = {"solid": "solid", "dash": "dashed", "dashdot": "dash-dotted"}
"""Of the kinds of REPA where they share a panel, and as a sentence has them."""


def _above(columns: list[str]) -> str:
    """Which line is which in the panel above."""
    if len(columns) == 1:
        return "Above: the best lines of all. "
    kinds = [f"{dash} {naming.repa_label(repa)}" for dash, repa in zip(_DASHES.values(), columns, strict=False)]
    return f"Above: the best lines of all, {words.joined(kinds)}. "


def _best_line(rows: pandas.DataFrame, dash: str = "solid") -> go.Scatter:
    """One line over the steps of one ae and repa, whatever the setting, which the hover names."""
    rows = rows.sort_values("step")
    look, name = naming.ae_style(str(rows["ae"].iloc[0])), "best at each step"
    return go.Scatter(
        x=rows["step"].tolist(),
        y=rows["distance"].tolist(),
        text=[f"{look.label}<br>{_setting(row)}" for _, row in rows.iterrows()],
        name=name,
        legendgroup=name,
        mode="lines+markers",
        line={"color": look.colour, "width": 3.5, "dash": dash},
        marker={"color": look.colour, "symbol": look.symbol, "size": 8},
        hovertemplate="step %{x}: %{y:.2f}<br>%{text}<extra>" + name + "</extra>",
    )


def _lines(
    rows: pandas.DataFrame, name: str, look: naming.AeStyle, line: dict[str, object], opacity: float = 1.0
) -> go.Scatter:
    """One trace of one line per setting, with a gap after each."""
    x: list[float | None] = []
    y: list[float | None] = []
    text: list[str | None] = []
    for _, run in rows.groupby(findings.SETTING):
        run = run.sort_values("step")
        x += [*run["step"].tolist(), None]
        y += [*run["distance"].tolist(), None]
        text += [*[_setting(run.iloc[0])] * len(run), None]
    return go.Scatter(
        x=x,
        y=y,
        text=text,
        name=name,
        legendgroup=name,
        mode="lines+markers",
        opacity=opacity,
        line={"color": look.colour, **line},
        marker={"color": look.colour, "symbol": look.symbol, "size": 3},
        hovertemplate="step %{x}: %{y:.2f}<br>%{text}<extra>" + name + "</extra>",
        connectgaps=False,
    )


def _setting(row: pandas.Series) -> str:
    return f"{row['trainp']}, train shift {row['trainshift']:.2f}, sample shift {row['sampleshift']:.2f}"


def _alt(best: pandas.DataFrame, label: str) -> str:
    ends = []
    for (ae, repa), line in best.groupby(["ae", "repa"]):
        last = line.dropna(subset="distance").sort_values("step").iloc[-1]
        named = f"{naming.ae_style(str(ae)).label} {naming.repa_label(str(repa))}"
        ends.append(f"{named} {shown(float(last['distance']))} at step {last['step']}")
    return f"{label} over training steps for each autoencoder, without and with REPA. Best settings: {'; '.join(ends)}."
