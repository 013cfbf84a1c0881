"""What the atlas says beside its correlations: what changes the winner, what guidance hides, shifts, repetitions."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

import pandas
import plotly.graph_objects as go

from lrcore.figures import style, words
from lrcore.figures.atlas import (
    FAMILY_LOOKS,
    Look,
    Work,
    address,
    each,
    linked,
    look,
    quantity_label,
    short_title,
    source_looks,
)
from lrcore.figures.atlas_forest import table_of
from lrcore.figures.atlas_scatter import name_outermost, profile_link
from lrcore.figures.beside import side_by_side
from lrcore.figures.embed import Embedded, Markup, SiteFigure, Switch, Words
from lrcore.results import atlas as statistics
from lrcore.results import correlations
from lrcore.results.atlas_repeats import differences
from lrcore.results.atlas_settings import with_sizes
from lrcore.results.numbers import percent, shown

SOURCE = "Source: data/atlas."
FEWEST_PAIRS = 10
"""Fewer pairs than this make no share that a title could speak of."""

_OVER = {
    "guidance": "guidance",
    "generator": "network",
    "steps": "sampling steps",
    "epochs": "training time",
}
_CHANGES = {
    "guidance": "guidance",
    "generator": "another network",
    "steps": "another number of sampling steps",
    "epochs": "more training",
}


def winners(atlas: pandas.DataFrame, works: Mapping[str, Work], quantity: str = "gfid") -> Embedded:
    """How many pairs of latents swap places inside one source where one thing changes; a word where none is told."""
    rows = swaps(atlas, quantity)
    if rows.empty:
        return Markup("<p>No source has two settings that differ in one thing alone yet.</p>")
    rows = rows.assign(title=[short_title(source, works) for source in rows["source"]])
    kinds = [over for over in _OVER if over in set(rows["over"])]
    figure = go.Figure(layout={"template": style.TEMPLATE, "height": 60 + 26 * (len(rows) + len(kinds))})
    names: list[str] = []
    for kind, colour in zip(kinds, ("#D55E00", "#0072B2", "#009E73", "#CC79A7"), strict=False):
        part = rows[rows["over"] == kind].sort_values(["share", "pairs"], ascending=False, kind="stable")
        names.append(f"<b>{words.capital(_OVER[kind])}</b>")
        figure.add_trace(
            go.Bar(
                x=(100 * part["share"]).tolist(),
                y=[len(names) + number for number in range(len(part))],
                orientation="h",
                width=0.6,
                # the line shows a bar of 0, too
                marker={"color": colour, "line": {"color": colour, "width": 2}, "opacity": _opacities(part)},
                name=_OVER[kind],
                text=[f"{row.crossing} of {row.pairs}" for row in each(part)],
                textposition="outside",
                cliponaxis=False,
                hovertext=part["title"].tolist(),
                customdata=[_key(row.over, row.source) for row in each(part)],
                hovertemplate="%{hovertext}: %{text} pairs<extra></extra>",
            )
        )
        names += part["title"].tolist()
    figure.update_xaxes(title="pairs of latents that swap places (%)", range=[0, max(60, 115 * rows["share"].max())])
    places = list(range(len(names)))
    figure.update_yaxes(tickvals=places, ticktext=names, range=[len(names) - 0.5, -0.5], showgrid=False)
    figure.update_layout(showlegend=False)
    title = finding_of_swaps(rows)
    alt = f"{title}. " + "; ".join(
        f"{_OVER[row.over]} in {row.title}: {row.crossing} of {row.pairs} pairs" for row in each(rows)
    )
    about = (
        f"Pairs of latent spaces whose order by {quantity_label(quantity)} reverses when one source changes one thing, "
        "and nothing else that it states."
    )
    few = f"Paler bars have fewer than {FEWEST_PAIRS} pairs; the title leaves them out. "
    few = few if (rows["pairs"] < FEWEST_PAIRS).any() else ""
    notes = (
        f"Sources with three pairs or more; each bar says how many of its pairs swap. {few}Noise alone swaps some "
        f"pairs, since each latent space was trained once. {SOURCE}"
    )
    drawn = SiteFigure(figure, rows, f"winners-{quantity}", alt, Words(title, about, f"{notes} {CHOOSE}"))
    lines = {
        _key(row.over, row.source): [
            _OVER[row.over],
            linked(row.title, source_address(atlas, row.source, works)),
            f"{row.settings}",
            f"{row.crossing} of {row.pairs}",
            html.escape(row.places),
        ]
        for row in each(rows)
    }
    return with_sources(
        drawn, ("changed", "source", "pairs of settings", "pairs that swap", "place in the source"), lines
    )


CHOOSE = "Choose a mark to see where its values come from."
BESIDE = "Marks with equal values stand side by side; point at one to read its value."


def with_sources(figure: SiteFigure, heads: Sequence[str], lines: Mapping[str, Sequence[str]]) -> Markup:
    """A figure above a table that leads to the sources: HTML of the cells by the `customdata` of the mark they are of.

    `site/atlas.js` shows the line of a mark that is chosen.
    """
    name = f"{figure.name}-sources"
    body = [
        f'<tr data-mark="{html.escape(key)}">{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for key, cells in lines.items()
    ]
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads)
    table = table_of(name, head, body, f"Where the values come from: {figure.words.title}").markup
    return Markup(
        f'{figure.markup}<p class="lrcore-note lrcore-marks" data-figure="figure-{figure.name}" '
        f'data-table="table-{name}" aria-live="polite">&nbsp;</p>'
        f"<details><summary>Where the values come from</summary>{table}</details>"
    )


def source_address(atlas: pandas.DataFrame, source: str, works: Mapping[str, Work]) -> str:
    """Where most rows of a source can be checked: the commit that was read, or the source's own page."""
    return address(source, str(atlas[atlas["source"] == source]["repository"].mode().iloc[0]), works)


