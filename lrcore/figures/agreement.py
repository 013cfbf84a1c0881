"""Whether studies agree: findings and their verdicts, orders of autoencoders.

Distances of two studies follow two protocols, and are FID only in Inception's features: no axis here holds two of them.
What is compared is ranks, rank correlations, and changes relative to distances of the same study.
"""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence

import pandas
import plotly.graph_objects as go

from lrcore.errors import LrcoreError
from lrcore.figures import style, words
from lrcore.figures.literature import QUANTITIES, STUDIES
from lrcore.figures.site_figure import SiteFigure, Words
from lrcore.figures.site_table import SiteTable
from lrcore.records import schema
from lrcore.results import agreement, claims, findings, naming, numbers, verdicts
from lrcore.results.claim_parts import Claim
from lrcore.results.numbers import shown
from lrcore.results.published import FOLLOWED
from lrcore.results.study_rows import StudyRows
from lrcore.results.wording import compared_at, labels, tau_text

_ROW_HEIGHT = 78
_SIZE = 13
"""Diameter of a mark in pixels."""
_LONGEST_LINE = 20
Setting = tuple[str, str, str]
"""Source, setting and quantity of published distances."""

_OTHER_SOURCES = {"yu2025repa": "REPA"}


def judged(studies: Mapping[str, StudyRows], published: pandas.DataFrame) -> dict[str, list[Claim]]:
    """The claims about every study, by its name."""
    return {name: claims.judged(study, published) for name, study in studies.items()}


def claims_table(name: str, found: Sequence[Claim]) -> SiteTable:
    """One row a published finding: the verdict on it, what was published and what the study `name` measured."""
    table = pandas.DataFrame(
        {
            "finding": [claim.claim for claim in found],
            "verdict": [claim.verdict for claim in found],
            "published": [_unbroken(claim.published) for claim in found],
            f"study {name}": [_unbroken(" ".join(filter(None, [_said_here(claim), claim.caution]))) for claim in found],
            "source": [{**STUDIES, **_OTHER_SOURCES}.get(claim.source, claim.source) for claim in found],
        }
    )
    caption = f"Published findings, and what the study {name} says about each"
    return SiteTable(table, f"{name}-claims", caption, claims.as_frame(found))


def _said_here(claim: Claim) -> str:
    return f"{claim.here}; but {claim.but}" if claim.but else claim.here


