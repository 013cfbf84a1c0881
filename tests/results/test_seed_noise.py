"""lrcore.results.seed_noise: how far seeds move a distance, on rows whose answer is known."""

from __future__ import annotations

import math

import pandas
import pytest
from figure_rows import generation_rows

from lrcore.results import seed_noise


def test_noise_of_seeds() -> None:
    """Of logarithms, at the last step, a training once however often it was sampled."""
    rows = generation_rows(aes=("sd", "rae"))
    some = rows[(rows["ae"] == "sd") & (rows["trainp"] == "ln")]
    factors = {1: math.exp(0.1), 2: math.exp(-0.1)}
    seeds = [some.assign(train_seed=seed, fid=some["fid"] * factor) for seed, factor in factors.items()]
    found = seed_noise.noise_of_seeds(pandas.concat([rows, *seeds]))
    trainings = len(some[["repa", "trainshift"]].drop_duplicates())  # at two sampling shifts and two steps each
    assert len(some) == 4 * trainings
    assert found[["ae", "trainings", "freedom"]].to_numpy().tolist() == [["sd", 3 * trainings, 2 * trainings]]
    assert found["deviation"].iloc[0] == pytest.approx(0.1)  # of -0.1, 0 and 0.1
    early = [part.assign(fid=part["fid"] * (1 + 9 * (part["step"] == 100) * part["train_seed"])) for part in seeds]
    assert seed_noise.noise_of_seeds(pandas.concat([rows, *early]))["deviation"].iloc[0] == pytest.approx(0.1)
    assert seed_noise.noise_of_seeds(rows).empty


def test_noise_of_difference_pools_the_autoencoders() -> None:
    rows = generation_rows(aes=("sd", "rae"))
    some = rows[rows["trainp"] == "ln"]  # 4 trainings of each
    # two seeds e^0.1 to either side of their mean deviate by sqrt(2) times that
    seeds = [some.assign(train_seed=seed, fid=some["fid"] * math.exp(by)) for seed, by in ((0, -0.1), (1, 0.1))]
    t_of_8 = 2.306004135  # the 97.5th percentile of Student's distribution, of the usual tables
    limit = seed_noise.noise_of_difference(pandas.concat(seeds))
    assert limit == pytest.approx(math.expm1(t_of_8 * 0.1 * 2**0.5 * 2**0.5), rel=1e-6)
    of_means = seed_noise.noise_of_difference(pandas.concat(seeds), trainings=4)
    assert math.log1p(of_means) == pytest.approx(math.log1p(limit) / 2)
    calm = [part.assign(fid=part["fid"].where(part["ae"] == "sd", some["fid"])) for part in seeds]
    halved = seed_noise.noise_of_difference(pandas.concat(calm))  # half of them have none
    assert math.log1p(halved) == pytest.approx(math.log1p(limit) / 2**0.5)
    assert math.isnan(seed_noise.noise_of_difference(rows))
    few = pandas.concat(part[part["ae"] == "sd"] for part in seeds)
    assert math.isinf(seed_noise.noise_of_difference(few))  # 4 degrees of freedom
