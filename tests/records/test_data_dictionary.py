"""data/README.md describes every column, under its own heading, with its type and key."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from lrcore.records import schema

TEXT = (Path(__file__).parents[2] / "data" / "README.md").read_text()
TYPES = {"int": "integer", "float": "float", "str": "text", "bool": "boolean"}


def section(name: str) -> str:
    found = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"no section {name}"
    return found[1]


@pytest.mark.parametrize(
    ("name", "row", "key"),
    [
        ("generation", schema.GenerationRow, schema.GENERATION_KEY),
        ("reconstruction", schema.ReconstructionRow, schema.RECONSTRUCTION_KEY),
        ("latents", schema.LatentRow, schema.LATENTS_KEY),
        ("anchors", schema.AnchorRow, schema.ANCHORS_KEY),
        ("losses", schema.LossRow, schema.LOSSES_KEY),
        ("atlas", schema.AtlasRow, schema.ATLAS_KEY),
    ],
)
def test_every_column_is_described(name: str, row: type, key: tuple[str, ...]) -> None:
    described = re.findall(r"^\| `(\w+)` \| (\w+) \| \S.* \|$", section(name), re.MULTILINE)
    expected = [(field.name, TYPES[str(field.type)]) for field in dataclasses.fields(row)]
    partition = [("study", "text")] if name != "atlas" else []
    assert described == partition + expected
    assert re.findall(r"`(\w+)`", section(name).split("Key: ")[1].split(".")[0]) == list(key)
