"""records.reading.read_published: the figures of the atlas that pages set beside our studies."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from lrcore.errors import LrcoreError
from lrcore.records import reading
from lrcore.results.published import TABLE_OF_BEST, best_settings

ROWS = reading.read_published(Path(__file__).parents[2] / "data")


def test_spot_values() -> None:
    shown = ROWS[ROWS["table"].isin(("trade-off", "reconstruction"))].set_index(["source", "ae", "quantity"])
    assert shown["value"]["bfl2025representation", "rae", "gfid"] == 3.103955
    psnr = shown.loc[("bfl2025representation", "flux1", "psnr")]
    assert (psnr["value"], psnr["standard_error"], psnr["unit"]) == (31.1312, 0.0745, "dB")
    assert math.isnan(shown["standard_error"]["bfl2025representation", "rae", "gfid"])


def test_every_comparison_has_one_figure_an_autoencoder() -> None:
    assert len(ROWS) == 81
    assert not ROWS.duplicated(["source", "table", "ae", "setting", "quantity"]).any()


def test_a_setting_says_whether_there_is_repa() -> None:
    lowest = ROWS[(ROWS["table"] == "trade-off") & (ROWS["quantity"] == "gfid")]
    assert set(lowest["training"]) == {"DiT-XL with REPA, 700k steps"}
    assert all(setting.startswith("DiT-XL with REPA, 700k steps, 50 Euler steps") for setting in lowest["setting"])
    others = ROWS[~ROWS["training"].str.contains("REPA")]
    assert not others["setting"].str.contains("with REPA").any()


def test_images_are_named_with_their_resolution() -> None:
    assert set(ROWS["dataset"]) == {"imagenet256", ""}


def test_none_where_there_is_no_atlas(tmp_path: Path) -> None:
    none = reading.read_published(tmp_path)
    assert none.empty and list(none.columns) == list(ROWS.columns)


def test_the_table_of_best_settings() -> None:
    found = best_settings(reading.read_atlas(Path(__file__).parents[2] / "data"))
    assert list(found.columns) == list(TABLE_OF_BEST) and set(found["step"]) == {700_000}
    assert found[["ae", "repa"]].apply(tuple, axis=1).tolist() == [
        (ae, repa) for ae in ("sd", "flux1", "flux2", "rae") for repa in ("none", "with")
    ]
    rows = found.set_index(["ae", "repa"])
    assert rows.loc[("rae", "with"), ["gfid", "trainp", "trainshift", "sampleshift"]].tolist() == [
        3.103955, "ln", 6.93, 6.93
    ]  # fmt: skip
    assert rows.loc[("sd", "none"), "trainp"] == "pln" and rows.loc[("sd", "none"), "secondary"]
    shown = ROWS[(ROWS["table"] == "trade-off") & (ROWS["quantity"] == "gfid")].set_index("ae")["value"]
    assert rows.xs("with", level="repa")["gfid"].to_dict() == {ae: shown[ae] for ae in ("sd", "flux1", "flux2", "rae")}


def test_no_best_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LrcoreError, match="no rows: no published gfid"):
        best_settings(reading.read_atlas(tmp_path))
