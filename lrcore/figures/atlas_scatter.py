"""Two quantities of one protocol group against each other, of the group and quantities that a reader chooses.

`site/atlas.js` draws what is chosen, from the points of all groups, which the page fetches then; what is shown first
is drawn here, also for readers without scripts.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import pandas
import plotly.graph_objects as go

from lrcore.errors import LrcoreError, unknown
from lrcore.figures import labels, style, words
from lrcore.figures.atlas import (
    FAMILY_LOOKS,
    PAGE,
    Work,
    address,
    axis_title,
    better,
    each,
    linked,
    numbers_of,
    quantity_label,
)
from lrcore.figures.atlas_forest import table_of
from lrcore.figures.embed import Embedded, Markup, script_json, without_scripts
from lrcore.figures.fetched import apart
from lrcore.figures.site_figure import SiteFigure, Words
from lrcore.records.atlas_sources import Group
from lrcore.records.atlas_vocabulary import HIGHER, LOWER
from lrcore.results import atlas as statistics
from lrcore.results import numbers
from lrcore.results.numbers import shown

NAME = "atlas-scatter"
SIZES = ("channels_per_token", "tokens", "parameters")
FEWEST = 3
"""A quantity of fewer latents of a group is not offered."""

NOTES = (
    "Colour shows the family of an autoencoder, size how many numbers one of its latents holds (hollow: not stated). "
    "Choose a point to see where its values come from. Source: data/atlas."
)
_LOG = 8
"""An axis whose values span this ratio is logarithmic."""

# What only this page has is not in the style sheet of all.


def points(
    atlas: pandas.DataFrame, groups: Mapping[str, Group], works: Mapping[str, Work], group: str
) -> pandas.DataFrame:
    """What the latents of a group have: columns canonical, family, numbers, quantity, value, place, url.

    `numbers` is how many a latent holds, 0 where that is not stated. A latent with two values of one quantity has none.

    Raises:
        LrcoreError: unknown group.
    """
    rows = statistics.of_group(atlas, groups, group)
    rows = rows[(rows["canonical"] != "") & (rows["quantity"] != "")]
    sizes = [rows[rows[size] > 0].assign(quantity=size, value=rows[size].astype(float)) for size in SIZES]
    held = rows.assign(numbers=numbers_of(rows)).groupby("canonical")["numbers"].max()
    rows = pandas.concat([rows, *sizes], ignore_index=True)
    once = rows.groupby(["canonical", "quantity"])["value"].transform("nunique") == 1
    rows = rows[once].drop_duplicates(["canonical", "quantity"])
    urls = [address(source, repository, works) for source, repository in zip(rows.source, rows.repository, strict=True)]
    rows = rows.assign(numbers=rows["canonical"].map(held).fillna(0).astype(int), url=urls)
    columns = ["canonical", "family", "numbers", "quantity", "value", "place", "url"]
    return rows[columns].reset_index(drop=True)


def explorer(
    atlas: pandas.DataFrame, groups: Mapping[str, Group], works: Mapping[str, Work], x: str = "rfid", y: str = "gfid"
) -> Embedded:
    """The scatter, what chooses its group and quantities, and its points as a table; a word where no group has two."""
    every = {name: points(atlas, groups, works, name) for name in groups}
    every = {name: found for name, found in every.items() if len(offered(found)) >= 2}
    if not every:
        return Markup("<p>No protocol group has two quantities yet.</p>")
    first = max(every, key=lambda name: len(wide(every[name], x, y)))
    x, y = _ends(offered(every[first]), x, y)
    figure = scatter(every[first], groups[first], x, y)
    table = point_table(wide(every[first], x, y), x, y)
    spec = f'<script type="application/json" class="lrcore-spec">{script_json(_spec(every, groups))}</script>'
    there = set(groups) & set(atlas["group"])
    said = (
        f"You can choose {numbers.part(len(every), len(there), 'protocol group')}: a choice needs two quantities that "
        f"vary over {FEWEST} latent spaces or more."
    )
    return Markup(
        f'<div id="atlas-scatter-choice" data-figure="figure-{NAME}" data-points="atlas-points">'
        f'<p class="lrcore-note">{said}</p>'
        f"{_controls(every, groups, first, x, y)}{apart(spec)}</div>{figure.markup}"
        f'<p id="atlas-picked" class="lrcore-note" aria-live="polite">&nbsp;</p>'
        f'<div id="atlas-points">{table.markup}</div>'
    )


def offered(found: pandas.DataFrame) -> list[str]:
    """The quantities that `FEWEST` latents of `points` have and that are not the same for all; sizes last.

    Those that most latents have stand first.
    """
    told = found.groupby("quantity", sort=False).agg(latents=("canonical", "nunique"), values=("value", "nunique"))
    told = told[(told["latents"] >= FEWEST) & (told["values"] > 1)]
    names = [str(name) for name in told.sort_values("latents", ascending=False, kind="stable").index]
    return [name for name in names if name not in SIZES] + [name for name in names if name in SIZES]


def _ends(quantities: Sequence[str], x: str, y: str) -> tuple[str, str]:
    """The quantities that are shown of those offered: `x` and `y` where they are there, else the first others."""
    y = y if y in quantities else next(name for name in quantities if name != x)
    return (x if x in quantities else next(name for name in quantities if name != y)), y


def wide(found: pandas.DataFrame, x: str, y: str) -> pandas.DataFrame:
    """A row a latent of `points` that has both: canonical, family, numbers, x, y, and place and url of either."""
    ends = [found[found["quantity"] == name].set_index("canonical") for name in (x, y)]
    both = ends[0].index.intersection(ends[1].index, sort=False)
    first, second = (end.loc[both] for end in ends)
    told = {
        "canonical": both,
        "family": first["family"].to_numpy(),
        "numbers": first["numbers"].to_numpy(),
        "x": first["value"].to_numpy(float),
        "y": second["value"].to_numpy(float),
    }
    for name, end in (("x", first), ("y", second)):
        told |= {f"{name}_place": end["place"].to_numpy(), f"{name}_url": end["url"].to_numpy()}
    return pandas.DataFrame(told)


PAD = 0.08
"""Of an axis' span, what is free at either end."""