def _key(*parts: object) -> str:
    """What a mark and its line of the table share."""
    return "|".join(str(part) for part in parts)


def _opacities(rows: pandas.DataFrame) -> list[float]:
    return [1.0 if pairs >= FEWEST_PAIRS else 0.45 for pairs in rows["pairs"]]


def swaps(atlas: pandas.DataFrame, quantity: str = "gfid") -> pandas.DataFrame:
    """Pairs and swaps of every source with three pairs or more: over, source, settings, pairs, crossing, share, places.

    `places` names where in the source its figures stand, three at most.
    """
    found = []
    by_source = {str(source): rows for source, rows in atlas[atlas["quantity"] == quantity].groupby("source")}
    for over in statistics.OVER:
        for source, rows in by_source.items():
            told = statistics.rank_agreement(rows, source, over, quantity)
            pairs, crossing = int(told["pairs"].sum()), int(told["crossing"].sum())
            if pairs >= 3:
                places = _places(atlas[(atlas["source"] == source) & (atlas["quantity"] == quantity)]["place"])
                found.append((over, source, len(told), pairs, crossing, crossing / pairs, places))
    return pandas.DataFrame(found, columns=["over", "source", "settings", "pairs", "crossing", "share", "places"])


def _places(places: pandas.Series) -> str:
    """The three places with most figures, most first."""
    names = list(places.value_counts().index)
    return "; ".join(names[:3]) + ("; …" if len(names) > 3 else "")


def finding_of_swaps(rows: pandas.DataFrame) -> str:
    """Which change swaps most inside a source, of those with enough pairs."""
    enough = rows[rows["pairs"] >= FEWEST_PAIRS]
    if enough.empty:
        return "No source has enough pairs of latent spaces to say what changes the ranking"
    parts: list[str] = []
    for over in dict.fromkeys(enough["over"]):
        shares = enough[enough["over"] == over]["share"]
        low, high = percent(shares.min(), signed=False), percent(shares.max(), signed=False)
        verb = "" if parts else " swaps"
        parts.append(f"{_CHANGES[over]}{verb} {high if low == high else f'{low[:-2]} to {high}'}")
    parts[0] += " of the pairs of latent spaces"
    where = "" if len(enough) == len(rows) else f", in sources with {FEWEST_PAIRS} pairs or more"
    return words.capital(f"{', '.join(parts)}{where}")


def guided(atlas: pandas.DataFrame, works: Mapping[str, Work], least: int = correlations.LEAST) -> Embedded:
    """For each setting of a source with `least` latents that was measured with and without guidance, both gFIDs."""
    found = {}
    by_source = {str(source): rows for source, rows in atlas[atlas["quantity"] == "gfid"].groupby("source")}
    for source, of_source in by_source.items():
        for number, rows in enumerate(statistics.with_and_without(of_source, source, least)):
            title = short_title(source, works)
            setting = str(rows["generator"].iloc[0]).split(" ")[0]
            name = f"guidance-{source.replace('_', '-')}-{number}"
            found[f"{title}, {setting}"] = _with_ends(guided_figure(rows, name, title), rows, source, works)
    return (
        Switch(found, "Setting")
        if found
        else Markup("<p>No source has latent spaces with and without guidance yet.</p>")
    )


