"""lrcore.figures.reconstruction: tables against the rows."""

from __future__ import annotations

import pandas
import pytest
from figure_rows import published_rows, reconstruction_rows

from lrcore.errors import LrcoreError
from lrcore.figures.reconstruction import latent_sizes, published_reconstruction, study_reconstruction


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
    assert table.loc["SD", "rFID ↓"] == "0.6451"
    assert table.loc["FLUX.2", "LPIPS ↓"] == "0.2668 ± 0.0017"


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
