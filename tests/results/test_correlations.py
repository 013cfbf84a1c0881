"""lrcore.results.correlations: intervals, and what is left of a predictor where several are tried."""

from __future__ import annotations

import math

import numpy as np
import pandas
import pytest
from scipy import stats

from lrcore.results.correlations import BEYOND, CHANCE, PERMUTATIONS, REVERSED, interval, judged


def test_the_interval_draws_families_not_rows():
    """Two families far apart, nothing within either: as a whole a correlation, but one that rests on two families."""
    random = np.random.default_rng(1)
    x, y = random.normal(size=40), random.normal(size=40)
    x[20:] += 20
    y[20:] += 20
    halves = np.array(["kl"] * 20 + ["vq"] * 20)
    low, high = interval(x, y, halves, "pearson")
    assert low < 0.3 and high > 0.95  # half of the samples hold one family alone
    own = np.array([str(place) for place in range(40)])
    assert interval(x, y, own, "pearson")[0] > 0.98
    assert interval(x, y, halves, "pearson") == (low, high)  # the same each time


def test_the_interval_holds_the_truth_as_often_as_it_says():
    random = np.random.default_rng(2)
    held = 0
    for _ in range(60):
        x = random.normal(size=30)
        y = 0.6 * x + 0.8 * random.normal(size=30)
        low, high = interval(x, y, np.array(["one"] * 30), "pearson")
        held += low <= 0.6 <= high
    assert held >= 0.85 * 60  # percentiles of 30 are a little narrow


def latents(count: int) -> list[str]:
    return [f"latent{number}" for number in range(count)]


def apart(names: list[str]) -> dict[str, str]:
    """Each latent a family of its own."""
    return {name: name for name in names}


def tried(count: int, **columns) -> tuple[pandas.DataFrame, pandas.Series, dict[str, str]]:
    names = latents(count)
    return (
        pandas.DataFrame(columns, index=names, dtype=float),
        pandas.Series(range(count), names, dtype=float),
        apart(names),
    )


def test_one_that_has_the_order_is_more_than_chance_and_its_reverse_is_excluded():
    found = judged(*tried(13, same=range(13), reverse=range(13, 0, -1))).set_index("predictor")
    assert found["value"].to_dict() == pytest.approx({"same": 1.0, "reverse": -1.0})
    assert found["verdict"].to_dict() == {"same": BEYOND, "reverse": REVERSED}
    assert found.loc["same", "chance"] == pytest.approx(1 / (PERMUTATIONS + 1))
    assert found.loc["reverse", "chance"] == 1.0


def test_values_are_spearmans():
    random = np.random.default_rng(0)
    told, distances, families = tried(12, ties=random.integers(0, 4, 12), free=random.normal(size=12))
    found = judged(told, distances, families).set_index("predictor")
    for name in told:
        assert found.loc[name, "value"] == pytest.approx(stats.spearmanr(told[name], distances).statistic)


def test_alone_the_chance_is_that_of_a_permutation_test():
    told, distances, families = tried(10, one=[1, 0, 3, 2, 6, 4, 9, 5, 7, 8])
    found = judged(told, distances, families)
    wanted = stats.spearmanr(told["one"], distances, alternative="greater").pvalue
    assert found["chance"][0] == pytest.approx(wanted, abs=0.01)


def test_among_many_the_best_needs_more():
    """What alone is significant is what the best of thirty reaches by chance."""
    random = np.random.default_rng(3)
    count, middling = 13, [3, 0, 1, 7, 2, 9, 4, 5, 12, 6, 8, 10, 11]
    told, distances, families = tried(count, one=middling)
    alone = judged(told, distances, families)["chance"][0]
    for number in range(30):
        told[f"noise{number}"] = random.normal(size=count)
    many = judged(told, distances, families).set_index("predictor").loc["one", "chance"]
    assert alone < many <= 1 and many > 3 * alone


def test_of_noise_alone_one_in_twenty_is_more_than_chance():
    random = np.random.default_rng(4)
    told, distances, families = tried(13)
    beyond = 0
    for _ in range(40):
        noise = {f"noise{number}": random.normal(size=13) for number in range(10)}
        found = judged(pandas.DataFrame(noise, index=told.index), distances, families)
        beyond += (found["chance"] <= 0.05).any()
    assert beyond <= 6  # of 40, 2 are expected; more than 6 happen once in 300


def test_what_was_measured_of_some_latents_is_judged_by_these():
    told, distances, families = tried(12, all=range(12), some=[*range(9), math.nan, math.nan, math.nan])
    few = [*range(7), *[math.nan] * 5]
    found = judged(told.assign(few=few, constant=1.0), distances, families).set_index("predictor")
    assert found["n"].to_dict() == {"all": 12, "some": 9}
    distances["latent0"] = math.nan
    assert judged(told, distances, families).set_index("predictor")["n"].to_dict() == {"all": 11, "some": 8}


def test_a_verdict_of_none():
    told, distances, families = tried(7, one=range(7))
    assert judged(told, distances, families).empty
    assert judged(told[[]], distances, families).empty


def test_what_reaches_high_as_chance_does_stays_open():
    told, distances, families = tried(9, one=[4, 0, 1, 6, 2, 8, 3, 5, 7])
    told["other"] = [8, 3, 1, 0, 5, 2, 7, 4, 6]
    found = judged(told, distances, families).set_index("predictor")
    assert found.loc["other", "verdict"] == CHANCE and found.loc["other", "chance"] > 0.05
