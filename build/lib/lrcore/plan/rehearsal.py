"""A study in miniature, to find out what its steps cost: the stages' own code, random images, a temporary folder."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from lrcore.assets.cache import offline
from lrcore.autoencoders.base import Autoencoder, LatentShape
from lrcore.datasets.loading import ImageSet, Splits
from lrcore.errors import LrcoreError
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.spec.study import Cell
from lrcore.stages.autoencoder import ensure_autoencoder
from lrcore.stages.training import ensure_trained
from lrcore.stages.workspace import Workspace

IMAGES = 64
"""Images of a rehearsal, for training and for validation each."""

STEPS = {"cpu": 3, "cuda": 12}
"""Training steps of a rehearsal, by device; the first is not timed."""

AUTOENCODER_IMAGES = {"cpu": 16, "cuda": 1024}
"""Images of a step of an autoencoder at most; larger batches are taken to cost in proportion."""

ASSUMED_CLASSES = 1000
"""Of a data set that is not there yet; they hardly cost anything."""


class StandIn(Autoencoder):
    """Latents of a shape, from no network: for what is done in a latent space, whosever it is."""

    def __init__(self, shape: LatentShape) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("place", torch.zeros(()))

    def encode_batch(self, images: Tensor) -> Tensor:
        return torch.randn(len(images), self.shape.tokens, self.shape.channels_per_token, device=images.device)

    def decode_batch(self, tokens: Tensor) -> Tensor:
        return torch.zeros(len(tokens), 3, self.shape.resolution, self.shape.resolution, device=tokens.device)


class Clock:
    """Seconds of a device: those that processors were busy for, or those of the clock where it is a GPU."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self.times: list[float] = []

    def now(self) -> float:
        """Seconds since some moment, with all work done that was begun."""
        if not self._cuda:
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    def on_steps(self, steps: int) -> None:
        """Note the time after a training step."""
        self.times.append(self.now())

    @property
    def seconds_per_step(self) -> float:
        """Of those noted, the first left out."""
        return (self.times[-1] - self.times[0]) / (len(self.times) - 1)


@contextlib.contextmanager
def rehearsal(work: Workspace, clock: Clock) -> Iterator[Workspace]:
    """A workspace like `work` in which nothing has been done, with few random images; nothing is fetched for it."""
    device = work.device.type
    steps, data, training = STEPS[device], work.study.data, work.study.training
    small = dataclasses.replace(
        work.study,
        data=dataclasses.replace(data, train_images=IMAGES, validation_images=IMAGES),
        autoencoder_training=dataclasses.replace(
            work.study.autoencoder_training,
            steps=steps,
            batch_size=autoencoder_batch(work),
            checkpoint_every=steps,
            gan_start=0,  # from when on it costs most
        ),
        training=dataclasses.replace(training, evaluate_at=(steps,), checkpoint_every=steps),
    )
    with tempfile.TemporaryDirectory() as name, offline(), contextlib.redirect_stderr(io.StringIO()):
        folder = Path(name)
        folders = Folders(folder / "data", folder / "imgs", folder / "runs")
        again = Workspace(small, folders, StopRequest(), clock.on_steps, work.device, compiled=work.compiled)
        again.runs_code = work.runs_code
        again.images, again.data_recipe = _random_images(work), "random images"
        yield again


def autoencoder_batch(work: Workspace) -> int:
    """Images of a rehearsed step of an autoencoder."""
    return min(work.study.autoencoder_training.batch_size, AUTOENCODER_IMAGES[work.device.type])


def _random_images(work: Workspace) -> Splits:
    resolution = work.study.data.resolution
    randomness = torch.Generator().manual_seed(0)
    try:
        classes = work.images.train.classes
    except LrcoreError:
        classes = ASSUMED_CLASSES
    pixels = torch.randint(0, 256, (IMAGES, 3, resolution, resolution), generator=randomness, dtype=torch.uint8)
    images = ImageSet(pixels, torch.arange(IMAGES) % classes, classes, "random")
    return Splits(images, images)


def rehearsed_autoencoder(stage: Workspace, ae: str, clock: Clock) -> tuple[Autoencoder, float]:
    """The autoencoder `ae` of a `rehearsal`, and seconds of a step where it is one that the study trains, else 0.

    Raises:
        LrcoreError: it, or a network of its training, cannot be had.
    """
    clock.times.clear()
    autoencoder = ensure_autoencoder(stage, ae)
    return autoencoder, clock.seconds_per_step if clock.times else 0.0


def rehearsed_training(stage: Workspace, cells: list[Cell], latent: LatentShape, clock: Clock) -> float:
    """Seconds of a step of trainings as a stack.

    Raises:
        LrcoreError: the encoder that REPA reads cannot be had.
    """
    clock.times.clear()
    stage.stack = len(cells)
    stand_in(stage, cells[0].ae, latent)
    ensure_trained(stage, cells, stage.study.training.evaluate_at[-1])
    return clock.seconds_per_step


def stand_in(stage: Workspace, ae: str, latent: LatentShape) -> Autoencoder:
    """Put a `StandIn` in the place of `ae`."""
    made = StandIn(latent).to(stage.device)
    stage.autoencoder_recipes[ae] = f"stand-in {latent}"
    stage.loaded_autoencoder.clear()
    stage.loaded_autoencoder[ae] = made
    return made
