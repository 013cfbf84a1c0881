"""Learnability against fidelity: one point per autoencoder, arrows of change from a baseline.

Learnability is the lowest distance a generative model reached in the latent space; fidelity is a reconstruction
metric. The ideal autoencoder is the one that is good at both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

import pandas
import plotly.graph_objects as go

from lrcore.errors import LrcoreError
from lrcore.figures import style, words
from lrcore.figures.labels import Name, Segment, apart, name_points, places
from lrcore.figures.site_figure import SiteFigure, Words
from lrcore.figures.switch import Switch
from lrcore.results import above_noise, findings, naming, numbers, seed_noise
from lrcore.results.numbers import as_printed, shown
from lrcore.results.published import FOLLOWED
from lrcore.results.study_rows import StudyRows
from lrcore.results.wording import compared_at

HEIGHT = 440
_SIZE = 14
"""Diameter in pixels of a point."""

_GREY = "rgb(128,128,128)"


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
    look = naming.metric_style(metric)
    about = Words(
        finding(points, "gFID", look, baseline),
        f"Lowest gFID over the grid of settings ({words.trained(distances)}), and {look.label} of reconstructions. "
        "ImageNet at 256 px.",
        f"{_reading(points, baseline)} {words.published_source()}",
    )
    name = "published-tradeoff" if baseline == "sd" else f"published-tradeoff-from-{baseline}"
    return _draw(points, "gFID", metric, baseline, "ImageNet 256 (published)", name, about, as_printed)


def published_by_baseline(published: pandas.DataFrame, metric: str = "lpips") -> Switch:
    """`published_tradeoff` with a choice of the autoencoder that arrows and relative changes start from, SD first.

    Raises:
        LrcoreError: as `published_tradeoff`.
    """
    first = published_tradeoff(published, metric)
    others = [str(ae) for ae in first.rows["ae"] if ae != "sd"]
    figures = {"sd": first, **{ae: published_tradeoff(published, metric, baseline=ae) for ae in others}}
    named = {naming.ae_style(ae).label: figure for ae, figure in figures.items()}
    return Switch(named, label="Changes relative to", scripted=True)


def of_study(study: StudyRows, metric: str = "lpips_vgg", baseline: str = "sd") -> SiteFigure:
    """The figure of `study_tradeoff`, grey where a best is not clearly better than what takes no learning.

    Raises:
        LrcoreError: as `study_tradeoff`.
    """
    standings = above_noise.above_noise(study)
    return study_tradeoff(study.compared, study.reconstruction, metric, baseline, standings)


def study_tradeoff(
    generation: pandas.DataFrame,
    reconstruction: pandas.DataFrame,
    metric: str = "lpips_vgg",
    baseline: str = "sd",
    standings: pandas.DataFrame | None = None,
) -> SiteFigure:
    """The same figure of one study, from its rows of `read_generation` and `read_reconstruction`.

    `standings`: of `results.above_noise`; the points of those that are not clear are grey, and the notes say so.

    Raises:
        LrcoreError: no rows, two protocols in one figure, or no row of `metric`.
    """
    settings = findings.mean_over_seeds(generation)
    best = findings.best_per_ae(settings)
    label = findings.label(settings)
    measured = reconstruction[reconstruction["metric"] == metric]
    points = _points(findings.by_ae(best, "distance"), measured, metric, baseline)
    study, look, noise = (
        str(generation["study"].iloc[0]),
        naming.metric_style(metric),
        seed_noise.noise_of_difference(generation, int(best["seeds"].min())),
    )
    about = Words(
        finding(points, label, look, baseline, noise),
        f"{words.bare(label)} of samples {words.features(generation)}, {compared_at(settings)}; "
        f"{look.label} of reconstructions. {words.images(generation)}.",
        f"{_reading(points, baseline)} {words.samples(generation)} {words.seed_noise(noise)} "
        f"{_of_noise(standings, label)}{words.study_source(study, 'generation', 'reconstruction')}",
    )
    grey = set() if standings is None else set(standings.loc[~above_noise.is_clear(standings), "ae"])
    return _draw(points, label, metric, baseline, f"study {study}", f"{study}-tradeoff", about, grey=grey)


def _of_noise(standings: pandas.DataFrame | None, label: str) -> str:
    """What is to be said of points that are grey, or that no anchor is known of; "" where nothing is."""
    said = "" if standings is None else above_noise.in_words(standings, label)
    if not said or standings is None:
        return ""
    grey = "" if above_noise.is_clear(standings).all() else "Grey: a best that says little of its latent space. "
    return f"{grey}{said} "


def finding(
    points: pandas.DataFrame, distance: str, metric: naming.Metric, baseline: str = "sd", noise: float = math.nan
) -> str:
    """What the points say in one sentence: who leads on both axes, who beats `baseline` on both, or who leads on each.

    `points`: columns ae, distance, fidelity, standard_error of the fidelity. A lead in distance counts where it exceeds
    `noise` (relative; NaN where it is not known), one in fidelity where it exceeds two standard errors.
    """
    distances = words.above_zero(findings.by_ae(points, "distance"))
    fidelity, errors = findings.by_ae(points, "fidelity"), findings.by_ae(points, "standard_error")
    count, way = len(points), "highest" if metric.higher_is_better else "lowest"
    near, faithful = words.bare(distance), words.bare(metric.label)
    if count < 2:
        return f"{near} and {faithful} of {words.named(distances, count)}"
    learnable = words.leaders(distances, noise)
    true = words.leaders(fidelity, errors=errors, highest=metric.higher_is_better)
    if learnable == true and len(true) == 1:
        return f"{words.named(true, count)} leads on both axes"
    if beating := _beating(distances, fidelity, errors, metric, baseline, noise):
        verb = _AHEAD[math.isnan(noise)][len(beating) > 1]
        who = words.named(beating, count - 1, "other autoencoders")
        return f"{who} {verb} {naming.ae_style(baseline).label} on both axes"
    ends = [
        f"{words.named(found, count)} {'has' if len(found) == 1 else 'share'} the {lowest} {what}"
        for found, lowest, what in ((learnable, "lowest", near), (true, way, faithful))
        if len(found) < count
    ]
    if not ends:
        return f"Neither {near} nor {faithful} tells the autoencoders apart"
    return ", ".join(ends)


_AHEAD = (("beats", "beat"), ("is ahead of", "are ahead of"))
"""Of one, of several: where the noise of the seed is known, and where it is not."""


def _beating(
    distances: dict[str, float],
    fidelity: dict[str, float],
    errors: dict[str, float],
    metric: naming.Metric,
    baseline: str,
    noise: float,
) -> list[str]:
    """The autoencoders that are better than `baseline` by both, by more than noise and standard errors."""
    if baseline not in distances:
        return []

    def better(ae: str) -> bool:
        nearer = baseline not in words.leaders({one: distances[one] for one in (ae, baseline)}, noise)
        pair = {one: fidelity[one] for one in (ae, baseline)}
        return nearer and baseline not in words.leaders(pair, errors=errors, highest=metric.higher_is_better)

    return [ae for ae in distances if ae != baseline and better(ae)]


def _reading(points: pandas.DataFrame, baseline: str) -> str:
    """What the marks are."""
    bars = _bars(points) if points["standard_error"].notna().any() else ""
    arrows = f"Arrows lead from {naming.ae_style(baseline).label}, with relative changes."
    return " ".join(part for part in (arrows if _has_arrows(points, baseline) else "", bars) if part)


def _bars(points: pandas.DataFrame) -> str:
    """What the bars of standard errors are, or that the marks hide them all, on the axis of `tradeoff_axes`."""
    low, high = style.padded(points["fidelity"], _ROOM)
    longest = points["standard_error"].max() / (high - low) * _WIDEST
    if longest <= _SIZE / 2:
        return "Bars of one standard error over images are smaller than the marks."
    return "Bars are one standard error over images."


_WIDEST = 800
"""Pixels that the axis has at most."""
_ROOM = 0.3
"""What the axis of fidelity has to spare at either end, as a share of the points' span."""


