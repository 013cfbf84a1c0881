"""Forest plots: one correlation a protocol group, with its interval; what points one way, the other way, or neither."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import pandas
import plotly.graph_objects as go

from lrcore.errors import LrcoreError
from lrcore.figures import style, words
from lrcore.figures.atlas import (
    PAGE,
    Look,
    better,
    each,
    linked,
    quantity_label,
    source_looks,
)
from lrcore.figures.embed import Embedded, Markup
from lrcore.figures.site_figure import SiteFigure, Words
from lrcore.figures.switch import Switch
from lrcore.records.atlas_sources import Group
from lrcore.records.atlas_vocabulary import HIGHER, LOWER
from lrcore.results import atlas as statistics
from lrcore.results import correlations, numbers
from lrcore.results.numbers import aligned

_ROW = 44
"""Pixels of a row: its text and its interval."""

_LONGEST = 46
"""Characters of a row's text that a phone has room for; the table has it whole."""

_LIMITS = [-1.05, 1.05]
SUBTITLE = (
    f"Pearson correlation over the latent spaces of each protocol group, with its {100 * correlations.LEVEL:.0f} % "
    f"bootstrap interval. Groups with fewer than {correlations.LEAST} latent spaces are left out."
)
NOTES = (
    "Filled: the group counts. Hollow: it does not, because a group above already has most of its latent spaces. "
    "No correlation pools groups. The bootstrap draws families of autoencoders, then latent spaces. Source: data/atlas."
)


def computed(
    atlas: pandas.DataFrame, groups: Mapping[str, Group], quantities: Sequence[str], y: str = "gfid"
) -> dict[str, pandas.DataFrame]:
    """`results.atlas.forest` of each of `quantities` that a group has, by quantity.

    Raises:
        LrcoreError: unknown quantity.
    """
    found = {x: statistics.forest(atlas, groups, x, y) for x in quantities}
    return {x: rows for x, rows in found.items() if not rows.empty}


def forests(
    rows: Mapping[str, pandas.DataFrame],
    quantities: Sequence[str],
    y: str = "gfid",
    looks: Mapping[str, Look] | None = None,
) -> Embedded:
    """The forest plot of each of `quantities` and its groups, of `computed`, behind a switch; a word of none.

    `looks`: of `atlas.source_looks`, where figures share them; else those of the sources of `rows`.
    """
    looks = looks or _looks(rows)
    choices = {
        words.bare(quantity_label(x)): Markup(forest(rows[x], x, y, looks).markup + group_table(rows[x], x, y).markup)
        for x in quantities
        if x in rows
    }
    if not choices:
        return Markup(f"<p>No protocol group has {correlations.LEAST} latent spaces with both quantities yet.</p>")
    return Switch(choices, "Quantity")


def _looks(rows: Mapping[str, pandas.DataFrame]) -> dict[str, Look]:
    return source_looks(source for part in rows.values() for source in part["source"])


def forest(rows: pandas.DataFrame, x: str, y: str, looks: Mapping[str, Look] | None = None) -> SiteFigure:
    """The forest plot of rows of `results.atlas.forest`; `looks` as of `forests`.

    Raises:
        LrcoreError: no rows.
    """
    if rows.empty:
        raise LrcoreError(f"no rows: no group has {correlations.LEAST} latents with {x} and {y}")
    figure = go.Figure(layout={"template": style.TEMPLATE, "height": 90 + _ROW * len(rows), "showlegend": False})
    looks = looks or _looks({x: rows})
    for at, row in enumerate(each(rows)):
        figure.add_trace(_interval(row, at, looks[row.source]))
    figure.update_xaxes(
        title=f"correlation with the {quantity_label(y)}", range=_LIMITS, tickvals=[-1, -0.5, 0, 0.5, 1]
    )
    figure.update_yaxes(range=[len(rows) - 0.5, -0.75], showticklabels=False, showgrid=False)
    figure.add_vline(x=0)
    for at, row in enumerate(each(rows)):
        text = textwrap.shorten(f"n = {row.n}: {row.label}", _LONGEST, placeholder="…")
        figure.add_annotation(  # on the page's colour: no line of the grid goes through it
            x=-1, y=at - 0.32, text=text, xanchor="left", showarrow=False, font_size=11, borderpad=0, **style.ON_PAGE
        )
    figure.update_layout(margin={"l": 10})
    alt = f"{finding(rows, x, y)}. " + "; ".join(
        f"{row.label}: {_with_interval(row)}, {row.n} latents" for row in each(rows)
    )
    return SiteFigure(figure, rows, figure_name(x, y), alt, Words(finding(rows, x, y), SUBTITLE, NOTES))


def figure_name(x: str, y: str) -> str:
    """The name of the forest plot of two quantities."""
    return re.sub("[^a-z0-9]+", "-", f"forest-{x}-{y}")


