"""What was learned of each latent space apart from its decoder, and the anchors that tell: `results.learnability`."""

from __future__ import annotations

from collections.abc import Mapping

import pandas
import plotly.graph_objects as go

from lrcore.errors import LrcoreError
from lrcore.figures import style, words
from lrcore.figures.markdown import ae_name, code, escaped
from lrcore.figures.site_figure import SiteFigure, Words
from lrcore.figures.switch import Switch
from lrcore.records import schema
from lrcore.results import findings, learnability, naming, numbers
from lrcore.results.findings import KID_SCALE
from lrcore.results.numbers import shown
from lrcore.results.study_rows import StudyRows

_GREY = "rgb(128,128,128)"
_ROW_HEIGHT = 34

LOWEST = -1.0
"""A G below this, of samples twice as far away as a Gaussian's, is an arrow at the edge of the figure: drawn to scale,
it would leave the others no room."""

_ANCHORS = {
    "reconstructions": ("their reconstructions", "line-ns-open"),
    "gaussian": ("decoded Gaussian latents", "x-thin-open"),
    "noise": ("decoded noise", "asterisk-open"),
}
"""Name and symbol of the anchors that differ between autoencoders."""

AT_BEST = "without REPA at the best setting that all autoencoders share, or at the chosen one measured anew"
"""Of which samples G is."""


def has_shares(study: StudyRows) -> bool:
    """Whether anything is known of what was learned apart from the decoder."""
    return not learnability.learned(study).empty


def apart_from_decoder(study: StudyRows) -> Switch:
    """Distances to the images, each between its floor and its anchors; or the share learned, a point a training.

    Raises:
        LrcoreError: no row has a distance to reconstructions.
    """
    trainings = learnability.learned(study)
    if trainings.empty:
        raise LrcoreError(f"no rows: study {study.name} has no distance of samples to reconstructions")
    means = learnability.mean_of_trainings(trainings)
    return Switch(
        {"distances": _distances(study, means), "share learned": _shares(study, trainings, means)}, label="Shown"
    )


def learned_in_words(studies: Mapping[str, StudyRows]) -> str:
    """What each study says of learning apart from decoding, a paragraph each, and which say nothing yet."""
    told = {name: learnability.learned(study) for name, study in studies.items()}
    silent = [code(name) for name, trainings in told.items() if trainings.empty]
    said = [
        f"{_in_words(name, trainings)} {_by_distance(studies[name])}".rstrip()
        for name, trainings in told.items()
        if not trainings.empty
    ]
    if silent:
        which = f"Study {silent[0]} has" if len(silent) == 1 else f"The studies {words.joined(silent)} have"
        said.append(
            f"{which} no distance of samples to reconstructions, so what was learned there apart from the "
            "decoder is not known."
        )
    return "\n\n".join(said)


def gaussians_in_words(studies: Mapping[str, StudyRows]) -> str:
    """How far decoded Gaussian latents are from reconstructions, by which G is divided: a sentence a study."""
    return " ".join(filter(None, (_gaussians(study) for study in studies.values())))


def _gaussians(study: StudyRows) -> str:
    means = learnability.mean_of_trainings(learnability.learned(study))
    away = findings.by_ae(means.assign(away=KID_SCALE * means["gaussian_kid"]), "away")
    if len(away) < 2:
        return ""
    near, far = min(away, key=away.__getitem__), max(away, key=away.__getitem__)
    return (
        f"In study {code(study.name)} decoded Gaussian latents are at a KID × 1000 of {shown(away[near])} "
        f"({ae_name(near)}) to {shown(away[far])} ({ae_name(far)}) from the reconstructions."
    )


def _in_words(name: str, trainings: pandas.DataFrame) -> str:
    every = learnability.mean_of_trainings(trainings)
    means, untold = every[every["told"]], escaped(learnability.not_told_in_words(every))
    if means.empty:
        return f"In study {code(name)} {untold}"
    text = f"In study {code(name)} {escaped(_placed(means))}"
    grid = means[means["measured"] == learnability.GRID]
    if grid.empty:
        text += f": by {_samples(means)} new samples of {words.trainings(means['trainings'])} of each."
    else:
        which = "all" if len(grid) == len(means) else ", ".join(ae_name(ae) for ae in naming.in_order(grid["ae"]))
        text += f"; of {which} by the {_samples(grid)} samples that chose the setting, which flatters a little."
    return f"{text} {untold}".rstrip()


