"""What several published studies say of the same autoencoders, side by side."""

from __future__ import annotations

import pandas

from lrcore.errors import LrcoreError
from lrcore.figures.site_table import SiteTable
from lrcore.results import naming
from lrcore.results.numbers import as_printed
from lrcore.results.published import FOLLOWED

STUDIES = {
    FOLLOWED: "FLUX.2 representation comparison",
    "leng2026diffusionbench": "DiffusionBench",
    "xu2026ifid": "iFID paper",
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


BOARD = "xu2026ifid_board"
"""The board that the authors of the interpolated FID keep up: figures of later, beside those of their repository."""


def board_in_words(atlas: pandas.DataFrame) -> str:
    """What the board of the authors of the interpolated FID has of the autoencoders of `published_rankings`: Markdown.

    Which of them their repository lacks, with their distances by the same training; and where the two print different
    distances. "" where there is no board. `atlas`: rows of `read_atlas`.
    """
    of_board, printed = (
        atlas[atlas["source"] == BOARD],
        atlas[(atlas["source"] == "xu2026ifid") & (atlas["table"] != "")],
    )
    if of_board.empty or printed.empty:
        return ""
    named = atlas[(atlas["ae"] != "") & (atlas["canonical"] != "")]
    aes = dict(zip(named["canonical"], named["ae"], strict=True))
    same = ["quantity", "generator", "images_seen", "guidance", "n", "resolution"]
    rows = of_board.merge(printed[same].drop_duplicates(), on=same)
    rows = rows.assign(ae=rows["canonical"].map(aes)).dropna(subset="ae")
    both = rows[["ae", "quantity", "value"]].merge(
        printed[["ae", "quantity", "value"]], on=["ae", "quantity"], how="left", suffixes=("", "_printed")
    )
    new = both[both["value_printed"].isna()]
    other = both[both["value_printed"].notna() & (both["value"] != both["value_printed"])]
    added = [f"{naming.ae_style(ae).label} ({_told(new[new['ae'] == ae])})" for ae in naming.in_order(new["ae"])]
    parts = [f"adds {' and '.join(added)}, which the rows above lack"] if added else []
    if len(other):
        changed = "; ".join(
            f"{QUANTITIES[str(quantity)]} {', '.join(_changed(row) for _, row in _ordered(of).iterrows())}"
            for quantity, of in other.groupby("quantity", sort=False)
        )
        parts.append(f"prints other values than their repository, which the rows above quote: {changed}")
    if not parts:
        return ""
    return f"The leaderboard of the authors of the interpolated FID [@{BOARD}] {'. It also '.join(parts)}."


def _told(rows: pandas.DataFrame) -> str:
    told = [(row["quantity"], as_printed(row["value"])) for _, row in rows.iterrows()]
    return ", ".join(
        f"{QUANTITIES[quantity]} {value}" for quantity, value in sorted(told, key=lambda one: _PLACE[one[0]])
    )


_PLACE = {quantity: place for place, quantity in enumerate(QUANTITIES)}


def _changed(row: pandas.Series) -> str:
    label = naming.ae_style(str(row["ae"])).label
    return f"{as_printed(row['value'])} instead of {as_printed(row['value_printed'])} for {label}"


def _ordered(rows: pandas.DataFrame) -> pandas.DataFrame:
    order = naming.in_order(rows["ae"])
    return rows.sort_values("ae", key=lambda column: column.map(order.index), kind="stable")