def finding(rows: pandas.DataFrame, x: str, y: str) -> str:
    """What a forest says: in how many of the groups that count `y` is better, or worse, where `x` is better.

    Of quantities without a better end, such as sizes, where they are higher.
    """
    told = [outcome(row, x, y) for row in each(rows[rows["counted"]])]
    second = words.bare(quantity_label(y))
    if not told:
        return f"The {second} and {_the(x)}: no group that counts"
    ways = sorted({way for way in told if way != UNCLEAR}, key=lambda way: (-told.count(way), way))
    if not ways:
        if len(told) == 1:
            return f"The {second} shows no clear link to {_the(x)} in the one group that counts"
        return f"The {second} shows a clear link to {_the(x)} in {numbers.part(0, len(told), 'group')}"
    where = f"The {second} is {ways[0]} where {where_more(x)}"
    if told.count(ways[0]) == len(told):
        return (
            f"{where} in {numbers.part(len(told), len(told), 'group')} that {'counts' if len(told) == 1 else 'count'}"
        )
    said = f"{where} in {told.count(ways[0])} of {len(told)} groups"
    said += f" and {ways[1]} in {told.count(ways[1])}" if len(ways) > 1 else ""
    rest = told.count(UNCLEAR)
    return said + (f"; the other {f'{rest} are' if rest > 1 else 'is'} unclear" if rest else "")


UNCLEAR = "unclear"


def outcome(row: Any, x: str, y: str) -> str:
    """What a row of `results.atlas.forest` says of `y` where `x` is better, or higher where it has no better end:
    'better' or 'worse' ('higher' or 'lower' where `y` has none), or `UNCLEAR` where the interval holds 0.
    """
    way = direction(row)
    if way == UNCLEAR:
        return UNCLEAR
    higher = (way == "rises") == (better(x) != LOWER)
    if not better(x) or not better(y):
        return "higher" if higher else "lower"
    return "better" if higher == (better(y) == HIGHER) else "worse"


def where_more(x: str) -> str:
    """'the rFID is better', 'there are more channels per token'."""
    if x in _COUNTED:
        return f"there are more {quantity_label(x)}"
    return f"{_the(x)} is {'better' if better(x) else 'higher'}"


_COUNTED = ("channels", "tokens", "channels_per_token", "parameters")


def _the(x: str) -> str:
    return words.bare(quantity_label(x)) if x in _COUNTED else f"the {words.bare(quantity_label(x))}"


def direction(row: Any) -> str:
    """Whether the interval of a row of `results.atlas.forest` is above 0 ('rises'), below ('falls') or 'unclear'."""
    return "rises" if row.low > 0 else "falls" if row.high < 0 else "unclear"


def group_table(rows: pandas.DataFrame, x: str, y: str) -> Markup:
    """The groups of a forest with their caveats; each leads to its scatter."""
    lines = [
        f"<tr><td>{linked(row.label, group_link(row.group, x, y))}</td><td>{row.n}</td><td>{_with_interval(row)}</td>"
        f"<td>{outcome(row, x, y)}</td><td>{'yes' if row.counted else f'no: {row.unshared} new'}</td>"
        f"<td>{html.escape(row.caveat)}</td></tr>"
        for row in each(rows)
    ]
    where = f"{words.bare(quantity_label(y))} where {where_more(x)}"
    heads = "".join(f"<th>{head}</th>" for head in ("group", "latent spaces", "correlation", where, "counts", "caveat"))
    said = f"Groups with {quantity_label(x)} and {quantity_label(y)}"
    return table_of(f"{figure_name(x, y)}-groups", heads, lines, said)


def table_of(name: str, heads: str, lines: Sequence[str], said: str) -> Markup:
    """A plain table of the HTML of its cells; `name` is unique on its page, `said` is for screen readers."""
    return Markup(
        f'<div class="lrcore-table" id="table-{name}"><div class="lrcore-table-scroll" tabindex="0" role="group" '
        f'aria-label="{html.escape(said)}"><table data-quarto-disable-processing="true" class="dataframe" '
        f'aria-label="{html.escape(said)}"><thead><tr>{heads}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
        "</div></div>"
    )


def group_link(group: str, x: str, y: str) -> str:
    """The scatter of a group on the page of the atlas."""
    return f"{PAGE}?group={group}&x={x}&y={y}#sec-scatter"


def predictors(
    rows: Mapping[str, pandas.DataFrame], y: str = "gfid", looks: Mapping[str, Look] | None = None
) -> Embedded:
    """Every predictor of `computed` in every group that counts for it; a word where no group does.

    `looks` as of `forests`.
    """
    if not rows:
        return Markup(f"<p>No protocol group has {correlations.LEAST} latent spaces with a predictor yet.</p>")
    return predictor_figure(counted(rows), y, looks or _looks(rows))


def counted(rows: Mapping[str, pandas.DataFrame]) -> pandas.DataFrame:
    """The groups that count of every predictor of `computed`, one below the other; column `predictor`."""
    joined = pandas.concat([part.assign(predictor=x) for x, part in rows.items()], ignore_index=True)
    return joined[joined["counted"].astype(bool)].reset_index(drop=True)