def _by_distance(study: StudyRows) -> str:
    """Who is nearest to the images and who is farthest, decoder and all, by the distance that compares them."""
    best = findings.by_ae(study.best(), "distance")
    if len(best) < 2:
        return ""
    near, far = (ae_name(pick(best, key=best.__getitem__)) for pick in (min, max))
    by = escaped(study.distance)
    return f"With the decoder, by {by}, samples of {near} are nearest to images, those of {far} farthest."


def _placed(means: pandas.DataFrame) -> str:
    """Who was learned best and least, with G, of rows of `learnability.mean_of_trainings` with a told G."""
    by_ae = {str(mean["ae"]): share_named(mean) for _, mean in means.iterrows()}
    best, least = _best_and_least(means)
    if len(by_ae) == 1:
        return f"G is known of {by_ae[best[0]]} alone"
    if set(best) & set(least):
        most, *_, fewest = by_ae.values()
        return (
            f"no latent space is clearly learned better apart from its decoder: G is highest of {most} and lowest of "
            f"{fewest}"
        )
    verb, whose = ("is", "its") if len(best) == 1 else ("are", "their")
    named = [words.joined([by_ae[ae] for ae in group]) for group in (best, least)]
    return f"{named[0]} {verb} learned best apart from {whose} decoder, {named[1]} least"


def _shares(study: StudyRows, trainings: pandas.DataFrame, means: pandas.DataFrame) -> SiteFigure:
    """G of every training, by the kernel distance; of their mean, by either."""
    figure = go.Figure()
    labels = [naming.ae_style(ae).label for ae in means["ae"]]
    for _, mean in means.iterrows():
        look = naming.ae_style(str(mean["ae"]))
        if not mean["told"]:
            figure.add_annotation(x=LOWEST, y=look.label, text="cannot be told", showarrow=False, xanchor="left")
            continue
        own = trainings[trainings["ae"] == mean["ae"]]
        each = {"symbol": "line-ns-open", "size": 16, "line": {"width": 2, "color": look.colour}}
        said = [f"{look.label}, seed {seed}" for seed in own["train_seed"]]
        figure.add_trace(_to_the_edge(look, own["g_kid"].tolist(), said, each))
        for column, symbol, size in (("g_fid", "circle-open", 9), ("g_kid", look.symbol, 13)):
            said = [f"{look.label}, mean by {_NAMES[column]}"]
            figure.add_trace(_to_the_edge(look, [float(mean[column])], said, {"symbol": symbol, "size": size}))
    for name, symbol in (("mean, by KID", "circle"), ("one training", "line-ns-open"), ("mean, by FID", "circle-open")):
        figure.add_trace(style.legend_entry(name, symbol, _GREY))
    values = [0.0, 1.0, *trainings["g_kid"].dropna(), *means["g_fid"].dropna()]
    if (out := min(values) < LOWEST) or not means["told"].all():
        values = [LOWEST, *(max(value, LOWEST) for value in values)]
    if out:
        figure.add_trace(style.legend_entry("below the axis", "arrow-left", _GREY))
    _upright(figure, 0, "Gaussian", "center")
    _upright(figure, 1, "reconstructions", "right", raised=1)  # ends there, where a narrow screen does; a line higher
    figure.update_xaxes(title="share learned G, higher is better", range=style.padded(values, 0.12))
    _lay_out(figure, labels)
    said_of_all = "; ".join(share_named(mean) for _, mean in means.iterrows())
    alt = f"Share learned apart from the decoder, 0 as decoded Gaussian latents, 1 as reconstructions: {said_of_all}."
    about = Words(
        best_and_least(means),
        f"Share G of the way from decoded Gaussian latents to reconstructions that the transformer has gone, by KID "
        f"{words.features(study.generation)}, "
        f"{AT_BEST}. 1: samples are as good as reconstructions; 0: as decoded "
        f"Gaussian latents. {words.images(study.generation)}.",
        notes(study, means),
    )
    return SiteFigure(figure, trainings, f"{study.name}-share-learned", alt, words=about)


