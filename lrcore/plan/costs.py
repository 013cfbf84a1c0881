"""Seconds of the operations that `lrcore.plan.workload` counts, from a few of each on the study's device.

A processor's seconds are those that it was busy for: what else runs on the machine does not count.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable

import torch
from torch import Tensor

from lrcore.datasets.images import to_float
from lrcore.flow.compute import pass_flops
from lrcore.flow.shapes import SHAPES
from lrcore.flow.transformer import DiffusionTransformer
from lrcore.metrics.deviations import class_deviations
from lrcore.metrics.features import FeatureNetwork
from lrcore.metrics.frechet import FrechetReference, GaussianStatistics
from lrcore.metrics.gaussian_loss import FITTED, GROUPS, TIMES, loss_of_variances
from lrcore.metrics.interpolation import nearest_neighbours
from lrcore.metrics.kronecker import kronecker_covariance
from lrcore.metrics.latents import LatentSample, diagnose, predict
from lrcore.metrics.moment_matched import moment_matched
from lrcore.metrics.pairs import FeatureSet
from lrcore.metrics.probe import LEAST_TRAINING_IMAGES
from lrcore.metrics.reconstruction import LPIPS_PROTOCOL, load_lpips, lpips_together, psnr, ssim
from lrcore.metrics.velocity_variance import FEWEST_IMAGES
from lrcore.plan.operations import Kind, Operation
from lrcore.plan.rehearsal import AUTOENCODER_IMAGES, IMAGES, Clock, rehearsed_autoencoder, rehearsed_training, stand_in
from lrcore.plan.workload import passes_per_sample
from lrcore.spec.study import SELF_REPA, Cell
from lrcore.stages.anchors import GAUSSIAN_SAMPLES
from lrcore.stages.features import CHUNK, load_network
from lrcore.stages.generation import sample
from lrcore.stages.latent_shape import latent_shape
from lrcore.stages.training import new_transformer
from lrcore.stages.workspace import Workspace

TIMED_PIXELS = {"cpu": 2**14, "cuda": 2**22}
"""Pixels of a batch that an autoencoder encodes and decodes for this, by device; the rest is scaled."""

TIMED_IMAGES = {"cpu": 8, "cuda": 64}
"""Images of a batch in networks that see them enlarged."""

TIMED_SAMPLES = {"cpu": 32, "cuda": 1024}
"""Samples that are drawn at most, in `TIMED_STEPS` steps of the sampler."""

TIMED_STEPS = 4

TIMED_SET = 512
"""Images of sets whose pairs are counted or whose latents are looked at."""

TIMED_NUMBERS = 2**21
"""Numbers in the latents that are looked at, which may be fewer therefore."""

PROBED_CLASSES = 10
"""At most: the linear probe of few images among many classes would say nothing of that of many."""

TIMED_GAUSSIANS = 2**24
"""Numbers in the Gaussian latents that are drawn at a time."""

TIMED_SIDE = 1024
"""Rows of a covariance of latents at most, of which eigenvectors are computed."""

LONGEST = {"cpu": 2e11, "cuda": 1e16}
"""Floating-point operations of a training step, or of samples, beyond which passes of one image are timed instead."""

ENOUGH = {"cpu": 0.25, "cuda": 0.1}
"""Seconds of repetitions that will do."""


class Costs:
    """Times what it is asked for, each thing once, in a `rehearsal` that `clock` was given to."""

    def __init__(self, work: Workspace, stage: Workspace, clock: Clock) -> None:
        self.work, self.stage, self.clock = work, stage, clock
        self.device = work.device.type
        self._known: dict[Hashable, float] = {}
        self._flops: dict[Hashable, tuple[float, float]] = {}
        self._loaded: FeatureNetwork | None = None

    def seconds(self, operation: Operation) -> float:
        """Of one `operation`.

        Raises:
            LrcoreError: weights or something else that it needs cannot be had.
        """
        kind, ae = operation.kind, operation.ae
        if kind in (Kind.AUTOENCODER_STEP, Kind.ENCODE, Kind.DECODE):
            # one more training of the same autoencoder costs the same
            spec = dataclasses.replace(self.work.study.autoencoders[ae], seed=0)
            if (kind, spec) not in self._known:
                for found, seconds in self._autoencoder(ae).items():
                    self._known[found, spec] = seconds
            return self._known[kind, spec]
        alike = dataclasses.replace(operation, ae="")
        latent = latent_shape(self.work, ae) if ae else None
        key = (alike, latent and (latent.grid, latent.channels_per_token))
        if key not in self._known:
            self._known[key] = getattr(self, f"_{kind.name.lower()}")(operation)
        return self._known[key]

    def _autoencoder(self, ae: str) -> dict[Kind, float]:
        autoencoder, step = rehearsed_autoencoder(self.stage, ae, self.clock)
        batch = self.work.study.autoencoder_training.batch_size
        images = self._pixels(self._few_pixels(1))
        tokens = autoencoder.encode(images)
        return {
            Kind.AUTOENCODER_STEP: step * max(1.0, batch / AUTOENCODER_IMAGES[self.device]),
            Kind.ENCODE: self._timed(lambda: autoencoder.encode(images)) / len(images),
            Kind.DECODE: self._timed(lambda: autoencoder.decode(tokens)) / len(images),
        }

    def _step(self, operation: Operation) -> float:
        """Of one training; several as a stack take as long as many times."""
        together, flops = operation.size, self.flops(operation)
        if flops * together > LONGEST[self.device]:
            return flops * self._seconds_per_flop(operation)
        cells = [self._cell(operation, 1.0 + number) for number in range(together)]
        return rehearsed_training(self.stage, cells, latent_shape(self.work, operation.ae), self.clock) / together

    def _pass(self, operation: Operation) -> float:
        study, flops = self.stage.study, self.flops(operation)
        evaluation = dataclasses.replace(study.evaluation, sampling_steps=TIMED_STEPS)
        passes = passes_per_sample(evaluation)
        count = min(evaluation.batch_size, self.work.sample_counts[-1], TIMED_SAMPLES[self.device])
        if flops * passes * count > LONGEST[self.device]:
            return flops * self._seconds_per_flop(operation)
        stand_in(self.stage, operation.ae, latent_shape(self.work, operation.ae))
        model = self.transformer(operation, str(self.work.device)).eval()
        self.stage.study = dataclasses.replace(study, evaluation=evaluation)
        try:
            cell, numbers = self._cell(operation), range(count)
            return self._timed(lambda: sample(self.stage, cell, model, 1.0, numbers)) / (count * passes)
        finally:
            self.stage.study = study

    def _seconds_per_flop(self, operation: Operation) -> float:
        """Of passes of one image through the first transformer that is asked for; taken to be that of all."""
        backward = operation.kind is Kind.STEP
        if backward not in self._known:
            latent, model = latent_shape(self.work, operation.ae), self.transformer(operation, str(self.work.device))
            tokens = torch.zeros(1, latent.tokens, latent.channels_per_token, device=self.work.device)
            low = self.work.study.training.precision == "bfloat16"

            def passed() -> None:
                with torch.set_grad_enabled(backward), torch.autocast(self.device, torch.bfloat16, enabled=low):
                    velocity = model(tokens, tokens.new_zeros(1), tokens.new_zeros(1, dtype=torch.long)).velocity
                if backward:
                    velocity.sum().backward()

            images = self.work.study.training.batch_size if backward else 1
            self._known[backward] = self._timed(passed) * images / self.flops(operation)
        return self._known[backward]

    def transformer(self, operation: Operation, device: str = "meta") -> DiffusionTransformer:
        """The transformer of a `STEP` or `PASS`; without weights on the device "meta".

        Raises:
            LrcoreError: the latents are not known.
        """
        with torch.device(device), torch.random.fork_rng(devices=[]):
            return new_transformer(self.stage, latent_shape(self.work, operation.ae), self._cell(operation))

    def flops(self, operation: Operation) -> float:
        """Floating-point operations of a `STEP` or `PASS` in the transformer, and in its average where REPA has it."""
        latent = latent_shape(self.work, operation.ae)
        key = (latent.grid, latent.channels_per_token, operation.width, operation.skip)
        if key not in self._flops:
            model = self.transformer(operation)
            sizes = model.shape, latent.tokens, latent.channels_per_token
            self._flops[key] = pass_flops(*sizes, skip=model.skip is not None)
        forward, backward = self._flops[key]
        if operation.kind is Kind.PASS:
            return forward
        settings = self.work.study.training
        own = settings.self_block / SHAPES[settings.model].depth if operation.repa == SELF_REPA else 0.0
        return settings.batch_size * ((1 + own) * forward + backward)

    def _cell(self, operation: Operation, trainshift: float = 1.0) -> Cell:
        of = operation
        return Cell(of.ae, of.repa, "ln", trainshift, width=of.width, skip=of.skip)

    def _patches(self, operation: Operation) -> float:
        encoder, images = self.stage.encoder, to_float(self._pixels(2 * TIMED_IMAGES[self.device])).to(self.work.device)
        return self._timed(lambda: encoder.patches_only(images)) / len(images)

    def _metrics(self, operation: Operation) -> float:
        images = self._pixels(self._few_pixels(2))
        lpips = [load_lpips(name, self.work.device) for name in LPIPS_PROTOCOL]

        def measure() -> None:
            for metric in (psnr, ssim):
                metric(images, images.flip(0))
            lpips_together(lpips, images, images.flip(0))

        return self._timed(measure) / len(images)

    def _diagnose(self, operation: Operation) -> float:
        count = self._few(operation, operation.size // 2)
        looked_at = self._latents(operation.ae, count)
        return self._timed(lambda: diagnose(looked_at)) * operation.size / (2 * count)

    def _predict(self, operation: Operation) -> float:
        """Of one class, as many times as there are; neighbours are less than that."""
        size, classes = operation.size, self.stage.images.train.classes
        count = min(size, max(FEWEST_IMAGES, self._few(operation, size)))
        latents, latent = self._tokens(operation.ae, count), latent_shape(self.work, operation.ae)
        one = torch.zeros(count, dtype=torch.int64)
        seconds = self._timed(lambda: predict(latents, one, latent.grid, latent.patch))
        return seconds * max(size / count, min(classes, size // FEWEST_IMAGES))

    def _latents(self, ae: str, count: int) -> LatentSample:
        latent = latent_shape(self.work, ae)
        autoencoder, images = stand_in(self.stage, ae, latent), self._pixels(count)
        tokens, labels = autoencoder.encode(images), torch.arange(count) % PROBED_CLASSES
        return LatentSample(
            tokens, labels, tokens, labels, images, autoencoder.encode_batch, latent.grid, latent.patch, PROBED_CLASSES
        )

    def _linear(self, operation: Operation) -> float:
        """Of products of all latents, eigenvectors as the cube of their number, and losses; or of flip-flop alone."""
        dimension = latent_shape(self.work, operation.ae).dimension
        count = self._few(operation, operation.size)
        tokens, rounds = self._tokens(operation.ae, count), operation.size / count
        if operation.size * (FITTED - 1) < dimension * FITTED:
            one_class = class_deviations(tokens, torch.zeros(count, dtype=torch.int64))
            return rounds * self._timed(lambda: kronecker_covariance(one_class))
        some = tokens.flatten(1)[:, :TIMED_SIDE].double()
        larger, square = dimension / some.shape[1], some.T @ some
        products = rounds * larger**2 * self._timed(lambda: some.T @ some)
        eigenvectors = larger**3 * self._timed(lambda: torch.linalg.eigh(square))
        losses = larger * self._timed(lambda: loss_of_variances(square.diagonal(), TIMES))
        return products + eigenvectors + losses * (1 + GROUPS) * self.stage.images.train.classes

    def _neighbours(self, operation: Operation) -> float:
        count = self._few(operation, operation.size)
        tokens = self._tokens(operation.ae, count)
        return self._timed(lambda: nearest_neighbours(tokens)) * (operation.size / count) ** 2

    def _gaussian(self, operation: Operation) -> float:
        images = min(operation.size, 2 * CHUNK)
        dimension = latent_shape(self.work, operation.ae).dimension
        count = min(GAUSSIAN_SAMPLES, self.work.sample_counts[-1], TIMED_GAUSSIANS // dimension)
        tokens = self._tokens(operation.ae, images)
        mean = tokens.double().mean(0)
        made = self._timed(lambda: moment_matched(torch.randn(count, images), mean, tokens.split(CHUNK)))
        return made / count * operation.size / images

    def _features(self, operation: Operation) -> float:
        # loaded before the clock starts: that is an operation of its own
        images, network = self._pixels(TIMED_IMAGES[self.device]), self._network
        return self._timed(lambda: network(images)) / len(images)

    def _statistics(self, operation: Operation) -> float:
        found, features = GaussianStatistics(self._network.dim, self._kept_on), self._set(CHUNK)
        return self._timed(lambda: found.update(features)) / CHUNK

    def _factor(self, operation: Operation) -> float:
        found = self._collected(operation.size)
        return self._timed(lambda: FrechetReference(found), warm=True)

    def _frechet(self, operation: Operation) -> float:
        found = self._collected(operation.size)
        reference = FrechetReference(found)
        return self._timed(lambda: reference.distance(found), warm=True)

    def _pair(self, operation: Operation) -> float:
        features = self._set(TIMED_SET)
        return self._timed(lambda: FeatureSet(features).mean_kernel) / TIMED_SET**2

    def _load(self, operation: Operation) -> float:
        return self._timed(lambda: load_network(self.stage), warm=True)

    def _load_lpips(self, operation: Operation) -> float:
        return self._timed(lambda: [load_lpips(name, self.work.device) for name in LPIPS_PROTOCOL], warm=True)

    @property
    def _network(self) -> FeatureNetwork:
        if self._loaded is None:
            self._loaded = load_network(self.stage)
        return self._loaded

    @property
    def _kept_on(self) -> torch.device:
        return self.work.device if self.device == "cuda" else torch.device("cpu")

    def _set(self, count: int) -> Tensor:
        """Features (count, dim), on the study's device."""
        return torch.randn(count, self._network.dim, device=self.work.device)

    def _collected(self, size: int) -> GaussianStatistics:
        """Of `size` images; more than there are features cost no more."""
        found = GaussianStatistics(self._network.dim, self._kept_on)
        found.update(self._set(min(size, found.dim + 1)))
        return found

    def _few_pixels(self, least: int) -> int:
        """How many images an autoencoder or a metric of pairs sees, at `least`."""
        return max(least, min(IMAGES, TIMED_PIXELS[self.device] // self.work.study.data.resolution**2))

    def _few(self, operation: Operation, wanted: int) -> int:
        """How many latents are looked at of those `wanted`."""
        dimension = latent_shape(self.work, operation.ae).dimension
        return min(wanted, TIMED_SET, max(LEAST_TRAINING_IMAGES, TIMED_NUMBERS // dimension))

    def _tokens(self, ae: str, count: int) -> Tensor:
        latent = latent_shape(self.work, ae)
        return torch.randn(count, latent.tokens, latent.channels_per_token)

    def _pixels(self, count: int) -> Tensor:
        pixels: Tensor = self.stage.images.train.images
        return pixels.repeat(-(-count // len(pixels)), 1, 1, 1)[:count]

    def _timed(self, action: Callable[[], object], warm: bool = False) -> float:
        """Seconds of `action` once it has run before, which one that takes long need not."""
        enough = ENOUGH[self.device]

        def once() -> float:
            began = self.clock.now()
            action()
            return self.clock.now() - began

        first = once()
        if warm or first > 2 * enough:
            return first
        found = [once()]
        while sum(found) < enough and len(found) < 5:
            found.append(once())
        return sorted(found)[len(found) // 2]
