"""Rank correlations of a few numbers, without scipy.stats, whose import takes seconds that a page would wait for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas

LARGEST_EXACT = 33
"""Numbers up to which the distribution of Kendall's tau is counted out; beyond, it is close to normal."""


def kendall_tau(one: Sequence[float], other: Sequence[float]) -> float:
    """Kendall's tau-b (Kendall 1938; 1945, of ties); NaN where one side is the same throughout."""
    signs = _signs(one), _signs(other)
    untied = math.sqrt(np.count_nonzero(signs[0]) * np.count_nonzero(signs[1]))
    return float((signs[0] * signs[1]).sum() / untied) if untied else math.nan


def kendall_chance(one: Sequence[float], other: Sequence[float]) -> float:
    """One-sided p-value of Kendall's tau: the share of all orders that agree with `other` at least as well as `one`.

    Exact up to `LARGEST_EXACT` numbers of which none tie; else that of a normal distribution with the variance that
    ties leave (Kendall 1970, Rank Correlation Methods, section 4.4). NaN where one side is the same throughout.
    """
    signs = _signs(one), _signs(other)
    if not signs[0].any() or not signs[1].any():
        return math.nan
    count, products = len(one), signs[0] * signs[1]
    if count <= LARGEST_EXACT and all(side.all() for side in signs):
        orders = _orders_by_inversions(count)
        return sum(orders[: int((products < 0).sum()) + 1]) / math.factorial(count)
    ties = [np.unique(side, return_counts=True)[1].astype(float) for side in (one, other)]
    pairs = [float((t * (t - 1)).sum()) for t in ties]
    triples = [float((t * (t - 1) * (t - 2)).sum()) for t in ties]
    weighted = [float((t * (t - 1) * (2 * t + 5)).sum()) for t in ties]
    ordered = count * (count - 1)
    variance = (ordered * (2 * count + 5) - sum(weighted)) / 18 + math.prod(pairs) / (2 * ordered)
    variance += math.prod(triples) / (9 * ordered * (count - 2)) if count > 2 else 0.0
    return 0.5 * math.erfc(float(products.sum()) / math.sqrt(2 * variance))


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's rank correlation; NaN where one side is the same throughout."""
    first, second = (rank - rank.mean() for rank in (pandas.Series(side).rank().to_numpy() for side in (one, other)))
    length = math.sqrt(float(first @ first) * float(second @ second))
    return float(first @ second) / length if length else math.nan


def _signs(values: Sequence[float]) -> np.ndarray:
    """-1, 0 or 1 for each pair of values, by which is the larger."""
    numbers = np.asarray(values, float)
    signs: np.ndarray = np.sign(np.subtract.outer(numbers, numbers))[np.triu_indices(len(numbers), 1)]
    return signs


def _orders_by_inversions(count: int) -> list[int]:
    """How many orders of `count` things have 0, 1, 2... pairs the wrong way round (Mahonian numbers)."""
    orders = [1]
    for size in range(2, count + 1):  # the last of so many stands before 0 to size - 1 of the others
        longer = [0] * (len(orders) + size - 1)
        for inversions, number in enumerate(orders):
            for more in range(size):
                longer[inversions + more] += number
        orders = longer
    return orders