def _to_the_edge(look: naming.AeStyle, values: list[float], said: list[str], marker: dict[str, object]) -> go.Scatter:
    """Marks of G in the row of an autoencoder; an arrow at the edge for each that is `LOWEST` or less."""
    symbols = ["arrow-left" if value < LOWEST else marker["symbol"] for value in values]
    return go.Scatter(
        x=[max(value, LOWEST) for value in values],
        y=[look.label] * len(values),
        name=look.label,
        mode="markers",
        showlegend=False,
        marker={"color": look.colour, **marker, "symbol": symbols},
        customdata=[[about, shown(value)] for about, value in zip(said, values, strict=True)],
        hovertemplate="%{customdata[0]}: G %{customdata[1]}<extra></extra>",
    )


def best_and_least(means: pandas.DataFrame) -> str:
    """Whose latent space is learned best and least apart from its decoder: rows of `learnability.mean_of_trainings`.

    Those share a place that Welch's test over trainings does not tell apart. Those whose G cannot be told have none.
    """
    means = means.dropna(subset="g_kid")
    shares = findings.by_ae(means, "g_kid")
    if not shares:
        return "What was learned apart from the decoder cannot be told of any latent space"
    best, least = _best_and_least(means)
    named = [words.named(found, len(shares)) for found in (best, least)]
    if len(shares) < 2:
        return f"What was learned of the latent space of {named[0]} apart from its decoder"
    if set(best) & set(least):
        return "No latent space is clearly learned better apart from its decoder"
    verb, whose = ("is", "its") if len(best) == 1 else ("are", "their")
    return f"{named[0]} {verb} learned best apart from {whose} decoder, {named[1]} least"


def _best_and_least(means: pandas.DataFrame) -> tuple[list[str], list[str]]:
    return learned_by(means), learned_by(means, least=True)


def learned_by(means: pandas.DataFrame, least: bool = False) -> list[str]:
    """The autoencoders that are learned best, or `least`: `words.leaders` by G, over trainings."""
    freedom = {ae: int(count) - 1 for ae, count in findings.by_ae(means, "trainings").items()}
    return words.leaders(
        findings.by_ae(means, "g_kid"), errors=standard_errors(means), highest=not least, freedom=freedom
    )


def standard_errors(means: pandas.DataFrame) -> dict[str, float]:
    """Of G by autoencoder, over trainings: NaN of one training."""
    return findings.by_ae(means.assign(error=means["deviation"] / means["trainings"] ** 0.5), "error")


def floors_in_words(means: pandas.DataFrame) -> str:
    """Which share of the samples' kernel distance reconstructions alone have, from the lowest to the highest.

    Of rows of `learnability.mean_of_trainings`; of distances that are not above 0 there are no shares.
    """
    floors = means["floor_kid"].clip(lower=0)  # an unbiased estimate of 0 may be below it
    shares = findings.by_ae(means.assign(share=floors / means["kid"].where(means["kid"] > 0)), "share")
    known = {ae: numbers.percent(share, signed=False) for ae, share in shares.items() if share >= 0}
    if not known:
        return "Distances of samples, and of what they can be held against"
    ends = [known[min(known, key=shares.__getitem__)], known[max(known, key=shares.__getitem__)]]
    ends = [f"{end} ({words.named((ae for ae in known if known[ae] == end), len(known))})" for end in ends]
    return f"Reconstructions alone are at {' to '.join(dict.fromkeys(ends))} of the samples' distance"


def notes(study: StudyRows, means: pandas.DataFrame, *more: str) -> str:
    """How many samples and trainings there are, of which G cannot be told, and where the rows are from."""
    unknown = ", so the noise of the seed is not known" if (means["trainings"] == 1).all() else ""
    seeds = f"{words.trainings(means['trainings'])} each{unknown}"
    said = [f"{_samples(means)} samples a distance, {seeds}.", learnability.not_told_in_words(means)]
    return " ".join(filter(None, [*said, words.study_source(study.name, "generation", *more)]))


