"""lrcore.figures.reconstruction: tables against the rows."""

from __future__ import annotations

import pandas
import pytest
from figure_rows import atlas_rows, published_rows, reconstruction_rows

from lrcore.errors import LrcoreError
from lrcore.figures.reconstruction import (
    latent_sizes,
    published_reconstruction,
    quoted_in_words,
    reptok_in_words,
    study_reconstruction,
)
from lrcore.figures.site_table import numeric_columns


def test_study_table() -> None:
    made = study_reconstruction(reconstruction_rows(("rae", "sd")))
    table = made.frame
    assert table["autoencoder"].to_list() == ["SD", "RAE"]
    assert table["PSNR (dB) ↑"].to_list() == ["40.0 ± 0.2", "20.0 ± 0.2"]
    assert "±" not in table["rFD ↓"][0] and "LPIPS (VGG, unweighted) ↓" in table
    assert made.rows is not None and sorted(made.rows.query("quantity == 'psnr'")["value"]) == [20.0, 40.0]


def test_only_inception_features_make_an_rfid() -> None:
    rows = reconstruction_rows()
    assert "rFID ↓" not in study_reconstruction(rows).frame
    renamed = study_reconstruction(rows.assign(metric=rows["metric"].replace("rfd", "rfid"))).frame
    assert "rFID ↓" in renamed and "rFD ↓" not in renamed


def test_published_table() -> None:
    table = published_reconstruction(published_rows()).frame.set_index("autoencoder")
    assert list(table.index) == ["SD", "FLUX.1", "FLUX.2", "RAE"]
    assert table["rFID ↓"].to_dict() == {
        "SD": "0.6451 (0.62)", "FLUX.1": "0.1761", "FLUX.2": "0.1124", "RAE": "0.6107 (0.57)"
    }  # fmt: skip
    assert table.loc["FLUX.2", "LPIPS ↓"] == "0.2668 ± 0.0017"


def test_what_the_published_table_quotes_is_credited() -> None:
    made = published_reconstruction(published_rows())
    assert numeric_columns(made.frame) == [1, 2, 3, 4]  # a number in brackets is one, too
    assert made.rows is not None and set(made.rows["ae"]) == {"sd", "flux1", "flux2", "rae"}
    assert quoted_in_words(atlas_rows()) == (
        "In brackets stands the rFID that the study quotes of others: SD's from @yu2025repa, also in @zheng2025rae; "
        "RAE's from @zheng2025rae."
    )
    assert quoted_in_words(atlas_rows().assign(quoted_from="")) == ""
    rows = published_rows()
    without = rows[(rows["quantity"] != "rfid") | rows["setting"].str.startswith("as reported")]
    assert "rFID ↓" not in published_reconstruction(without[without["table"] == "reconstruction"]).frame
    said = reptok_in_words(published_rows())
    assert "RepTok [@gui2025reptok], rFID 1.85." in said and reptok_in_words(published_rows().head(0)) == ""


def test_a_metric_that_is_missing_stays_empty() -> None:
    rows = reconstruction_rows()
    rows = rows[~((rows["ae"] == "sd") & (rows["metric"] == "ssim"))]
    assert study_reconstruction(rows).frame.set_index("autoencoder").loc["SD", "SSIM ↑"] == "–"


def test_latent_sizes() -> None:
    table = latent_sizes(reconstruction_rows()).frame.set_index("autoencoder")
    assert table.loc["SD", "values per latent"] == 256 and table.loc["SD", "compression"] == 3 * 32 * 32 / 256


def test_refusals() -> None:
    empty = reconstruction_rows().head(0)
    for table in (study_reconstruction, latent_sizes):
        with pytest.raises(LrcoreError, match="no rows"):
            table(empty)
    with pytest.raises(LrcoreError, match="no rows"):
        published_reconstruction(published_rows().head(0))
    doubled = pandas.concat([reconstruction_rows(), reconstruction_rows().assign(split="train")])
    with pytest.raises(LrcoreError, match="two rows of psnr for sd"):
        study_reconstruction(doubled)
