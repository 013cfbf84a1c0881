"""Stage: train diffusion transformers in a latent space, one by one or several as a stack.

What a training leaves behind are its averaged weights at every step that is evaluated. The whole state, from which a
stopped training goes on, is there while the training is not at its end, whose own state nobody needs.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

import lrcore
from lrcore.autoencoders.base import LatentShape
from lrcore.errors import LrcoreError
from lrcore.fast.capabilities import TRAINING, TRAINING_GRAPH
from lrcore.fast.training import StackSteps
from lrcore.flow.objective import FlowMatching, Losses, draw, own_features, randomness, repa_losses, self_losses
from lrcore.flow.shapes import SHAPES, with_width
from lrcore.flow.stacking import of_network, stack
from lrcore.flow.timesteps import density
from lrcore.flow.transformer import REVISION, DiffusionTransformer, RepaProjector, compile_blocks
from lrcore.records.writing import write_losses
from lrcore.runtime.distributed import shard, whole
from lrcore.runtime.files import write_json
from lrcore.runtime.numerical_path import numerical_path
from lrcore.runtime.seeds import generator
from lrcore.runtime.tensor_files import checked_metadata, load_tensors, save_tensors
from lrcore.spec.study import NO_REPA, NO_SKIP, SELF_REPA, Cell, Training, needs_encoder
from lrcore.stages.autoencoder import autoencoder_recipe, ensure_autoencoder
from lrcore.stages.batches import TrainingBatches
from lrcore.stages.features import features_recipe
from lrcore.stages.workspace import Workspace, recipe
from lrcore.training.checkpoints import TrainingState, saved_step
from lrcore.training.loop import DivergedError, LoopSettings, restore, train, train_by
from lrcore.training.loss_log import LossLog, loss_rows

NUMERICAL_PATH = "numerical_path"
"""What a snapshot says in its metadata of where it was trained."""


def training_recipe(work: Workspace, cell: Cell) -> str:
    """What the weights of a cell depend on at any step."""
    study = work.study
    # when a training is looked at and saved does not change it, nor do keys of what it does without
    training = dataclasses.replace(study.training, evaluate_at=(), checkpoint_every=0)
    if cell.repa != SELF_REPA:
        own = {name: getattr(Training, name) for name in ("self_block", "self_gap", "self_weight")}
        training = dataclasses.replace(training, **own)
    features = features_recipe(work) if needs_encoder(cell.repa) else ""
    return recipe(cell, autoencoder_recipe(work, cell.ae), training, study.seed, features, REVISION)


def training_folder(work: Workspace, cell: Cell) -> Path:
    """Where the training of a cell keeps its files."""
    return work.runs / "transformers" / f"{cell.name}-{training_recipe(work, cell)}"


def state_path(work: Workspace, cell: Cell) -> Path:
    """The file of the training's whole state."""
    return training_folder(work, cell) / "state.safetensors"


def snapshot_path(work: Workspace, cell: Cell, step: int) -> Path:
    """The file of the averaged weights at `step`."""
    return training_folder(work, cell) / f"average-{step:07d}.safetensors"


def diverged(work: Workspace, cell: Cell) -> bool:
    """Whether the training of the cell has diverged."""
    return _divergence_path(work, cell).exists()


def trained(work: Workspace, cell: Cell, step: int) -> bool:
    """Whether there is nothing left to train for evaluating the cell at `step`."""
    return snapshot_path(work, cell, step).exists() or diverged(work, cell)


def steps_left(work: Workspace, cell: Cell) -> int:
    """Training steps until nothing is left to train for any evaluation of the cell."""
    left = [step for step in work.study.training.evaluate_at if not trained(work, cell, step)]
    return max(0, left[-1] - saved_step(state_path(work, cell))) if left else 0


