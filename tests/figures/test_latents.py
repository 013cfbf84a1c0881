"""lrcore.figures.latents: the table against the rows."""

import dataclasses

import pandas
import pytest
from figure_rows import generation_rows, study
from sample_data import latent_rows

from lrcore.errors import LrcoreError
from lrcore.figures.latents import latent_diagnostics, spectra_in_words


def rows(*aes, study="smoke"):
    found = [dataclasses.asdict(row) for ae in aes for row in latent_rows(ae)]
    return pandas.DataFrame(found).assign(study=study)


def test_one_row_an_autoencoder_with_errors_and_what_is_measured_of_the_whole_to_download():
    made = latent_diagnostics(rows("rae", "sd"))
    table = made.frame.set_index("autoencoder")
    assert list(table.index) == ["SD", "RAE"]
    assert table.loc["RAE", "effective dimension"] == "56.0 ± 1.1"
    assert table.loc["SD", "probe accuracy ↑"] == "0.400 ± 0.008"
    assert table.loc["SD", "channel std"] == "0.90 – 1.10"
    assert made.note.startswith("± one standard error, over images")
    assert len(made.rows) == 2 * sum(row.index < 0 for row in latent_rows("sd"))


def test_a_metric_that_is_missing_stays_empty():
    measured = rows("rae", "sd")
    measured = measured[~((measured.ae == "sd") & (measured.metric == "shift_error"))]
    table = latent_diagnostics(measured).frame.set_index("autoencoder")
    assert table.loc["SD", "shift error ↓"] == "–"
    none = measured[measured.metric != "probe_accuracy"]
    assert "probe accuracy ↑" not in latent_diagnostics(none).frame


def test_the_note_says_of_what_the_errors_are():
    measured = rows("sd")
    without = measured[measured.metric == "probe_accuracy"].assign(metric="ifid", standard_error=float("nan"))
    every = latent_diagnostics(pandas.concat([measured, without]))
    assert every.note == "± one standard error, over images, of VIV over classes; iFID has none."
    assert latent_diagnostics(measured[measured.metric != "viv"]).note == "± one standard error, over images."
    none = latent_diagnostics(measured.assign(standard_error=float("nan")))
    assert none.note == ""


def test_refusals():
    with pytest.raises(LrcoreError, match="no latent space has been measured"):
        latent_diagnostics(rows("sd").head(0))
    with pytest.raises(LrcoreError, match="rows of the studies mine, smoke"):
        latent_diagnostics(pandas.concat([rows("sd"), rows("sd", study="mine")]))


def test_spectra_and_movements_in_words():
    """The widest latent has the flattest spectrum, as a published work found of others."""
    slopes = {"sd": -2.0, "flux1": -1.5, "flux2": -1.2, "rae": -0.5}
    errors = {"sd": 0.1, "flux1": 0.05, "flux2": 0.2, "rae": 0.3}
    told = [("spectrum_slope", slopes), ("flip_error", errors), ("shift_error", {"sd": 0.4})]
    found = [("toy", ae, metric, -1, value, float("nan")) for metric, by in told for ae, value in by.items()]
    columns = ["study", "ae", "metric", "index", "value", "standard_error"]
    toy = dataclasses.replace(study(generation_rows()), latents=pandas.DataFrame(found, columns=columns))
    assert spectra_in_words(toy) == (
        "In study `toy` the spectral slope is −2.00 (SD), −1.50 (FLUX.1), −1.20 (FLUX.2) and −0.50 (RAE), with a "
        "rank correlation (Kendall's τ) of 1.00 with the channels per token; "
        "the flip error from 0.050 (FLUX.1) to 0.30 (RAE)."
    )
    two = dataclasses.replace(toy, latents=toy.latents[toy.latents["ae"].isin(("sd", "rae"))])
    assert "−2.00 (SD) and −0.50 (RAE); the flip error" in spectra_in_words(two)
    assert spectra_in_words(dataclasses.replace(toy, latents=toy.latents.head(0))) == ""
