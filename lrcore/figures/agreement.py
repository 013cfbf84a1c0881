"""Whether studies agree: findings and their verdicts, orders of autoencoders, predictors, noise.

Distances of two studies follow two protocols, and are FID only in Inception's features: no axis here holds two of them.
What is compared is ranks, rank correlations, and changes relative to distances of the same study.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence

import pandas
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lrcore import agreement, claims, findings, records, verdicts
from lrcore.claims import Claim, tau_text
from lrcore.errors import LrcoreError
from lrcore.figures import style
from lrcore.figures.embed import SiteFigure, SiteTable, shown
from lrcore.figures.latents import DIAGNOSTICS
from lrcore.figures.literature import QUANTITIES, STUDIES
from lrcore.figures.studies import StudyRows

_GREY = "rgb(128,128,128)"
_ROW_HEIGHT = 78
_OTHER_SOURCES = {"yu2025repa": "REPA"}


def judged(studies: Mapping[str, StudyRows], published: pandas.DataFrame) -> dict[str, list[Claim]]:
    """The claims about every study, by its name."""
    return {name: claims.judged(study, published) for name, study in studies.items()}


def best_of(study: StudyRows) -> pandas.DataFrame:
    """The lowest distance of each autoencoder where all can be compared: `findings.comparable_best`."""
    return findings.comparable_best(findings.mean_over_seeds(study.generation))


def claims_table(name: str, found: Sequence[Claim]) -> SiteTable:
    """One row a published finding: the verdict on it, what was published and what the study `name` measured."""
    table = pandas.DataFrame(
        {
            "finding": [claim.claim for claim in found],
            "verdict": [claim.verdict for claim in found],
            "published": [_unbroken(claim.published) for claim in found],
            f"study {name}": [_unbroken(claim.here) for claim in found],
            "source": [{**STUDIES, **_OTHER_SOURCES}.get(claim.source, claim.source) for claim in found],
        }
    )
    caption = f"Published findings, and what the study {name} says of each"
    return SiteTable(table, f"{name}-claims", caption, claims.as_frame(found))


def ranks(study: StudyRows, published: pandas.DataFrame) -> SiteFigure:
    """The place of each autoencoder in every published setting, and in the study: 1 has the lowest distance.

    A line leads from row to row for each autoencoder; it skips the settings that lack it.

    Raises:
        LrcoreError: no rows, or no published setting with enough autoencoders.
    """
    rows = pandas.concat([_published_ranks(published), _own_ranks(study)], ignore_index=True)
    settings = rows["row"].unique().tolist()
    aes = style.in_order(rows["ae"])
    figure = go.Figure()
    for ae in aes:
        look, own = style.ae_style(ae), rows[rows["ae"] == ae]
        figure.add_trace(
            go.Scatter(
                x=own["rank"].tolist(),
                y=own["row"].tolist(),
                name=look.label,
                mode="lines+markers+text",
                text=[look.label] * len(own),
                textposition="top center",
                textfont_size=11,
                line={"color": look.colour, "width": 2},
                marker={"color": look.colour, "symbol": look.symbol, "size": 13},
                customdata=[shown(value) for value in own["distance"]],
                hovertemplate=f"{look.label}: place %{{x}}, distance %{{customdata}}<extra></extra>",
                cliponaxis=False,
            )
        )
    figure.update_xaxes(title="place by distance, lowest first", tickvals=list(range(1, len(aes) + 1)))
    figure.update_xaxes(range=[0.6, len(aes) + 0.4], showgrid=False)
    figure.update_yaxes(categoryorder="array", categoryarray=settings, range=[len(settings) - 0.6, -0.6])
    figure.update_yaxes(tickfont_size=11)
    figure.update_layout(
        template=style.TEMPLATE,
        title=_over_everything(f"Order of the autoencoders, published and in study {study.name}"),
        height=150 + _ROW_HEIGHT * len(settings),
        margin={"t": 80, "b": 50},
        showlegend=False,
    )
    said = "; ".join(f"{row.replace('<br>', ' ')}: {_in_words(group)}" for row, group in _by(rows, "row"))
    alt = f"Places of the autoencoders from the lowest to the highest distance. {said}."
    return SiteFigure(figure, rows.assign(row=rows["row"].str.replace("<br>", " ")), f"{study.name}-ranks", alt)


def rank_correlations(study: StudyRows, published: pandas.DataFrame) -> SiteTable:
    """Kendall's tau of the study's order with every published one, and how many orders agree as well by chance.

    Raises:
        LrcoreError: no rows, or no published setting with enough autoencoders.
    """
    best = best_of(study)
    found = agreement.with_published(best, published)
    aes = found["autoencoders"]
    rows = found.assign(
        orders=[math.factorial(count) for count in aes],
        chance=[agreement.chance(tau, count) for tau, count in zip(found["tau"], aes, strict=True)],
    )
    table = pandas.DataFrame(
        {
            "published": rows["source"].map(STUDIES),
            "setting": rows["setting"],
            "distance": rows["quantity"].map(QUANTITIES),
            "rank correlation": [tau_text(value) for value in rows["tau"]],
            "autoencoders": aes,
            "orders that agree as well": [
                "–" if math.isnan(share) else f"{round(share * orders)} of {orders}"
                for share, orders in zip(rows["chance"], rows["orders"], strict=True)
            ],
        }
    )
    caption = f"Agreement of the order of autoencoders in the study {study.name} with published orders"
    return SiteTable(table, f"{study.name}-rank-correlations", caption, rows)


def pairs(study: StudyRows, published: pandas.DataFrame) -> SiteTable:
    """Two autoencoders at a time: how many published settings put the first before the second, and what the study says.

    `ahead` is by how much the worse distance is worse, negative where the study has the second before the first.

    Raises:
        LrcoreError: no rows, or no published setting with enough autoencoders.
    """
    best = best_of(study)
    ours = dict(zip(best["ae"], best["fid"], strict=True))
    noise = findings.noise_of_difference(study.generation)
    rows = agreement.pairs(published)
    rows["ahead"] = [
        verdicts.lead(ours[first], ours[second]) if {first, second} <= set(ours) else math.nan
        for first, second in zip(rows["first"], rows["second"], strict=True)
    ]
    rows["verdict"] = [verdicts.verdict_on(ahead, noise) for ahead in rows["ahead"]]
    table = pandas.DataFrame(
        {
            "more learnable": [style.ae_style(ae).label for ae in rows["first"]],
            "than": [style.ae_style(ae).label for ae in rows["second"]],
            "published settings": [
                f"{agreeing} of {settings}"
                for agreeing, settings in zip(rows["agreeing"], rows["settings"], strict=True)
            ],
            f"lead in study {study.name}": [_unbroken(style.percent(ahead)) for ahead in rows["ahead"]],
            "verdict": rows["verdict"],
        }
    )
    caption = f"Pairs of autoencoders in published settings and in the study {study.name}"
    return SiteTable(table, f"{study.name}-pairs", caption, rows)


def predictors(study: StudyRows) -> SiteFigure:
    """A panel per property of the latent space that needs no training: its value against the best distance.

    One point an autoencoder; tau above a panel is 1 where the property has the order of the distances, in the direction
    expected of it: lower is better for all but the probe's accuracy (`agreement.PREDICTORS`).

    Raises:
        LrcoreError: no rows, or no autoencoder with a distance and a property.
    """
    best = best_of(study)
    ours = dict(zip(best["ae"], best["fid"], strict=True))
    latents = study.latents
    whole = latents[(latents["index"] == -1) & latents["metric"].isin(agreement.PREDICTORS) & latents["ae"].isin(ours)]
    rows = whole[["ae", "metric", "value", "standard_error"]].assign(distance=whole["ae"].map(ours))
    metrics = [metric for metric in agreement.PREDICTORS if metric in set(rows["metric"])]
    if not metrics:
        raise LrcoreError(f"no rows: study {study.name} has no property of a latent space beside a distance")
    tau = agreement.of_predictors(best, latents).set_index("predictor")["tau"]
    titles = [f"{DIAGNOSTICS[metric]}<br>τ {tau_text(float(tau.get(metric, math.nan)))}" for metric in metrics]
    lines = math.ceil(len(metrics) / 2)
    figure = make_subplots(
        lines, 2, subplot_titles=titles, shared_yaxes=True, vertical_spacing=0.42 / lines, horizontal_spacing=0.06
    )
    for number, metric in enumerate(metrics):
        for _, point in rows[rows["metric"] == metric].iterrows():
            figure.add_trace(_point(point), row=number // 2 + 1, col=number % 2 + 1)
    label = _label(study)
    figure.update_xaxes(nticks=4)
    figure.update_yaxes(range=style.padded(rows["distance"], 0.2), nticks=5)
    figure.update_yaxes(title="best distance", title_font_size=12, col=1)
    figure.update_annotations(font_size=12)
    figure.update_layout(
        template=style.TEMPLATE,
        title=f"Properties of the latent against learnability, study {study.name}",
        height=150 + 230 * lines,
        margin_t=110,
        legend={"orientation": "h", "y": -0.08, "yanchor": "top"},
    )
    for ae in style.in_order(rows["ae"]):
        look = style.ae_style(ae)
        figure.add_trace(_legend(look.label, look.symbol, look.colour), row=1, col=1)
    said = "; ".join(f"{DIAGNOSTICS[metric]} {tau_text(float(tau.get(metric, math.nan)))}" for metric in metrics)
    alt = (
        f"{len(metrics)} scatters, one point for each of {len(ours)} autoencoders, of a property of the latent against "
        f"the best {label}. Rank correlations: {said}."
    )
    return SiteFigure(figure, rows, f"{study.name}-predictors", alt)


def against_noise(study: StudyRows) -> SiteFigure:
    """How large the differences are that the findings rest on, beside those that another training seed makes.

    One row a kind of difference, one point an autoencoder, all relative: two trainings that differ in their seed alone
    (two deviations of their difference), the spread over the values of each timestep choice, REPA, and the step to the
    next autoencoder in the study's order. The grey band ends at the noise that verdicts use, pooled over autoencoders.

    Raises:
        LrcoreError: no rows, two protocols, or nothing to compare yet.
    """
    rows = _differences(study)
    rows = rows[rows["difference"] > 0]
    if rows.empty:
        raise LrcoreError(f"no rows: study {study.name} has nothing to compare yet")
    kinds, aes = rows["kind"].unique().tolist(), style.in_order(rows["ae"])
    figure = go.Figure()
    for place, ae in enumerate(aes):
        look, own = style.ae_style(ae), rows[rows["ae"] == ae]
        beside = (place - (len(aes) - 1) / 2) * 0.14  # points of one row would hide one another
        figure.add_trace(
            go.Scatter(
                x=own["difference"].tolist(),
                y=[kinds.index(kind) + beside for kind in own["kind"]],
                name=look.label,
                mode="markers",
                marker={"color": look.colour, "symbol": look.symbol, "size": 11},
                customdata=own["kind"].tolist(),
                hovertemplate=f"{look.label}, %{{customdata}}: %{{x:.1%}}<extra></extra>",
            )
        )
    noise = findings.noise_of_difference(study.generation)
    limits = style.padded([math.log10(value) for value in [*rows["difference"], noise] if value > 0], 0.08)
    if not math.isnan(noise):
        figure.add_vrect(x0=10 ** limits[0], x1=noise, fillcolor="rgba(128,128,128,0.18)", line_width=0, layer="below")
    figure.update_xaxes(title="relative difference", type="log", range=limits)
    figure.update_xaxes(tickvals=_ticks(limits), tickformat=",.2~%")
    figure.update_yaxes(tickvals=list(range(len(kinds))), ticktext=kinds, range=[len(kinds) - 0.5, -0.5])
    figure.update_layout(
        template=style.TEMPLATE,
        title=_over_everything(f"Differences beside the noise of the seed, study {study.name}"),
        height=170 + 55 * len(kinds),
    )
    said = "; ".join(
        f"{kind} "
        + ", ".join(f"{style.ae_style(ae).label} {style.percent(value, signed=False)}" for ae, value in pairs)
        for kind, pairs in (
            (kind, zip(part["ae"], part["difference"], strict=True)) for kind, part in _by(rows, "kind")
        )
    )
    told = "not known" if math.isnan(noise) else style.percent(noise, signed=False)
    alt = f"Relative differences between distances. Noise that verdicts use: {told}. {said}."
    return SiteFigure(figure, rows, f"{study.name}-against-noise", alt)


def spreads_beside_published(study: StudyRows, published: pandas.DataFrame) -> SiteFigure:
    """The relative spread over the values of each timestep choice, a panel each: published (open), ours (filled).

    Spreads are relative to the best distance of the same study, so that they can stand on one axis.

    Raises:
        LrcoreError: no rows, two protocols, or no published spread.
    """
    rows = _spreads(study, published)
    aes = style.in_order(rows["ae"])
    names = [style.ae_style(ae).label for ae in aes]
    figure = make_subplots(
        len(findings.PARAMETERS),
        1,
        shared_xaxes=True,
        subplot_titles=[style.PARAMETER_LABELS[parameter] for parameter in findings.PARAMETERS],
        vertical_spacing=0.08,
    )
    for line, parameter in enumerate(findings.PARAMETERS, start=1):
        for _, pair in rows[rows["parameter"] == parameter].iterrows():
            figure.add_trace(_pair(pair, study.name), row=line, col=1)
    figure.add_trace(_legend("published", "circle-open", _GREY), row=1, col=1)
    figure.add_trace(_legend(f"study {study.name}", "circle", _GREY), row=1, col=1)
    values = [value for value in [*rows["published"], *rows["here"]] if value > 0]
    limits = style.padded([math.log10(value) for value in values], 0.08)
    figure.update_xaxes(type="log", range=limits, tickvals=_ticks(limits), tickformat=",.2~%")
    figure.update_xaxes(title="relative spread", row=len(findings.PARAMETERS))
    figure.update_yaxes(categoryorder="array", categoryarray=names, range=[len(names) - 0.5, -0.5])
    figure.update_layout(
        template=style.TEMPLATE,
        title=f"Relative spread of the distance, published and in study {study.name}",
        height=180 + 130 * len(findings.PARAMETERS),
        margin_t=90,
    )
    figure.update_annotations(font_size=13)
    said = "; ".join(
        f"{style.PARAMETER_LABELS[pair['parameter']]}, {style.ae_style(pair['ae']).label}: "
        f"{style.percent(pair['published'], signed=False)} and {style.percent(pair['here'], signed=False)}"
        for _, pair in rows.iterrows()
    )
    alt = f"Relative spreads, published and in the study. {said}."
    return SiteFigure(figure, rows, f"{study.name}-published-spreads", alt)


def _label(study: StudyRows) -> str:
    return records.distance_label(str(study.generation["feature_network"].iloc[0]))


def _ranked(row: str, distances: Mapping[str, float]) -> pandas.DataFrame:
    found = pandas.DataFrame({"row": row, "ae": list(distances), "distance": list(distances.values())}).dropna()
    return found.assign(rank=found["distance"].rank(method="min").astype(int))


def _published_ranks(published: pandas.DataFrame) -> pandas.DataFrame:
    found = [
        _ranked(_row_name(STUDIES[source], setting, QUANTITIES[quantity]), distances)
        for (source, setting, quantity), distances in agreement.by_setting(published).items()
    ]
    if not found:
        raise LrcoreError("no rows: no published study compares autoencoders by a distance")
    return pandas.concat(found)


def _own_ranks(study: StudyRows) -> pandas.DataFrame:
    """Of the grid, and of the best settings measured once more in other features where there are such."""
    best = best_of(study)
    rows = [
        _ranked(_row_name(f"Study {study.name}", "", _label(study)), dict(zip(best["ae"], best["fid"], strict=True)))
    ]
    for network, again in study.confirmed.groupby("feature_network"):
        lowest = {str(ae): float(value) for ae, value in again.groupby("ae")["fid"].min().items()}
        rows.append(
            _ranked(
                _row_name(f"Study {study.name}", "best settings again", records.distance_label(str(network))), lowest
            )
        )
    return pandas.concat(rows)


def _row_name(study: str, setting: str, distance: str) -> str:
    text = f"{study}: {setting}, {distance}" if setting else f"{study}: {distance}"
    return "<br>".join(textwrap.wrap(text, 23, break_on_hyphens=False))


def _in_words(group: pandas.DataFrame) -> str:
    return ", ".join(style.ae_style(ae).label for ae in group.sort_values("rank")["ae"])


def _unbroken(text: str) -> str:
    """Numbers and their percent signs stay on one line."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def _over_everything(title: str) -> dict[str, object]:
    """A title that starts at the edge of the figure, where long names of rows leave the plot little width."""
    return {"text": title, "xref": "container", "x": 0.01}


