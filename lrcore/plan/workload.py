"""What is left of a study, counted in operations that cost the same each time; nothing is timed and nothing done.

Only what takes a while is counted: passes of networks, matrix products of feature vectors, reading networks. What is
kept in files is counted once, and not at all where the files are there. One process is assumed: of several, each loads
its own reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lrcore.autoencoders import normalised, taef2
from lrcore.errors import LrcoreError
from lrcore.flow.guidance import Guidance
from lrcore.metrics.equivariance import EQUIVARIANCE_PROTOCOL, SMALLEST_SHIFT_GRID
from lrcore.plan.operations import Kind, Operation, Workload
from lrcore.plan.tally import Tally
from lrcore.spec.study import Cell, Evaluation, needs_encoder
from lrcore.stages import anchors, choice, diagnostics, samples
from lrcore.stages.autoencoder import normalisation_path, taef2_moments_path, training_checkpoint, uses_features
from lrcore.stages.diagnostics import Part
from lrcore.stages.evaluations import evaluations_done, evaluations_missing
from lrcore.stages.generation import stacks
from lrcore.stages.latent_shape import latent_shape
from lrcore.stages.scale import GUARDED_IMAGES, scale_path
from lrcore.stages.todo import Todo
from lrcore.stages.training import state_path, steps_left, trained
from lrcore.stages.workspace import Workspace
from lrcore.training.checkpoints import saved_step


@dataclass(frozen=True)
class Evaluations:
    """Samples to draw of a training, and the numbers of them that get a row each."""

    cell: Cell
    drawn: int
    counts: tuple[int, ...]


def workload(work: Workspace, todo: Todo, begun: bool) -> Workload:
    """All operations of what is left; `begun`: whether a part of it may have been done, so that files are looked at."""
    tally = _Stages(work, begun)
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


class _Stages(Tally):
    """Counts what the stages do."""

    def train_autoencoder(self, ae: str) -> None:
        spec, settings = self.study.autoencoders[ae], self.study.autoencoder_training
        left = settings.steps - (saved_step(training_checkpoint(self.work, ae)) if self.begun else 0)
        self.add(Kind.AUTOENCODER_STEP, left, ae)
        if uses_features(spec):
            self.patch_features()
        if spec.family in ("kl", "flux2"):  # which measure their normalisation at the end
            self.add(Kind.ENCODE, self.study.data.train_images, ae)

    def normalise(self, ae: str) -> None:
        """Statistics of the latents where the study measures them, and the look at whether they are normalised."""
        spec, images = self.study.autoencoders[ae], self.study.data.train_images
        if spec.family == "taef2" and self.new(("moments", ae), lambda: taef2_moments_path(self.work, ae)):
            self.add(Kind.ENCODE, min(taef2.MEASURED_IMAGES, images), ae)
        if spec.normalise and self.new(("statistics", ae), lambda: normalisation_path(self.work, ae)):
            self.add(Kind.ENCODE, min(normalised.MEASURED_IMAGES, images), ae)
        if self.new(("scale", ae), lambda: scale_path(self.work, ae)):
            self.add(Kind.ENCODE, min(GUARDED_IMAGES, images), ae)

    def reconstruct(self, ae: str) -> None:
        images = self.study.data.validation_images
        self.split_statistics("test", images)
        self.add(Kind.ENCODE, images, ae)
        self.add(Kind.DECODE, images, ae)
        self.add(Kind.METRICS, images)
        self.add(Kind.LOAD_LPIPS, 1)
        self.measured_set(images)
        self.add(Kind.STATISTICS, images)
        self.add(Kind.FACTOR, 1, size=images)
        self.add(Kind.FRECHET, 1, size=images)

    def diagnose(self, ae: str) -> None:
        left = diagnostics.parts_left(self.work, ae) if self.begun else {*Part}
        data = self.study.data
        if Part.LINEAR in left:
            images = diagnostics.linear_images(self.work, latent_shape(self.work, ae))
            self.add(Kind.ENCODE, images, ae)
            self.add(Kind.LINEAR, 1, ae, images)
        probed = min(diagnostics.PROBE_IMAGES, data.train_images)
        looked_at = min(diagnostics.DIAGNOSED_IMAGES, data.validation_images)
        if left & {Part.DESCRIBED, Part.PREDICTED}:
            self.add(Kind.ENCODE, looked_at, ae)
        if Part.DESCRIBED in left:
            # the probe's, and the validation images once more to be compared and once for each symmetry
            self.add(Kind.ENCODE, probed + looked_at * (1 + self._symmetries(ae)), ae)
            self.add(Kind.DIAGNOSE, 1, ae, probed + looked_at)
        if Part.PREDICTED in left:
            self.add(Kind.PREDICT, 1, ae, looked_at)
        interpolations = len(left & {Part.INTERPOLATED, Part.GREAT_CIRCLE})
        if interpolations:
            moved = diagnostics.interpolated_images(self.work)
            self.add(Kind.ENCODE, moved, ae)
            self.split_statistics("train", moved)
            self.add(Kind.FACTOR, 1, size=moved)
        for _ in range(interpolations):
            self.add(Kind.NEIGHBOURS, 1, ae, moved)
            self.add(Kind.DECODE, moved, ae)
            self.measured_set(moved)
            self.add(Kind.STATISTICS, moved)
            self.add(Kind.FRECHET, 1, size=moved)

    def anchor(self, ae: str) -> None:
        """Of one autoencoder, once; there are none where test images are fewer than samples."""
        counts = self.anchored()
        if not counts or not self.new(("anchors", ae)):
            return
        missing = anchors.missing(self.work, ae) if self.begun else counts
        if not missing:
            return
        self.judge()
        most = counts[-1]
        for anchor in anchors.ANCHORS:
            self._anchor_images(ae, anchor, most)
        for count in missing:
            self.target(count)
            for _ in anchors.ANCHORS:
                self.feature_set(count)
                self.to_reference(count)
            for _ in anchors.ANCHORS[1:]:  # all but the target itself
                self.to_target(count)

    def _anchor_images(self, ae: str, anchor: str, count: int) -> None:
        key = (anchor,) if anchor == "test" else (anchor, ae)
        if not self.new(key, lambda: anchors.features_path(self.work, ae, anchor)):
            return
        self.measured_set(count)
        if anchor != "test":
            self.add(Kind.DECODE, count, ae)
        if anchor == anchors.RECONSTRUCTIONS:
            self.add(Kind.ENCODE, count, ae)
        if anchor == "gaussian":
            images = min(anchors.GAUSSIAN_IMAGES, self.study.data.train_images)
            self.add(Kind.GAUSSIAN, count, ae, images)
            for _ in range(1 + -(-count // anchors.GAUSSIAN_SAMPLES)):  # for the mean, then for each part of them
                self.latents(ae)
                if not self.cacheable(ae):
                    self.add(Kind.ENCODE, images, ae)

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
            self.latents(first.ae)
        if not self.cacheable(first.ae):
            self.add(Kind.ENCODE, batch * max(steps), first.ae)
        if needs_encoder(first.repa) and max(steps):
            if self.features_are_stored():
                self.patch_features()
            else:
                self.add(Kind.PATCHES, batch * max(steps))

    def evaluate(self, evaluations: Sequence[Evaluations]) -> None:
        loaded: dict[int, str] = {}
        for found in evaluations:
            cell = found.cell
            self.judge()
            self.anchor(cell.ae)
            self._draw(cell, found.drawn)
            self.add(Kind.FEATURES, found.drawn)
            for count in found.counts:
                self.feature_set(count)
                self.to_reference(count)
                if count not in self.anchored():
                    continue
                if loaded.get(count) != cell.ae:  # of each number of samples, one autoencoder's stay in memory
                    loaded[count] = cell.ae
                    self.feature_set(count)
                    self.target(count)
                self.to_target(count)

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
        self.add(Kind.DECODE, count, cell.ae)

    def _symmetries(self, ae: str) -> int:
        try:
            small = min(latent_shape(self.work, ae).grid) < SMALLEST_SHIFT_GRID
        except LrcoreError:
            small = False
        return len(EQUIVARIANCE_PROTOCOL) - small