def ensure_trained(work: Workspace, cells: Sequence[Cell], step: int) -> None:
    """Train cells of one of `generation.stacks` until each has a snapshot at `step` or diverged.

    Cells that are at the same step are trained as a stack, at most `work.stack` together. The caller holds their locks.

    Raises:
        StudyInterrupted: asked to stop; the state is saved.
    """
    # the first process says for all: of storage that several machines share, others may see an older state
    while at := work.world.agreed(_standing(work, cells, step) if work.world.first else {}):
        behind = min(at.values())
        together = [cell for cell in cells if at.get(cell) == behind][: work.stack]
        try:
            _Training(work, together, behind).reach(step)
        except DivergedError as error:
            for run in error.runs if work.world.first else ():
                write_json(_divergence_path(work, together[run]), {"message": str(error)})
            work.world.wait()


def _standing(work: Workspace, cells: Sequence[Cell], step: int) -> dict[Cell, int]:
    """The saved steps of the cells that are not trained up to `step`."""
    at = {cell: saved_step(state_path(work, cell)) for cell in cells if not trained(work, cell, step)}
    # a state past the step is no use: the same steps come again from the start
    return {cell: found if found <= step else 0 for cell, found in at.items()}


def load_snapshot(work: Workspace, cell: Cell, step: int) -> DiffusionTransformer:
    """The transformer with its averaged weights at `step`, on the study's device, in eval mode.

    Raises:
        LrcoreError: the file is damaged.
    """
    path = snapshot_path(work, cell, step)
    model = new_transformer(work, ensure_autoencoder(work, cell.ae).shape, cell)
    try:
        model.load_state_dict(load_tensors(path))
    except RuntimeError as error:
        raise LrcoreError(f"'{path}' holds no weights of this model ({error}): delete it to train again") from error
    return model.to(work.device).eval()


def trained_on(work: Workspace, cell: Cell, step: int) -> str:
    """On what the snapshot at `step` was computed; "" where it does not say."""
    return checked_metadata(snapshot_path(work, cell, step)).get(NUMERICAL_PATH, "")


def new_transformer(work: Workspace, latent: LatentShape, cell: Cell) -> DiffusionTransformer:
    """The transformer of a cell for a latent space, freshly initialised."""
    shape, classes = with_width(SHAPES[work.study.training.model], cell.width), work.images.train.classes
    return DiffusionTransformer(shape, latent.channels_per_token, latent.grid, classes, cell.skip != NO_SKIP)


def _divergence_path(work: Workspace, cell: Cell) -> Path:
    return training_folder(work, cell) / "diverged.json"