def _ticks(limits: Sequence[float]) -> list[float]:
    """1, 2 and 5 in every decade of a log axis whose range is given in log10."""
    decades = range(math.floor(limits[0]), math.ceil(limits[1]) + 1)
    return [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]


def _by(rows: pandas.DataFrame, column: str) -> Iterable[tuple[str, pandas.DataFrame]]:
    return ((str(name), part) for name, part in rows.groupby(column, sort=False))


def _point(point: pandas.Series) -> go.Scatter:
    look = style.ae_style(str(point["ae"]))
    error = point["standard_error"]
    return go.Scatter(
        x=[point["value"]],
        y=[point["distance"]],
        error_x=None if math.isnan(error) else {"type": "data", "array": [error], "thickness": 1.5},
        name=look.label,
        mode="markers",
        marker={"color": look.colour, "symbol": look.symbol, "size": 12},
        showlegend=False,
        hovertemplate=f"{look.label}<br>%{{x:.4g}}, best distance %{{y:.4g}}<extra></extra>",
        cliponaxis=False,
    )


def _legend(name: str, symbol: str, colour: str) -> go.Scatter:
    """An entry of the legend without a mark in the figure."""
    marker = {"symbol": symbol, "color": colour, "size": 11}
    return go.Scatter(x=[None], y=[None], name=name, mode="markers", marker=marker)


