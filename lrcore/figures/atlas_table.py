"""Everything the atlas holds: a table that a page fetches when asked, and the profile of one autoencoder."""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas

from lrcore.figures import words
from lrcore.figures.atlas import (
    Work,
    address,
    each,
    linked,
    look,
    numbers_of,
    predictor_label,
    quantity_label,
    short_title,
)
from lrcore.figures.atlas_scatter import options
from lrcore.figures.embed import Embedded, Markup, csv_link, script_json, without_scripts
from lrcore.figures.fetched import apart
from lrcore.figures.site_table import table_options
from lrcore.records.atlas_vocabulary import BOUNDS, GUIDANCE, KINDS, QUANTITIES
from lrcore.results.atlas import IMAGENET
from lrcore.results.atlas_repeats import stated_alike
from lrcore.results.numbers import shown

NAME = "atlas"
_PARTS = re.compile("((?:<(?!a )[^>]*>)+|<a [^>]*>)")
"""Where the HTML of profiles is cut: runs of tags, which repeat, and links, many of which do."""

_FILTERS = ("quantity", "family", "source")


def everything(atlas: pandas.DataFrame, works: Mapping[str, Work]) -> Embedded:
    """All figures as a table that is fetched when asked for, with filters, and as a file; a word of none."""
    if atlas.empty:
        return Markup("<p>The atlas has no rows yet.</p>")
    frame = table_frame(atlas, works)
    spec = f'<script type="application/json" class="lrcore-spec">{script_json(packed(table_options(frame)))}</script>'
    heads = "".join(f"<th>{html.escape(name)}</th>" for name in frame.columns)
    selects = "".join(
        f'<label>{name.capitalize()} <select data-column="{frame.columns.get_loc(name)}"><option value="">all</option>'
        f"{_by_kind(atlas) if name == 'quantity' else _sorted_options(frame[name])}</select></label>"
        for name in _FILTERS
    )
    said = f"All {len(frame):,} values of the atlas"
    return Markup(
        f'<div id="atlas-table" data-urls="{frame.columns.get_loc("address")}" '
        f'data-source="{frame.columns.get_loc("source")}">'
        f'<p class="lrcore-atlas-controls" style="visibility:hidden"><button type="button">'
        f"Show all {len(frame):,} values</button><span hidden>{selects}</span></p>"
        f"{without_scripts('With scripts, you can search all values here; the download has them all.')}"
        f'<div hidden class="lrcore-table-scroll"><table data-quarto-disable-processing="true" aria-label="{said}">'
        f"<thead><tr>{heads}</tr></thead><tbody></tbody></table></div>"
        f"{apart(spec)}{apart(csv_link(with_addresses(atlas, works), NAME))}</div>"
    )


def _sorted_options(texts: Iterable[str]) -> str:
    return options([(text, text) for text in sorted(set(texts) - {""}, key=str.lower)])


def _by_kind(atlas: pandas.DataFrame) -> str:
    """HTML of the options of the quantities of the atlas, under what they are measured of."""
    ends = set(zip(atlas["quantity"], atlas["predictor"], strict=True))
    groups = []
    for kind, of_kind in KINDS.items():
        if texts := [named(quantity, predictor) for quantity, predictor in ends if quantity in of_kind]:
            groups.append(f'<optgroup label="{words.capital(kind)}">{_sorted_options(texts)}</optgroup>')
    rest = [named(quantity, predictor) for quantity, predictor in ends if quantity not in QUANTITIES]
    return "".join(groups) + _sorted_options(rest)


def named(quantity: str, predictor: str) -> str:
    """A quantity, and what it is of where it is a correlation."""
    return quantity_label(quantity) + (f", of {predictor_label(predictor)}" if predictor else "")


def packed(options: Mapping[str, Any]) -> dict[str, Any]:
    """`table_options` with the cells by column, each a number of its text in `texts`: a fifth of the size.

    `site/atlas.js` puts `data_json` together again.
    """
    rows = json.loads(options["data_json"])
    texts, columns = _numbered([list(column) for column in zip(*rows, strict=True)])
    rest = {name: value for name, value in options.items() if name != "data_json"}
    return {**rest, "texts": texts, "columns": columns}