def ranks(study: StudyRows, published: pandas.DataFrame) -> SiteFigure:
    """The place of each autoencoder in every published setting, and in the study: 1 has the lowest distance.

    A line leads from row to row for each autoencoder, and breaks at settings that lack it. Of the study's autoencoders
    those stand here that some published setting has, unless there is none.

    Raises:
        LrcoreError: no rows, or no published setting with enough autoencoders.
    """
    told, own = _published_ranks(published), _own_ranks(study)
    if (shared := own["ae"].isin(told["ae"])).any():
        own = _places(own[shared])
    rows = pandas.concat([told, own], ignore_index=True)
    rows["at"] = rows.groupby("row", sort=False)["distance"].rank(method="first")  # of one place, side by side
    settings = rows["row"].unique().tolist()
    aes = naming.in_order(rows["ae"])
    few = rows["at"].max() <= style.FEW
    figure = go.Figure()
    for ae in aes:
        own_rows = rows[rows["ae"] == ae]
        figure.add_trace(_place_line(ae, own_rows, settings))
        figure.add_trace(_place_marks(ae, own_rows, settings))
        if few:
            _name_marks(figure, ae, own_rows, settings)
    places = math.ceil(rows["at"].max())
    figure.update_xaxes(title="place by distance, lowest first", tickvals=list(range(1, places + 1)))
    figure.update_xaxes(range=[0.5, places + 0.5], showgrid=False)
    figure.update_yaxes(tickvals=list(range(len(settings))), ticktext=settings, range=[len(settings) - 0.6, -0.6])
    figure.update_yaxes(tickfont_size=11, showgrid=False)
    figure.update_layout(
        template=style.TEMPLATE, height=90 + _ROW_HEIGHT * len(settings), margin_b=50, showlegend=False
    )
    if not few:
        style.legend_of_many(figure, len(aes))
    said = "; ".join(f"{row.replace('<br>', ' ')}: {_in_words(group)}" for row, group in _by(rows, "row"))
    alt = f"Places of the autoencoders from the lowest to the highest distance. {said}."
    best = findings.by_ae(study.best(), "distance")
    noise = study.noise_of_best
    first = words.leaders(words.above_zero({ae: best[ae] for ae in best if ae in set(own["ae"])}), noise)
    about = Words(
        first_places(agreement.by_setting(published).values(), first, study.name),
        f"Place of each autoencoder by its distance: published settings above, study {study.name} below "
        f"({words.images(study.generation).split(',')[0]}, {words.features(study.generation)}). Place 1 has the "
        "lowest distance: the most learnable latent space.",
        "Distances follow different protocols, so only places can be compared. A line breaks where a setting did not "
        f"measure the autoencoder. {_unequal(agreement.by_setting(published).values())}The study ranks autoencoders by "
        f"{compared_at(findings.mean_over_seeds(study.compared))}. {words.seed_noise(noise)} "
        f"{_sources(published)}; study {study.name}, data/generation.",
    )
    rows = rows.drop(columns="at").assign(row=rows["row"].str.replace("<br>", " "))
    return SiteFigure(figure, rows, f"{study.name}-ranks", alt, words=about)


def _unequal(settings: Iterable[Mapping[str, float]]) -> str:
    """How many settings lack an autoencoder that others have, so that it cannot be first there; "" for none."""
    found = [set(distances) for distances in settings]
    every = set().union(*found)
    parts = [
        f"{count} {'lacks' if count == 1 else 'lack'} {naming.ae_style(ae).label}"
        for ae in naming.in_order(every)
        if (count := sum(ae not in one for one in found))
    ]
    return f"Of {len(found)} published settings, {words.joined(parts)}. " if parts else ""


def first_places(settings: Iterable[Mapping[str, float]], ours: Sequence[str], study: str) -> str:
    """Who is first in most published settings, and who in the study, in one sentence.

    `settings`: the distance of each autoencoder in each published setting; `ours`: the autoencoders of the study that
    cannot be told from its lowest distance, none where there is nothing to compare.
    """
    found = [words.leaders(distances) for distances in settings]
    votes = {ae: sum(ae in first for first in found) for ae in naming.in_order(ae for first in found for ae in first)}
    most = [ae for ae, count in votes.items() if count == max(votes.values())]
    leading = f"{words.joined(labels(most))} {'is' if len(most) == 1 else 'are each'} first in {votes[most[0]]} of "
    leading += f"{len(found)} published settings"
    if not ours:
        return leading
    if list(ours) == most and len(most) == 1:
        return f"{leading}, and in study {study}"
    if len(ours) > 3:
        return f"{leading}, no single one in study {study}"
    return f"{leading}; among these autoencoders, {words.joined(labels(ours), 'or')} is in study {study}"


def _place_line(ae: str, rows: pandas.DataFrame, settings: Sequence[str]) -> go.Scatter:
    """From each mark to that in the next row, where that has the autoencoder."""
    at = dict(zip(rows["row"], rows["at"], strict=True))
    x: list[float | None] = []
    y: list[float | None] = []
    for line, (upper, lower) in enumerate(itertools.pairwise(settings)):
        if upper in at and lower in at:
            x += [at[upper], at[lower], None]
            y += [line, line + 1, None]
    look = {"color": naming.ae_style(ae).colour, "width": 2}
    return go.Scatter(x=x, y=y, mode="lines", line=look, hoverinfo="skip", showlegend=False, connectgaps=False)


