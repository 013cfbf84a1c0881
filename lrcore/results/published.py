"""The published study that this project re-does; its figures stand in the atlas (`records.reading.read_published`)."""

from __future__ import annotations

import pandas

from lrcore.results import findings

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
