"""lrcore.figures.literature: published distances side by side."""

from __future__ import annotations

import pytest
from figure_rows import published_rows

from lrcore.errors import LrcoreError
from lrcore.figures.literature import published_rankings


def test_published_rankings() -> None:
    table = published_rankings(published_rows()).frame
    assert list(table.columns) == ["study", "distance", "setting", "SD", "FLUX.1", "FLUX.2", "RAE"]
    assert len(table) == 5 and table[["study", "distance"]].notna().all(axis=None)
    without_guidance = table[table["setting"].str.endswith("Euler steps, no guidance")].iloc[0]
    assert without_guidance[["SD", "FLUX.1", "FLUX.2", "RAE"]].to_list() == ["10.16", "15.75", "4.53", "2.14"]
    interpolated = table[table["distance"] == "interpolated FID"].iloc[0]
    assert interpolated["RAE"] == "7.68" and interpolated["FLUX.2"] == "–"


def test_no_rows() -> None:
    with pytest.raises(LrcoreError, match="no rows"):
        published_rankings(published_rows().head(0))