def _numbered(lists: Sequence[Sequence[str]]) -> tuple[list[str], list[list[int]]]:
    """The distinct texts of lists, and the lists with the number of each instead: frequent texts have short numbers."""
    texts = [text for text, _ in Counter(text for part in lists for text in part).most_common()]
    numbers = {text: number for number, text in enumerate(texts)}
    return texts, [[numbers[text] for text in part] for part in lists]


def table_frame(atlas: pandas.DataFrame, works: Mapping[str, Work]) -> pandas.DataFrame:
    """The rows as a reader wants them: a column a thing that is stated, '' where it is not; `address` leads there."""
    return pandas.DataFrame(
        {
            "autoencoder": atlas["canonical"].where(atlas["canonical"] != "", atlas["autoencoder"]),
            "quantity": [
                named(name, predictor) for name, predictor in zip(atlas["quantity"], atlas["predictor"], strict=True)
            ],
            "value": [f"{value:.10g}" for value in atlas["value"]],
            "source": [short_title(source, works) for source in atlas["source"]],
            "place": atlas["place"],
            "family": [look(family).label if family else "" for family in atlas["family"]],
            "numbers per latent": [f"{count:,}" if count else "" for count in numbers_of(atlas)],
            "protocol": [protocol(row) for row in each(atlas)],
            "remarks": [remarks(row, works) for row in each(atlas)],
            "address": with_addresses(atlas, works)["address"],
        }
    )


def with_addresses(atlas: pandas.DataFrame, works: Mapping[str, Work]) -> pandas.DataFrame:
    """The rows with a column `address`, where each can be checked."""
    ends = zip(atlas["source"], atlas["repository"], strict=True)
    return atlas.assign(address=[address(source, repository, works) for source, repository in ends])


def protocol(row: Any) -> str:
    """What a row states of how it was measured, as one line."""
    told = row._asdict()
    size = f"{told['dataset']} {told['resolution'] or ''}".strip()
    epochs = told["images_seen"] / IMAGENET
    scale = f" {told['guidance_scale']:g}" if told["guidance_scale"] == told["guidance_scale"] else ""
    shifts = [f"{name} {told[name]:g}" for name in ("trainshift", "sampleshift") if told[name] == told[name]]
    parts = [
        f"{size} {told['split']}".strip(),
        told["generator"],
        f"{epochs:.3g} epochs" if epochs else told["budget"],
        told["sampler"].replace("_", "-"),
        f"{told['steps']} steps" if told["steps"] else "",
        f"{GUIDANCE.get(told['guidance'], '').split(',')[0].split(';')[0]}{scale}",
        f"{told['label_rule']} labels" if told["label_rule"] else "",
        f"{told['n']:,} images" if told["n"] else "",
        told["density"],
        *shifts,
        f"decoder {told['decoder']}" if told["decoder"] else "",
        told["variant"],
    ]
    return ", ".join(part for part in parts if part)


def remarks(row: Any, works: Mapping[str, Work]) -> str:
    """What a reader must know before believing a row."""
    told = row._asdict()
    parts = [
        BOUNDS.get(told["bound"], ""),
        "not read at its source" if told["secondary"] else "",
        f"quoted from {short_title(told['quoted_from'], works)}" if told["quoted_from"] else "",
        "repeats a value of the atlas" if told["repeats"] else "",
        told["note"],
    ]
    return "; ".join(part for part in parts if part)


def profiles(atlas: pandas.DataFrame, works: Mapping[str, Work]) -> Embedded:
    """The profile of the autoencoder that most sources measured, and a choice of all others, which is fetched."""
    rows = with_addresses(atlas[atlas["canonical"] != ""], works)
    if rows.empty:
        return Markup("<p>The atlas has no autoencoders yet.</p>")
    alike = stated_alike(atlas)
    groups = dict(tuple(alike.groupby("canonical")))
    told = {
        str(name): profile(part, groups.get(name, alike.iloc[:0]), works)
        for name, part in rows.groupby("canonical", sort=True)
    }
    named = rows[~rows["canonical"].str.contains("not stated", regex=False)]
    counts = (named if len(named) else rows).groupby("canonical")["source"].nunique()
    first = str(counts.idxmax())
    names = sorted(told, key=str.lower)
    # cells are few that repeat: protocols, places, links
    texts, parts = _numbered([[part for part in _PARTS.split(text) if part] for text in told.values()])
    packed_ = {"texts": texts, "profiles": dict(zip(told, parts, strict=True))}
    spec = f'<script type="application/json" class="lrcore-spec">{script_json(packed_)}</script>'
    choice = f"<label>Autoencoder <select>{options([(name, name) for name in names], first)}</select></label>"
    return Markup(
        f'<div id="atlas-profile"><p class="lrcore-atlas-controls" style="visibility:hidden">{choice}</p>'
        f"{without_scripts('With scripts, you choose the autoencoder here.')}"
        f'<div data-shown aria-live="polite">{told[first]}</div>{apart(spec)}</div>'
    )


