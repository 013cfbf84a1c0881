"""How far another seed moves a distance, and how large a difference must be to be more than that.

rows = load_studies("data")["cifar10"].repeated
noise_of_difference(rows)
"""

from __future__ import annotations

import math

import pandas

from lrcore.results import findings

LEAST_FREEDOM = 8
"""Degrees of freedom below which a deviation between seeds is not known well enough to call a difference more."""


def noise_of_seeds(rows: pandas.DataFrame) -> pandas.DataFrame:
    """How far a training with another seed moves the distance: columns ae, trainings, freedom, deviation.

    `deviation` is the standard deviation of the logarithm of a distance between trainings that differ in their seed
    alone, at the last step at which some do: 0.05 is about 5 %. It is pooled over an autoencoder's `trainings` with
    `freedom`, their number less that of their means. Samples of one training at several sampling shifts are no further
    trainings: their variances are averaged. No rows where nothing was trained with two seeds.

    Raises:
        LrcoreError: as `findings.require_one_protocol`.
    """
    findings.require_one_protocol(rows)
    rows = rows.assign(distance=findings.deciding(rows))
    rows = rows[rows["distance"] > 0]  # an unbiased distance may be 0 or less: of no size
    rows = rows.assign(log=rows["distance"].map(math.log))
    training = [name for name in findings.SETTING if name != "sampleshift"]
    once = rows.groupby([*findings.SETTING, "step", "train_seed"])["log"].mean().groupby([*findings.SETTING, "step"])
    each = pandas.DataFrame({"variance": once.var(), "seeds": once.size()}).query("seeds > 1").reset_index()
    each = each[each["step"] == each["step"].max()]
    found = []
    for ae, group in each.groupby("ae"):
        of_training = group.groupby(training).agg(variance=("variance", "mean"), seeds=("seeds", "max"))
        freedom = of_training["seeds"] - 1
        deviation = ((freedom * of_training["variance"]).sum() / freedom.sum()) ** 0.5
        found.append((ae, int(of_training["seeds"].sum()), int(freedom.sum()), deviation))
    return pandas.DataFrame(found, columns=["ae", "trainings", "freedom", "deviation"])


def noise_of_difference(rows: pandas.DataFrame, trainings: int = 1, samples: int = 0) -> float:
    """How large a relative difference has to be to be more than the seed, of means over so many `trainings` each.

    `samples` of each distance that is compared, where they are fewer than those of `rows`: the deviation is then taken
    to grow as that of a mean of so many does, which is too much for the part that is of the training.

    Logarithms of distances differ by more than t s sqrt(2 / `trainings`) in one case of twenty where nothing but the
    seed differs: s is the deviation of `noise_of_seeds`, pooled over autoencoders, and t the 97.5th percentile of
    Student's distribution with its degrees of freedom. As a relative difference that is exp(...) - 1. NaN where nothing
    was trained with two seeds; infinite with fewer than `LEAST_FREEDOM` degrees of freedom: then no difference counts.

    Raises:
        LrcoreError: as `findings.require_one_protocol`.
    """
    from scipy.special import stdtrit  # pages whose studies have no seeds need not wait for it

    noise = noise_of_seeds(rows)
    if noise.empty:
        return math.nan
    freedom = int(noise["freedom"].sum())
    if freedom < LEAST_FREEDOM:
        return math.inf
    pooled = math.sqrt(float((noise["freedom"] * noise["deviation"] ** 2).sum()) / freedom)
    if samples:
        pooled *= math.sqrt(max(1.0, int(rows["n_samples"].iloc[0]) / samples))
    return math.expm1(float(stdtrit(freedom, 0.975)) * pooled * math.sqrt(2 / trainings))
