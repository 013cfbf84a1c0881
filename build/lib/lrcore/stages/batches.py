"""What a training sees at each step: latents, classes and features of a batch, from where they are stored or anew.

Everything is a function of (seed, step): which images, which of them mirrored, which sample of each posterior.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lrcore.autoencoders.alignment import on_grid
from lrcore.autoencoders.base import Autoencoder, Posterior
from lrcore.datasets.images import to_float
from lrcore.flow.objective import Batch
from lrcore.runtime.ahead import Ahead
from lrcore.runtime.seeds import batch_indices, generator
from lrcore.stages.features import features_are_stored, training_features
from lrcore.stages.latents import training_latents
from lrcore.stages.resident import resident_features, resident_latents
from lrcore.stages.workspace import Workspace


@dataclass(frozen=True)
class _Read:
    """A batch as far as it comes from disk and memory, on the CPU: `numbers` of its images, int64, and which of them
    are `flipped`; no latents or features where the device has them; `pixels` where something is computed from them."""

    numbers: Tensor
    flipped: Tensor
    labels: Tensor
    latents: Posterior | None
    features: Tensor | None
    pixels: Tensor | None


class TrainingBatches:
    """The batches of a training, this process's share of each, on the study's device."""

    def __init__(self, work: Workspace, ae: str, autoencoder: Autoencoder, with_features: bool, seed: int) -> None:
        """`seed` of the training; `with_features`: of the frozen encoder, for REPA.

        Raises:
            LrcoreError: the latents are not normalised, or cannot be stored.
        """
        self._work, self._autoencoder, self._seed = work, autoencoder, seed
        self._latents = training_latents(work, ae, autoencoder)
        self._with_features = with_features
        self._features = training_features(work) if with_features and features_are_stored(work) else None
        self._device_latents = resident_latents(work, self._latents)
        self._device_features = resident_features(work, self._features)
        self._ahead = Ahead(self._read)

    def close(self) -> None:
        """End what reads ahead."""
        self._ahead.close()

    def __call__(self, step: int) -> Batch:
        """The batch of `step`, from 0."""
        device, read = self._work.device, self._ahead(step)
        pixels = None if read.pixels is None else read.pixels.to(device, non_blocking=True)
        return Batch(self._tokens(read, pixels, step), read.labels.to(device, non_blocking=True),
                     self._features_of(read, pixels))  # fmt: skip

    def _read(self, step: int) -> _Read:
        work, settings = self._work, self._work.study.training
        images = work.images.train
        size = settings.batch_size
        flipped = torch.zeros(size, dtype=torch.bool)
        if settings.flip:
            flipped = torch.rand(size, generator=generator(self._seed, "flips", step)) < 0.5
        picked = work.world.share(batch_indices(self._seed, step, size, len(images.labels)))
        flipped = work.world.share(flipped)
        latents = features = pixels = None
        if self._latents is not None and self._device_latents is None:
            latents = self._latents[picked, flipped]
        if self._features is not None and self._device_features is None:
            features = self._features[picked]
        if self._latents is None or (self._with_features and self._features is None):
            pixels = images.images[picked]
            if settings.flip:
                pixels = torch.where(flipped[:, None, None, None], pixels.flip(-1), pixels)
        return self._pinned(_Read(picked, flipped, images.labels[picked], latents, features, pixels))

    def _pinned(self, read: _Read) -> _Read:
        """In memory that a GPU copies from while it works."""
        if self._work.device.type != "cuda":
            return read
        latents = read.latents
        if latents is not None:
            latents = Posterior(latents.mean.pin_memory(), None if latents.std is None else latents.std.pin_memory())
        features, pixels = (None if part is None else part.pin_memory() for part in (read.features, read.pixels))
        numbers, flipped, labels = (part.pin_memory() for part in (read.numbers, read.flipped, read.labels))
        return _Read(numbers, flipped, labels, latents, features, pixels)

    def _tokens(self, read: _Read, pixels: Tensor | None, step: int) -> Tensor:
        device = self._work.device
        if self._device_latents is not None:
            mean, std = self._gathered(self._device_latents, read)
        elif read.latents is not None:
            mean, std = read.latents
        else:
            assert pixels is not None
            mean, std = self._autoencoder.posterior(pixels)
        mean = mean.to(device, non_blocking=True).float()
        if self._work.study.training.latent == "mode" or std is None:
            return mean
        # drawn for the whole batch, whatever share of it is here
        source = generator(self._seed, "posterior", step, device=device)
        whole = torch.randn(len(mean) * self._work.world.size, *mean.shape[1:], generator=source, device=device)
        return mean + std.to(device, non_blocking=True).float() * self._work.world.share(whole)

    def _gathered(self, latents: Posterior, read: _Read) -> Posterior:
        device, images = self._work.device, self._work.study.data.train_images
        flipped = read.flipped.to(device, non_blocking=True)
        rows = read.numbers.to(device, non_blocking=True) + images * flipped
        return Posterior(latents.mean[rows], None if latents.std is None else latents.std[rows])

    def _features_of(self, read: _Read, pixels: Tensor | None) -> Tensor | None:
        if not self._with_features:
            return None
        features = read.features
        if self._device_features is not None:
            features = self._device_features[read.numbers.to(self._work.device, non_blocking=True)]
        if features is None:
            assert pixels is not None
            features = self._work.encoder.patches_only(to_float(pixels)).flatten(2).transpose(1, 2)
        return on_grid(features.to(self._work.device, non_blocking=True), self._autoencoder.shape.grid)
