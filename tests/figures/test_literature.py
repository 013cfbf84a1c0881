"""lrcore.figures.literature: published distances side by side."""

from __future__ import annotations

import pytest
from figure_rows import atlas_rows, published_rows

from lrcore.errors import LrcoreError
from lrcore.figures.literature import BOARD, board_in_words, published_rankings


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


def test_the_setting_says_whether_there_is_repa() -> None:
    table = published_rankings(published_rows()).frame.set_index("study")
    assert table.loc["FLUX.2 representation comparison", "setting"].startswith("DiT-XL with REPA, 700k steps, 50 Euler")


def test_what_the_board_has_beside_the_repository() -> None:
    atlas = atlas_rows()
    said = board_in_words(atlas)
    assert f"[@{BOARD}] adds FLUX.2 (gFID 10.18, interpolated FID 19.19), which the rows above lack" in said
    assert "65.41 instead of 59.91 for SD" in said and "6.41 instead of 7.68 for RAE" in said
    assert "25.91" not in said  # both print the same
    assert board_in_words(atlas[atlas["source"] != BOARD]) == ""
    without = board_in_words(atlas[~((atlas["source"] == BOARD) & (atlas["canonical"] == "FLUX.2-VAE"))])
    assert "FLUX.2" not in without and "65.41" in without