def _distances(study: StudyRows, means: pandas.DataFrame) -> SiteFigure:
    """The kernel distance to the reference of samples and anchors, those of an autoencoder in one line."""
    anchors = learnability.anchors_of(study, means)
    rows = anchors[anchors["target"] == "reference"].assign(distance=lambda found: KID_SCALE * found["kid"])
    figure = go.Figure()
    labels = [naming.ae_style(ae).label for ae in means["ae"]]
    label = schema.distance_label(str(study.generation["feature_network"].iloc[0]), "kid")
    for _, mean in means.iterrows():
        look, own = naming.ae_style(str(mean["ae"])), rows[rows["ae"] == mean["ae"]].set_index("anchor")["distance"]
        samples = KID_SCALE * mean["kid"]
        figure.add_trace(_line([own.get("reconstructions", samples), samples], look))
        for anchor, (name, symbol) in _ANCHORS.items():
            if anchor in own:
                figure.add_trace(_mark(own[anchor], look.label, name, label, _GREY, symbol))
        figure.add_trace(_mark(samples, look.label, "samples", label, look.colour, look.symbol))
    for name, symbol in (("samples", "circle"), *_ANCHORS.values()):
        figure.add_trace(style.legend_entry(name, symbol, _GREY))
    test = rows.loc[rows["anchor"] == "test", "distance"]
    if len(test):
        _upright(figure, test.mean(), "test images", "center")
    # without the features, which the subtitle has: a narrow screen would cut the title
    figure.update_xaxes(title=f"{label.split(' (')[0]}, lower is better")
    _lay_out(figure, labels)
    said = "; ".join(
        f"{naming.ae_style(str(mean['ae'])).label} reconstructions {shown(KID_SCALE * mean['floor_kid'])}, samples "
        f"{shown(KID_SCALE * mean['kid'])}"
        for _, mean in means.iterrows()
    )
    made = pandas.concat([rows, means.assign(anchor="samples", distance=KID_SCALE * means["kid"])], ignore_index=True)
    columns = ["ae", "anchor", "distance", "n_samples"]
    about = Words(
        floors_in_words(means),
        f"{words.bare(label)} to the reference images {words.features(study.generation)}: of samples {AT_BEST}, and "
        f"of anchors. {words.images(study.generation)}.",
        "The coloured line is what a perfect transformer would gain. All are of as many images as samples. "
        f"{notes(study, means, 'anchors')}",
    )
    alt = f"{label} to the reference: {said}."
    return SiteFigure(figure, made[columns], f"{study.name}-anchors", alt, words=about)


def _upright(figure: go.Figure, at: float, said: str, anchor: str, raised: int = 0) -> None:
    """A dotted line through all rows, named above, so many lines of text higher."""
    figure.add_vline(x=at, line={"color": _GREY, "width": 1, "dash": "dot"})
    figure.add_annotation(
        x=at,
        y=1,
        yref="paper",
        xanchor=anchor,
        yanchor="bottom",
        yshift=14 * raised,
        text=said,
        showarrow=False,
        font_size=11,
    )


def _line(ends: list[float], look: naming.AeStyle) -> go.Scatter:
    line = {"color": look.colour, "width": 3}
    return go.Scatter(x=ends, y=[look.label] * 2, mode="lines", line=line, showlegend=False, hoverinfo="skip")


def _mark(at: float, row: str, name: str, label: str, colour: str, symbol: str) -> go.Scatter:
    return go.Scatter(
        x=[at],
        y=[row],
        name=name,
        mode="markers",
        marker={"color": colour, "symbol": symbol, "size": 12, "line": {"width": 2, "color": colour}},
        hovertemplate=f"{row}, {name}: {label} %{{x:.4g}}<extra></extra>",
        showlegend=False,
    )


_NAMES = {"g_kid": "KID", "g_fid": "FID"}


def _lay_out(figure: go.Figure, labels: list[str]) -> None:
    figure.update_yaxes(categoryorder="array", categoryarray=labels, range=[len(labels) - 0.5, -0.5])
    figure.update_layout(
        template=style.TEMPLATE,
        height=160 + _ROW_HEIGHT * len(labels),
        margin={"t": 40, "b": 95},
        legend=style.LEGEND_BELOW,
    )


def share_named(mean: pandas.Series) -> str:
    """'FLUX.2 (G 0.83 ± 0.02)', or that G cannot be told."""
    label = naming.ae_style(str(mean["ae"])).label
    if not mean["told"]:
        return f"{label} (G cannot be told)"
    spread = "" if pandas.isna(mean["deviation"]) else f" ± {mean['deviation']:.2f}"
    return f"{label} (G {mean['g_kid']:.2f}{spread})".replace("-", "\N{MINUS SIGN}")


def _samples(means: pandas.DataFrame) -> str:
    return " or ".join(shown(float(count)) for count in sorted(means["n_samples"].unique()))