class _Training:
    """A stack of trainings that stand at the same step."""

    def __init__(self, work: Workspace, cells: Sequence[Cell], step: int) -> None:
        study = work.study
        self.work, self.cells = work, cells
        self.autoencoder = ensure_autoencoder(work, cells[0].ae)
        first = cells[0]
        self.towards_itself, with_encoder = first.repa == SELF_REPA, needs_encoder(first.repa)
        self.encoder_channels = work.encoder.patch_channels if with_encoder else None
        self.batches = TrainingBatches(work, first.ae, self.autoencoder, with_encoder, first.train_seed)
        self.densities = [density(cell.trainp, cell.trainshift) for cell in cells]
        objective = stack([self._objective(cell) for cell in cells]).to(work.device)
        settings = study.training
        self.state = TrainingState.start(objective, settings.learning_rate, settings.ema_decay, self._divide)
        # features of a model itself are computed within the step, with randomness of their own
        self.fast = work.fast.has(TRAINING) and work.world.size == 1 and not self.towards_itself
        self.compiled = work.compiled or (self.fast and work.fast.compiles(settings.model))
        if self.compiled and not self.fast:  # the fast path compiles its own
            compile_blocks(self.state.model.transformer)
            if self.towards_itself:
                compile_blocks(self.state.averaged.transformer)
        self.parallel = work.world.parallel(self.state.model)
        self.steps: StackSteps | None = None
        paths = tuple(state_path(work, cell) for cell in cells)
        self.log = LossLog(len(cells), device=work.device)
        # whoever is killed between the last step and the weights of it goes on from the checkpoint before
        self.loop = LoopSettings(paths, settings.checkpoint_every, work.stop, work.on_steps, work.world, self.log,
                                 last=settings.evaluate_at[-1])  # fmt: skip
        if step:
            restore(self.state, self.loop)

    def reach(self, step: int) -> None:
        """Train up to `step` and keep the averaged weights."""
        try:
            with contextlib.closing(self.batches):
                if self.fast:
                    train_by(self, self.state, step, self.loop)
                else:
                    train(self.state, self._losses_at, step, self.loop)
        except DivergedError:
            self._write_losses()
            raise
        self._write_losses()
        averaged = {name: whole(weight) for name, weight in self.state.averaged.transformer.state_dict().items()}
        for number, cell in enumerate(self.cells if self.work.world.first else ()):
            weights = averaged if len(self.cells) == 1 else of_network(averaged, number)
            stored = {name: weight.cpu().contiguous() for name, weight in weights.items()}
            save_tensors(snapshot_path(self.work, cell, step), stored, {NUMERICAL_PATH: self._numerical_path()})
            if step == self.loop.last:
                state_path(self.work, cell).unlink(missing_ok=True)
        self.work.world.wait()

    def _numerical_path(self) -> str:
        work = self.work
        found = numerical_path(work.device, work.study.training.precision, self.compiled, len(self.cells), self.fast)
        return found + (f", {work.world.size} processes" if work.world.size > 1 else "")

    def _write_losses(self) -> None:
        work = self.work
        for cell, intervals in zip(self.cells, self.log.rows, strict=True):
            width = self.state.model.transformer.shape.width
            rows = loss_rows(intervals, cell, width, training_recipe(work, cell), lrcore.__version__)
            if work.world.first and rows:
                write_losses(work.folders.data, work.study.name, cell.name, rows)

    def _divide(self, model: FlowMatching) -> None:
        if self.work.world.sharded:
            shard(model, list(model.transformer.blocks))

    def _objective(self, cell: Cell) -> FlowMatching:
        settings = self.work.study.training
        with torch.random.fork_rng(devices=[]):
            # the cells of an autoencoder and a seed start from the same weights: they differ in what is studied alone
            torch.manual_seed(generator(cell.train_seed, "transformer", cell.ae).initial_seed())
            model = new_transformer(self.work, self.autoencoder.shape, cell)
            if cell.repa == NO_REPA:
                return FlowMatching(model, precision=settings.precision)
            width = model.shape.width
            projector = RepaProjector(width, self.encoder_channels or width, settings.repa_hidden)
        if self.towards_itself:
            weight, loss = settings.self_weight, self_losses
        else:
            weight, loss = settings.repa_weight, repa_losses
        return FlowMatching(model, projector, settings.repa_block, weight, settings.precision, loss)

    def take(self, step: int) -> None:
        """Of `lrcore.training.loop.Steps`, on the fast path."""
        work, batch = self.work, self.batches(step)
        if self.steps is None:
            graphed = work.fast.has(TRAINING_GRAPH)
            self.steps = StackSteps(self.state, self.densities, self.log, batch, self.compiled, graphed)
        self.steps.advance(batch, randomness(batch, work.study.training.class_dropout, self._generator(step)))
        self._beat(step)

    def require_finite(self) -> None:
        """Of `lrcore.training.loop.Steps`, on the fast path."""
        assert self.steps is not None
        self.steps.require_finite()

    def _generator(self, step: int) -> torch.Generator:
        return generator(self.cells[0].train_seed, "training", step, device=self.work.device)

    def _beat(self, step: int) -> None:
        for cell in self.cells:
            self.work.heartbeats.beat(cell.name, step)

    def _losses_at(self, step: int) -> Tensor:
        """The loss of every run (S,) on the batch of `step`."""
        batch, classes = self.batches(step), self.state.model.transformer.classes
        source = self._generator(step)
        settings, world, runs = self.work.study.training, self.work.world, len(self.cells)
        drawn = draw(batch, self.densities, classes, settings.class_dropout, source, world)
        if self.towards_itself:
            averaged, block, gap = self.state.averaged, settings.self_block, settings.self_gap
            drawn = drawn._replace(features=own_features(averaged, drawn, block, gap, runs, source, world))
        losses: Losses = self.parallel(drawn)
        self.log.add(drawn.t, losses.velocity)
        self._beat(step)
        return losses.objective.view(runs, -1).mean(1)