def _has_arrows(points: pandas.DataFrame, baseline: str) -> bool:
    return 1 < len(points) <= style.FEW and bool(points["ae"].eq(baseline).any())


def tradeoff_axes(figure: go.Figure, points: pandas.DataFrame, distance: str, metric: naming.Metric) -> None:
    """Axes of fidelity and of distance (`style.distance_axis`), with room around `points`: fidelity, distance."""
    figure.update_xaxes(title=f"{metric.label}, {metric.direction}", range=style.padded(points["fidelity"], _ROOM))
    axis = style.distance_axis(points["distance"], 0.3)
    scale = ", log scale" if axis["type"] == "log" else ""
    figure.update_yaxes(title=f"best {distance}, lower is better{scale}", **axis)


def shares_of_axes(figure: go.Figure, points: pandas.DataFrame) -> list[tuple[float, float]]:
    """Where each of `points` lies on the axes of `tradeoff_axes`, as shares of the plot from its lower left corner."""

    def share(value: float, axis: go.layout.XAxis | go.layout.YAxis) -> float:
        low, high = map(float, axis.range)
        return ((math.log10(value) if axis.type == "log" else value) - low) / (high - low)

    return [
        (share(x, figure.layout.xaxis), share(y, figure.layout.yaxis))
        for x, y in zip(points["fidelity"], points["distance"], strict=True)
    ]


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
        base = base if base > 0 else math.nan  # a change relative to nothing, or less, says nothing
        changes = [findings.relative_change(value, base) for value in points[column]]
        points[f"{column}_change"] = [
            change if value > 0 else math.nan for change, value in zip(changes, points[column], strict=True)
        ]
    return points