def profile(rows: pandas.DataFrame, alike: pandas.DataFrame, works: Mapping[str, Work]) -> str:
    """HTML of all that was measured of one autoencoder: `rows` with `address`, and those of them `stated_alike`."""
    name, family = str(rows["canonical"].iloc[0]), str(rows["family"].iloc[0])
    sizes = sorted({int(count) for count in numbers_of(rows) if count})
    holds = f", {words.joined([f'{count:,}' for count in sizes], 'or')} numbers per latent" if sizes else ""
    sources = rows["source"].nunique()
    apart_ = contradictions(alike, works)
    said = f"{len(apart_)} {'difference' if len(apart_) == 1 else 'differences'}" if apart_ else "no difference"
    head = (
        f"<p><strong>{html.escape(name)}</strong>: {html.escape(look(family).label)}{holds}. "
        f"{_count(len(rows), 'value')} from {_count(sources, 'source')}, {said} between sources that state the "
        "same protocol.</p>"
    )
    told = "".join(f"<li>{line}</li>" for line in apart_)
    lists = f"<ul>{told}</ul>" if told else ""
    of_quantity: dict[str, list[Any]] = {}
    for row in each(rows.sort_values("value", kind="stable")):
        of_quantity.setdefault(row.quantity, []).append(row)
    parts = []
    for kind, of_kind in KINDS.items():
        if told_of := [quantity for quantity in of_kind if quantity in of_quantity]:
            parts.append(f'<p class="lrcore-note">{words.capital(kind)}</p>')
            parts += [_details(quantity, of_quantity[quantity], works) for quantity in told_of]
    return head + lists + "".join(parts)


def contradictions(alike: pandas.DataFrame, works: Mapping[str, Work]) -> list[str]:
    """HTML of a line each time sources state a figure alike and print it differently."""
    lines = []
    for _, part in alike.groupby("alike", sort=False):
        if part["value"].nunique() < 2:
            continue
        told = [
            f"{linked(f'{row.value:.10g}', address(row.source, row.repository, works))} "
            f"({html.escape(short_title(row.source, works))})"
            for row in each(part.drop_duplicates(["source", "value"]))
        ]
        first = part.iloc[0]
        where = " ".join(str(first[name]) for name in ("dataset", "resolution", "split", "generator") if first[name])
        about = f"{html.escape(quantity_label(first['quantity']))}, {html.escape(where)}" if where else ""
        lines.append(f"{about}: {words.joined(told)}")
    return lines


def _details(quantity: str, rows: Sequence[Any], works: Mapping[str, Work]) -> str:
    """HTML of the rows of a quantity, lowest first."""
    low, high = rows[0].value, rows[-1].value
    span = shown(low) if low == high else f"{shown(low)} to {shown(high)}"
    lines = "".join(
        f"<tr><td>{linked(f'{row.bound}{row.value:.10g}', row.address)}</td>"
        f"<td>{html.escape(short_title(row.source, works))}</td><td>{html.escape(row.place)}</td>"
        f"<td>{html.escape(protocol(row))}</td><td>{html.escape(remarks(row, works))}</td></tr>"
        for row in rows
    )
    heads = "".join(f"<th>{head}</th>" for head in ("value", "source", "place", "protocol", "remarks"))
    label = html.escape(quantity_label(quantity))
    return (
        f"<details><summary>{label}: {span}, {_count(len(rows), 'value')} from "
        f"{_count(len({row.source for row in rows}), 'source')}</summary>"
        f'<div class="lrcore-table-scroll" tabindex="0" role="group" aria-label="{label}">'
        f'<table data-quarto-disable-processing="true" class="dataframe"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div></details>"
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
