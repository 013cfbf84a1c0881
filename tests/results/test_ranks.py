"""Rank correlations against scipy's."""

import math

import numpy
import pytest
from scipy import stats

from lrcore.results.ranks import kendall_chance, kendall_tau, spearman


@pytest.mark.parametrize("levels", [2, 3, 1000], ids=["many ties", "ties", "no ties"])
@pytest.mark.parametrize("count", [3, 4, 7, 12, 33, 40])
def test_rank_correlations_are_those_of_scipy(count, levels):
    for seed in range(5):
        draw = numpy.random.default_rng(seed)
        one, other = (draw.permutation(count) if levels == 1000 else draw.integers(0, levels, count) for _ in range(2))
        tau = stats.kendalltau(one, other, alternative="greater")
        if math.isnan(tau.statistic):
            assert math.isnan(kendall_tau(one, other)) and math.isnan(kendall_chance(one, other))
            assert math.isnan(spearman(one, other))
            continue
        assert kendall_tau(one, other) == pytest.approx(tau.statistic, abs=1e-12)
        assert kendall_chance(one, other) == pytest.approx(tau.pvalue, rel=1e-9)
        assert spearman(one, other) == pytest.approx(stats.spearmanr(one, other).statistic, abs=1e-12)


def test_one_side_that_is_the_same_throughout_has_no_order():
    for measure in (kendall_tau, kendall_chance, spearman):
        assert math.isnan(measure([1, 1, 1], [1, 2, 3])) and math.isnan(measure([1, 2, 3], [1, 1, 1]))
