"""lrcore.figures.predictors: values, and tau in the direction that is expected."""

from __future__ import annotations

import dataclasses
import math

import pandas
import pytest
from figure_rows import BASE, generation_rows, study

from lrcore.errors import LrcoreError
from lrcore.figures.latents import DIAGNOSTICS
from lrcore.figures.predictors import _in_lines, expected, finding, predictors


def test_predictors() -> None:
    rows = study(generation_rows())
    latents = rows.latents
    probe = latents.assign(metric="probe_accuracy", standard_error=0.01)
    both = dataclasses.replace(rows, latents=pandas.concat([latents, probe]))
    shown = predictors(both)
    assert set(shown.rows["metric"]) == {"ifd", "probe_accuracy"} and len(shown.rows) == 2 * len(BASE)
    assert shown.rows["distance"].tolist() == pytest.approx([0.4 * BASE[ae] for ae in shown.rows["ae"]])
    titles = [note.text for note in shown.figure.layout.annotations]
    assert titles == ["iFD ↓<br>ρ 1.00", "probe accuracy ↑<br>ρ −1.00"]
    assert shown.words.notes.startswith("With 4 points and 2 properties tried, an order may agree by chance.")
    assert "Bars are one standard error, and may be shorter than the mark; iFD has none." in shown.words.notes
    bare = dataclasses.replace(rows, latents=latents.assign(standard_error=math.nan))
    assert "standard error" not in predictors(bare).words.notes
    nothing = dataclasses.replace(rows, latents=latents.head(0))
    with pytest.raises(LrcoreError, match="no property of a latent space beside a distance"):
        predictors(nothing)


@pytest.mark.parametrize(
    ("taus", "said"),
    [
        ({"ifd": 1.0, "probe_accuracy": 0.67}, "iFD has the order of the distances"),
        (
            {"flip_error": 0.67, "probe_accuracy": 0.67},
            "Flip error and probe accuracy come nearest to the order of the distances (ρ 0.67)",
        ),
        (
            dict.fromkeys(("ifd", "flip_error", "shift_error"), 1.0),
            "All 3 properties have the order of the distances",
        ),
        ({"ifd": 0.0, "flip_error": -1.0}, "Flip error has the reverse of the order of the distances"),
        ({"ifd": 0.0, "flip_error": 0.0}, "No property of the latent space has the order of the distances"),
        (
            {"probe_accuracy": 1.0, "effective_dimension": -1.0, "ifd": 0.33},
            "Probe accuracy has the order of the distances; effective dimension has the reverse order",
        ),
        (
            {"probe_accuracy": 0.33, "effective_dimension": -0.67, "ifd": math.nan},
            "Probe accuracy comes nearest to the order of the distances (ρ 0.33); "
            "effective dimension comes nearest to the reverse order (ρ −0.67)",
        ),
        (
            {"probe_accuracy": 0.67, "effective_dimension": -0.33},
            "Probe accuracy comes nearest to the order of the distances (ρ 0.67)",
        ),
        ({"ifd": math.nan}, "Properties of the latent space against the best distance"),
        ({}, "Properties of the latent space against the best distance"),
    ],
)
def test_the_title_says_what_comes_nearest(taus: dict[str, float], said: str) -> None:
    assert finding(taus) == said


def test_what_is_expected_of_each_property_is_said() -> None:
    said = expected(["ifd", "effective_dimension", "probe_accuracy"])
    assert (
        said == "A low distance is expected to go with low iFD and effective dimension, and with high probe accuracy."
    )
    assert expected(["ifd"]) == "A low distance is expected to go with low iFD."
    made = predictors(study(generation_rows()))
    assert expected(["ifd"]) in made.words.notes and made.figure.layout.yaxis.title.text == "best FD"


def test_long_titles_of_panels_break() -> None:
    assert _in_lines("iFD great circles ↓") == "iFD great circles ↓"
    assert _in_lines("high-frequency energy ↓") == "high-frequency<br>energy\N{NO-BREAK SPACE}↓"
    assert all(len(line) <= 21 for name in DIAGNOSTICS.values() for line in _in_lines(name).split("<br>"))