def _draw(
    points: pandas.DataFrame,
    distance: str,
    metric: str,
    baseline: str,
    where: str,
    name: str,
    about: Words,
    written: Callable[[float], str] = shown,
    grey: Collection[str] = (),
) -> SiteFigure:
    look = naming.metric_style(metric)
    figure = go.Figure()
    few, arrows = len(points) <= style.FEW, _has_arrows(points, baseline)
    tradeoff_axes(figure, points, distance, look)
    texts = [_text(point, distance, look) for _, point in points.iterrows()]
    shares = shares_of_axes(figure, points)
    start = points["ae"].to_list().index(baseline) if arrows else -1
    segments: list[Segment] = [(*shares[start], *end) for at, end in enumerate(shares) if arrows and at != start]
    if arrows:
        for at, (_, point) in enumerate(points.iterrows()):
            if at != start:
                figure.add_trace(_arrow(points.iloc[start], point))
    names = [Name(x, y, lines, _SIZE) for (x, y), lines in zip(shares, texts, strict=True)] if few else []
    chosen = places(names, segments)
    few = few and apart(names, chosen)
    for (_, point), text in zip(points.iterrows(), texts, strict=True):
        figure.add_trace(_marker(point, distance, look, text, grey=point["ae"] in grey))
    if few:
        name_points(figure, names, chosen, **style.ON_PAGE)  # an arrow passes behind them
    figure.update_layout(template=style.TEMPLATE, height=HEIGHT, showlegend=False)
    if not few:
        style.legend_of_many(figure, len(points))
    values = "; ".join(
        f"{naming.ae_style(ae).label} {distance} {written(y)}, {look.label} {written(x)}"
        for ae, y, x in zip(points["ae"], points["distance"], points["fidelity"], strict=True)
    )
    alt = f"Scatter of {distance} against {look.label}, {where}. {values}."
    return SiteFigure(figure, points, name, alt, words=about)


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


def _text(point: pandas.Series, distance: str, metric: naming.Metric) -> list[str]:
    """The name of a point, and its changes from the baseline, a line each."""
    lines = [naming.ae_style(str(point["ae"])).label]
    for label, change in ((distance, point["distance_change"]), (metric.label, point["fidelity_change"])):
        if change and not math.isnan(change):
            lines.append(f"{words.bare(label)} {numbers.percent(change)}")
    return lines


def _marker(
    point: pandas.Series, distance: str, metric: naming.Metric, text: list[str], grey: bool = False
) -> go.Scatter:
    look = naming.ae_style(str(point["ae"]))
    error = None if math.isnan(point["standard_error"]) else [point["standard_error"]]
    return go.Scatter(
        x=[point["fidelity"]],
        y=[point["distance"]],
        error_x={"type": "data", "array": error, "thickness": 1.5} if error else None,
        name=look.label,
        mode="markers",
        text=["<br>".join([f"<b>{text[0]}</b>", *text[1:]])],
        marker={"color": _GREY if grey else look.colour, "symbol": look.symbol, "size": _SIZE},
        hovertemplate=f"%{{text}}<br>{distance} %{{y:.3f}}<br>{metric.label} %{{x:.4f}}<extra></extra>",
        cliponaxis=False,
    )