def guided_figure(rows: pandas.DataFrame, name: str, source: str) -> SiteFigure:
    """Lines from the gFID without guidance to that with it, a line a latent, of `with_and_without`."""
    figure = go.Figure(layout={"template": style.TEMPLATE, "height": 560})
    seen: set[str] = set()
    for row in each(rows):
        drawn = look(row.family)
        text = (
            f"{row.canonical}<br>unguided {shown(row.unguided)} (place {row.place_unguided}), "
            f"guided {shown(row.guided)} (place {row.place_guided})"
        )
        figure.add_trace(
            go.Scatter(
                x=[0, 1],
                y=[row.unguided, row.guided],
                mode="lines+markers",
                line={"color": drawn.colour, "width": 1.5},
                marker={"color": drawn.colour, "symbol": drawn.symbol, "size": 9},
                name=drawn.label,
                legendgroup=row.family,
                showlegend=row.family not in seen,
                text=[text, text],
                customdata=[row.canonical, row.canonical],
                hovertemplate="%{text}<extra></extra>",
            )
        )
        seen.add(row.family)
    figure.update_xaxes(tickvals=[0, 1], ticktext=["without guidance", "with guidance"], range=[-0.25, 1.25])
    values = [*rows["unguided"], *rows["guided"]]
    axis = style.distance_axis(values, 0.04)
    figure.update_yaxes(title=f"gFID, lower is better{', log scale' if axis['type'] == 'log' else ''}", **axis)
    figure.update_layout(legend=style.LEGEND_BELOW, showlegend=True, margin={"b": 90})
    title = finding_of_guidance(rows)
    alt = f"{title}. {source}. " + "; ".join(
        f"{row.canonical}: {shown(row.unguided)}, guided {shown(row.guided)}" for row in each(rows)
    )
    about = f"gFID without guidance and with it: {source}, {rows['generator'].iloc[0]}, one training each."
    return SiteFigure(figure, rows, name, alt, Words(title, about, f"{CHOOSE} {SOURCE}"))


def _with_ends(figure: SiteFigure, rows: pandas.DataFrame, source: str, works: Mapping[str, Work]) -> Markup:
    """The figure above both ends of each line, as links to where they stand."""
    lines = {
        row.canonical: [
            linked(row.canonical, profile_link(row.canonical)),
            linked(shown(row.unguided), address(source, row.repository_unguided, works)),
            linked(shown(row.guided), address(source, row.repository_guided, works)),
            html.escape(row.stands_unguided),
        ]
        for row in each(rows)
    }
    return with_sources(figure, ("autoencoder", "without guidance", "with guidance", "place in the source"), lines)


def finding_of_guidance(rows: pandas.DataFrame) -> str:
    """By how much guidance narrows the distance from the best latent to the worst, and who wins."""
    spans = [float(rows[end].max() / rows[end].min()) for end in ("unguided", "guided")]
    span = f"the worst gFID is {_times(spans[0])} the best without guidance, {_times(spans[1])} with it"
    best = [rows.loc[rows[end] == rows[end].min(), "canonical"].tolist() for end in ("unguided", "guided")]
    names = [words.joined(found) if len(found) <= 2 else f"{len(found)} latent spaces" for found in best]
    if best[0] == best[1]:
        wins = f"{names[0]} {_wins(best[0])} both"
    else:
        wins = f"{names[0]} {_wins(best[0])} without it, {names[1]} with it"
    return words.capital(f"{span}; {wins}")


def _wins(found: list[str]) -> str:
    return "wins" if len(found) == 1 else "tie"


