"""lrcore.figures.differences: sizes against the rows, the band against the noise."""

from __future__ import annotations

import math

import pandas
import pytest
from figure_rows import BASE, begun, generation_rows, published_rows, study, with_seeds

from lrcore.errors import LrcoreError
from lrcore.figures.differences import against_noise, exceeding, spreads_beside_published, wider
from lrcore.results import seed_noise

PUBLISHED = published_rows()


def test_differences_beside_the_noise() -> None:
    rows = with_seeds(0.1)
    shown = against_noise(study(rows))
    found = shown.rows.set_index(["kind", "ae"])["difference"]
    for ae in BASE:
        assert found["two seeds", ae] == pytest.approx(2 * math.log(1.1 / 0.9))  # two deviations
        assert found["REPA", ae] == pytest.approx(0.2)
        assert found["train shift", ae] == pytest.approx(0.2) and found["sample shift", ae] == pytest.approx(1.0)
        assert found["training density", ae] == pytest.approx(0.5)
    assert found["next autoencoder"].to_dict() == pytest.approx({"rae": 1.0, "flux2": 1.0, "sd": 0.25})
    band = shown.figure.layout.shapes[0]
    assert band.x1 == pytest.approx(seed_noise.noise_of_difference(rows))
    assert math.log1p(band.x1) == pytest.approx(2.1199 * math.log(1.1 / 0.9), rel=1e-4)  # t of 16 degrees of freedom
    assert "Noise that verdicts use: 53 %" in shown.alt


def test_without_two_seeds_there_is_no_band() -> None:
    shown = against_noise(study(generation_rows()))
    assert not shown.figure.layout.shapes and "not known" in shown.alt and "two seeds" not in set(shown.rows["kind"])
    one = begun()
    single = one.generation[one.generation["sampleshift"] == 1.0]
    with pytest.raises(LrcoreError, match="nothing to compare yet"):
        against_noise(study(single))


def test_spreads_beside_published() -> None:
    shown = spreads_beside_published(study(generation_rows()), PUBLISHED)
    rows = shown.rows.set_index(["parameter", "ae"])
    assert len(rows) == 12 and rows["here"]["trainshift"].to_dict() == pytest.approx(dict.fromkeys(BASE, 0.2))
    assert rows["published"]["trainshift"]["flux1"] == pytest.approx(0.8642)
    assert "train shift, FLUX.1: 86 % and 20 %" in shown.alt
    partly = spreads_beside_published(begun(), PUBLISHED).rows.set_index(["parameter", "ae"])["here"]
    assert partly["sampleshift"]["sd"] == pytest.approx(1.0) and partly.drop(("sampleshift", "sd")).isna().all()
    with pytest.raises(LrcoreError, match="no published relative spread"):
        spreads_beside_published(begun(), PUBLISHED.head(0))


UNKNOWN = "The noise of the seed is not known; the largest difference"


def frame(**differences: float) -> pandas.DataFrame:
    rows = [(kind.replace("_", " "), "sd", value) for kind, value in differences.items()]
    return pandas.DataFrame(rows, columns=["kind", "ae", "difference"]).assign(whole=True)


@pytest.mark.parametrize(
    ("rows", "noise", "said"),
    [
        (frame(two_seeds=0.1, REPA=0.2, train_shift=0.05), 0.1, "1 of 2 differences exceeds the noise of the seed"),
        (frame(REPA=0.2, train_shift=0.3), 0.1, "Both differences exceed the noise of the seed"),
        (frame(REPA=0.1), 0.1, "None of 1 difference exceeds the noise of the seed"),
        (frame(REPA=0.2, train_shift=0.3), math.nan, f"{UNKNOWN} is 30 %: train shift, SD"),
        (
            frame(REPA=0.2, train_shift=0.3).assign(whole=False),
            math.nan,
            f"{UNKNOWN} is at least 30 %: train shift, SD",
        ),
        (
            frame(next_autoencoder=0.3, REPA=0.2),
            math.nan,
            f"{UNKNOWN} is 30 %: from SD to the next autoencoder",
        ),
        (frame(two_seeds=0.1), 0.1, "How far two seeds of one training lie apart"),
    ],
)
def test_the_title_counts_what_exceeds_the_noise(rows: pandas.DataFrame, noise: float, said: str) -> None:
    assert exceeding(rows, noise) == said


