"""Stage: train one diffusion transformer in a latent space, sample from it, and compare the samples."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

import lrcore
from lrcore.autoencoders.alignment import on_grid
from lrcore.autoencoders.base import Autoencoder
from lrcore.checkpoints import TrainingState
from lrcore.files import exclusive
from lrcore.flow_matching import Batch, Repa, flow_matching_loss
from lrcore.guidance import Guidance, guided
from lrcore.images import UINT8_RULE, to_uint8
from lrcore.loop import DivergedError, LoopSettings, resume, train
from lrcore.metrics.features import FeatureNetwork, all_features, statistics_of
from lrcore.metrics.frechet import FrechetReference
from lrcore.metrics.kernel import KernelReference
from lrcore.metrics.manifold import ManifoldReference
from lrcore.records import GenerationRow, read_generation, write_generation
from lrcore.sampling import LABEL_RULE, drawn_labels, integrate, sampler_grid, starting_noise
from lrcore.seeds import batch_indices, generator
from lrcore.stages.autoencoder import autoencoder_recipe, ensure_autoencoder
from lrcore.stages.features import (
    compared_features,
    features_recipe,
    load_network,
    reference_statistics,
    training_features,
)
from lrcore.stages.latents import training_latents
from lrcore.stages.workspace import Workspace, recipe
from lrcore.studies import NO_REPA, Cell
from lrcore.timesteps import density
from lrcore.transformer import REVISION, SHAPES, DiffusionTransformer, RepaProjector, parameter_count


def cell_recipe(work: Workspace, cell: Cell) -> str:
    """What the training of a cell depends on; evaluation settings stand in the rows' key."""
    study = work.study
    features = features_recipe(work) if cell.repa != NO_REPA else ""
    return recipe(cell, autoencoder_recipe(work, cell.ae), study.training, study.seed, features, REVISION)


def row_recipe(work: Workspace, cell: Cell) -> str:
    """What the rows of a cell depend on."""
    return recipe(cell_recipe(work, cell), work.study.evaluation)


def evaluations_missing(work: Workspace, cell: Cell) -> list[tuple[int, float]]:
    """(step, sampleshift) pairs of the cell that have no row yet, in order."""
    rows = read_generation(work.folders.data)
    rows = rows[(rows.study == work.study.name) & (rows.recipe == row_recipe(work, cell))]
    done = set(zip(rows.step, rows.sampleshift, strict=True))
    wanted = [(step, shift) for step in work.study.training.evaluate_at for shift in work.study.evaluation.sampleshifts]
    return [pair for pair in wanted if pair not in done]


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
    n_reference: int

    def scores(self, batches: Iterable[Tensor]) -> Scores:
        """Of uint8 images in batches (B, 3, H, W)."""
        features = all_features(self.network, batches)
        distance = self.frechet.distance(statistics_of(features))
        covered = self.manifold.compare(features)
        return Scores(distance, self.kernel.distance(features), covered.precision, covered.recall)


@functools.lru_cache(maxsize=1)
def load_judge(work: Workspace) -> Judge:
    """The study's feature network and reference, loaded once."""
    measured, compared = reference_statistics(work), compared_features(work)
    references = FrechetReference(measured), KernelReference(compared), ManifoldReference(compared)
    return Judge(load_network(work), *references, measured.count)


def run_cell(work: Workspace, cell: Cell) -> None:
    """Train `cell` up to its last step and write a row for every step and sampling shift that has none."""
    path = work.runs / "transformers" / f"{cell.name}-{cell_recipe(work, cell)}.safetensors"
    with exclusive(path):
        missing = evaluations_missing(work, cell)
        if not missing:
            return
        run = Run(work, cell, path)
        for step in sorted({step for step, _ in missing}):
            shifts = [shift for at, shift in missing if at == step]
            run.reach(step)
            write_generation(work.folders.data, work.study.name, cell.name, run.rows(step, shifts))


class TrainedModules(nn.Module):
    """What the optimiser sees: the transformer, and REPA's projector where there is one."""

    transformer: DiffusionTransformer
    projector: RepaProjector | None

    def __init__(self, transformer: DiffusionTransformer, projector: RepaProjector | None) -> None:
        super().__init__()
        self.transformer, self.projector = transformer, projector


