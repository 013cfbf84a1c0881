"""lrcore.figures.words: who leads, and what is said of images and sources."""

from __future__ import annotations

import math

import pandas
import pytest
from figure_rows import generation_rows, with_seeds

from lrcore.figures import words

DISTANCES = {"rae": 10.0, "sd": 11.0, "flux2": 20.0, "mine": math.nan}


@pytest.mark.parametrize(
    ("noise", "errors", "highest", "found"),
    [
        (math.nan, {}, False, ["rae"]),
        (0.1, {}, False, ["sd", "rae"]),
        (0.09, {}, False, ["rae"]),
        (1.0, {}, False, ["sd", "flux2", "rae"]),
        (math.nan, {"rae": 0.6}, False, ["sd", "rae"]),
        (math.nan, {"rae": 0.3, "sd": 0.4}, False, ["sd", "rae"]),
        (math.nan, {"rae": 0.3, "sd": 0.3}, False, ["rae"]),
        (math.nan, {}, True, ["flux2"]),
        (0.45, {}, True, ["sd", "flux2"]),
    ],
)
def test_leaders(noise: float, errors: dict[str, float], highest: bool, found: list[str]) -> None:
    assert words.leaders(DISTANCES, noise, errors, highest) == found


def test_leaders_of_few_trainings_are_told_by_welch() -> None:
    values, errors = {"sd": 0.5, "rae": 0.6}, {"sd": 0.03, "rae": 0.03}  # 2.36 standard errors of the difference apart
    assert words.leaders(values, errors=errors, highest=True) == ["rae"]
    # the 97.5th percentile of Student's distribution is 2.78 with 4 degrees of freedom, 2.02 with 40
    assert words.leaders(values, errors=errors, highest=True, freedom={"sd": 2, "rae": 2}) == ["sd", "rae"]
    assert words.leaders(values, errors=errors, highest=True, freedom={"sd": 20, "rae": 20}) == ["rae"]
    # all of the variance is of one, so its degrees of freedom alone count: 4.30 with 2
    uneven = {"sd": 0.03, "rae": 1e-9}
    assert words.leaders(values, errors=uneven, highest=True, freedom={"sd": 2, "rae": 200}) == ["sd", "rae"]
    assert words.leaders({"sd": 0.5, "rae": 0.64}, errors=uneven, highest=True, freedom={"sd": 2, "rae": 2}) == ["rae"]


def test_leaders_of_ties_of_one_and_of_none() -> None:
    assert words.leaders({"sd": 1.0, "rae": 1.0}) == ["sd", "rae"]
    assert words.leaders({"sd": 1.0}) == ["sd"]
    assert words.leaders({}) == words.leaders({"sd": math.nan}) == []
    assert words.leaders({"sd": 0.0, "rae": 0.0, "flux2": 0.1}, noise=math.inf) == ["sd", "rae"]
    assert words.leaders(words.above_zero({"sd": -0.1, "rae": -0.2, "flux2": 0.1})) == ["sd", "rae"]


def test_names() -> None:
    assert words.named(["sd"], 4) == "SD" and words.named(["rae", "sd"], 4) == "SD and RAE"
    assert words.named(["rae", "sd", "flux1", "flux2"], 13) == "4 of 13 autoencoders"
    assert words.named(["rae", "sd", "flux1", "flux2"], 4) == "all 4 autoencoders"
    assert [words.every(count) for count in (1, 2, 4, 13)] == ["one", "both", "all four", "all 13"]
    assert words.joined(["a", "b", "c"], "or") == "a, b or c"
    assert [words.bare(text) for text in ("FD (mine)", "KID × 1000", "KD × 1000 (mine)")] == ["FD", "KID", "KD"]
    assert words.capital("ts is first") == "Ts is first"


def test_what_was_measured() -> None:
    rows = generation_rows()
    assert words.images(rows) == "toy at 32 px, study toy"
    assert words.images(rows.assign(dataset="cifar10/train[:9]")) == "CIFAR-10 at 32 px, study toy"
    assert words.features(rows) == "in the features of EfficientNet-Lite0"
    assert words.samples(rows) == "64 samples per distance, one training per setting."
    assert words.samples(with_seeds(0.1)) == "64 samples per distance, 1 to 2 trainings per setting."
    assert [words.trainings(pandas.Series(counts)) for counts in ([1, 1], [3, 3], [1, 3])] == [
        "one training", "3 trainings", "1 to 3 trainings",
    ]  # fmt: skip
    assert "not known" in words.seed_noise(math.nan) and "at most 12 %" in words.seed_noise(0.123)
    assert words.study_source("toy", "generation") == "Source: study toy, data/generation."
    assert words.published_source() == "Source: FLUX.2 representation comparison."
