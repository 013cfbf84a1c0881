"""The transformer's width: what one loses that is narrower than a token has channels, and why (`results.widths`)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas
import plotly.graph_objects as go

from lrcore.errors import LrcoreError
from lrcore.figures import style, words
from lrcore.figures.labels import MOST_LINES, name_lines
from lrcore.figures.markdown import code, escaped
from lrcore.figures.site_figure import SiteFigure, Words
from lrcore.figures.switch import Switch
from lrcore.results import naming, widths
from lrcore.results.numbers import shown
from lrcore.results.study_rows import StudyRows
from lrcore.results.wording import narrow_note
from lrcore.spec.study import NO_SKIP

_GREY = "rgb(128,128,128)"
_SKIP = "star"
"""Symbol of a transformer with a linear skip around it."""


def has_widths(study: StudyRows) -> bool:
    """Whether an autoencoder was tried with transformers of several widths."""
    return not widths.by_width(study).empty


def distance_over_width(study: StudyRows) -> Switch:
    """The deciding distance, G and the loss near t = 1 over the transformer's width, as far as there are rows of each.

    A line an autoencoder; stars have a linear skip around the transformer; a dotted upright line stands at the channels
    of a token where these are among the widths.

    Raises:
        LrcoreError: no autoencoder was tried with several widths.
    """
    rows = widths.by_width(study)
    if rows.empty:
        raise LrcoreError(f"no rows: study {study.name} has no transformers of several widths")
    label = study.distance
    views = {"distance": ("distance", "distance", f"{label.split(' (')[0]}, lower is better")}
    if rows["g_kid"].notna().any():
        views["share learned"] = ("g_kid", "share", "share learned G, higher is better")
    if rows["loss"].notna().any():
        views["loss near noise"] = ("loss", "loss", f"loss at t {shown(rows['t_low'].max())} to 1, lower is better")
    return Switch({view: _draw(study, rows, *columns) for view, columns in views.items()}, label="Measured by")


def widths_in_words(studies: Mapping[str, StudyRows]) -> str:
    """What the widths of each study say, a paragraph each, as Markdown; "" where none has rows of several widths."""
    return "\n\n".join(_in_words(name, study) for name, study in studies.items() if has_widths(study))


def _in_words(name: str, study: StudyRows) -> str:
    rows, distance = widths.by_width(study), words.bare(study.distance)
    noise = widths.noise(study, rows)
    # where no width is judged, the numbers are all that there is to say
    said = [f"{widths.finding(rows, noise, distance)}."] if widths.judge(rows, noise) else []
    said.append(widths.numbers_in_words(rows, noise, study.distance))
    said += [widths.loss_in_words(rows), words.seed_noise(noise)]
    return f"Study {code(name)}: {escaped(' '.join(filter(None, said)))}"


def _draw(study: StudyRows, rows: pandas.DataFrame, column: str, name: str, title: str) -> SiteFigure:
    known = rows.dropna(subset=column)
    figure = go.Figure()
    aes = naming.in_order(known["ae"])
    for ae in aes:
        for trace in _traces(known[known["ae"] == ae], column):
            figure.add_trace(trace)
    around = known["skip"].ne(NO_SKIP).any()
    if around:
        figure.add_trace(style.legend_entry("with a linear skip", _SKIP, _GREY))
    figure.update_layout(template=style.TEMPLATE, height=430, margin={"t": 34, "b": 80})
    values = sorted(rows["width"].unique())
    ends = style.padded([math.log10(value) for value in values], 0.1)
    figure.update_xaxes(
        title="width of the transformer", type="log", range=ends,
        tickvals=values, ticktext=[f"{value:.0f}" for value in values],
    )  # fmt: skip
    shown_values = (
        [*known[column], *known[["low", "high"]].to_numpy().flatten()] if column == "distance" else known[column]
    )
    axis = (
        style.distance_axis(shown_values, 0.12) if column == "distance" else {"range": style.padded(shown_values, 0.12)}
    )
    figure.update_yaxes(title=title, **axis)
    _uprights(figure, known, ends)
    plain = known[known["skip"] == NO_SKIP].sort_values("width").groupby("ae").last()
    if len(aes) <= MOST_LINES:
        looks = {ae: naming.ae_style(ae) for ae in aes if ae in plain.index}
        name_lines(
            figure,
            [
                (look.label, look.colour, float(plain["width"][ae]), float(plain[column][ae]))
                for ae, look in looks.items()
            ],
        )
    figure.update_layout(showlegend=bool(around) or len(aes) > MOST_LINES, legend=style.LEGEND_BELOW)
    if len(aes) > MOST_LINES:
        style.legend_of_many(figure, len(aes))
    distance = words.bare(study.distance)
    noise = widths.noise(study, rows)
    heading = (widths.loss_finding(rows) if column == "loss" else "") or widths.finding(rows, noise, distance)
    about = Words(heading, _subtitle(study, rows, column), _notes(study, rows, column, noise))
    said = "; ".join(
        f"{naming.ae_style(str(row['ae'])).label} width {row['width']:.0f}"
        f"{'' if row['skip'] == NO_SKIP else ' with a linear skip'} {shown(row[column])}"
        for _, row in known.iterrows()
    )
    alt = f"{title.split(',')[0]} over the width of the transformer, study {study.name}. {said}."
    return SiteFigure(figure, rows, f"{study.name}-width-{name}", alt, words=about)


def _traces(rows: pandas.DataFrame, column: str) -> list[go.Scatter]:
    """The line of an autoencoder over widths, and its transformers with a skip, joined to those without."""
    look = naming.ae_style(str(rows["ae"].iloc[0]))
    plain, around = rows[rows["skip"] == NO_SKIP].sort_values("width"), rows[rows["skip"] != NO_SKIP]
    found = [_trace(plain, column, look, "lines+markers", look.symbol, look.label)]
    for _, row in around.iterrows():
        same = plain[plain["width"] == row["width"]]
        pair = pandas.concat([same, row.to_frame().T])
        line = {"color": look.colour, "width": 1.5, "dash": "dot"}
        found.append(
            go.Scatter(
                x=pair["width"].tolist(),
                y=pair[column].tolist(),
                mode="lines",
                line=line,
                showlegend=False,
                hoverinfo="skip",
            )
        )
    if len(around):
        found.append(_trace(around, column, look, "markers", _SKIP, f"{look.label} with a linear skip"))
    return found


def _trace(rows: pandas.DataFrame, column: str, look: naming.AeStyle, mode: str, symbol: str, name: str) -> go.Scatter:
    bars = None
    if column == "distance" and (rows["high"] > rows["low"]).any():
        ends = {"array": rows["high"] - rows["distance"], "arrayminus": rows["distance"] - rows["low"]}
        bars = {**ends, "color": look.colour, "thickness": 1.5, "width": 4}
    return go.Scatter(
        x=rows["width"].tolist(),
        y=rows[column].tolist(),
        name=name,
        mode=mode,
        showlegend=mode != "markers",
        line={"color": look.colour, "width": 2},
        marker={"color": look.colour, "symbol": symbol, "size": 13 if symbol == _SKIP else 10, "opacity": 1},
        error_y=bars,
        customdata=rows["trainings"].tolist(),
        hovertemplate=f"{name}, width %{{x}}: %{{y:.4g}}<br>mean of %{{customdata}} trainings<extra></extra>",
    )


def _uprights(figure: go.Figure, rows: pandas.DataFrame, ends: list[float]) -> None:
    """The channels of a token of each autoencoder whose channels lie in the range of widths, as dotted lines."""
    channels = rows.drop_duplicates("ae").set_index("ae")["channels_per_token"]
    for count, aes in channels.groupby(channels):
        place = (math.log10(count) - ends[0]) / (ends[1] - ends[0])
        if not 0 <= place <= 1:
            continue
        named = words.named(aes.index, len(channels))
        figure.add_vline(x=count, line={"color": _GREY, "width": 1, "dash": "dot"})
        anchor = "left" if place < 1 / 3 else "right" if place > 2 / 3 else "center"
        figure.add_annotation(
            x=math.log10(count), y=1, yref="paper", xanchor=anchor, yanchor="bottom",
            text=f"{count} channels of {named}", showarrow=False, font_size=11,
        )  # fmt: skip


def _subtitle(study: StudyRows, rows: pandas.DataFrame, column: str) -> str:
    what = {
        "distance": f"{words.bare(study.distance)} of samples {words.features(study.generation)}",
        "g_kid": f"Share G learned apart from the decoder, by KID {words.features(study.generation)}",
        "loss": "Mean squared error of the velocity in the last bin of training times, where nearly all is noise",
    }[column]
    at = "by the width of the transformer, at the setting chosen for each autoencoder"
    return f"{what}, {at}. {words.images(study.generation)}."


def _notes(study: StudyRows, rows: pandas.DataFrame, column: str, noise: float) -> str:
    counts = sorted(rows["trainings"].unique())
    trainings = f"{' or '.join(map(str, counts))} training{'' if counts == [1] else 's'} a point"
    bars = " Bars: from the best to the worst of them." if column == "distance" and max(counts) > 1 else ""
    samples = f"{' or '.join(shown(float(count)) for count in sorted(rows['n_samples'].unique()))} samples, "
    around = (
        "Stars: a linear map of the noisy tokens leads around the transformer. "
        if rows["skip"].ne(NO_SKIP).any()
        else ""
    )
    kinds = ("generation",) if column != "loss" else ("losses",)
    narrow = narrow_note(study.widths)
    return (
        f"{around}{samples if column != 'loss' else ''}{trainings}.{bars} {words.seed_noise(noise)} "
        f"{narrow}{' ' if narrow else ''}{words.study_source(study.name, *kinds)}"
    )
