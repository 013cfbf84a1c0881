"""Half precision beside float32: what counts, how far it is apart, and that float32 decides what is best."""

import math
from dataclasses import fields

import pandas
import pytest

from lrcore.figures import prose
from lrcore.records.paired import (
    TOLERANCE,
    contenders,
    counting,
    is_half,
    largest_difference,
    pairs,
    ranking,
    with_whole,
)
from lrcore.records.schema import HALF_PRECISION, GenerationRow
from lrcore.results import findings

BLANK = {field.name: "" if field.type == "str" else 0 for field in fields(GenerationRow)}
SAME = {"model": "DiT-Ti", "width": 192.0, "skip": "none", "score": "fid", "feature_network": "inception2015",
        "study": "s", "ae": "a", "repa": "none", "trainp": "ln", "status": "ok", "n_samples": 50}  # fmt: skip


def rows(*distances, half=True, **changed):
    """One a sampling shift."""
    protocol = "pool" + (f"{HALF_PRECISION} (float16)" if half else "")
    return pandas.DataFrame(
        [{**BLANK, **SAME, "feature_protocol": protocol, "sampleshift": float(shift), "fid": fid, **changed}
         for shift, fid in enumerate(distances)], columns=[*BLANK, "study"]
    )  # fmt: skip


def both(half, whole):
    return pandas.concat([rows(*half), rows(*whole, half=False)], ignore_index=True)


def test_pairs_are_of_the_same_samples_and_the_largest_difference_is_of_float32():
    found = pairs(both((10.01, 20.0, 30.0), (10.0, 20.08)))
    assert list(found.whole) == [10.0, 20.08] and list(found.apart) == pytest.approx([1e-3, 0.08 / 20.08])
    assert largest_difference(both((10.01, 20.0), (10.0, 20.08))) == pytest.approx(0.08 / 20.08)
    assert math.isnan(largest_difference(rows(1.0))) and math.isnan(largest_difference(rows(1.0, half=False)))


def test_one_that_is_no_number_in_one_precision_is_as_far_apart_as_can_be():
    nan = math.nan
    assert list(pairs(both((nan, 1.0, nan), (10.0, nan, nan))).apart.fillna(-1)) == [math.inf, math.inf, -1]
    assert largest_difference(both((10.01, nan), (10.0, 10.0))) == math.inf > TOLERANCE
    told = prose.protocol(with_whole(rows(10.01, nan, dataset="d"), both((10.01, nan), (10.0, 10.0))))
    assert "the distance is lost in some of them. Float32 decides" in told and "inf" not in told


def test_a_row_in_half_precision_is_paired_by_what_measured_it():
    grid, pair = rows(10.03, 10.0), both((10.03, 10.0), (10.01, 10.02))
    assert list(with_whole(grid, pair).whole) == [10.01, 10.02]
    assert with_whole(grid, pair.assign(recipe="older")).whole.isna().all()
    other = rows(10.5, 10.5, feature_protocol=f"pool{HALF_PRECISION} (bfloat16)")
    assert list(with_whole(grid, pandas.concat([pair, other])).whole) == [10.01, 10.02]
    resized = rows(11.0, 11.0, half=False, feature_protocol="pool, resized otherwise")  # float32, of another protocol
    assert list(with_whole(grid, pandas.concat([pair, resized])).whole) == [10.01, 10.02]


def test_rows_in_half_precision_count_until_a_study_has_others_measured_alike():
    half, whole = rows(1.0, 2.0), rows(1.0, half=False)
    assert len(counting(half)) == 2 and len(counting(whole)) == 1
    assert not is_half(counting(pandas.concat([half, whole]))).any()
    for other in ({"study": "t"}, {"n_samples": 9}, {"sample_seed": 1}):  # of a choice, say
        assert len(counting(pandas.concat([half, rows(1.0, half=False, **other)]))) == 3


def test_rows_in_float32_are_left_as_they_are():
    whole = rows(1.0, 2.0, half=False)
    assert with_whole(whole, both((1.0,), (1.0,))) is whole and "whole" not in findings.mean_over_seeds(whole)


def test_float32_decides_between_those_that_may_be_the_lowest():
    half = pandas.Series([10.03, 10.0, 10.05, 12.0], index=list("abcd"))
    assert list(contenders(half)) == [True, True, False, False] and 10.03 < 10 * (1 + 2 * TOLERANCE) < 10.05
    whole = pandas.Series([10.01, 10.02, 9.0, math.nan], index=list("abcd"))
    assert ranking(half, whole).idxmin() == "a"
    # as long as one of them is not known in float32, half precision has to do
    assert ranking(half, whole.where(whole.index != "a")).idxmin() == "b"


def test_values_are_ranked_by_float32_at_their_distances_in_half_precision():
    """Of shifts 0 and 1 the better one in half precision is the worse one in float32; 2 has no say."""
    settings = findings.mean_over_seeds(with_whole(rows(10.03, 10.0, 12.0), both((10.03, 10.0), (10.01, 10.02))))
    found = findings.by_value(settings, "sampleshift")
    assert found[["value", "distance"]].to_numpy().tolist() == [[0.0, 10.03], [1.0, 10.0], [2.0, 12.0]]
    assert list(found.behind) == pytest.approx([0, 0.01 / 10.01, 1.97 / 10.03])
    densities = settings.assign(trainp=["ln", "pln", "ts"])
    assert findings.winning_densities(densities)[["trainp", "runner_up"]].to_numpy().tolist() == [["ln", "pln"]]


def test_the_best_of_a_page_is_that_of_float32_at_its_distance_in_half_precision():
    grid = with_whole(rows(10.03, 10.0, 12.0), both((10.03, 10.0), (10.01, 10.02)))
    best = findings.best_per_ae(findings.mean_over_seeds(grid))
    assert (best.sampleshift[0], best.distance[0]) == (0.0, 10.03)
    alone = with_whole(rows(10.03, 10.0, 12.0), rows())
    assert findings.best_per_ae(findings.mean_over_seeds(alone)).sampleshift[0] == 1.0
    # of several seeds all must be known
    seeds = pandas.concat([grid, rows(10.03, 10.0, 12.0, train_seed=1).assign(whole=math.nan, apart=math.nan)])
    assert findings.best_per_ae(findings.mean_over_seeds(seeds)).sampleshift[0] == 1.0
