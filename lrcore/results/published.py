"""The published study that this project re-does; its figures stand in the atlas (`records.reading.read_published`)."""

from __future__ import annotations

import re

import pandas

from lrcore.errors import LrcoreError
from lrcore.results import findings, naming
from lrcore.spec.study import NO_REPA

FOLLOWED = "bfl2025representation"
"""As `source` names it."""

UNTUNED = {"trainp": "ts", "trainshift": 1.0, "sampleshift": 1.0}
"""Timesteps drawn and sampled evenly."""

RAES_OWN = {"trainp": "ts", "trainshift": 6.93, "sampleshift": 6.93}
"""What RAE's authors train and sample with, in the convention of this project (Zheng et al. 2025): sqrt(768 / 16)."""


def best_choices(published: pandas.DataFrame) -> pandas.DataFrame:
    """The best timestep choices of the study: columns ae, condition, parameter (`findings.PARAMETERS`), value.

    What its text calls best, under the condition that it names. Where the text calls no value of an autoencoder best,
    what stands with its lowest gFID over the grid, under the condition of that training.
    """
    study = published[published["source"] == FOLLOWED]
    names = {f"best_{parameter}": parameter for parameter in findings.PARAMETERS}
    stated = study[study["quantity"].isin(names)]
    found = pandas.DataFrame(
        {
            "ae": stated["ae"],
            "condition": stated["setting"],
            "parameter": stated["quantity"].map(names),
            "value": stated["value"],
        }
    )
    lowest = study[(study["table"] == "trade-off") & (study["quantity"] == "gfid")]
    columns = {"trainp": "density", "trainshift": "trainshift", "sampleshift": "sampleshift"}
    known = set(zip(found["ae"], found["parameter"], strict=True))
    rest = [
        (row["ae"], row["training"], parameter, row[column])
        for _, row in lowest.iterrows()
        for parameter, column in columns.items()
        if (row["ae"], parameter) not in known and row[column] != "" and row[column] == row[column]
    ]
    return pandas.concat([found, pandas.DataFrame(rest, columns=found.columns)], ignore_index=True)


TABLE_OF_BEST = ("ae", "repa", "step", "gfid", "trainp", "trainshift", "sampleshift", "secondary")
"""The columns of `best_settings`."""


def best_settings(atlas: pandas.DataFrame) -> pandas.DataFrame:
    """The study's table of best settings: the lowest gFID of each autoencoder over the grid, without REPA and with it.

    Columns `TABLE_OF_BEST`; `repa` is `NO_REPA` or "with", `secondary` whether the row was read in somebody else's
    notes. In the order of the figures, without REPA first, steps rising. `atlas`: rows of `reading.read_atlas`.

    Raises:
        LrcoreError: no rows of it.
    """
    own = atlas[atlas["source"] == FOLLOWED]
    named = own[(own["ae"] != "") & (own["canonical"] != "")]
    aes = dict(zip(named["canonical"], named["ae"], strict=True))
    rows = own[(own["quantity"] == "gfid") & own["canonical"].isin(aes)]
    if rows.empty:
        raise LrcoreError(f"no rows: no published gfid of {FOLLOWED}")
    found = pandas.DataFrame(
        {
            "ae": rows["canonical"].map(aes),
            "repa": ["with" if name.endswith("+ REPA") else NO_REPA for name in rows["generator"]],
            "step": [int(told[1]) if (told := re.match(r"(\d+) steps", text)) else 0 for text in rows["budget"]],
            "gfid": rows["value"],
            "trainp": rows["density"],
            "trainshift": rows["trainshift"],
            "sampleshift": rows["sampleshift"],
            "secondary": rows["secondary"].astype(bool),
        }
    )
    places = {ae: place for place, ae in enumerate(naming.in_order(found["ae"]))}
    order = pandas.DataFrame({"ae": found["ae"].map(places), "repa": found["repa"] != NO_REPA, "step": found["step"]})
    return found.loc[order.sort_values([*order], kind="stable").index].reset_index(drop=True)
