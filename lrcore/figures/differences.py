"""How large the differences are that findings rest on: beside the noise of the training seed, beside published ones.

All are relative to distances of the same study, so that they can stand on one axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lrcore.errors import LrcoreError
from lrcore.figures import style, words
from lrcore.figures.site_figure import SiteFigure, Words
from lrcore.flow.timesteps import SHIFTS, TRAINING_DENSITIES
from lrcore.results import findings, naming, numbers, seed_noise
from lrcore.results.study_rows import StudyRows
from lrcore.results.wording import compared_at

_GREY = "rgb(128,128,128)"
_TWO_SEEDS, _NEXT = "two seeds", "next autoencoder"


def against_noise(study: StudyRows) -> SiteFigure:
    """How large the differences are that the findings rest on, beside those that another training seed makes.

    One row a kind of difference, one point an autoencoder, all relative: two trainings that differ in their seed alone
    (two deviations of their difference), the spread over the values of each timestep choice, REPA, and the step to the
    next autoencoder in the study's order. The grey band ends at the noise that verdicts use, pooled over autoencoders.
    A spread over fewer values than the study has is drawn hollow: it is at least this.

    Raises:
        LrcoreError: no rows, two protocols, or nothing to compare yet.
    """
    every = _differences(study)
    rows = every[every["difference"] > 0]
    if rows.empty:
        raise LrcoreError(f"no rows: study {study.name} has nothing to compare yet")
    kinds, aes = rows["kind"].unique().tolist(), naming.in_order(rows["ae"])
    figure = go.Figure()
    for place, ae in enumerate(aes):
        look, own = naming.ae_style(ae), rows[rows["ae"] == ae]
        beside = (place - (len(aes) - 1) / 2) * min(0.2, 0.8 / len(aes))  # points of one row would hide one another
        figure.add_trace(
            go.Scatter(
                x=own["difference"].tolist(),
                y=[kinds.index(kind) + beside for kind in own["kind"]],
                name=look.label,
                mode="markers",
                marker={
                    "color": look.colour,
                    "symbol": [look.symbol if whole else f"{look.symbol}-open" for whole in own["whole"]],
                    "size": 11,
                },
                customdata=[
                    f"{kind}{'' if whole else ' (of the values so far)'}"
                    for kind, whole in zip(own["kind"], own["whole"], strict=True)
                ],
                hovertemplate=f"{look.label}, %{{customdata}}: %{{x:.1%}}<extra></extra>",
            )
        )
    noise = study.noise
    noise = noise if math.isfinite(noise) else math.nan  # of too few trainings: as good as not known
    limits = style.padded([math.log10(value) for value in [*rows["difference"], noise] if value > 0], 0.08)
    if not math.isnan(noise):
        end = min(noise, 10 ** limits[1])
        figure.add_vrect(x0=10 ** limits[0], x1=end, fillcolor="rgba(128,128,128,0.18)", line_width=0, layer="below")
    figure.update_xaxes(title="relative difference", type="log", range=limits)
    figure.update_xaxes(tickvals=_ticks(limits), tickformat=",.2~%")
    figure.update_yaxes(tickvals=list(range(len(kinds))), ticktext=kinds, range=[len(kinds) - 0.5, -0.5])
    figure.update_layout(template=style.TEMPLATE, height=120 + 55 * len(kinds))
    if len(aes) > style.FEW:
        style.legend_of_many(figure, len(aes))
    said = "; ".join(
        f"{kind} "
        + ", ".join(f"{naming.ae_style(ae).label} {numbers.percent(value, signed=False)}" for ae, value in pairs)
        for kind, pairs in (
            (kind, zip(part["ae"], part["difference"], strict=True)) for kind, part in rows.groupby("kind", sort=False)
        )
    )
    told = "not known" if math.isnan(noise) else numbers.percent(noise, signed=False)
    alt = f"Relative differences between distances. Noise that verdicts use: {told}. {said}."
    hidden = len(every) - len(rows)
    about = Words(
        exceeding(rows, noise, study.noise_of_best),
        f"Relative differences in {words.bare(study.distance)}, {words.features(study.generation)}; one point per "
        f"autoencoder, log scale. {words.images(study.generation)}.",
        f"{_BAND if noise > 0 else 'No grey band: the noise of the seed is not known. '}"
        f"{_HOLLOW if not rows['whole'].all() else ''}"
        f"{f'{zeros(hidden)} no place on the axis. ' if hidden else ''}"
        f"Next autoencoder: at {compared_at(findings.mean_over_seeds(study.compared))}{_counts_from(study)}. "
        f"{words.samples(study.generation)} {words.study_source(study.name, 'generation')}",
    )
    return SiteFigure(figure, rows, f"{study.name}-against-noise", alt, words=about)


_BAND = (
    "The grey band ends at the noise of single trainings, by which choices of timesteps are judged. Two seeds: two "
    "standard deviations of their difference. "
)
_HOLLOW = "Hollow: not all values of the study were tried, so the difference is at least this. "


def zeros(count: int, what: str = "difference") -> str:
    """'2 differences of 0 have', '1 spread of 0 has'."""
    return f"{count} {what} of 0 has" if count == 1 else f"{count} {what}s of 0 have"


def _counts_from(study: StudyRows) -> str:
    """From where a difference to the next autoencoder counts, if that is not the end of the band."""
    limit = study.noise_of_best
    known = math.isfinite(limit) and limit != study.noise
    return f", where differences count from {numbers.small_percent(limit)}" if known else ""


def exceeding(rows: pandas.DataFrame, noise: float, of_best: float = math.nan) -> str:
    """How many of the differences exceed the noise of the seed, in one sentence: columns kind, ae, difference.

    `of_best`: the noise of those to the next autoencoder, where it is another (NaN: it is not).

    Where the noise is not known (NaN), what the largest of them is; at least so much where `whole` is false of one.
    """
    found = rows[rows["kind"] != _TWO_SEEDS]
    if found.empty:
        return "How far two seeds of one training lie apart"
    if not noise > 0:
        top = found.sort_values("difference", kind="stable").iloc[-1]
        share = numbers.percent(float(top["difference"]), signed=False)
        label = naming.ae_style(str(top["ae"])).label
        least = "" if top["whole"] else "at least "
        what = f"from {label} to the next autoencoder" if top["kind"] == _NEXT else f"{top['kind']}, {label}"
        return f"The noise of the seed is not known; the largest difference is {least}{share}: {what}"
    limits = found["kind"].eq(_NEXT).map({True: of_best if math.isfinite(of_best) else noise, False: noise})
    above = int((found["difference"] > limits).sum())
    many = words.capital(numbers.part(above, len(found), "difference"))
    singular = above == 1 or len(found) == 1
    return f"{many} {'exceeds' if singular else 'exceed'} the noise of the seed"


def spreads_beside_published(study: StudyRows, published: pandas.DataFrame) -> SiteFigure:
    """The relative spread over the values of each timestep choice, a panel each: published (open), ours (filled).

    Spreads are relative to the best distance of the same study, so that they can stand on one axis.

    Raises:
        LrcoreError: no rows, two protocols, or no published spread.
    """
    rows = _spreads(study, published)
    aes = naming.in_order(rows["ae"])
    names = [naming.ae_style(ae).label for ae in aes]
    figure = make_subplots(
        len(findings.PARAMETERS),
        1,
        shared_xaxes=True,
        subplot_titles=[naming.PARAMETER_LABELS[parameter] for parameter in findings.PARAMETERS],
        vertical_spacing=0.08,
    )
    for line, parameter in enumerate(findings.PARAMETERS, start=1):
        for _, pair in rows[rows["parameter"] == parameter].iterrows():
            figure.add_trace(_pair(pair, study.name), row=line, col=1)
    figure.add_trace(style.legend_entry("published", "circle-open", _GREY), row=1, col=1)
    figure.add_trace(style.legend_entry(f"study {study.name}", "circle", _GREY), row=1, col=1)
    values = [value for value in [*rows["published"], *rows["here"]] if value > 0]
    limits = style.padded([math.log10(value) for value in values], 0.08)
    figure.update_xaxes(type="log", range=limits, tickvals=_ticks(limits), tickformat=",.2~%")
    figure.update_xaxes(title="relative spread", row=len(findings.PARAMETERS))
    figure.update_yaxes(categoryorder="array", categoryarray=names, range=[len(names) - 0.5, -0.5])
    figure.update_layout(
        template=style.TEMPLATE,
        height=150 + 130 * len(findings.PARAMETERS),
        margin={"t": 30, "b": 90},
        legend=style.LEGEND_BELOW,
    )
    figure.update_annotations(font_size=13)
    said = "; ".join(
        f"{naming.PARAMETER_LABELS[pair['parameter']]}, {naming.ae_style(pair['ae']).label}: "
        f"{numbers.percent(pair['published'], signed=False)} and {numbers.percent(pair['here'], signed=False)}"
        for _, pair in rows.iterrows()
    )
    alt = f"Relative spreads, published and in the study. {said}."
    hidden = int((rows[["published", "here"]] <= 0).sum().sum())
    left_out = _left_out(study)
    about = Words(
        wider(rows, study.name, study.noise),
        "Relative spread of the distance, (worst − best) / best, when one choice varies around the best of all an "
        "autoencoder's own settings; log scale. Published: "
        f"ImageNet at 256 px. Here: {words.images(study.generation)}, {words.features(study.generation)}.",
        f"A spread grows with the number of values tried{_fewer(rows)}. Published spreads are after 300k steps, "
        "without REPA; the sample shift leaves out FIDs above 50. The study's spreads are at its last common step. "
        f"{left_out}{f'{zeros(hidden, _SPREAD)} no place on the axis. ' if hidden else ''}"
        f"{words.published_source()[:-1]}; "
        f"study {study.name}, data/generation.",
    )
    return SiteFigure(figure, rows, f"{study.name}-published-spreads", alt, words=about)


def wider(rows: pandas.DataFrame, study: str, noise: float = math.nan) -> str:
    """In how many pairs the study's spread is wider than the published one: columns published, here (NaN: unknown).

    A narrower spread of fewer values (`fewer`) proves nothing, which the title says: with as many it may be wider.
    Where the study's `noise` is known (relative; NaN where it is not), it is said how many exceed it instead.
    """
    both = rows.dropna(subset=["published", "here"])
    if both.empty:
        return "Published spreads of each timestep choice; the study has none yet"
    if math.isfinite(noise):
        here, told = (int((both[name] > noise).sum()) for name in ("here", "published"))
        verb, do = "exceeds" if here == 1 else "exceed", "does" if told == 1 else "do"
        many = words.capital(numbers.part(here, len(both), "spread"))
        return f"{many} in study {study} {verb} the noise of the seed; published, {told or 'none'} {do}"
    above, below = (both["here"] > both["published"]).sum(), (both["here"] < both["published"]).sum()
    if (both["fewer"] & (both["here"] <= both["published"])).any():
        many = numbers.part(int(above), len(both), "case")
        return f"Spreads in study {study} are wider than published in {many}, with fewer values tried"
    if above in (0, len(both)) and below in (0, len(both)):
        way = "as wide as" if above == below else ("wider than" if above else "narrower than")
        many = numbers.part(len(both), len(both), "case")
        return f"Spreads in study {study} are {way} published in {many} that can be compared"
    many = numbers.part(int(above), len(both), "case")
    return f"Spreads in study {study} are wider than published in {many} that can be compared"


_SPREAD = "spread"


def _fewer(rows: pandas.DataFrame) -> str:
    """Of which choices the study tried fewer values than the published grid has, as the end of a sentence."""
    fewer = dict.fromkeys(rows.loc[rows["fewer"], "parameter"])
    names = words.joined([f"the {naming.PARAMETER_LABELS[parameter]}" for parameter in fewer]) if fewer else ""
    return f", and the study tried fewer values of {names} than the published grid" if fewer else ""


def _left_out(study: StudyRows) -> str:
    """Which spreads of the study are not shown, since not all of its values were tried; "" for none."""
    settings = findings.mean_over_seeds(study.generation)
    spread = findings.spreads(settings, findings.last_common_step(settings)).dropna(subset="spread")
    partly = spread[~spread["whole"]]
    if partly.empty:
        return ""
    parts = [
        f"{naming.PARAMETER_LABELS[str(parameter)]} of {words.named(own['ae'], settings['ae'].nunique())}"
        for parameter, own in partly.groupby("parameter", sort=False)
    ]
    return f"Not shown, since not all values were tried yet: {words.joined(parts)}. "


def _pair(pair: pandas.Series, study: str) -> go.Scatter:
    """Two spreads of one autoencoder, joined; a log axis has no place for none."""
    look = naming.ae_style(str(pair["ae"]))
    ends = [(pair["published"], "published", f"{look.symbol}-open"), (pair["here"], f"study {study}", look.symbol)]
    ends = [end for end in ends if end[0] > 0]
    return go.Scatter(
        x=[value for value, _, _ in ends],
        y=[look.label] * len(ends),
        mode="lines+markers",
        line={"color": look.colour, "width": 1.5},
        marker={"color": look.colour, "size": 12, "opacity": 1, "symbol": [symbol for _, _, symbol in ends]},
        customdata=[where for _, where, _ in ends],
        hovertemplate=f"{look.label}, %{{customdata}}: %{{x:.1%}}<extra></extra>",
        showlegend=False,
        cliponaxis=False,
    )


def _differences(study: StudyRows) -> pandas.DataFrame:
    """kind, ae, difference, and whether it is of all values that the study has (`whole`): see `against_noise`."""
    settings = findings.mean_over_seeds(study.generation)
    step = findings.last_common_step(settings)
    noise = seed_noise.noise_of_seeds(study.repeated)
    parts = [pandas.DataFrame({"kind": _TWO_SEEDS, "ae": noise["ae"], "difference": 2 * 2**0.5 * noise["deviation"]})]
    spread = findings.spreads(settings, step)
    for parameter in findings.PARAMETERS:
        own = spread[spread["parameter"] == parameter]
        columns = {"ae": own["ae"], "difference": own["spread"], "whole": own["whole"]}
        parts.append(pandas.DataFrame({"kind": naming.PARAMETER_LABELS[parameter], **columns}))
    at_choice = settings["repa"].nunique() < 2 and len(study.varied)
    with_repa = findings.mean_over_seeds(study.varied) if at_choice else settings
    repa = findings.effect_of_repa(with_repa[with_repa["step"] == step])
    parts.append(pandas.DataFrame({"kind": "REPA", "ae": repa["ae"], "difference": repa["paired"].abs()}))
    best = study.best().sort_values("distance")
    above = best["distance"].where(best["distance"] > 0)  # relative to nothing, or less, no difference is known
    following = (best["distance"].shift(-1) - above) / above
    parts.append(pandas.DataFrame({"kind": _NEXT, "ae": best["ae"], "difference": following}))
    found = pandas.concat([part.assign(whole=part.get("whole", True)) for part in parts], ignore_index=True).dropna()
    return found.astype({"whole": bool})


def _spreads(study: StudyRows, published: pandas.DataFrame) -> pandas.DataFrame:
    """parameter, ae, published, here: relative spreads, 0.2 is 20 %; `fewer`: the study has fewer values.

    `here` is NaN of fewer than two values, and where not all values of the study were tried.
    """
    settings = findings.mean_over_seeds(study.generation)
    found = findings.spreads(settings, findings.last_common_step(settings)).set_index(["parameter", "ae"])
    own, count = found.loc[found["whole"], "spread"], settings[list(findings.PARAMETERS)].nunique()
    grid = {"trainp": len(TRAINING_DENSITIES), "trainshift": len(SHIFTS), "sampleshift": len(SHIFTS)}
    rows = []
    for parameter in findings.PARAMETERS:
        told = published[published["quantity"] == f"relative_spread_{parameter}"].set_index("ae")["value"]
        for ae in naming.in_order(told.index):
            fewer = bool(count[parameter] < grid[parameter])
            rows.append((parameter, ae, told[ae] / 100, own.get((parameter, ae), math.nan), fewer))
    if not rows:
        raise LrcoreError("no rows: no published relative spread")
    return pandas.DataFrame(rows, columns=["parameter", "ae", "published", "here", "fewer"])


_MOST_TICKS = 7
"""So many percentages stand beside one another on a narrow screen."""


def _ticks(limits: Sequence[float]) -> list[float]:
    """1, 2 and 5, or where these are too many 1 and 3, in every decade of a log axis whose range is given in log10.

    >>> _ticks([-2.1, -0.9])[:4], _ticks([-3, -0.4])[:4]
    ([0.001, 0.002, 0.005, 0.01], [0.001, 0.003, 0.01, 0.03])
    """
    decades = range(math.floor(limits[0]), math.ceil(limits[1]) + 1)
    several, few = ([digit * 10.0**decade for decade in decades for digit in digits] for digits in ((1, 2, 5), (1, 3)))
    inside = [tick for tick in several if limits[0] <= math.log10(tick) <= limits[1]]
    return several if len(inside) <= _MOST_TICKS else few
