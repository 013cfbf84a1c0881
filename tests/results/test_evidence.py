"""lrcore.results.evidence: which values of a parameter are best, as far as noise and what was tried can tell."""

from __future__ import annotations

import math

import pandas
import pytest
from figure_rows import generation_rows

from lrcore.results import findings
from lrcore.results.evidence import best_values

SHIFTS = (0.5, 1.0, 2.95, 6.93)


def settings(**distances: dict[float, float]) -> pandas.DataFrame:
    """One step of each autoencoder at these train shifts, all else alike."""
    one = generation_rows(aes=("sd",)).query("repa == 'none' and trainp == 'ln' and step == 200").head(1)
    rows = [one.assign(ae=ae, trainshift=shift, fid=fid) for ae, own in distances.items() for shift, fid in own.items()]
    return findings.mean_over_seeds(pandas.concat(rows))


@pytest.mark.parametrize(
    ("own", "best"),
    [
        ({0.5: 3.0, 1.0: 1.0, 2.95: 2.0}, [1.0]),  # beyond 2.95 it gets worse
        ({0.5: 3.0, 1.0: 2.0, 2.95: 1.0}, None),  # 6.93 may be better still
        ({0.5: 3.0, 1.0: 1.0, 2.95: 1.05}, None),  # 2.95 is as good
        ({1.0: 1.0, 2.95: 2.0, 6.93: 3.0}, None),  # so may 0.5 be
        ({0.5: 3.0, 1.0: 1.0, 6.93: 2.0}, None),  # or what lies between
        ({0.5: 1.0, 1.0: 2.0}, [0.5]),
        ({0.5: 3.0, 1.0: 1.0, 2.95: math.nan}, [1.0]),  # what diverged was tried
        ({1.0: 1.0}, None),
    ],
)
def test_a_best_shift_is_known_where_no_shift_that_was_not_tried_may_be_better(own, best):
    every = dict.fromkeys(SHIFTS, 2.0) | {6.93: 1.0}
    found = best_values(settings(sd=own, rae=every), "trainshift", 0.1)
    assert found[("rae", "none")] == [6.93] and found.get(("sd", "none")) == best


def test_noise_that_is_not_known_tells_all_apart():
    own = {0.5: 3.0, 1.0: 1.0, 2.95: 1.01, 6.93: 4.0}
    assert best_values(settings(sd=own), "trainshift", math.nan) == {("sd", "none"): [1.0]}
    assert best_values(settings(sd=own), "trainshift", 0.1) == {("sd", "none"): [1.0, 2.95]}
    assert best_values(settings(sd=own), "trainshift", math.inf) == {("sd", "none"): [1.0, 2.95, 0.5, 6.93]}
    assert best_values(settings(sd={1.0: 1.0}), "trainshift", 0.1) == {}


def test_one_density_too_few_may_have_been_the_best():
    settings = findings.mean_over_seeds(generation_rows()).query("step == 200")
    lacking = settings[(settings["ae"] != "sd") | (settings["trainp"] != "ts")]
    assert {ae for ae, _ in best_values(lacking, "trainp", 0)} == {"flux1", "flux2", "rae"}
