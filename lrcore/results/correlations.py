"""Correlations over latent spaces with an interval, and what is left of them where many properties are tried.

    correlated(x, y, "spearman")                    # one number
    interval(x, y, family, "spearman")              # of a bootstrap over families, then latents
    judged(told, distances, families)               # which of several predictors are excluded

With a dozen latent spaces and as many candidates the best one correlates well by chance. `judged` therefore asks what
the best of all of them reaches when the distances are dealt out anew (the maximum over all tests: Westfall & Young
1993, Resampling-Based Multiple Testing). It excludes; it recommends nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas

LEAST = 8
"""Fewer latents than this make no correlation."""

METHODS = ("pearson", "spearman")

REPLICATES = 2000
LEVEL = 0.95

PERMUTATIONS = 1999
"""Deals of the distances beside the one that was measured: the least chance is 1 in 2,000."""

USEFUL = 0.5
"""A rank correlation that leaves three quarters of the variance of ranks open: what stays below is excluded."""

REVERSED, EXCLUDED, CHANCE, BEYOND = VERDICTS = (
    "excluded: the other way round", "excluded", "open: chance may explain it", "open: more than chance",
)  # fmt: skip
"""Of a predictor: its interval stays below 0, or below `USEFUL`; it reaches higher, as the best of all does by chance,
or families that are drawn anew; or more than that, in these latent spaces."""


def judged(told: pandas.DataFrame, distances: pandas.Series, families: Mapping[str, str]) -> pandas.DataFrame:
    """What the rank correlation of each predictor with the distances is worth, of all that were tried.

    `told`: a row each latent and a column each predictor, turned so that high values should go with high distances; NaN
    where it was not measured. `distances` and `families` are by latent. Columns of the result, strongest first:
    predictor, n, value (Spearman's correlation), low and high (`interval`), chance and verdict (of `VERDICTS`).

    `chance` is the share of deals in which any of the predictors correlates as well as this one, in the expected
    direction: a p-value that holds for all of them together. Correlations of few latents deviate further, so that
    they are compared as value * sqrt(n - 1), which deviates by 1 whatever n is. Deals take latents as exchangeable;
    relatives are not, and with them chance does more than this says.

    Predictors with fewer than `LEAST` latents, or the same value for all of them, are left out.
    """
    names = [latent for latent in told.index if math.isfinite(distances.get(latent, math.nan))]
    target = distances.loc[names].to_numpy(float)
    deals = np.stack([target, *(np.random.default_rng(0).permuted(np.tile(target, (PERMUTATIONS, 1)), axis=1))])
    family = np.array([families[latent] for latent in names], dtype=object)
    rows, scores = [], []
    for predictor in told:
        values = told[predictor].loc[names].to_numpy(float)
        known = np.isfinite(values)
        if known.sum() < LEAST or np.ptp(values[known]) == 0 or np.ptp(target[known]) == 0:
            continue
        found = _with_each(values[known], deals[:, known])
        ends = interval(values[known], target[known], family[known], "spearman")
        rows.append((predictor, int(known.sum()), found[0], *ends))
        scores.append(found * math.sqrt(known.sum() - 1))
    if not rows:
        return pandas.DataFrame(columns=["predictor", "n", "value", "low", "high", "chance", "verdict"])
    of_all = np.stack(scores)
    best = np.nanmax(of_all, axis=0)
    table = pandas.DataFrame(rows, columns=["predictor", "n", "value", "low", "high"])
    table["chance"] = [float((best >= own[0] - _EQUAL).mean()) for own in of_all]
    table["verdict"] = [_verdict(*row) for row in table[["low", "high", "chance"]].to_numpy().tolist()]
    return table.sort_values("value", ascending=False, kind="stable").reset_index(drop=True)


_EQUAL = 1e-9


def _verdict(low: float, high: float, chance: float) -> str:
    if high < USEFUL:
        return REVERSED if high < 0 else EXCLUDED
    # deals take relatives for strangers, the interval does not: both have to say so
    return BEYOND if chance <= 1 - LEVEL and low > 0 else CHANCE


def _with_each(values: np.ndarray, deals: np.ndarray) -> np.ndarray:
    """Spearman's correlation of `values` (N) with each row of `deals` (M, N); NaN of a row that is constant."""
    ranks = pandas.DataFrame(np.vstack([values, deals])).rank(axis=1).to_numpy()
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    own, others = ranks[0], ranks[1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        found: np.ndarray = others @ own / np.sqrt((own @ own) * (others**2).sum(axis=1))
    return found


def correlated(x: np.ndarray, y: np.ndarray, method: str) -> float:
    """Pearson's or Spearman's correlation of two ends (N); NaN where one is the same throughout."""
    return float(_weighted(x, y, np.ones((1, len(x))), method)[0])


def interval(x: np.ndarray, y: np.ndarray, family: np.ndarray, method: str) -> tuple[float, float]:
    """The central `LEVEL` of the correlations of `REPLICATES` bootstrap samples: families, then latents within each.

    `x`, `y` and `family`: (N). Samples of fewer than three different latents have a correlation of 1 or -1, or none,
    and do not count. (NaN, NaN) where none counts.
    """
    random = np.random.default_rng(0)
    names = list(dict.fromkeys(family))
    drawn = random.multinomial(len(names), np.full(len(names), 1 / len(names)), REPLICATES)
    counts = np.zeros((REPLICATES, len(x)))
    for name, times in zip(names, drawn.T, strict=True):
        places = np.flatnonzero(family == name)
        counts[:, places] = random.multinomial(times * len(places), np.full(len(places), 1 / len(places)))
    found = _weighted(x, y, counts[(counts > 0).sum(axis=1) >= 3], method)
    found = found[np.isfinite(found)]
    if not len(found):
        return math.nan, math.nan
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _weighted(x: np.ndarray, y: np.ndarray, counts: np.ndarray, method: str) -> np.ndarray:
    """The correlation of each sample, a row of `counts`: how often it holds each latent; NaN of a constant."""
    ends = [_ranks(end, counts) if method == "spearman" else np.tile(end, (len(counts), 1)) for end in (x, y)]
    total = counts.sum(axis=1, keepdims=True)
    first, second = (end - (counts * end).sum(axis=1, keepdims=True) / total for end in ends)
    scale = np.sqrt((counts * first**2).sum(axis=1) * (counts * second**2).sum(axis=1))
    constant = [
        np.where(counts > 0, end, -math.inf).max(axis=1) == np.where(counts > 0, end, math.inf).min(axis=1)
        for end in ends
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.clip((counts * first * second).sum(axis=1) / scale, -1, 1)
    return np.where(constant[0] | constant[1], math.nan, found)


def _ranks(end: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The rank of each latent in each sample, that of ties their mean."""
    below, equal = end[None, :] < end[:, None], end[None, :] == end[:, None]
    ranks: np.ndarray = counts @ below.T + (counts @ equal.T + 1) / 2
    return ranks
