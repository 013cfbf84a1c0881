"""What samples are compared with, and what they are worth."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from lrcore.metrics.features import FeatureNetwork, all_features, statistics_of
from lrcore.metrics.frechet import FrechetReference
from lrcore.metrics.kernel import KernelReference
from lrcore.metrics.manifold import ManifoldReference
from lrcore.stages.features import load_network
from lrcore.stages.reference import compared_features, reference_statistics
from lrcore.stages.workspace import Workspace


@dataclass(frozen=True)
class Scores:
    """What samples are worth; NaN where there are none because the run diverged."""

    fid: float = math.nan
    kid: float = math.nan
    sample_precision: float = math.nan
    sample_recall: float = math.nan


@dataclass(frozen=True)
class Judge:
    """What samples are compared with: a feature network and the reference images in it."""

    network: FeatureNetwork
    frechet: FrechetReference
    kernel: KernelReference
    manifold: ManifoldReference

    def features(self, batches: Iterable[Tensor]) -> Tensor:
        """Features (N, dim) of uint8 images in batches (B, 3, H, W)."""
        return all_features(self.network, batches)

    def scores(self, features: Tensor) -> Scores:
        """Of samples with these features (N, dim)."""
        features = features.to(self.network.device)
        distance = self.frechet.distance(statistics_of(features))
        covered = self.manifold.compare(features)
        return Scores(distance, self.kernel.distance(features), covered.precision, covered.recall)


@functools.lru_cache(maxsize=1)
def load_judge(work: Workspace) -> Judge:
    """The study's feature network and reference, loaded once."""
    measured, compared = reference_statistics(work), compared_features(work)
    compared = compared.to(work.device)
    references = FrechetReference(measured), KernelReference(compared), ManifoldReference(compared)
    return Judge(load_network(work), *references)