def _place_marks(ae: str, rows: pandas.DataFrame, settings: Sequence[str]) -> go.Scatter:
    look = naming.ae_style(ae)
    return go.Scatter(
        x=rows["at"].tolist(),
        y=[settings.index(row) for row in rows["row"]],
        name=look.label,
        mode="markers",
        marker={"color": look.colour, "symbol": look.symbol, "size": _SIZE},
        customdata=[[shown(value), place] for value, place in zip(rows["distance"], rows["rank"], strict=True)],
        hovertemplate=f"{look.label}: place %{{customdata[1]}}, distance %{{customdata[0]}}<extra></extra>",
        cliponaxis=False,
    )


def _name_marks(figure: go.Figure, ae: str, rows: pandas.DataFrame, settings: Sequence[str]) -> None:
    """The name above each mark; a line that leads there passes behind it."""
    for place, row in zip(rows["at"], rows["row"], strict=True):
        figure.add_annotation(
            x=place,
            y=settings.index(row),
            text=naming.ae_style(ae).label,
            font_size=11,
            showarrow=False,
            yanchor="bottom",
            yshift=_SIZE / 2 + 3,
            **style.ON_PAGE,
        )


def _sources(published: pandas.DataFrame) -> str:
    """The published studies that orders are from."""
    names = dict.fromkeys(STUDIES[source] for source, _, _ in agreement.by_setting(published))
    return f"Sources: {', '.join(names)}"