def shifts(atlas: pandas.DataFrame, works: Mapping[str, Work], looks: Mapping[str, Look] | None = None) -> Embedded:
    """Which train shifts were used by channels per token; exempt from groups, since it compares no latents.

    `looks`: of `atlas.source_looks`, where figures share them; else those of the sources shown.
    """
    rows = statistics.shifts_used(atlas)
    rows = rows[(rows["channels_per_token"] > 0) & rows["trainshift"].notna()]
    columns = ["source", "canonical", "channels_per_token", "tokens", "trainshift", "density", "label"]
    rows = rows.drop_duplicates(columns, ignore_index=True)
    if rows.empty:
        return Markup("<p>No source states the shift of a latent space whose channels are known yet.</p>")
    figure = go.Figure(layout={"template": style.TEMPLATE, "height": 480})
    looks = looks or source_looks(rows["source"])
    keys = ["source", "canonical", "channels_per_token", "trainshift"]
    points = rows.drop_duplicates(keys, ignore_index=True)  # one for each latent of each source
    at = side_by_side(points["channels_per_token"], points["trainshift"], _by_source(points, looks))
    points = points.assign(x=[x for x, _ in at], y=[y for _, y in at])
    for source, part in points.groupby("source", sort=False):
        figure.add_trace(
            go.Scatter(
                x=part["x"].tolist(),
                y=part["y"].tolist(),
                mode="markers",
                name=short_title(str(source), works),
                marker={"color": looks[str(source)].colour, "symbol": looks[str(source)].symbol, "size": 9},
                text=[
                    f"{row.canonical}<br>{row.channels_per_token:,} channels per token, shift {shown(row.trainshift)}"
                    for row in each(part)
                ],
                customdata=[_key(row.source, row.canonical, row.trainshift) for row in each(part)],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    figure.update_xaxes(
        title="channels per token, log scale", type="log", tickvals=[4, 16, 64, 256, 1024], tickformat="~g"
    )
    figure.update_yaxes(
        title="train shift (above 1: more noise), log scale", type="log", tickvals=[0.5, 1, 2, 4, 8, 16]
    )
    figure.update_layout(showlegend=True, legend=style.LEGEND_BELOW)
    style.legend_of_many(figure, points["source"].nunique())
    title = finding_of_shifts(rows)
    alt = f"{title}. " + "; ".join(
        f"{row.canonical}, {row.channels_per_token} channels: {shown(row.trainshift)} ({row.source})"
        for row in each(rows.drop_duplicates(["source", "channels_per_token", "trainshift"]))
    )
    about = (
        "Train shifts that sources used or found best, in this project's convention; one point for each latent space "
        "of each source."
    )
    notes = f"{words.capital(statistics.EXEMPT)}. {BESIDE} {CHOOSE} {SOURCE}"
    lines = {
        _key(row.source, row.canonical, row.trainshift): [
            linked(row.canonical, profile_link(row.canonical)),
            f"{row.channels_per_token:,}",
            linked(shown(row.trainshift), address(row.source, row.repository, works)),
            f"{html.escape(short_title(row.source, works))}, {html.escape(row.place)}",
        ]
        for row in each(rows)
    }
    drawn = SiteFigure(figure, rows[columns], "shifts-used", alt, Words(title, about, notes))
    return with_sources(drawn, ("autoencoder", "channels per token", "train shift", "place in the source"), lines)


def _by_source(rows: pandas.DataFrame, looks: Mapping[str, Look]) -> list[tuple[int, str]]:
    """The order in which latents of one place stand: by source, then by name."""
    order = list(looks)
    return [(order.index(row.source), row.canonical) for row in each(rows)]


def finding_of_shifts(rows: pandas.DataFrame) -> str:
    """The range of shifts of narrow tokens and of wide ones."""
    channels, shift = rows["channels_per_token"], rows["trainshift"]
    narrow, wide = shift[channels <= 64], shift[channels > 256]
    if narrow.empty or wide.empty:
        return f"Train shifts of {_span(rows['trainshift'])} have been used"
    modes = wide.mode()  # one of several that are as frequent is none
    often = f", most often {shown(modes.iloc[0])}" if len(modes) == 1 and wide.nunique() > 1 else ""
    return (
        f"Sources train tokens of up to 64 channels with shifts of {_span(narrow)}, tokens of more than 256 channels "
        f"with {_span(wide)}{often}"
    )


def scales(atlas: pandas.DataFrame, works: Mapping[str, Work]) -> Embedded:
    """Which guidance scales were used by channels per token; exempt from groups, since it compares no latents."""
    rows = statistics.scales_used(with_sizes(statistics.primary(atlas)))
    rows = rows[rows["channels_per_token"] > 0]
    columns = ["source", "canonical", "family", "channels_per_token", "scale", "best", "label"]
    keys = columns[:-2]
    rows = rows.sort_values("best", ascending=False, kind="stable").drop_duplicates(keys, ignore_index=True)
    if rows.empty:
        return Markup("<p>No source states the guidance scale of a latent space whose channels are known yet.</p>")
    figure = go.Figure(layout={"template": style.TEMPLATE, "height": 480})
    families = list(FAMILY_LOOKS)
    order = [
        (families.index(row.family) if row.family in families else 0, not row.best, _key(*row)) for row in each(rows)
    ]
    at = side_by_side(rows["channels_per_token"], rows["scale"], order)
    points = rows.assign(x=[x for x, _ in at], y=[y for _, y in at])
    for family, drawn in FAMILY_LOOKS.items():
        part = points[points["family"] == family]
        if part.empty:
            continue
        hows = ["found best" if best else "used" for best in part["best"]]
        figure.add_trace(
            go.Scatter(
                x=part["x"].tolist(),
                y=part["y"].tolist(),
                mode="markers",
                name=drawn.label,
                marker={
                    "color": drawn.colour,
                    "symbol": [drawn.symbol if best else f"{drawn.symbol}-open" for best in part["best"]],
                    "size": 9,
                },
                text=[
                    f"{row.canonical}<br>{row.channels_per_token:,} channels per token, scale {shown(row.scale)}, {how}"
                    for row, how in zip(each(part), hows, strict=True)
                ],
                customdata=[_key(*once) for once in part[keys].itertuples(index=False)],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    limits = [style.padded([math.log10(value) for value in points[end]], 0.06) for end in ("x", "y")]
    ticks = {"type": "log", "tickformat": "~g"}
    figure.update_xaxes(
        title="channels per token, log scale", tickvals=[4, 16, 64, 256, 1024], range=limits[0], **ticks
    )
    figure.update_yaxes(title="guidance scale, log scale", tickvals=[1, 2, 4, 8, 16], range=limits[1], **ticks)
    figure.update_layout(showlegend=True, legend=style.LEGEND_BELOW, margin={"b": 90})
    name_outermost(figure, points["canonical"], points["x"], points["y"], [9.0] * len(points))
    title = finding_of_scales(rows, works)
    alt = f"{title}. " + "; ".join(
        f"{row.canonical}, {row.channels_per_token} channels: {shown(row.scale)} ({row.source})" for row in each(rows)
    )
    about = "Guidance scales that sources used (hollow), or found best among those that they tried (filled)."
    notes = f"{words.capital(statistics.EXEMPT)}. {BESIDE} {CHOOSE} {SOURCE}"
    lines = {
        _key(*(getattr(row, name) for name in keys)): [
            linked(row.canonical, profile_link(row.canonical)),
            f"{row.channels_per_token:,}",
            linked(shown(row.scale), address(row.source, row.repository, works)),
            "found best" if row.best else "used",
            f"{html.escape(short_title(row.source, works))}, {html.escape(row.place)}",
        ]
        for row in each(rows)
    }
    drawn_figure = SiteFigure(figure, rows[columns], "scales-used", alt, Words(title, about, notes))
    heads = ("autoencoder", "channels per token", "guidance scale", "how", "place in the source")
    return with_sources(drawn_figure, heads, lines)


def finding_of_scales(rows: pandas.DataFrame, works: Mapping[str, Work]) -> str:
    """The best scales of each family, in the source that searched for most of them: no source stands beside another."""
    best = rows[rows["best"].astype(bool)]
    counts = best.groupby("source").size().sort_values(ascending=False, kind="stable")
    if counts.empty or best[best["source"] == counts.index[0]]["family"].nunique() < 2:
        return f"Guidance scales of {_span(rows['scale'])} have been used"
    source = str(counts.index[0])
    spans = {str(family): part["scale"] for family, part in best[best["source"] == source].groupby("family")}
    first, *others = sorted(spans, key=lambda family: (-spans[family].median(), family))
    where = f"In {short_title(source, works)}, the best guidance scale of {look(first).label} latents is"
    told = words.joined([f"{look(family).label} ({_span(spans[family])})" for family in others])
    apart = spans[first].min() > max(spans[family].max() for family in others)
    return f"{where} {_span(spans[first])}, {'above' if apart else 'compared with'} {told}"


def reproducible(atlas: pandas.DataFrame) -> Embedded:
    """By how much figures differ that several sources state alike; exempt from groups, since it compares no latents."""
    rows = differences(atlas)
    if rows.empty:
        return Markup("<p>No two sources state the same protocol for one value yet.</p>")
    order = list(rows.groupby("quantity")["difference"].median().sort_values(ascending=False).index)
    figure = go.Figure(layout={"template": style.TEMPLATE, "height": 120 + 44 * len(order), "showlegend": False})
    for at, quantity in enumerate(order):
        part = rows[rows["quantity"] == quantity].sort_values("difference", kind="stable")
        figure.add_trace(
            go.Scatter(
                # a logarithmic axis has no 0: what agrees to the last digit stands at the left edge
                x=(100 * part["difference"]).clip(lower=_LEAST_PERCENT).tolist(),
                y=[at + 0.17 * (number % 3 - 1) for number in range(len(part))],  # neighbours do not cover one another
                mode="markers",
                name=quantity_label(quantity),
                marker={"color": FAMILY_LOOKS["kl"].colour, "size": 11, "opacity": 0.6},
                text=[
                    f"{row.canonical}: {shown(row.low)} to {shown(row.high)}<br>{percent(row.difference)}, "
                    f"{row.sources} sources"
                    for row in each(part)
                ],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    ticks = [value for value in (0.1, 1, 10, 100, 1000, 10000) if value <= 200 * max(1, rows["difference"].max())]
    texts = ["0", *[f"{value:g}" for value in ticks[1:]]]
    limits = [math.log10(_LEAST_PERCENT) - 0.15, math.log10(max(1, 100 * rows["difference"].max())) + 0.15]
    figure.update_xaxes(
        title="highest above lowest figure (%), log scale", type="log", tickvals=ticks, ticktext=texts, range=limits
    )
    names = {"tickvals": list(range(len(order))), "ticktext": [words.bare(quantity_label(name)) for name in order]}
    figure.update_yaxes(**names, range=[len(order) - 0.5, -0.5])
    title = finding_of_repeats(rows)
    alt = f"{title}. " + "; ".join(
        f"{quantity_label(row.quantity)} of {row.canonical}: {shown(row.low)} to {shown(row.high)}"
        for row in each(rows)
    )
    about = (
        "Each point is one quantity of one autoencoder, from two sources or more whose stated protocols do not differ."
    )
    notes = (
        f"{words.capital(statistics.EXEMPT)}. Left out: autoencoders whose checkpoint is not stated, and values that "
        f"one source quotes from another. LPIPS has variants, and few sources say which they use. {SOURCE}"
    )
    return SiteFigure(figure, rows, "reproducible", alt, Words(title, about, notes))


_LEAST_PERCENT = 0.1


def finding_of_repeats(rows: pandas.DataFrame) -> str:
    """By how much the same quantity differs between sources in the median, and which differs most and least."""
    by_quantity = rows.groupby("quantity")["difference"]
    medians = by_quantity.median()
    enough = by_quantity.size()
    medians = medians[enough >= 3] if (enough >= 3).any() else medians
    worst, best = str(medians.idxmax()), str(medians.idxmin())
    median = percent(rows["difference"].median(), signed=False)
    title = "The same quantity, with the same stated protocol, differs between sources by"
    if len(rows) == 1:
        return f"{title} {median}"
    if worst == best:
        return f"{title} {median} in the median"
    told = [f"{words.bare(quantity_label(name))} {_apart(medians[name])}" for name in (worst, best)]
    ends = [_ends(by_quantity.get_group(name)) for name in (worst, best)]
    return f"{title} {median} in the median: {told[0]} ({ends[0]}), {told[1]} ({ends[1]})"


def _ends(differences: pandas.Series) -> str:
    """From the least difference to the greatest, in the unit that the median has."""
    low, high = float(differences.min()), float(differences.max())
    if differences.median() < 1:
        return f"{100 * low:.0f} to {percent(high, signed=False)}"
    return f"{_factor(1 + low)} to {_factor(1 + high)}"


def _apart(difference: float) -> str:
    """How far two figures are apart, as a reader says it: 'by 8 %', 'by a factor of 11'."""
    return f"by {percent(difference, signed=False)}" if difference < 1 else f"by a factor of {_factor(1 + difference)}"


def _span(values: pandas.Series) -> str:
    low, high = shown(values.min()), shown(values.max())
    return low if low == high else f"{low} to {high}"


def _times(ratio: float) -> str:
    return f"{_factor(ratio)} times"


def _factor(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"
