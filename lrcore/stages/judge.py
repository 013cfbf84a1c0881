"""What samples are compared with, and what they are worth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from lrcore.metrics.features import FeatureNetwork, all_features
from lrcore.metrics.frechet import FrechetReference
from lrcore.metrics.pairs import FeatureSet, compared, unbiased_kernel_distance
from lrcore.metrics.trace_roots import TraceRoots
from lrcore.stages.features import load_network, network_recipe
from lrcore.stages.reference import compared_features, reference_fingerprint, reference_statistics
from lrcore.stages.workspace import Workspace

MOST_WORKERS = 14
"""Processes that compute eigenvalues, 1.5 s for a distance of 2,048 features: a GPU gives them no more to do."""


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
        return self.begin(images)()

    def begin(self, images: FeatureSet, roots: TraceRoots | None = None) -> Callable[[], Distance]:
        """What gives the `distance` when it is called; `roots` as for `FrechetReference.begin`."""
        fid, kid = self.frechet.begin(images.moments, roots), unbiased_kernel_distance(images, self.images)
        return lambda: Distance(fid(), kid)


@dataclass(frozen=True)
class Judge:
    """A feature network and the reference images in it."""

    network: FeatureNetwork
    reference: Target

    def features(self, batches: Iterable[Tensor]) -> Tensor:
        """Features (N, dim) of uint8 images in batches (B, 3, H, W)."""
        return all_features(self.network, batches)

    def begin(self, samples: FeatureSet, roots: TraceRoots | None = None) -> Callable[[], Scores]:
        """What gives the scores of these samples when it is called; `roots` as for `FrechetReference.begin`."""
        fid = self.reference.frechet.begin(samples.moments, roots)
        found = compared(samples, self.reference.images)
        return lambda: Scores(fid(), *found)


def judge_recipe(work: Workspace) -> str:
    """What a judge is made of."""
    count = work.study.evaluation.n_reference
    return network_recipe(work, work.data_recipe, reference_fingerprint(work), count)


def load_judge(work: Workspace) -> Judge:
    """The study's feature network and reference, made once for all ways of measuring that share them."""
    return work.keep(work.in_precision("judge"), judge_recipe(work), lambda: _judge(work))


def trace_roots(work: Workspace) -> TraceRoots | None:
    """Workers beside a GPU, as many as this process has cores beside the one that it runs on; none on a CPU, which the
    samples keep busy."""
    workers = min(torch.get_num_threads() - 1, MOST_WORKERS)
    if work.device.type != "cuda" or workers < 1:
        return None
    return work.keep("workers for traces of roots", workers, lambda: TraceRoots(workers))


def _judge(work: Workspace) -> Judge:
    reference = FeatureSet(compared_features(work).to(work.device))
    return Judge(load_network(work), Target(FrechetReference(reference_statistics(work)), reference))
