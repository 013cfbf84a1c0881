"""What several published studies say of the same autoencoders, side by side."""

from __future__ import annotations

import pandas

from lrcore.errors import LrcoreError
from lrcore.figures.embed import SiteTable
from lrcore.results import naming
from lrcore.results.numbers import as_printed
from lrcore.results.published import FOLLOWED

STUDIES = {
    FOLLOWED: "FLUX.2 representation comparison",
    "leng2026diffusionbench": "DiffusionBench",
    "xu2026ifid": "interpolated FID",
}
QUANTITIES = {"gfid": "gFID", "ifid": "interpolated FID"}
_KEYS = ("source", "setting", "quantity")
FEWEST = 3
"""Fewer autoencoders than this make no ranking."""


def published_rankings(published: pandas.DataFrame) -> SiteTable:
    """A row per study, setting and distance with a column per autoencoder; rows of fewer than three are left out.

    Distances of different rows follow different protocols: compare their order, not their size.

    Raises:
        LrcoreError: no rows of the studies.
    """
    rows = published[published["source"].isin(STUDIES) & published["quantity"].isin(QUANTITIES)]
    if rows.empty:
        raise LrcoreError("no rows: no published study compares autoencoders by a distance")
    wide = rows.pivot(index=list(_KEYS), columns="ae", values="value")
    wide = wide[naming.in_order(wide.columns)].dropna(thresh=FEWEST).reset_index()
    wide = wide[["source", "quantity", "setting", *naming.in_order(set(wide.columns) - set(_KEYS))]]
    table = wide.rename(columns={ae: naming.ae_style(ae).label for ae in naming.in_order(rows["ae"])})
    for ae in naming.in_order(rows["ae"]):
        if (label := naming.ae_style(ae).label) in table:
            table[label] = table[label].map(as_printed)
    table["source"] = table["source"].map(STUDIES)
    table["quantity"] = table["quantity"].map(QUANTITIES)
    table.columns.name = None
    names = {"source": "study", "quantity": "distance"}
    caption = "Published distances of the same autoencoders in several studies; lower is better"
    return SiteTable(table.rename(columns=names), "published-rankings", caption)
