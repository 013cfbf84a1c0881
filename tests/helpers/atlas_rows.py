"""Rows of the atlas for the tests of its figures: one group whose correlations are known, and what is around it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pandas

from lrcore.figures.atlas import Work
from lrcore.records.atlas_sources import Group
from lrcore.records.schema import AtlasRow

EMPTY: dict[str, Any] = {"str": "", "int": 0, "float": math.nan, "bool": False}
NAMES = "abcdefghij"
FAMILIES = ["kl", "kl", "vq", "vq", "other", "other", "video", "video", "kl", "vq"]
COMMIT = "0123456789" * 4
WORKS = {"s": Work("Sauce: a work", "https://arxiv.org/abs/1"), "r": Work("Rice", "https://example.org/rice")}


def row(**values: Any) -> dict[str, Any]:
    blank = {
        field.name: EMPTY[str(field.type)] for field in dataclasses.fields(AtlasRow) if field.name != "schema_version"
    }
    return {**blank, "source": "s", "quantity": "gfid", "place": "Table 1", **values}


def of_group(values: list[float], group: str, names: str = NAMES, **more: Any) -> list[dict[str, Any]]:
    """A row a latent."""
    return [
        row(canonical=name, family=family, value=float(value), group=group, **more)
        for name, family, value in zip(names, FAMILIES, values, strict=False)
    ]


def group(name: str, source: str = "s", autoencoders: str = "") -> Group:
    return Group(name, source, f"Group {name}", autoencoders, f"caveat of {name}")


GROUPS = {
    "free": group("free", autoencoders="ae"),
    "guided": group("guided", autoencoders="ae"),
    "ae": group("ae"),
    "other": group("other", "r"),
}


def atlas_rows() -> pandas.DataFrame:
    """Group `free`: the gFID is 2 to 20, as the PSNR says and the rFID reversed. `guided`: nearer, a and b swapped."""
    gfid = [2.0 * (number + 1) for number in range(10)]
    return pandas.DataFrame(
        [
            *of_group(gfid, "free", guidance="none", generator="Net", tokens=64, channels_per_token=16),
            *of_group([1.2, 1.1, *range(2, 10)], "guided", guidance="cfg_best", generator="Net"),
            *of_group([20 + value for value in gfid], "ae", quantity="psnr", unit="dB"),
            *of_group([1 / value for value in gfid], "ae", quantity="rfid"),
            *of_group(gfid, "other", names="klmnopqrst", source="r", guidance="none", generator="Web"),
            *of_group([9 - value / 4 for value in gfid], "other", names="klmnopqrst", source="r", quantity="rfid"),
        ]
    )