def scatter(
    found: pandas.DataFrame,
    group: Group,
    x: str,
    y: str,
    known: Mapping[str, str] = MappingProxyType({}),
    pad: float = PAD,
) -> SiteFigure:
    """`y` against `x` over the latents of a group; `known`: see `name_outermost`; `pad`: see `PAD`.

    Raises:
        LrcoreError: a quantity that no latent has, or no latent has both.
    """
    for quantity in (x, y):
        if quantity not in set(found["quantity"]):
            raise unknown("quantity", quantity, sorted(set(found["quantity"])))
    rows = wide(found, x, y)
    if rows.empty:
        raise LrcoreError(f"no rows: no latent of group '{group.group}' has both {x} and {y}")
    figure = go.Figure(layout={"template": style.TEMPLATE, "height": 520})
    for family, drawn in FAMILY_LOOKS.items():
        part = rows[rows["family"] == family]
        if part.empty:
            continue
        marker = {
            "color": drawn.colour,
            "symbol": [drawn.symbol if numbers else f"{drawn.symbol}-open" for numbers in part["numbers"]],
            "size": [diameter(int(numbers)) for numbers in part["numbers"]],
            "opacity": 0.8,
        }
        names = quantity_label(x), quantity_label(y)
        text = [
            f"{row.canonical}<br>{names[0]} {shown(row.x)}, {names[1]} {shown(row.y)}<br>{row.y_place}"
            for row in each(part)
        ]
        figure.add_trace(
            go.Scatter(
                x=part["x"].tolist(),
                y=part["y"].tolist(),
                mode="markers",
                name=drawn.label,
                marker=marker,
                text=text,
                customdata=part["canonical"].tolist(),
                hovertemplate="%{text}<extra></extra>",
            )
        )
    for update, name, end in ((figure.update_xaxes, x, "x"), (figure.update_yaxes, y, "y")):
        drawn_axis = axis(rows[end], pad)
        update(title_text=axis_title(name, drawn_axis["type"] == "log"), **drawn_axis)
    figure.update_layout(showlegend=True, legend=style.LEGEND_BELOW, margin={"b": 100})
    sizes = [diameter(int(numbers)) for numbers in rows["numbers"]]
    name_outermost(figure, rows["canonical"], rows["x"], rows["y"], sizes, better(x), better(y), known)
    title = finding(rows, x, y)
    alt = f"{title} {len(rows)} latent spaces of {group.label}; the table below has them all."
    return SiteFigure(figure, rows, NAME, alt, Words(title, about(group), NOTES))