def rank_correlations(study: StudyRows, published: pandas.DataFrame) -> SiteTable:
    """Kendall's tau of the study's order with every published one, and how many orders agree as well by chance.

    Raises:
        LrcoreError: no rows, or no published setting with enough autoencoders.
    """
    best = study.best()
    found = agreement.with_published(best, published)
    aes = found["autoencoders"]
    rows = found.assign(orders=[math.factorial(count) for count in aes])
    table = pandas.DataFrame(
        {
            "published": rows["source"].map(STUDIES),
            "distance": rows["quantity"].map(QUANTITIES),
            "setting": rows["setting"],
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
    best = study.best()
    ours = dict(zip(best["ae"], best["distance"], strict=True))
    rows = agreement.pairs(published)
    rows["ahead"] = [
        verdicts.lead(ours[first], ours[second]) if {first, second} <= set(ours) else math.nan
        for first, second in zip(rows["first"], rows["second"], strict=True)
    ]
    rows["verdict"] = [
        verdicts.verdict_on_lead(ahead, study.noise_of_best)
        if len({first, second} & set(ours)) != 1
        else verdicts.INCOMPLETE
        for first, second, ahead in zip(rows["first"], rows["second"], rows["ahead"], strict=True)
    ]
    table = pandas.DataFrame(
        {
            "more learnable": [naming.ae_style(ae).label for ae in rows["first"]],
            "than": [naming.ae_style(ae).label for ae in rows["second"]],
            "published settings": [
                f"{agreeing} of {settings}"
                for agreeing, settings in zip(rows["agreeing"], rows["settings"], strict=True)
            ],
            f"lead in study {study.name}": [_unbroken(numbers.percent(ahead)) for ahead in rows["ahead"]],
            "verdict": rows["verdict"],
        }
    )
    caption = f"Pairs of autoencoders in published settings and in the study {study.name}"
    return SiteTable(table, f"{study.name}-pairs", caption, rows, _lead_in_words(rows["ahead"]))


def _lead_in_words(ahead: pandas.Series) -> str:
    """What a lead is relative to, by the largest one: findings state the same difference as a change from the worse."""
    most = ahead.abs().max()
    if not (math.isfinite(most) and most > 0):
        return ""
    return (
        f"A lead is relative to the better distance: {numbers.percent(most)} means that the worse distance is "
        f"{shown(1 + most)} times the better one. Taken from the worse distance, this is "
        f"{numbers.percent(1 / (1 + most) - 1)}."
    )


def _ranked(row: str, distances: Mapping[str, float]) -> pandas.DataFrame:
    return _places(pandas.DataFrame({"row": row, "ae": list(distances), "distance": list(distances.values())}).dropna())


def _places(rows: pandas.DataFrame) -> pandas.DataFrame:
    """With the place of each autoencoder in its row."""
    return rows.assign(rank=rows.groupby("row", sort=False)["distance"].rank(method="min").astype(int))


def _published_ranks(published: pandas.DataFrame) -> pandas.DataFrame:
    settings = agreement.by_setting(published)
    found = [
        _ranked(_row_name(_SHORT.get(key[0], STUDIES[key[0]]), _telling(key, settings), _BRIEF[key[2]]), distances)
        for key, distances in settings.items()
    ]
    if not found:
        raise LrcoreError("no rows: no published study compares autoencoders by a distance")
    return pandas.concat(found)


_SHORT = {FOLLOWED: "FLUX.2 comparison", "xu2026ifid": "iFID paper"}
_BRIEF = {"gfid": "gFID", "ifid": "iFID"}


def _telling(key: Setting, settings: Iterable[Setting]) -> str:
    """The part of a setting that tells it from the others of its source and quantity; "" where it is the only one."""
    source, setting, quantity = key
    others = [other for one, other, of in settings if (one, of) == (source, quantity) and other != setting]
    shared = [set(other.split(", ")) for other in others]
    return ", ".join(part for part in setting.split(", ") if shared and not any(part in other for other in shared))


def _own_ranks(study: StudyRows) -> pandas.DataFrame:
    """Of the grid, and of the chosen settings where they were measured once more ("again").

    There by the distance that decides; where that is the kernel distance, by the Frechet distance of most samples too.
    """
    grid = findings.comparable_best(findings.mean_over_seeds(study.generation))
    rows = [_ranked(_row_name(f"Study {study.name}", "", study.distance), _distances(grid, "distance"))]
    for part, column in _again(study):
        again = findings.best_per_ae(findings.mean_over_seeds(part))
        network, samples = str(part["feature_network"].iloc[0]), shown(float(part["n_samples"].iloc[0]))
        name = schema.distance_label(network) if column == "fid" else findings.label(part)
        setting = f"again, {samples} samples"
        rows.append(_ranked(_row_name(f"Study {study.name}", setting, name), _distances(again, column)))
    return pandas.concat(rows)


def _again(study: StudyRows) -> list[tuple[pandas.DataFrame, str]]:
    """What the chosen settings are ranked by: rows of one protocol and the column of settings that has the distance."""
    parts = study.again[:1]
    found = [(part, "distance") for part in parts]
    if parts and parts[0]["score"].iloc[0] == "kid":
        found.append((max(study.again, key=lambda part: part["n_samples"].iloc[0]), "fid"))
    return found


def _distances(best: pandas.DataFrame, column: str) -> dict[str, float]:
    return dict(zip(best["ae"], best[column], strict=True))


def _row_name(study: str, setting: str, distance: str) -> str:
    """In few lines of few characters, of which a narrow screen has little room: 'DiffusionBench: gFID, no guidance'."""
    text = f"{study}: {distance}, {setting}" if setting else f"{study}: {distance}"
    return "<br>".join(textwrap.wrap(text, _LONGEST_LINE, break_on_hyphens=False))


def _in_words(group: pandas.DataFrame) -> str:
    return ", ".join(naming.ae_style(ae).label for ae in group.sort_values("rank")["ae"])


def _unbroken(text: str) -> str:
    """Numbers and their percent signs stay on one line."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def _by(rows: pandas.DataFrame, column: str) -> Iterable[tuple[str, pandas.DataFrame]]:
    return ((str(name), part) for name, part in rows.groupby(column, sort=False))