@pytest.mark.parametrize(
    ("here", "said"),
    [
        ([0.3, 0.3], "Spreads in study a are wider than published in both cases that can be compared"),
        ([0.1, 0.1], "Spreads in study a are narrower than published in both cases that can be compared"),
        ([0.1, 0.3], "Spreads in study a are wider than published in 1 of 2 cases that can be compared"),
        ([0.2, 0.3], "Spreads in study a are wider than published in 1 of 2 cases that can be compared"),
        ([0.2, 0.2], "Spreads in study a are as wide as published in both cases that can be compared"),
        ([0.3, math.nan], "Spreads in study a are wider than published in the one case that can be compared"),
        ([math.nan, math.nan], "Published spreads of each timestep choice; the study has none yet"),
    ],
)
def test_the_title_compares_with_published_spreads(here: list[float], said: str) -> None:
    assert wider(pandas.DataFrame({"published": [0.2, 0.2], "here": here, "fewer": False}), "a") == said


def test_spreads_are_held_against_a_noise_that_is_known() -> None:
    rows = pandas.DataFrame({"published": [0.2, 0.5], "here": [0.1, 0.6], "fewer": True})
    assert wider(rows, "a", 0.3) == "1 of 2 spreads in study a exceeds the noise of the seed; published, 1 does"
    assert wider(rows, "a", 0.7) == "None of 2 spreads in study a exceed the noise of the seed; published, none do"


def test_a_narrower_spread_of_fewer_values_is_said_to_be_of_fewer() -> None:
    rows = pandas.DataFrame({"published": [0.2, 0.2], "here": [0.1, 0.3], "fewer": True})
    assert wider(rows, "a") == "Spreads in study a are wider than published in 1 of 2 cases, with fewer values tried"
    both = rows.assign(here=0.3)
    assert wider(both, "a") == "Spreads in study a are wider than published in both cases that can be compared"


def test_differences_to_the_next_autoencoder_have_the_noise_of_means() -> None:
    rows = pandas.DataFrame(
        {"kind": ["two seeds", "train shift", "next autoencoder"], "ae": "sd", "difference": 0.1, "whole": True}
    )
    assert exceeding(rows, 0.2) == "None of 2 differences exceed the noise of the seed"
    assert exceeding(rows, 0.2, 0.05) == "1 of 2 differences exceeds the noise of the seed"


def test_spreads_of_too_few_values_are_shown_as_at_least_that() -> None:
    rows = generation_rows()
    lacking = rows[~((rows["ae"] == "sd") & (rows["trainp"] == "pln"))]
    shown = against_noise(study(lacking))
    found = shown.rows.set_index(["kind", "ae"])
    assert not found["whole"]["training density", "sd"] and found["whole"].sum() == len(found) - 1
    assert found["difference"]["training density", "sd"] == pytest.approx(0.5)
    assert "Hollow: not all values of the study were tried" in shown.words.notes and "No grey band" in shown.words.notes
    beside = spreads_beside_published(study(lacking), PUBLISHED)
    assert "Not shown, since not all values were tried yet: training density of SD." in beside.words.notes
    assert math.isnan(beside.rows.set_index(["parameter", "ae"])["here"]["trainp", "sd"])
    assert "fewer values of the train shift and the sample shift than" in beside.words.notes


def test_what_a_log_axis_has_no_place_for_is_said() -> None:
    rows = generation_rows().query("repa == 'none'")
    flat = rows.assign(fid=rows["fid"].where(rows["ae"] != "rae", 7.0))
    assert "3 differences of 0 have no place on the axis." in against_noise(study(flat)).words.notes
    assert "3 spreads of 0 have no place on the axis." in spreads_beside_published(study(flat), PUBLISHED).words.notes
    below = against_noise(study(rows.assign(fid=rows["fid"].where(rows["ae"] != "rae", -7.0))))
    assert all(map(math.isfinite, below.rows["difference"])) and all(
        map(math.isfinite, below.figure.layout.xaxis.range)
    )
