"""records.reading.read_published: the figures of the atlas that pages set beside our studies."""

from __future__ import annotations

import math
from pathlib import Path

from lrcore.records import reading

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