def about(group: Group) -> str:
    """What a group is, and what to know before believing it."""
    return f"{group.label}. {words.capital(group.caveat)}."


def finding(rows: pandas.DataFrame, x: str, y: str) -> str:
    """Which latents are best; of two quantities without a better end, such as sizes, what is drawn."""
    ends = ((y, "y"), (x, "x")) if x != y else ((y, "y"),)
    said = []
    for name, end in ends:
        if way := better(name):
            best = rows[end].min() if way == LOWER else rows[end].max()
            found = rows.loc[rows[end] == best, "canonical"].tolist()
            names = words.joined(found) if len(found) < 3 else f"{len(found)} latent spaces"
            have = "has" if len(found) == 1 else "have"
            said.append(f"{names} {have} the best {quantity_label(name)}: {shown(best)}.")
    return (
        " ".join(said) or f"{words.capital(quantity_label(y))} against {quantity_label(x)}, {len(rows)} latent spaces."
    )


def name_outermost(
    figure: go.Figure,
    names: Iterable[str],
    x: Iterable[float],
    y: Iterable[float],
    sizes: Iterable[float],
    better_x: str = "",
    better_y: str = "",
    known: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """The names of the best points and of the outermost ones beside them, of those that have room.

    Points in `known` come before them, by the short name that it has for theirs.

    For figures with ranges of both axes (of their logarithms, on such axes). `sizes`: diameters in pixels; `better_x`
    and `better_y`: which end is better, if either.
    """
    layout = figure.layout
    names = list(names)
    shares = [_shares(values, one) for values, one in ((x, layout.xaxis), (y, layout.yaxis))]
    told = [known.get(name, name) for name in names]
    marks = [labels.Name(a, b, [name], size) for a, b, name, size in zip(*shares, told, sizes, strict=True)]
    ends = [(1, better_y), (0, better_x), (1, HIGHER), (0, HIGHER), (1, LOWER), (0, LOWER)]
    found = [(min if way == LOWER else max)(range(len(marks)), key=shares[of].__getitem__) for of, way in ends if way]
    first = [at for at, name in enumerate(names) if name in known]
    chosen = [marks[at] for at in dict.fromkeys([*first, *found])]
    places = labels.roomy(chosen, marks)
    kept = [(name, place) for name, place in zip(chosen, places, strict=True) if place]
    labels.name_points(figure, [name for name, _ in kept], [place for _, place in kept])


def _shares(values: Iterable[float], of: go.layout.XAxis | go.layout.YAxis) -> list[float]:
    """Where values lie on an axis with a range, from 0 at its lower end to 1."""
    low, high = map(float, of.range)
    return [((math.log10(value) if of.type == "log" else value) - low) / (high - low) for value in values]


def diameter(numbers: int) -> float:
    """Pixels of a latent that holds so many numbers: 4 more for each factor of four."""
    return round(min(28.0, max(7.0, 9 + 2 * math.log2(numbers / 1024))), 1) if numbers else 9.0


def axis(values: Sequence[float] | pandas.Series, pad: float = PAD) -> dict[str, Any]:
    """A linear axis; a logarithmic one, with ticks at 1, 2 and 5, where all are above 0 and span a wide ratio."""
    if min(values) > 0 and max(values) / min(values) >= _LOG:
        limits = style.padded([math.log10(value) for value in values], pad)
        return {"type": "log", "dtick": "D2", "tickformat": "~g", "range": limits}
    return {"type": "linear", "range": style.padded(values, pad)}


def point_table(rows: pandas.DataFrame, x: str, y: str) -> Markup:
    """The points with links to where their figures stand, and to the profile of each autoencoder."""
    heads = "".join(
        f"<th>{html.escape(head)}</th>"
        for head in ("autoencoder", "family", "numbers", quantity_label(x), quantity_label(y), "place in the source")
    )
    lines = [
        f'<tr><td><a href="{profile_link(row.canonical)}">{html.escape(row.canonical)}</a></td>'
        f"<td>{html.escape(FAMILY_LOOKS[row.family].label if row.family in FAMILY_LOOKS else '')}</td>"
        f"<td>{f'{row.numbers:,}' if row.numbers else '–'}</td>"
        f"<td>{linked(shown(row.x), row.x_url)}</td><td>{linked(shown(row.y), row.y_url)}</td>"
        f"<td>{html.escape(row.y_place)}</td></tr>"
        for row in each(rows.sort_values("y", kind="stable"))
    ]
    return table_of("atlas-points", heads, lines, "Latent spaces of the scatter")


def profile_link(canonical: str) -> str:
    """The profile of an autoencoder, on the page of the atlas."""
    return f"{PAGE}?autoencoder={quote(canonical, safe='')}#sec-profile"


def _controls(every: Mapping[str, pandas.DataFrame], groups: Mapping[str, Group], first: str, x: str, y: str) -> str:
    choices = {"group": [(name, groups[name].label) for name in every]}
    for axis in ("x", "y"):
        choices[axis] = [(name, quantity_label(name)) for name in offered(every[first])]
    selected = {"group": first, "x": x, "y": y}
    titles = {"group": "Protocol group", "x": "Horizontal axis", "y": "Vertical axis"}
    fields = "".join(
        f'<label>{titles[field]} <select data-choice="{field}">{options(found, selected[field])}</select></label>'
        for field, found in choices.items()
    )
    # scripts make them visible: without those they would do nothing
    without = without_scripts("With scripts, you choose the group and its quantities here.")
    return f'<p class="lrcore-atlas-controls" style="visibility:hidden">{fields}</p>{without}'


def options(choices: Sequence[tuple[str, str]], selected: str = "") -> str:
    """HTML of the options of a select: pairs of a value and its text."""
    return "".join(
        f'<option value="{html.escape(value)}"{" selected" if value == selected else ""}>{html.escape(text)}</option>'
        for value, text in choices
    )


def _spec(every: Mapping[str, pandas.DataFrame], groups: Mapping[str, Group]) -> dict[str, object]:
    """The points of all groups, with each text once."""
    texts: dict[str, int] = {}

    def number(text: str) -> int:
        return texts.setdefault(text, len(texts))

    told = []
    for name, found in every.items():
        latents = []
        for canonical, part in found.groupby("canonical", sort=False):
            values = {
                row.quantity: [row.value, shown(row.value), number(row.place), number(row.url)] for row in each(part)
            }
            first = part.iloc[0]
            latents.append([canonical, first["family"], int(first["numbers"]), diameter(int(first["numbers"])), values])
        group = groups[name]
        told.append({"group": name, "about": about(group), "quantities": offered(found), "latents": latents})
    names = dict.fromkeys(quantity for found in every.values() for quantity in found["quantity"])
    return {
        "groups": told,
        "texts": list(texts),
        "labels": {name: quantity_label(name) for name in names},
        "better": {name: better(name) for name in names},
        "room": labels.room(),
        "pad": PAD,
        "families": {name: [look.label, look.colour, look.symbol] for name, look in FAMILY_LOOKS.items()},
        "log": _LOG,
        "page": PAGE,
    }
