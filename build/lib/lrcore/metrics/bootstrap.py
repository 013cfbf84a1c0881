"""How much a Frechet distance would move with other samples of the same model: a bootstrap interval."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lrcore.errors import LrcoreError
from lrcore.metrics.feature_sets import checked_set
from lrcore.metrics.frechet import FrechetReference, GaussianStatistics
from lrcore.runtime.seeds import generator


@dataclass(frozen=True)
class Interval:
    """A distance, its standard error over samples, and the interval from `low` to `high` that holds it at `level`."""

    value: float
    standard_error: float
    low: float
    high: float
    level: float


def bootstrap_interval(
    features: Tensor, reference: FrechetReference, replicates: int = 100, level: float = 0.95, seed: int = 0
) -> Interval:
    """The Frechet distance of `features` (N, D) to `reference`, with a bootstrap interval over the N images.

    The distance is biased upwards, the more the fewer samples, and resampling with replacement adds the same bias once
    more (it draws about 63 % of the images). So the replicates are centred on the measured distance: the interval is
    for the expected distance *at N samples*, the number that may be compared with others of the same N, and not for
    that of infinitely many (`lrcore.metrics.extrapolation`). The reference is taken as given.

    Efron 1979, centred percentiles. Of 400 Gaussian sets each, the 95 % interval of 200 replicates held the expected
    distance in 94 % (4 features, 200 images), 96 % (16, 500) and 99.8 % (64, 500): it is too wide where there are few
    images for each feature.

    Raises:
        LrcoreError: fewer than 2 images, another dimension than the reference's, NaN or infinity, fewer than 2
            replicates, a level outside (0, 1).
    """
    if replicates < 2 or not 0 < level < 1:
        raise LrcoreError(f"an interval needs at least 2 replicates and a level in (0, 1), got {replicates}, {level}")
    checked_set(features, "bootstrapped", least=2)
    value = _distance(features, reference)
    random = generator(seed, "bootstrap")
    drawn = (torch.randint(len(features), (len(features),), generator=random) for _ in range(replicates))
    found = torch.tensor([_distance(features[picked], reference) for picked in drawn], dtype=torch.float64)
    spread = found - found.mean()
    tails = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    low, high = (value + spread.quantile(tails)).tolist()
    return Interval(value, float(found.std()), max(0.0, low), high, level)


def _distance(features: Tensor, reference: FrechetReference) -> float:
    statistics = GaussianStatistics(features.shape[1], features.device if features.is_cuda else "cpu")
    statistics.update(features)
    return reference.distance(statistics)