def predictor_figure(rows: pandas.DataFrame, y: str, looks: Mapping[str, Look]) -> SiteFigure:
    """A row a predictor (column `predictor`) and a mark each of its groups, of rows of `results.atlas.forest`."""
    order = list(dict.fromkeys(rows.sort_values("value", key=abs, ascending=False)["predictor"]))
    figure = go.Figure(layout={"template": style.TEMPLATE, "height": 120 + 40 * len(order)})
    labels = rows.drop_duplicates("source").set_index("source")["label"]
    steps = rows.groupby("predictor").cumcount() - (rows.groupby("predictor")["group"].transform("size") - 1) / 2
    for source, part in rows.assign(step=0.22 * steps).groupby("source", sort=False):
        at = [order.index(predictor) + step for predictor, step in zip(part["predictor"], part["step"], strict=True)]
        figure.add_trace(
            go.Scatter(
                x=part["value"].tolist(),
                y=at,
                name=str(labels[source]).split(",")[0],
                mode="markers",
                marker={"color": looks[str(source)].colour, "symbol": looks[str(source)].symbol, "size": 9},
                error_x=_error(part),
                text=[
                    f"{quantity_label(row.predictor)}, {row.label}<br>{_with_interval(row)}, n = {row.n}"
                    for row in each(part)
                ],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    figure.update_xaxes(title=f"correlation with the {quantity_label(y)}", range=_LIMITS)
    ticks = {"tickvals": list(range(len(order))), "ticktext": [quantity_label(name) for name in order]}
    figure.update_yaxes(range=[len(order) - 0.5, -0.5], **ticks, showgrid=False)
    figure.add_vline(x=0)
    figure.update_layout(legend=style.LEGEND_BELOW, showlegend=True, margin={"b": 90})
    title = transfer(rows, y)
    alt = f"{title}. " + "; ".join(
        f"{quantity_label(row.predictor)} in {row.label}: {_with_interval(row)}" for row in each(rows)
    )
    return SiteFigure(
        figure,
        rows,
        f"predictors-{y}",
        alt,
        Words(title, SUBTITLE, "Only groups that count are shown. Source: data/atlas."),
    )


def transferring(rows: pandas.DataFrame) -> dict[str, list[str]]:
    """Predictors by what is known of them: 'clear' where every group points clearly the same way, in two sources or
    more; 'one source' where only one has groups of them; 'not' where groups differ or an interval holds 0."""
    found: dict[str, list[str]] = {"clear": [], "one source": [], "not": []}
    for name, part in rows.groupby("predictor", sort=False):
        ways = {direction(row) for row in each(part)}
        if part["source"].nunique() == 1:
            found["one source"].append(str(name))
        else:
            found["not" if "unclear" in ways or len(ways) > 1 else "clear"].append(str(name))
    return found


def transfer(rows: pandas.DataFrame, y: str) -> str:
    """The finding of `predictor_figure`."""
    found = transferring(rows)
    of = len(set(rows["predictor"]))
    single = len(found["one source"])
    alone = (
        f"{numbers.part(single, of, 'predictor')} {'rests' if single == 1 or of == 1 else 'rest'} on one source alone"
    )
    names = [words.bare(quantity_label(name)) for name in found["clear"]]
    ways = {outcome(row, row.predictor, y) for row in each(rows[rows["predictor"].isin(found["clear"])])}
    which = (
        {"better": ", the right one,", "worse": ", the wrong one,"}.get(next(iter(ways)), "") if len(ways) == 1 else ""
    )
    said = (
        f"only {words.joined(names)} clearly {'points' if len(names) == 1 else 'point'} the same way{which}"
        if names
        else ""
    )
    every = "in every group, over two sources or more"
    return words.capital(f"{said or 'no predictor clearly points the same way'} {every}; {alone}")


def _interval(row: Any, at: int, drawn: Look) -> go.Scatter:
    part = pandas.DataFrame([row])
    label = part["label"].iloc[0]
    counted = bool(part["counted"].iloc[0])
    return go.Scatter(
        x=part["value"].tolist(),
        y=[at],
        name=label,
        mode="markers",
        marker={
            "color": drawn.colour,
            "size": 11,
            "symbol": drawn.symbol if counted else f"{drawn.symbol}-open",
            "line": {"width": 2},
        },
        error_x=_error(part),
        text=[f"{label}<br>{_with_interval(part.iloc[0])}, n = {part['n'].iloc[0]}"],
        hovertemplate="%{text}<extra></extra>",
    )


def _error(part: pandas.DataFrame) -> dict[str, object]:
    """Ends of the intervals; the percentile interval of few latents may lie beside the value itself."""
    up = (part["high"] - part["value"]).clip(lower=0)
    down = (part["value"] - part["low"]).clip(lower=0)
    return {"type": "data", "array": up.tolist(), "arrayminus": down.tolist(), "thickness": 1.5, "width": 4}


def _with_interval(row: Any) -> str:
    value, low, high = row.value, row.low, row.high
    return f"{aligned(value)} [{aligned(low)} to {aligned(high)}]"
