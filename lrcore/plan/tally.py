"""Counting operations: what is made once, sets of images in the feature network, and distances between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from lrcore.errors import LrcoreError
from lrcore.metrics.shipped import shipped_statistics
from lrcore.plan.operations import Kind, Operation, Workload
from lrcore.stages import anchors
from lrcore.stages.features import feature_parts, features_are_stored, statistics_path
from lrcore.stages.latent_shape import has_posterior
from lrcore.stages.latents import shard_plan
from lrcore.stages.reference import COMPARED_IMAGES, compared_count, compared_path, own_statistics_path
from lrcore.stages.workspace import Workspace


class Tally:
    """Counts operations of a study, each where it comes first of those that are kept in files.

    `begun`: whether a part of the study may have been done, so that files are looked at.
    """

    def __init__(self, work: Workspace, begun: bool) -> None:
        self.work, self.study, self.begun = work, work.study, begun
        self.found: Workload = Counter()
        self._made: set[tuple[str, ...]] = set()

    def new(self, key: tuple[str, ...], path: Callable[[], Path] | None = None) -> bool:
        """Whether what is made once was not counted yet, nor is in its file, if it has one."""
        if key in self._made:
            return False
        self._made.add(key)
        return not (self.begun and path is not None and path().exists())

    def add(self, kind: Kind, count: int, ae: str = "", size: int = 0) -> None:
        """Count so many operations more."""
        if count:
            self.found[Operation(kind, ae, size=size)] += count

    def latents(self, ae: str) -> None:
        """All are encoded once, where that is allowed."""
        data, flip = self.study.data, self.study.training.flip
        if not self.cacheable(ae) or not self.new(("latents", ae)):
            return
        images = data.train_images * (1 + flip)
        if self.begun:
            plan = shard_plan(self.work, ae)
            images = sum(plan.size(number) for number, _ in plan.missing)
        self.add(Kind.ENCODE, images, ae)

    def patch_features(self) -> None:
        """Of the training images, where they are stored."""
        if not self.new(("patches",)):
            return
        images = self.study.data.train_images
        if self.begun:
            images = sum(count for path, (_, count) in feature_parts(self.work).items() if not path.exists())
        self.add(Kind.PATCHES, images)

    def judge(self) -> None:
        """Made once: the reference's statistics, features of some of its images, and what distances need of these."""
        if not self.new(("judge",)):
            return
        self.feature_network()
        evaluation = self.study.evaluation
        if not evaluation.reference:
            self.split_statistics("train", evaluation.n_reference)
        elif self.begun and (path := own_statistics_path(self.work)) and not path.exists():
            self.measured_set(evaluation.n_reference)
            self.add(Kind.STATISTICS, evaluation.n_reference)
        if self.new(("compared",), lambda: compared_path(self.work)):
            self.measured_set(self.compared)
        self.add(Kind.FACTOR, 1, size=evaluation.n_reference)
        self.add(Kind.PAIR, self.compared**2)

    def split_statistics(self, split: str, images: int) -> None:
        """Mean and covariance of the first images of the split "train" or "test", unless they ship."""
        data, network = self.study.data, self.study.evaluation.feature_network
        if shipped_statistics(data.dataset, split, images, network) is not None:
            return
        if self.new((split, str(images)), lambda: statistics_path(self.work, split, images)):
            self.measured_set(images)
            self.add(Kind.STATISTICS, images)

    def measured_set(self, images: int) -> None:
        """Images in the feature network."""
        self.add(Kind.FEATURES, images)
        self.feature_network()

    def feature_network(self) -> None:
        """Loaded once, when it is first wanted."""
        if self.new(("network",)):
            self.add(Kind.LOAD, 1)

    def feature_set(self, count: int) -> None:
        """What of images in the feature network is computed once for all that they are compared with."""
        self.add(Kind.STATISTICS, count)
        self.add(Kind.PAIR, count**2)

    def target(self, count: int) -> None:
        """Images that others are compared with, which are a `feature_set`."""
        self.add(Kind.FACTOR, 1, size=count)

    def to_target(self, count: int) -> None:
        """Frechet and kernel distance to as many images."""
        self.add(Kind.FRECHET, 1, size=count)
        self.add(Kind.PAIR, count**2)

    def to_reference(self, count: int) -> None:
        """All distances of so many images to the reference."""
        self.add(Kind.FRECHET, 1, size=count)
        if count < self.study.evaluation.n_reference:  # the covariance of lower rank is the one that is factorised
            self.add(Kind.FACTOR, 1, size=count)
        self.add(Kind.PAIR, count * self.compared)

    @property
    def compared(self) -> int:
        """Reference images of kernel distances."""
        if self.begun:
            return compared_count(self.work)
        return min(self.study.evaluation.n_reference, COMPARED_IMAGES)

    def anchored(self) -> list[int]:
        """The numbers of samples that there are anchors of."""
        if self.begun:
            return anchors.counts(self.work)
        return [count for count in self.work.sample_counts if count <= self.study.data.validation_images]

    def features_are_stored(self) -> bool:
        """Whether trainings read patch features rather than compute them at every step."""
        try:
            return features_are_stored(self.work)
        except LrcoreError:  # whose encoder is not there
            return not self.study.training.flip

    def cacheable(self, ae: str) -> bool:
        """Whether latents are stored."""
        try:
            return has_posterior(self.work, ae) is not None
        except LrcoreError:  # one of your own that cannot be made
            return True
