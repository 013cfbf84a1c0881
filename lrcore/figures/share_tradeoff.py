"""Learnability against fidelity, the site's main scatter: the share G that was learned against what the decoder keeps.

    tradeoff_of(study)              # G, and the plain distance as its other view; that alone where there is no G
    share_against_fidelity(study)

Learnability by G (`results.learnability`) leaves out what the decoder loses, which fidelity shows: the two axes tell
two things. By the plain distance (`figures.tradeoff`) a decoder that blurs is punished on both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas
import plotly.graph_objects as go

from lrcore.errors import LrcoreError
from lrcore.figures import learnability, style, tradeoff, words
from lrcore.figures.embed import Embedded
from lrcore.figures.labels import PLOTS, Name, name_points, roomy
from lrcore.figures.site_figure import SiteFigure, Words
from lrcore.figures.switch import Switch
from lrcore.results import findings, naming
from lrcore.results import learnability as shares
from lrcore.results.numbers import shown
from lrcore.results.study_rows import StudyRows
from lrcore.results.wording import encoder_note, labels

HEIGHT = 460
_SIZE = 13
"""Diameter in pixels of a point."""
_NEEDS_NO_TRAINING = ("fitted", "pretrained")
"""Of the column `origin` of reconstruction rows: a study trains none of these."""
_GREY = "rgb(128,128,128)"

GAUSSIAN, RECONSTRUCTIONS = "Gaussian latents", "reconstructions"
"""What samples are as good as at G = 0 and at G = 1."""


def tradeoff_of(study: StudyRows, metric: str = "lpips_vgg", baseline: str = "sd") -> Embedded:
    """The figure that shows a study's learnability: G where its rows have one beside `metric`, and the plain distance.

    Raises:
        LrcoreError: as `tradeoff.of_study`.
    """
    plain = tradeoff.of_study(study, metric, baseline)
    kept = study.reconstruction.loc[study.reconstruction["metric"] == metric, "ae"]
    if not set(shares.learned(study)["ae"]) & set(kept):
        return plain
    return Switch({"share learned": share_against_fidelity(study, metric), "distance": plain}, label="Learnability by")


def share_against_fidelity(study: StudyRows, metric: str = "lpips_vgg") -> SiteFigure:
    """G with its interval over trainings against `metric` of reconstructions, between the anchors of G.

    Open symbols are autoencoders that the study did not train, asterisks what decoded noise would have. A dotted line
    joins the Pareto front of the points. G below `learnability.LOWEST` are arrows at the lower edge, and those that
    cannot be told stand there without a value.

    Raises:
        LrcoreError: unknown metric, or no autoencoder has both it and distances to reconstructions.
    """
    points, look = _points(study, metric), naming.metric_style(metric)
    figure = go.Figure()
    low, high = _range(points)
    figure.update_xaxes(title=f"{look.label}, {look.direction}", range=style.padded(points["fidelity"], 0.14))
    figure.update_yaxes(title="share learned G, higher is better", range=[low, high])
    for at in (0, 1):
        figure.add_hline(y=at, line={"color": _GREY, "dash": "dash", "width": 1})
    front = points[points["front"] & (points["g_kid"] >= learnability.LOWEST)].sort_values("fidelity")
    if len(front) > 1:
        line = {"color": _GREY, "width": 1.5, "dash": "dot"}
        figure.add_trace(_plain(front["fidelity"], front["g_kid"], mode="lines", line=line, hoverinfo="skip"))
    edge = low + 0.03 * (high - low)
    noise = points[points["g_noise"] >= low]
    if len(noise):
        texts = [f"{name}, decoded noise" for name in labels(noise["ae"])]
        marker = {"symbol": "asterisk-open", "size": 9, "color": _GREY, "line": {"width": 1}}
        hover = "%{text}: G %{y:.2f}<extra></extra>"
        figure.add_trace(
            _plain(noise["fidelity"], noise["g_noise"], mode="markers", marker=marker, text=texts, hovertemplate=hover)
        )
    for _, point in points.iterrows():
        figure.add_trace(_marker(point, look, edge))
    figure.update_layout(template=style.TEMPLATE, height=HEIGHT, margin={"t": 30})
    _name(figure, points, edge)
    kinds = _kinds(points, len(noise) > 0, len(front) > 1)
    for name, symbol in kinds:
        figure.add_trace(style.legend_entry(name, symbol, _GREY))
    if named := sum(bool(trace.showlegend is not False) for trace in figure.data):
        style.legend_of_many(figure, named)
    about = Words(finding(points, look), _measured(study, points, look), _notes(study, points))
    said = "; ".join(f"{_said(point)}, {look.label} {shown(point['fidelity'])}" for _, point in points.iterrows())
    alt = f"Scatter of the share learned G against {look.label}, study {study.name}. {said}."
    return SiteFigure(figure, points, f"{study.name}-share-tradeoff", alt, words=about)


def _points(study: StudyRows, metric: str) -> pandas.DataFrame:
    """The rows of `learnability.mean_of_trainings` with fidelity, standard_error, needs_training, g_noise, front."""
    naming.metric_style(metric)
    trainings = shares.learned(study)
    rows = study.reconstruction[study.reconstruction["metric"] == metric]
    if rows["ae"].duplicated().any():
        raise LrcoreError(f"two rows of {metric} for one autoencoder: keep those of one network and image set")
    fidelity, errors = findings.by_ae(rows, "value"), findings.by_ae(rows, "standard_error")
    if not set(trainings["ae"]) & set(fidelity):
        raise LrcoreError(f"no rows: no autoencoder has both a distance of samples to reconstructions and {metric}")
    means = shares.mean_of_trainings(trainings)
    means = means[means["ae"].isin(fidelity)].reset_index(drop=True)
    noise = shares.share_of_noise(study, means)
    given = set(rows.loc[rows["origin"].isin(_NEEDS_NO_TRAINING), "ae"]) if "origin" in rows else set()
    found = means.assign(
        fidelity=means["ae"].map(fidelity),
        standard_error=means["ae"].map(errors),
        needs_training=~means["ae"].isin(given),
        g_noise=means["ae"].map(noise).astype(float),
    )
    return found.assign(front=on_front(found, naming.metric_style(metric).higher_is_better))


def on_front(points: pandas.DataFrame, higher_is_better: bool) -> list[bool]:
    """Which points no other one beats: as good in G and in fidelity, and better in one; never those without a G."""
    worth = points["fidelity"] if higher_is_better else -points["fidelity"]
    both = list(zip(points["g_kid"], worth, strict=True))

    def beaten(g: float, kept: float) -> bool:
        return any(other >= g and more >= kept and (other > g or more > kept) for other, more in both)

    return [not math.isnan(g) and not beaten(g, kept) for g, kept in both]


def finding(points: pandas.DataFrame, metric: naming.Metric) -> str:
    """Who is learned best, who is the most faithful, and how many lie between them on the front, in one sentence.

    `points`: columns ae, g_kid, deviation, trainings, fidelity, standard_error, front. Those share a place whose G
    Welch's test over trainings does not tell apart, or whose fidelity lies within two standard errors of the
    difference, as far as these are known; those without a G have none.
    """
    told = points.dropna(subset="g_kid")
    count = len(told)
    if count == 0:
        return "What was learned apart from the decoder cannot be told of any latent space"
    if count == 1:
        return f"Share learned and fidelity of {words.named(told['ae'], count)}"
    learned = learnability.learned_by(told)
    errors = findings.by_ae(told, "standard_error")
    true = words.leaders(findings.by_ae(told, "fidelity"), errors=errors, highest=metric.higher_is_better)
    if learned == true and len(true) == 1:
        return f"{words.named(true, count)} is learned best and is the most faithful"
    ends = [
        f"{words.named(found, count)} {'is' if len(found) == 1 else 'are'} {what}"
        for found, what in ((learned, "learned best"), (true, "the most faithful"))
        if len(found) < count
    ]
    if not ends:
        return "Neither G nor fidelity tells the latent spaces apart"
    between = naming.in_order(set(told.loc[told["front"], "ae"]) - {*learned, *true})
    said = words.capital(", ".join(ends))
    if between and len(ends) == 2:
        lie = "lies" if len(between) == 1 else "lie"
        said += f"; {words.named(between, count)} {lie} between them on the Pareto front"
    return said


def _range(points: pandas.DataFrame) -> list[float]:
    """Of the axis of G: both anchors, all points and their intervals, down to `learnability.LOWEST`."""
    told = points.dropna(subset="g_kid")
    values = [0.0, 1.0, *told["g_kid"], *told["g_low"].dropna(), *told["g_high"].dropna()]
    if len(told) < len(points):
        values.append(min(values) - 0.15)  # a place for those without a value
    return style.padded([min(max(value, learnability.LOWEST), 1.5) for value in values], 0.09)


def _marker(point: pandas.Series, metric: naming.Metric, edge: float) -> go.Scatter:
    """The point of an autoencoder; at the lower `edge` one that is below it, or whose G cannot be told."""
    look = naming.ae_style(str(point["ae"]))
    inside = point["told"] and point["g_kid"] >= learnability.LOWEST
    symbol = look.symbol if point["needs_training"] else f"{look.symbol}-open"
    if not inside:
        symbol = "arrow-down" if point["told"] else "x-thin-open"
    ends = [point["g_high"] - point["g_kid"], point["g_kid"] - point["g_low"]]
    known = inside and not math.isnan(ends[0])
    return go.Scatter(
        x=[point["fidelity"]],
        y=[point["g_kid"] if inside else edge],
        name=look.label,
        mode="markers",
        # an open symbol's line has its colour, which a dark page lightens
        marker={
            "color": look.colour,
            "symbol": symbol,
            "size": _SIZE,
            "opacity": 1,
            "line": {"width": 2 if symbol.endswith("-open") else 0},
        },
        error_y={"array": ends[:1], "arrayminus": ends[1:], "color": look.colour, "thickness": 1.5, "width": 3}
        if known
        else None,
        error_x={"array": [point["standard_error"]], "color": look.colour, "thickness": 1, "width": 0}
        if not math.isnan(point["standard_error"])
        else None,
        hovertemplate=f"{_said(point)}<br>{metric.label} {shown(point['fidelity'])}<extra></extra>",
        cliponaxis=False,
    )


def _said(point: pandas.Series) -> str:
    """'RAE G 0.51 (0.46 to 0.56), by FID 0.29'."""
    name = naming.ae_style(str(point["ae"])).label
    if not point["told"]:
        return f"{name} G cannot be told"
    interval = "" if math.isnan(point["g_low"]) else f" ({shown(point['g_low'])} to {shown(point['g_high'])})"
    return f"{name} G {shown(point['g_kid'])}{interval}, by FID {shown(point['g_fid'])}"


def _plain(x: pandas.Series, y: pandas.Series, **more: object) -> go.Scatter:
    return go.Scatter(x=x.tolist(), y=y.tolist(), showlegend=False, **more)


def _name(figure: go.Figure, points: pandas.DataFrame, edge: float) -> None:
    """Names beside the points that have room for one, those on the front first, and what the lines of G are.

    A legend has the points whose names have no room.
    """
    (left, right), (low, high) = figure.layout.xaxis.range, figure.layout.yaxis.range

    def at(x: float, y: float, lines: list[str], size: float) -> Name:
        return Name((x - left) / (right - left), (y - low) / (high - low), lines, size)

    heights = [g if g >= learnability.LOWEST else edge for g in points["g_kid"]]
    every = [
        at(x, y, [name], _SIZE + 4)
        for x, y, name in zip(points["fidelity"], heights, labels(points["ae"]), strict=True)
    ]
    noise = points[points["g_noise"] >= low]
    others = [at(x, y, [""], 9) for x, y in zip(noise["fidelity"], noise["g_noise"], strict=True)]
    for ends, x in zip(points[["g_low", "g_high"]].to_numpy(), points["fidelity"], strict=True):
        others += [at(x, y, [""], 6) for y in ends if not math.isnan(y)]
    # wider than they are: a name as near to another point as to its own would seem to be of either
    taken = [*(Name(one.x, one.y, one.lines, _SIZE + 8) for one in every), *others]
    for text, y in ((RECONSTRUCTIONS, 1.0), (GAUSSIAN, 0.0)):
        taken += _name_line(figure, text, (y - low) / (high - low), y, taken)
    order = sorted(range(len(every)), key=lambda one: not points["front"].iloc[one])
    places = dict(zip(order, roomy([every[one] for one in order], taken), strict=True))
    # at a corner of its mark, it may be nearer to another one
    named = [one for one in order if places[one] in ("middle right", "middle left", "top center", "bottom center")]
    name_points(figure, [every[one] for one in named], [places[one] for one in named], **style.ON_PAGE)
    shown_names = {every[one].lines[0] for one in named}
    figure.for_each_trace(lambda trace: trace.update(showlegend=trace.name not in shown_names) if trace.name else None)


def _name_line(figure: go.Figure, text: str, share: float, y: float, taken: list[Name]) -> list[Name]:
    """Write at an end of a line what it is, where the fewest of `taken` are; returns marks that cover the text."""
    width, tall, mark = 5.6 * len(text) / PLOTS[0][0], 20 / PLOTS[0][1], _SIZE / PLOTS[0][1]

    def crowd(right: bool, above: bool) -> int:
        low, high = (share - mark, share + tall) if above else (share - tall, share + mark)
        return sum((one.x > 1 - width if right else one.x < width) and low < one.y < high for one in taken)

    right, above = min(
        ((right, above) for above in (True, False) for right in (True, False)), key=lambda at: crowd(*at)
    )
    figure.add_annotation(
        x=1 if right else 0, xref="paper", xanchor="right" if right else "left",
        y=y, yanchor="bottom" if above else "top", text=text, showarrow=False, font_size=11,
    )  # fmt: skip
    middle = share + (tall / 2 if above else -tall / 2)
    steps = [width * (step + 0.5) / 8 for step in range(8)]
    return [Name(1 - step if right else step, middle, [""], 20) for step in steps]


def _kinds(points: pandas.DataFrame, noise: bool, front: bool) -> list[tuple[str, str]]:
    """Name and symbol of what the legend says of marks, as far as there are such."""
    told = points[points["told"]]
    found = []
    if told["needs_training"].nunique() > 1:
        found += [("trained in the study", "circle"), ("needs no training", "circle-open")]
    if noise:
        found.append(("decoded noise", "asterisk-open"))
    if (told["g_kid"] < learnability.LOWEST).any():
        found.append(("below the axis", "arrow-down"))
    if len(told) < len(points):
        found.append(("cannot be told", "x-thin-open"))
    return found


def _measured(study: StudyRows, points: pandas.DataFrame, metric: naming.Metric) -> str:
    return (
        f"Share G of the way from decoded Gaussian latents to reconstructions that the transformer has gone, by KID "
        f"{words.features(study.generation)}, "
        f"{learnability.AT_BEST}; {metric.label} of reconstructions. {words.images(study.generation)}."
    )


def _notes(study: StudyRows, points: pandas.DataFrame) -> str:
    """What the marks are, what is off the axis, and where the rows are from."""
    said = [
        "G = 0: no better than a Gaussian with the latents' mean and covariance; G = 1: as good as reconstructions."
    ]
    if points["g_low"].notna().any():
        said.append("Upright bars: 95 % interval over trainings (Student).")
    front = points[points["front"]]
    if len(front) > 1:
        named = ", ".join(labels(naming.in_order(front["ae"])))
        said.append(f"Dotted: the Pareto front ({named}); none is as good on both axes and better on one.")
    out: Mapping[str, float] = findings.by_ae(points[points["g_kid"] < learnability.LOWEST], "g_kid")
    if out:
        named = ", ".join(f"{label} {shown(out[ae])}" for ae, label in zip(out, labels(out), strict=True))
        said.append(f"Far worse than a Gaussian, below the axis: {named}.")
    said.append(encoder_note(study.generation))
    return " ".join(filter(None, [*said, learnability.notes(study, points, "reconstruction")]))
