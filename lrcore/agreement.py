"""Whether studies agree on which latent space is the more learnable, and whether anything tells without training.

Ranks, not sizes: distances of two studies follow two protocols. With four autoencoders few orders are possible, so
every number says how many it is of: of 4 in a random order, 1 in 24 agrees wholly.

    agreement.with_published(findings.best_per_ae(settings), records.read_published("data"))
    agreement.of_predictors(findings.best_per_ae(settings), records.read_latents("data"))
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas
from scipy import stats

PREDICTORS = {
    "ifid": 1, "ifd": 1, "spectrum_slope": 1, "effective_dimension": 1, "probe_accuracy": -1, "flip_error": 1,
    "shift_error": 1,
}  # fmt: skip
"""Latent metrics that need no training, with the sign that makes a high one stand for a high distance: lower is better
for all but the probe's accuracy. Slopes are negative, steep ones (low) are smooth latents."""

FEWEST = 3
"""Fewer autoencoders than this have no order worth comparing."""


def kendall(one: Mapping[str, float], other: Mapping[str, float]) -> tuple[float, int]:
    """Kendall's tau-b between two scores by autoencoder, and of how many they share; NaN of fewer than `FEWEST`.

    1 for the same order, -1 for the reverse (Kendall 1938). Autoencoders whose score is NaN do not count.
    """
    shared = [ae for ae in one if ae in other and math.isfinite(one[ae]) and math.isfinite(other[ae])]
    if len(shared) < FEWEST:
        return math.nan, len(shared)
    found = stats.kendalltau([one[ae] for ae in shared], [other[ae] for ae in shared]).statistic
    return float(found), len(shared)


def with_published(best: pandas.DataFrame, published: pandas.DataFrame) -> pandas.DataFrame:
    """Agreement of our order of autoencoders with every published one: source, setting, quantity, tau, autoencoders.

    `best`: one row an ae with its `fid` (`findings.best_per_ae`). Published settings with fewer than `FEWEST` of our
    autoencoders are left out.
    """
    ours = dict(zip(best["ae"], best["fid"], strict=True))
    rows = published[published["quantity"].isin(("gfid", "ifid"))]
    found = []
    for (source, setting, quantity), group in rows.groupby(["source", "setting", "quantity"], sort=False):
        tau, count = kendall(ours, dict(zip(group["ae"], group["value"], strict=True)))
        if count >= FEWEST:
            found.append(
                {"source": source, "setting": setting, "quantity": quantity, "tau": tau, "autoencoders": count}
            )
    return pandas.DataFrame(found, columns=["source", "setting", "quantity", "tau", "autoencoders"])


def of_predictors(best: pandas.DataFrame, latents: pandas.DataFrame) -> pandas.DataFrame:
    """How well each of `PREDICTORS` tells our order of autoencoders: predictor, tau, spearman, autoencoders.

    tau and Spearman's rank correlation are 1 where the predictor, with its sign, has the order of the distances of
    `best`; predictors that were measured for fewer than `FEWEST` of its autoencoders are left out. `latents`: the
    rows of one study.
    """
    ours = dict(zip(best["ae"], best["fid"], strict=True))
    found = []
    for predictor, sign in PREDICTORS.items():
        rows = latents[(latents["metric"] == predictor) & (latents["index"] == -1)]
        told = dict(zip(rows["ae"], sign * rows["value"], strict=True))
        tau, count = kendall(ours, told)
        if count < FEWEST:
            continue
        shared = [ae for ae in ours if ae in told]
        rho = stats.spearmanr([ours[ae] for ae in shared], [told[ae] for ae in shared]).statistic
        found.append((predictor, tau, float(rho), count))
    return pandas.DataFrame(found, columns=["predictor", "tau", "spearman", "autoencoders"])
