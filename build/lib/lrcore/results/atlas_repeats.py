"""Figures that sources state alike and print differently: what a reader of one source would not know.

Two figures are stated alike where nothing that the atlas records of them differs: the autoencoder, the quantity, its
unit and protocol, decoder, variant, density, shifts and guidance. What no source states may still differ.
"""

from __future__ import annotations

import pandas

from lrcore.records.atlas_sources import PROTOCOL
from lrcore.results.atlas import primary

STATED = (
    "canonical", "quantity", "unit", *PROTOCOL, "decoder", "variant", "density", "trainshift", "sampleshift",
    "guidance_scale", "guidance_low", "guidance_high",
)  # fmt: skip
UNNAMED = "not stated"
"""In a canonical name: several checkpoints may hide behind it, so its figures contradict nothing."""


def stated_alike(atlas: pandas.DataFrame) -> pandas.DataFrame:
    """Primary rows of two sources or more that are stated alike; figures quoted or repeated do not count.

    The columns of the atlas and `alike`, a number that rows stated alike share. Rows of one source that differ are
    ablations whose difference no column has, and are not here.
    """
    rows = primary(atlas)
    named = (rows["canonical"] != "") & ~rows["canonical"].str.contains(UNNAMED, regex=False)
    rows = rows[named & ~rows["repeats"] & (rows["quoted_from"] == "")]
    number = rows.groupby(list(STATED), dropna=False, sort=False).ngroup()
    rows = rows.assign(alike=number)
    return rows[rows.groupby("alike")["source"].transform("nunique") > 1].sort_values(["alike", "value"])


def differences(atlas: pandas.DataFrame) -> pandas.DataFrame:
    """How far figures stated alike are apart: a row a quantity of an autoencoder.

    Columns canonical, quantity, sources, low, high, `difference` = (high - low) / low, and `told`, each source's value.
    Quantities with a value of 0 or below have no such ratio and are left out.
    """
    found = []
    for _, part in stated_alike(atlas).groupby("alike", sort=False):
        low, high = float(part["value"].min()), float(part["value"].max())
        if low <= 0:
            continue
        told = "; ".join(f"{row.source} {row.value:g} ({row.place})" for row in part.itertuples(index=False))
        first = part.iloc[0]
        sources = part["source"].nunique()
        found.append((first["canonical"], first["quantity"], sources, low, high, high / low - 1, told))
    names = ["canonical", "quantity", "sources", "low", "high", "difference", "told"]
    return pandas.DataFrame(found, columns=names)
