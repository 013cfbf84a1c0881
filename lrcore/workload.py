"""What is left of a study, counted in operations that cost the same each time; nothing is timed and nothing done.

Only what takes a while is counted: passes of networks, matrix products of feature vectors, reading networks. What is
kept in files is counted once, and not at all where the files are there. One process is assumed: of several, each loads
its own reference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lrcore.autoencoders.taef2 import MEASURED_IMAGES
from lrcore.checkpoints import saved_step
from lrcore.engine import Todo
from lrcore.errors import LrcoreError
from lrcore.guidance import Guidance
from lrcore.metrics.equivariance import EQUIVARIANCE_PROTOCOL, SMALLEST_SHIFT_GRID
from lrcore.metrics.shipped import shipped_statistics
from lrcore.stages import anchors, choice, diagnostics, samples
from lrcore.stages.autoencoder import taef2_moments_path, training_checkpoint, uses_features
from lrcore.stages.features import feature_parts, features_are_stored, statistics_path
from lrcore.stages.generation import evaluations_done, evaluations_missing, stacks
from lrcore.stages.latent_shape import has_posterior, latent_shape
from lrcore.stages.latents import GUARDED_IMAGES, shard_plan
from lrcore.stages.reference import COMPARED_IMAGES, compared_count, compared_path, own_statistics_path
from lrcore.stages.training import state_path, steps_left, trained
from lrcore.stages.workspace import Workspace
from lrcore.studies import NO_REPA, NO_SKIP, Cell, Evaluation


class Kind(StrEnum):
    """What is done."""

    AUTOENCODER_STEP = "autoencoder step"
    PATCHES = "patch features of an image"
    ENCODE = "image encoded"
    DECODE = "image decoded"
    METRICS = "reconstruction metrics of an image"
    DIAGNOSE = "diagnostics of a latent space"
    NEIGHBOURS = "nearest neighbours of all latents"
    GAUSSIAN = "Gaussian latent"
    STEP = "training step"
    PASS = "transformer pass of a sample"
    FEATURES = "image in the feature network"
    STATISTICS = "mean and covariance of features, an image"
    FACTOR = "factor of a covariance"
    FRECHET = "Frechet distance"
    KERNEL = "pair of a kernel distance"
    MANIFOLD = "pair of precision and recall"
    LOAD = "feature network loaded"
    LOAD_LPIPS = "LPIPS networks loaded"


@dataclass(frozen=True, order=True)
class Operation:
    """`ae`: whose network or latents; `repa`, `width`, `skip`: of the transformer.

    `size`: images that a set has (distances, diagnostics), training latents behind a Gaussian one, trainings of a
    stack.
    """

    kind: Kind
    ae: str = ""
    repa: str = NO_REPA
    width: int = 0
    skip: str = NO_SKIP
    size: int = 0

    @property
    def described(self) -> str:
        """For messages: what is done, and whose it is."""
        return f"{self.kind}" + (f" of '{self.ae}'" if self.ae else "")


Workload = Counter[Operation]


@dataclass(frozen=True)
class Evaluations:
    """Samples to draw of a training, and the numbers of them that get a row each."""

    cell: Cell
    drawn: int
    counts: tuple[int, ...]


def workload(work: Workspace, todo: Todo, begun: bool) -> Workload:
    """All operations of what is left; `begun`: whether a part of it may have been done, so that files are looked at."""
    tally = _Tally(work, begun)
    for ae in todo.train:
        tally.train_autoencoder(ae)
    for ae in todo.measured:
        tally.normalise(ae)
    for ae in todo.reconstruct:
        tally.reconstruct(ae)
    for ae in todo.diagnose:
        tally.diagnose(ae)
    for ae in todo.anchor:
        tally.anchor(ae)
    evaluations = evaluations_left(work, todo, begun)
    tally.train(todo.generate, [found.cell for found in evaluations])
    tally.evaluate(evaluations)
    for ae in todo.show:
        tally.show(ae)
    return tally.found


def evaluations_left(work: Workspace, todo: Todo, begun: bool) -> list[Evaluations]:
    """Of the grid, then of the best settings.

    Until it is known which setting is best, the first of the candidates stands for it.
    """
    study = work.study
    done = evaluations_done(work) if begun else {}
    wanted = len(study.training.evaluate_at) * len(study.evaluation.sampleshifts)
    found = [
        Evaluations(cell, study.evaluation.n_samples, (study.evaluation.n_samples,))
        for group in stacks(work, todo.generate)
        for cell in group
        for _ in range(len(evaluations_missing(work, cell, done)) if begun else wanted)
    ]
    for task in todo.choose:
        best = choice.best_setting(work, task.ae) if begun and choice.choosable(work, task.ae, set(), done) else None
        counts = task.n_samples
        if best is None:
            best = choice.Best(choice.candidates(work, task.ae)[0], study.evaluation.sampleshifts[0])
        else:
            counts = tuple(choice.missing(work, task, best, done))
        found.append(Evaluations(choice.cell_of(task, best), max(counts), counts))
    return found


def passes_per_sample(evaluation: Evaluation) -> int:
    """Passes of the network for one sample."""
    steps = evaluation.sampling_steps
    evaluations = 2 * steps - 1 if evaluation.sampler == "heun" else steps
    # where guidance holds there are two passes; over the whole interval at most
    return evaluations if Guidance(evaluation.guidance).scale == 1 else 2 * evaluations


class _Tally:
    """Counts operations, each where it comes first of those that are kept in files."""

    def __init__(self, work: Workspace, begun: bool) -> None:
        self.work, self.study, self.begun = work, work.study, begun
        self.found: Workload = Counter()
        self._made: set[tuple[str, ...]] = set()

    def _new(self, key: tuple[str, ...], path: Callable[[], Path] | None = None) -> bool:
        """Whether what is made once was not counted yet, nor is in its file, if it has one."""
        if key in self._made:
            return False
        self._made.add(key)
        return not (self.begun and path is not None and path().exists())

    def _add(self, kind: Kind, count: int, ae: str = "", size: int = 0) -> None:
        if count:
            self.found[Operation(kind, ae, size=size)] += count

    def train_autoencoder(self, ae: str) -> None:
        spec, settings = self.study.autoencoders[ae], self.study.autoencoder_training
        left = settings.steps - (saved_step(training_checkpoint(self.work, ae)) if self.begun else 0)
        self._add(Kind.AUTOENCODER_STEP, left, ae)
        if uses_features(spec):
            self._patch_features()
        if spec.family in ("kl", "flux2"):  # which measure their normalisation at the end
            self._add(Kind.ENCODE, self.study.data.train_images, ae)

    def normalise(self, ae: str) -> None:
        """Of TAEF2, whose latents are looked at before the first use."""
        images = min(MEASURED_IMAGES, self.study.data.train_images)
        if self.study.autoencoders[ae].family == "taef2" and self._new(
            ("moments", ae), lambda: taef2_moments_path(self.work, ae)
        ):
            self._add(Kind.ENCODE, images, ae)

    def reconstruct(self, ae: str) -> None:
        images = self.study.data.validation_images
        self._split_statistics("test", images)
        self._add(Kind.ENCODE, images, ae)
        self._add(Kind.DECODE, images, ae)
        self._add(Kind.METRICS, images)
        self._add(Kind.LOAD_LPIPS, 1)
        self._measured_set(images)
        self._add(Kind.STATISTICS, images)
        self._add(Kind.FACTOR, 1, size=images)
        self._add(Kind.FRECHET, 1, size=images)

    def diagnose(self, ae: str) -> None:
        data = self.study.data
        probed = min(diagnostics.PROBE_IMAGES, data.train_images)
        looked_at = min(diagnostics.DIAGNOSED_IMAGES, data.validation_images)
        moved = diagnostics.interpolated_images(self.work)
        # the validation images once as they are, once more to be compared, and once for each symmetry
        self._add(Kind.ENCODE, probed + looked_at * (2 + self._symmetries(ae)) + moved, ae)
        self._add(Kind.DIAGNOSE, 1, ae, probed + looked_at)
        self._add(Kind.NEIGHBOURS, 1, ae, moved)
        self._add(Kind.DECODE, moved, ae)
        self._split_statistics("train", moved)
        self._measured_set(moved)
        self._add(Kind.STATISTICS, moved)
        self._add(Kind.FACTOR, 1, size=moved)
        self._add(Kind.FRECHET, 1, size=moved)

    def anchor(self, ae: str) -> None:
        """Of one autoencoder, once; there are none where test images are fewer than samples."""
        counts = self._anchored()
        if not counts or not self._new(("anchors", ae)):
            return
        missing = anchors.missing(self.work, ae) if self.begun else counts
        if not missing:
            return
        self._judge()
        most = counts[-1]
        for anchor in anchors.ANCHORS:
            self._anchor_images(ae, anchor, most)
        for count in missing:
            self._target(count)
            for _ in anchors.ANCHORS:
                self._to_reference(count)
            for _ in anchors.ANCHORS[1:]:  # all but the target itself
                self._to_target(count)

    def _anchor_images(self, ae: str, anchor: str, count: int) -> None:
        key = (anchor,) if anchor == "test" else (anchor, ae)
        if not self._new(key, lambda: anchors.features_path(self.work, ae, anchor)):
            return
        self._measured_set(count)
        if anchor != "test":
            self._add(Kind.DECODE, count, ae)
        if anchor == anchors.RECONSTRUCTIONS:
            self._add(Kind.ENCODE, count, ae)
        if anchor == "gaussian":
            images = min(anchors.GAUSSIAN_IMAGES, self.study.data.train_images)
            self._add(Kind.GAUSSIAN, count, ae, images)
            for _ in range(1 + -(-count // anchors.GAUSSIAN_SAMPLES)):  # for the mean, then for each part of them
                self._latents(ae)
                if not self._cacheable(ae):
                    self._add(Kind.ENCODE, images, ae)

    def train(self, grid: Sequence[Cell], evaluated: Sequence[Cell]) -> None:
        """Transformers: groups of the grid, then one by one what the best settings need that is not in it."""
        for group in stacks(self.work, grid):
            due = self.study.training.evaluate_at
            if self.begun:
                due = tuple(step for step in due if not all(trained(self.work, cell, step) for cell in group))
            self._train(group, [steps_left(self.work, cell) if self.begun else due[-1] for cell in group], len(due))
        last = self.study.training.evaluate_at[-1]
        for cell in dict.fromkeys(cell for cell in evaluated if cell not in {*grid}):
            if self.begun and not trained(self.work, cell, last):
                self._train([cell], [max(0, last - saved_step(state_path(self.work, cell)))], 1)
            elif not self.begun and cell not in self.study.cells:
                self._train([cell], [last], 1)

    def _train(self, cells: Sequence[Cell], steps: Sequence[int], times: int) -> None:
        """`times`: that the training is begun or gone on with."""
        first, batch = cells[0], self.study.training.batch_size
        for cell, left in zip(cells, steps, strict=True):
            if left:
                self.found[Operation(Kind.STEP, cell.ae, cell.repa, cell.width, cell.skip, len(cells))] += left
        for _ in range(times):
            self._latents(first.ae)
        if not self._cacheable(first.ae):
            self._add(Kind.ENCODE, batch * max(steps), first.ae)
        if first.repa != NO_REPA and max(steps):
            if self._features_are_stored():
                self._patch_features()
            else:
                self._add(Kind.PATCHES, batch * max(steps))

    def evaluate(self, evaluations: Sequence[Evaluations]) -> None:
        loaded: dict[int, str] = {}
        for found in evaluations:
            cell = found.cell
            self._judge()
            self.anchor(cell.ae)
            self._draw(cell, found.drawn)
            self._add(Kind.FEATURES, found.drawn)
            for count in found.counts:
                self._to_reference(count)
                self._add(Kind.MANIFOLD, 2 * count * self._compared + count**2)
                if count not in self._anchored():
                    continue
                if loaded.get(count) != cell.ae:  # of each number of samples, one autoencoder's stay in memory
                    loaded[count] = cell.ae
                    self._target(count)
                self._to_target(count)

    def show(self, ae: str) -> None:
        """Pictures: of one setting that there is with every kind of REPA."""
        cells = samples.group_cells(self.work, ae)
        settings: dict[tuple[str, float], list[Cell]] = {}
        for cell in cells:
            settings.setdefault((cell.trainp, cell.trainshift), []).append(cell)
        kinds = len({cell.repa for cell in cells})
        for cell in next((same for same in settings.values() if len(same) == kinds), []):
            self._draw(cell, min(samples.COLUMNS * samples.ROWS, self.study.evaluation.n_samples))

    def _draw(self, cell: Cell, count: int) -> None:
        passes = count * passes_per_sample(self.study.evaluation)
        self.found[Operation(Kind.PASS, cell.ae, width=cell.width, skip=cell.skip)] += passes
        self._add(Kind.DECODE, count, cell.ae)

    def _latents(self, ae: str) -> None:
        """Each time they are wanted the first are looked at; all are encoded once, where that is allowed."""
        data, flip = self.study.data, self.study.training.flip
        self._add(Kind.ENCODE, min(GUARDED_IMAGES, data.train_images), ae)
        if not self._cacheable(ae) or not self._new(("latents", ae)):
            return
        images = data.train_images * (1 + flip)
        if self.begun:
            plan = shard_plan(self.work, ae)
            images = sum(plan.size(number) for number, _ in plan.missing)
        self._add(Kind.ENCODE, images, ae)

    def _patch_features(self) -> None:
        if not self._new(("patches",)):
            return
        images = self.study.data.train_images
        if self.begun:
            images = sum(count for path, (_, count) in feature_parts(self.work).items() if not path.exists())
        self._add(Kind.PATCHES, images)

    def _judge(self) -> None:
        """Made once: the reference's statistics, features of some of its images, and what distances need of these."""
        if not self._new(("judge",)):
            return
        self._add(Kind.LOAD, 1)
        evaluation = self.study.evaluation
        if not evaluation.reference:
            self._split_statistics("train", evaluation.n_reference)
        elif self.begun and (path := own_statistics_path(self.work)) and not path.exists():
            self._measured_set(evaluation.n_reference)
            self._add(Kind.STATISTICS, evaluation.n_reference)
        if self._new(("compared",), lambda: compared_path(self.work)):
            self._measured_set(self._compared)
        self._add(Kind.FACTOR, 1, size=evaluation.n_reference)
        self._add(Kind.KERNEL, self._compared**2)
        self._add(Kind.MANIFOLD, self._compared**2)

    def _split_statistics(self, split: str, images: int) -> None:
        data, network = self.study.data, self.study.evaluation.feature_network
        if shipped_statistics(data.dataset, split, images, network) is not None:
            return
        if self._new((split, str(images)), lambda: statistics_path(self.work, split, images)):
            self._measured_set(images)
            self._add(Kind.STATISTICS, images)

    def _measured_set(self, images: int) -> None:
        """Images in the feature network, which is loaded for them."""
        self._add(Kind.FEATURES, images)
        self._add(Kind.LOAD, 1)

    def _target(self, count: int) -> None:
        """Images that others are compared with."""
        self._add(Kind.STATISTICS, count)
        self._add(Kind.FACTOR, 1, size=count)
        self._add(Kind.KERNEL, count**2)

    def _to_target(self, count: int) -> None:
        """Frechet and kernel distance to as many images."""
        self._add(Kind.STATISTICS, count)
        self._add(Kind.FRECHET, 1, size=count)
        self._add(Kind.KERNEL, 2 * count**2)

    def _to_reference(self, count: int) -> None:
        self._add(Kind.STATISTICS, count)
        self._add(Kind.FRECHET, 1, size=count)
        if count < self.study.evaluation.n_reference:  # the covariance of lower rank is the one that is factorised
            self._add(Kind.FACTOR, 1, size=count)
        self._add(Kind.KERNEL, count**2 + count * self._compared)

    @property
    def _compared(self) -> int:
        """Reference images of kernel distances."""
        if self.begun:
            return compared_count(self.work)
        return min(self.study.evaluation.n_reference, COMPARED_IMAGES)

    def _anchored(self) -> list[int]:
        """The numbers of samples that there are anchors of."""
        if self.begun:
            return anchors.counts(self.work)
        return [count for count in self.work.sample_counts if count <= self.study.data.validation_images]

    def _features_are_stored(self) -> bool:
        try:
            return features_are_stored(self.work)
        except LrcoreError:  # whose encoder is not there
            return not self.study.training.flip

    def _cacheable(self, ae: str) -> bool:
        try:
            return has_posterior(self.work, ae) is not None
        except LrcoreError:  # one of your own that cannot be made
            return True

    def _symmetries(self, ae: str) -> int:
        try:
            small = min(latent_shape(self.work, ae).grid) < SMALLEST_SHIFT_GRID
        except LrcoreError:
            small = False
        return len(EQUIVARIANCE_PROTOCOL) - small
