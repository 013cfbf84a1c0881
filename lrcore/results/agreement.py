"""Whether studies agree on which latent space is the more learnable, and whether anything tells without training.

Ranks, not sizes: distances of two studies follow two protocols. With four autoencoders few orders are possible, so
every number says how many it is of: of 4 in a random order, 1 in 24 agrees wholly (`chance`).

    agreement.with_published(findings.comparable_best(settings), read_published("data"))
    agreement.of_predictors(findings.comparable_best(settings), read_latents("data"))
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import pandas

from lrcore.results import correlations, ranks

PREDICTORS = {
    "ifid": 1, "ifd": 1, "ifid_great_circle": 1, "ifd_great_circle": 1, "spectrum_slope": 1, "effective_dimension": 1,
    "probe_accuracy": -1, "flip_error": 1, "shift_error": 1, "viv": 1, "neighbour_consistency_10": -1,
    "spectral_energy_50": 1,
}  # fmt: skip
"""Latent metrics that need no training, with the sign that makes a high one stand for a high distance: lower is better
for all but the probe's accuracy and the neighbours' consistency. Slopes are negative, steep ones (low) are smooth."""

FEWEST = 3
"""Fewer autoencoders than this have no order worth comparing."""

_SETTING = ["source", "setting", "quantity"]


def kendall(one: Mapping[str, float], other: Mapping[str, float]) -> tuple[float, int]:
    """Kendall's tau-b between two scores by autoencoder, and of how many they share; NaN of fewer than `FEWEST`.

    1 for the same order, -1 for the reverse (Kendall 1938). Autoencoders whose score is NaN do not count.
    """
    shared = _shared(one, other)
    if len(shared) < FEWEST:
        return math.nan, len(shared)
    return ranks.kendall_tau([one[ae] for ae in shared], [other[ae] for ae in shared]), len(shared)


def chance(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """The share of all orders that agree with `other` at least as well as that of `one`; NaN of fewer than `FEWEST`.

    The exact one-sided p-value of Kendall's tau, over the autoencoders that both have; approximate where some tie.

    >>> told = {"sd": 1, "flux1": 2, "rae": 3}
    >>> round(6 * chance(told, told))
    1
    """
    shared = _shared(one, other)
    if len(shared) < FEWEST:
        return math.nan
    return ranks.kendall_chance([one[ae] for ae in shared], [other[ae] for ae in shared])


def _shared(one: Mapping[str, float], other: Mapping[str, float]) -> list[str]:
    """The autoencoders that have a number in both."""
    return [ae for ae in one if ae in other and math.isfinite(one[ae]) and math.isfinite(other[ae])]


def published_orders(published: pandas.DataFrame) -> pandas.DataFrame:
    """The published distances (gfid, ifid) of those settings that compare at least `FEWEST` autoencoders."""
    rows = published[published["quantity"].isin(("gfid", "ifid"))]
    return rows[rows.groupby(_SETTING)["ae"].transform("nunique") >= FEWEST]


def by_setting(published: pandas.DataFrame) -> dict[tuple[str, str, str], dict[str, float]]:
    """The distance of each autoencoder by source, setting and quantity, in the order of the rows.

    Of `published_orders`.
    """
    groups = published_orders(published).groupby(_SETTING, sort=False)
    return {
        (str(source), str(setting), str(quantity)): dict(zip(group["ae"], group["value"], strict=True))
        for (source, setting, quantity), group in groups
    }


def pairs(published: pandas.DataFrame) -> pandas.DataFrame:
    """How many published settings put one autoencoder before another: columns first, second, agreeing, settings.

    A row for every two that share one of the `settings`; `first` is the one that more than half of them, or half and
    the alphabet, put before the other.
    """
    orders = by_setting(published).values()
    aes = sorted(set().union(*orders))
    found = []
    for one, other in itertools.combinations(aes, 2):
        votes = [order[one] < order[other] for order in orders if one in order and other in order]
        agreeing = sum(votes)
        if 2 * agreeing < len(votes):
            one, other, agreeing = other, one, len(votes) - agreeing
        if votes:
            found.append((one, other, agreeing, len(votes)))
    return pandas.DataFrame(found, columns=["first", "second", "agreeing", "settings"])


def with_published(best: pandas.DataFrame, published: pandas.DataFrame) -> pandas.DataFrame:
    """Agreement of our order of autoencoders with every published one.

    Columns source, setting, quantity, tau, autoencoders, chance (see `chance`). `best`: one row an ae with its
    `distance` (`findings.comparable_best`).
    tau is NaN where the setting shares fewer than `FEWEST` autoencoders with ours.
    """
    ours = dict(zip(best["ae"], best["distance"], strict=True))
    settings = by_setting(published).items()
    found = [(*setting, *kendall(ours, values), chance(ours, values)) for setting, values in settings]
    return pandas.DataFrame(found, columns=[*_SETTING, "tau", "autoencoders", "chance"])


def among_published(published: pandas.DataFrame) -> pandas.DataFrame:
    """Agreement of the published orders with one another, a row a pair of settings: first, second, tau, autoencoders.

    `first` and `second` are tuples of source, setting and quantity. Pairs that share fewer than `FEWEST` autoencoders
    are left out.
    """
    pairs = itertools.combinations(by_setting(published).items(), 2)
    found = [(first, second, *kendall(one, other)) for (first, one), (second, other) in pairs]
    rows = pandas.DataFrame(found, columns=["first", "second", "tau", "autoencoders"])
    return rows[rows["autoencoders"] >= FEWEST].reset_index(drop=True)


def of_predictors(best: pandas.DataFrame, latents: pandas.DataFrame) -> pandas.DataFrame:
    """How well each of `PREDICTORS` tells our order of autoencoders: predictor, tau, spearman, autoencoders.

    tau and Spearman's rank correlation are 1 where the predictor, with its sign, has the order of the distances of
    `best`, and NaN where it is the same for all; predictors that were measured for fewer than `FEWEST` of its
    autoencoders are left out. `latents`: the rows of one study.
    """
    ours = dict(zip(best["ae"], best["distance"], strict=True))
    found = []
    for predictor in PREDICTORS:
        told = signed(latents, predictor)
        tau, count = kendall(ours, told)
        if count < FEWEST:
            continue
        shared = [ae for ae in ours if ae in told]
        found.append((predictor, tau, ranks.spearman([ours[ae] for ae in shared], [told[ae] for ae in shared]), count))
    return pandas.DataFrame(found, columns=["predictor", "tau", "spearman", "autoencoders"])


def judged(best: pandas.DataFrame, latents: pandas.DataFrame) -> pandas.DataFrame:
    """Which of `PREDICTORS` the study excludes, all of them tried together: `correlations.judged`.

    Autoencoders whose names begin alike, such as pca4 and pca32, or flux2 and flux2-again, are of one family. Empty
    where fewer than `correlations.LEAST` autoencoders have a distance and a predictor.
    """
    told = pandas.DataFrame({name: signed(latents, name) for name in PREDICTORS}, index=best["ae"], dtype=float)
    return correlations.judged(told, best.set_index("ae")["distance"], {ae: _relatives(ae) for ae in best["ae"]})


def _relatives(ae: str) -> str:
    """What the names of an autoencoder's relatives begin with.

    >>> [_relatives(ae) for ae in ("pca16", "flux2-again", "flux2", "sd")]
    ['pca', 'flux2', 'flux2', 'sd']
    """
    stem = ae.split("-", 1)[0]
    return stem.rstrip("0123456789") if stem.startswith("pca") else stem


def signed(latents: pandas.DataFrame, predictor: str) -> dict[str, float]:
    """A predictor by autoencoder, with its sign."""
    rows = latents[(latents["metric"] == predictor) & (latents["index"] == -1)]
    return dict(zip(rows["ae"], PREDICTORS[predictor] * rows["value"], strict=True))