def _pair(pair: pandas.Series, study: str) -> go.Scatter:
    """Two spreads of one autoencoder, joined; a log axis has no place for none."""
    look = style.ae_style(str(pair["ae"]))
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
    """kind, ae, difference: see `against_noise`."""
    settings = findings.mean_over_seeds(study.generation)
    step = findings.last_common_step(settings)
    noise = findings.noise_of_seeds(study.generation)
    parts = [
        pandas.DataFrame(
            {"kind": "two seeds", "ae": noise["ae"], "difference": 2 * 2**0.5 * noise["relative_deviation"]}
        )
    ]
    spread = findings.spreads(settings, step)
    for parameter in findings.PARAMETERS:
        own = spread[spread["parameter"] == parameter]
        parts.append(
            pandas.DataFrame({"kind": style.PARAMETER_LABELS[parameter], "ae": own["ae"], "difference": own["spread"]})
        )
    repa = findings.effect_of_repa(settings[settings["step"] == step])
    parts.append(pandas.DataFrame({"kind": "REPA", "ae": repa["ae"], "difference": repa["paired"].abs()}))
    best = findings.comparable_best(settings).sort_values("fid")
    following = best["fid"].pct_change().shift(-1)
    parts.append(pandas.DataFrame({"kind": "next autoencoder", "ae": best["ae"], "difference": following}))
    return pandas.concat(parts, ignore_index=True).dropna()


def _spreads(study: StudyRows, published: pandas.DataFrame) -> pandas.DataFrame:
    """parameter, ae, published, here: relative spreads, 0.2 is 20 %; `here` is NaN of fewer than two values."""
    settings = findings.mean_over_seeds(study.generation)
    own = findings.spreads(settings, findings.last_common_step(settings)).set_index(["parameter", "ae"])["spread"]
    rows = []
    for parameter in findings.PARAMETERS:
        told = published[published["quantity"] == f"relative_spread_{parameter}"].set_index("ae")["value"]
        for ae in style.in_order(told.index):
            rows.append((parameter, ae, told[ae] / 100, own.get((parameter, ae), math.nan)))
    if not rows:
        raise LrcoreError("no rows: no published relative spread")
    return pandas.DataFrame(rows, columns=["parameter", "ae", "published", "here"])
