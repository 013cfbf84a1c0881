"""Beside the picker: what the literature used for latents like the one that is asked for, with its sources.

`site/picker.js` looks up which settings are of latents as wide; Python worked that out for every width.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import pandas

from lrcore.figures import words
from lrcore.figures.atlas import PAGE, Work, address, each, linked, look, short_title
from lrcore.figures.atlas_scatter import options
from lrcore.figures.embed import script_json
from lrcore.results import atlas_settings
from lrcore.results.numbers import shown

FILTERS = {"tokens": "Tokens", "downsampling": "Downsampling", "family": "Family"}
NOTHING = "The atlas has no settings of latents like this."


def markup(atlas: pandas.DataFrame, works: Mapping[str, Work], channels: int, most: int) -> str:
    """HTML of the settings of latents of so many channels per token, and what `picker.js` needs for 1 to `most`."""
    found = atlas_settings.settings(atlas).reset_index(drop=True)
    first = atlas_settings.alike(found, channels)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells(row, works))}</tr>" for row in each(first))
    heads = "".join(f"<th>{head}</th>" for head in ("setting", "value", "how", "autoencoders", "source"))
    selects = "".join(
        f'<label>{title} <select data-filter="{name}"><option value="">any</option>'
        f"{options(_choices(found, name))}</select></label>"
        for name, title in FILTERS.items()
    )
    return (
        '<div class="lrcore-literature"><p><strong>In the literature</strong>, for latents whose channels per token '
        f"are at most {atlas_settings.WITHIN:g} times more or fewer. {linked('The atlas', PAGE)} has all "
        f'that was measured of them.</p><p class="lrcore-choices">{selects}</p>'
        f'<p data-literature aria-live="polite">{said(first)}</p>'
        f'<div class="lrcore-table-scroll" tabindex="0" role="group" aria-label="Settings in the literature"'
        f'{"" if len(first) else " hidden"}><table data-quarto-disable-processing="true" class="dataframe" '
        f'aria-label="Settings in the literature"><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>'
        f'<script type="application/json" class="lrcore-spec">{script_json(_spec(found, works, most))}</script></div>'
    )


def said(found: pandas.DataFrame) -> str:
    """The span of each kind of setting, or that there is none: 'Train shift 1 to 2 in 3 sources; ...'."""
    told = atlas_settings.ranges(found)
    if not told:
        return NOTHING
    parts = []
    for kind, (low, high, sources) in told.items():
        span = shown(low) if low == high else f"{shown(low)} to {shown(high)}"
        parts.append(f"{atlas_settings.KINDS[kind]} {span} in {sources} {'source' if sources == 1 else 'sources'}")
    return words.capital("; ".join(parts)) + "."


def cells(row: Any, works: Mapping[str, Work]) -> list[str]:
    """HTML of the cells of a row of `atlas_settings.settings`."""
    told = row._asdict()
    images = "" if told["dataset"] in ("imagenet", "") else f" ({told['dataset']})"
    source = linked(short_title(told["source"], works), address(told["source"], told["repository"], works))
    return [
        atlas_settings.KINDS[told["kind"]],
        shown(told["value"]),
        told["how"],
        html.escape(told["autoencoders"] + images),
        f"{source}, {html.escape(told['place'])}",
    ]


def steps(found: pandas.DataFrame, most: int) -> list[tuple[int, list[int]]]:
    """The rows of `settings` for 1 to `most` channels per token, each list with the first width that it holds for."""
    told: list[tuple[int, list[int]]] = []
    for channels in range(1, most + 1):
        rows = [int(at) for at in atlas_settings.alike(found, channels).index]
        if not told or told[-1][1] != rows:
            told.append((channels, rows))
    return told


def _choices(found: pandas.DataFrame, name: str) -> list[tuple[str, str]]:
    values = [value for value in sorted(set(found[name])) if value]
    return [(str(value), look(value).label if name == "family" else str(value)) for value in values]


def _spec(found: pandas.DataFrame, works: Mapping[str, Work], most: int) -> dict[str, object]:
    rows = [
        [cells(row, works), row.kind, row.value, shown(row.value), row.source, row.tokens, row.downsampling, row.family]
        for row in each(found)
    ]
    return {
        "rows": rows,
        "steps": [{"from": channels, "rows": of} for channels, of in steps(found, most)],
        "kinds": atlas_settings.KINDS,
        "nothing": NOTHING,
    }
