"""What samples are compared with, and what they are worth."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from lrcore.metrics.features import FeatureNetwork, all_features, statistics_of
from lrcore.metrics.frechet import FrechetReference
from lrcore.metrics.kernel import KernelReference
from lrcore.metrics.manifold import ManifoldReference
from lrcore.stages.features import load_network, network_recipe
from lrcore.stages.reference import compared_features, reference_fingerprint, reference_statistics
from lrcore.stages.workspace import Workspace


@dataclass(frozen=True)
class Distance:
    """Between two sets of images: Frechet and kernel distance; NaN where there are none."""

    fid: float = math.nan
    kid: float = math.nan


@dataclass(frozen=True)
class Scores:
    """What samples are worth; NaN where there are none because the run diverged."""

    fid: float = math.nan
    kid: float = math.nan
    sample_precision: float = math.nan
    sample_recall: float = math.nan


@dataclass(frozen=True)
class Target:
    """Images that others are compared with."""

    frechet: FrechetReference
    kernel: KernelReference

    @classmethod
    def of(cls, features: Tensor) -> Target:
        """Of images with these features (N, dim)."""
        return cls(FrechetReference(statistics_of(features)), KernelReference(features))

    def distance(self, features: Tensor) -> Distance:
        """To images with these features (N, dim), on the target's device."""
        return Distance(self.frechet.distance(statistics_of(features)), self.kernel.distance(features))


@dataclass(frozen=True)
class Judge:
    """A feature network and the reference images in it."""

    network: FeatureNetwork
    reference: Target
    manifold: ManifoldReference

    def features(self, batches: Iterable[Tensor]) -> Tensor:
        """Features (N, dim) of uint8 images in batches (B, 3, H, W)."""
        return all_features(self.network, batches)

    def scores(self, features: Tensor) -> Scores:
        """Of samples with these features (N, dim)."""
        features = features.to(self.network.device)
        found, covered = self.reference.distance(features), self.manifold.compare(features)
        return Scores(found.fid, found.kid, covered.precision, covered.recall)


def judge_recipe(work: Workspace) -> str:
    """What a judge is made of."""
    count = work.study.evaluation.n_reference
    return network_recipe(work, work.data_recipe, reference_fingerprint(work), count)


def load_judge(work: Workspace) -> Judge:
    """The study's feature network and reference, made once for all ways of measuring that share them."""
    return work.keep("judge", judge_recipe(work), lambda: _judge(work))


def _judge(work: Workspace) -> Judge:
    measured, compared = reference_statistics(work), compared_features(work)
    compared = compared.to(work.device)
    reference = Target(FrechetReference(measured), KernelReference(compared))
    return Judge(load_network(work), reference, ManifoldReference(compared))
