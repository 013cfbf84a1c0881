"""What samples are compared with, and what they are worth."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from lrcore.metrics.features import FeatureNetwork, all_features
from lrcore.metrics.frechet import FrechetReference
from lrcore.metrics.pairs import FeatureSet, compared, unbiased_kernel_distance
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
    """Images that others are compared with; `frechet` may be of more of them than `images`."""

    frechet: FrechetReference
    images: FeatureSet

    @classmethod
    def of(cls, images: FeatureSet) -> Target:
        """Of these images, by all metrics."""
        return cls(FrechetReference(images.moments), images)

    def distance(self, images: FeatureSet) -> Distance:
        """To these images."""
        return Distance(self.frechet.distance(images.moments), unbiased_kernel_distance(images, self.images))


@dataclass(frozen=True)
class Judge:
    """A feature network and the reference images in it."""

    network: FeatureNetwork
    reference: Target

    def features(self, batches: Iterable[Tensor]) -> Tensor:
        """Features (N, dim) of uint8 images in batches (B, 3, H, W)."""
        return all_features(self.network, batches)

    def scores(self, samples: FeatureSet) -> Scores:
        """Of these samples."""
        return Scores(self.reference.frechet.distance(samples.moments), *compared(samples, self.reference.images))


def judge_recipe(work: Workspace) -> str:
    """What a judge is made of."""
    count = work.study.evaluation.n_reference
    return network_recipe(work, work.data_recipe, reference_fingerprint(work), count)


def load_judge(work: Workspace) -> Judge:
    """The study's feature network and reference, made once for all ways of measuring that share them."""
    return work.keep("judge", judge_recipe(work), lambda: _judge(work))


def _judge(work: Workspace) -> Judge:
    reference = FeatureSet(compared_features(work).to(work.device))
    return Judge(load_network(work), Target(FrechetReference(reference_statistics(work)), reference))