class Run:
    """One training of a cell: its data, its state and its samples."""

    def __init__(self, work: Workspace, cell: Cell, path: Path) -> None:
        study = work.study
        self.work, self.cell = work, cell
        self.autoencoder: Autoencoder = ensure_autoencoder(work, cell.ae)
        self.latents = training_latents(work, cell.ae, self.autoencoder)
        self.features = training_features(work) if cell.repa != NO_REPA else None
        self.density = density(cell.trainp, cell.trainshift)
        self.state = TrainingState.start(self._modules(), study.training.learning_rate, study.training.ema_decay)
        self.loop = LoopSettings(path, study.training.checkpoint_every, work.stop, work.on_steps)
        self.diverged = False
        resume(self.state, self.loop)

    def reach(self, step: int) -> None:
        """Train up to `step`; where the state on disk is already past it, start over: the same steps come again."""
        if self.state.step > step:
            settings = self.work.study.training
            self.state = TrainingState.start(self._modules(), settings.learning_rate, settings.ema_decay)
        if self.diverged:
            return
        try:
            train(self.state, self._loss_at, step, self.loop)
        except DivergedError:
            self.diverged = True

    def rows(self, step: int, shifts: list[float]) -> list[GenerationRow]:
        """One row for every sampling shift, measured with the averaged weights at the present step."""
        return [self._row(step, shift, self._scores(shift)) for shift in shifts]

    def _modules(self) -> TrainedModules:
        study, cell = self.work.study, self.cell
        shape, settings = SHAPES[study.training.model], study.training
        with torch.random.fork_rng(devices=[]):
            # the cells of an autoencoder start from the same weights: they differ in what is studied alone
            torch.manual_seed(generator(study.seed, "transformer", cell.ae).initial_seed())
            latent = self.autoencoder.shape
            model = DiffusionTransformer(shape, latent.channels_per_token, latent.grid, self.work.images.train.classes)
            projector = None
            if self.features is not None:
                projector = RepaProjector(shape.width, self.features.shape[-1], settings.repa_hidden)
        return TrainedModules(model, projector)

    def _loss_at(self, step: int) -> Tensor:
        settings, seed = self.work.study.training, self.work.study.seed
        modules = self.state.model
        picked = batch_indices(seed, step, settings.batch_size, len(self.latents))
        batch = Batch(self.latents[picked], self.work.images.train.labels[picked])
        repa = None
        if self.features is not None and modules.projector is not None:
            batch = Batch(batch.tokens, batch.labels, on_grid(self.features[picked], self.autoencoder.shape.grid))
            repa = Repa(modules.projector, settings.repa_block, settings.repa_weight)
        randomness = generator(seed, "training", step)
        return flow_matching_loss(modules.transformer, batch, self.density, settings.class_dropout, randomness, repa)

    def _scores(self, sampleshift: float) -> Scores:
        if self.diverged:
            return Scores()
        evaluation = self.work.study.evaluation
        numbers = torch.arange(evaluation.n_samples).split(evaluation.batch_size)
        batches = (self.sample(chunk.tolist(), sampleshift) for chunk in numbers)
        try:
            return load_judge(self.work).scores(batches)
        except DivergedError:
            self.diverged = True
            return Scores()

    def sample(self, numbers: list[int], sampleshift: float) -> Tensor:
        """Samples `numbers` of the run as uint8 images (len(numbers), 3, H, W)."""
        self.work.stop.check()
        model = self.state.averaged.transformer
        model.eval()
        seed, latent = self.work.study.seed, self.autoencoder.shape
        noise = starting_noise(seed, numbers, latent.tokens, latent.channels_per_token)
        labels = drawn_labels(seed, numbers, model.classes)
        evaluation = self.work.study.evaluation
        grid = sampler_grid(evaluation.sampler, evaluation.sampling_steps, sampleshift)
        with torch.no_grad():
            velocity = guided(model, labels, Guidance(evaluation.guidance, *evaluation.guidance_interval))
            tokens = integrate(evaluation.sampler, velocity, noise, grid, seed, numbers)
            images = self.autoencoder.decode(tokens).cpu()
        if not torch.isfinite(images).all():
            raise DivergedError("samples hold NaN: the weights are past use, though the loss was still finite")
        return to_uint8(images)

    def _row(self, step: int, sampleshift: float, scores: Scores) -> GenerationRow:
        study, cell, judge = self.work.study, self.cell, load_judge(self.work)
        evaluation, latent = study.evaluation, self.autoencoder.shape
        return GenerationRow(
            step=step,
            ae=cell.ae,
            repa=cell.repa,
            trainp=cell.trainp,
            trainshift=cell.trainshift,
            sampleshift=sampleshift,
            **dataclasses.asdict(scores),
            status="diverged" if self.diverged else "ok",
            feature_network=judge.network.name,
            feature_sha256=judge.network.sha256,
            feature_protocol=judge.network.protocol,
            n_samples=evaluation.n_samples,
            n_reference=judge.n_reference,
            reference=self.work.images.train.name.split("[")[0] + f"[:{judge.n_reference}]",
            label_rule=LABEL_RULE,
            uint8_rule=UINT8_RULE,
            sampler=evaluation.sampler,
            sampling_steps=evaluation.sampling_steps,
            guidance=evaluation.guidance,
            guidance_low=evaluation.guidance_interval[0],
            guidance_high=evaluation.guidance_interval[1],
            sample_seed=study.seed,
            train_seed=study.seed,
            dataset=study.data.dataset,
            resolution=study.data.resolution,
            tokens=latent.tokens,
            channels_per_token=latent.channels_per_token,
            model=study.training.model,
            parameters=parameter_count(self.state.model.transformer),
            batch_size=study.training.batch_size,
            learning_rate=study.training.learning_rate,
            ema_decay=study.training.ema_decay,
            precision="float32",
            recipe=row_recipe(self.work, cell),
            lrcore_version=lrcore.__version__,
        )
