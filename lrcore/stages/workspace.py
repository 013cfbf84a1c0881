"""Where a study keeps its things, and what the stages share."""

from __future__ import annotations

import copy
import dataclasses
import functools
import hashlib
import json
import sys
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar, cast

import torch

from lrcore.autoencoders.base import Autoencoder
from lrcore.datasets.loading import ImageSet, ImageSource, Splits
from lrcore.encoders.base import VisionEncoder
from lrcore.encoders.loading import load_encoder
from lrcore.errors import LrcoreError
from lrcore.fast.capabilities import Capabilities, capabilities
from lrcore.runtime.distributed import ALONE, SharedStop, World
from lrcore.runtime.files import sha256_of
from lrcore.runtime.folders import Folders
from lrcore.runtime.heartbeat import Heartbeats
from lrcore.runtime.interruption import StopRequest
from lrcore.spec.study import Study, written

Kept = TypeVar("Kept")


class Workspace:
    """A study, its folders, and the images and the encoder that several stages use (loaded once, when first needed).

    `on_steps` is told of every training step taken, `on_images` of what is being done to images, to how many and out of
    how many; `stop` is asked between steps; all networks run on `device`; up to `stack` trainings run as one;
    `compiled` sends the transformers' blocks through torch.compile in training; `world`: the processes that train and
    sample together. Where `runs_code` is false, as for a plan, autoencoders of one's own are not imported: what the
    last run left of them is read instead (`lrcore.stages.custom`).
    """

    runs_code: bool = True
    half_features: bool = False
    """Whether the study's feature network runs in half precision (`lrcore.metrics.half_precision`)."""

    def __init__(
        self,
        study: Study,
        folders: Folders,
        stop: StopRequest,
        on_steps: Callable[[int], None],
        device: torch.device | str = "cpu",
        stack: int = 1,
        compiled: bool = False,
        world: World = ALONE,
    ) -> None:
        self.study, self.folders, self.stop, self.on_steps = study, folders, stop, on_steps
        self.on_images: Callable[[str, int, int], None] = lambda what, done, total: None
        self.device, self.stack, self.compiled, self.world = torch.device(device), stack, compiled, world
        self.heartbeats = Heartbeats(folders.runs, study.name)
        self.autoencoder_recipes: dict[str, str] = {}
        self.custom_autoencoders: dict[str, Autoencoder] = {}
        self.custom_known: dict[str, Any] = {}
        self.loaded_autoencoder: dict[str, Autoencoder] = {}
        # of the study as it is, whatever copies of this are to measure
        wanted = {study.evaluation.n_samples, *(count for choice in study.choice for count in choice.n_samples)}
        self.sample_counts = sorted(wanted)
        self._sha256: dict[str, str] = {}
        self._kept: dict[str, tuple[Hashable, Any]] = {}

    def keep(self, kind: str, key: Hashable, make: Callable[[], Kept]) -> Kept:
        """What `make` returned when it was last asked for with this `key`; of each kind one stays in memory.

        Shared with copies of the workspace, which may be of a study that is measured in another way: `key` must say all
        that the value depends on.
        """
        held, value = self._kept.get(kind, (None, None))
        if held != key:
            self._kept.pop(kind, None)
            value = make()
            self._kept[kind] = key, value
        return cast(Kept, value)

    def holds(self, kind: str, key: Hashable) -> bool:
        """Whether `keep` would hand on what it has."""
        return kind in self._kept and self._kept[kind][0] == key

    def sha256_of_file(self, path: str) -> str:
        """The sha256 of a file of weights, read once; "" for no file."""
        if path and path not in self._sha256:
            self._sha256[path] = sha256_of(Path(path))
        return self._sha256.get(path, "")

    def counted(self, what: str, total: int) -> Callable[[int], None]:
        """What is told of every few images that `what` was done to, out of `total`."""
        done = 0

        def count(images: int) -> None:
            nonlocal done
            done += images
            self.on_images(what, done, total)

        return count

    def check(self) -> None:
        """Between pieces of work that takes long: give a sign of life, and stop if that was asked for.

        Raises:
            StudyInterrupted: asked to stop.
        """
        self.stop.check()
        self.heartbeats.alive()

    def together(self, world: World) -> Workspace:
        """The same for what `world` does together; what is loaded is shared."""
        shared = copy.copy(self)
        shared.world, shared.stop = world, SharedStop(self.stop, world)
        return shared

    def with_half_features(self) -> Workspace:
        """The same with the feature network in half precision; what is loaded is shared."""
        shared = copy.copy(self)
        shared.half_features = True
        return shared

    def in_precision(self, name: str) -> str:
        """The name of a file of rows: those in half precision have one of their own, which no autoencoder's can be."""
        return f"{name}.half" if self.half_features else name

    @property
    def runs(self) -> Path:
        """The work folder of this study."""
        return self.folders.runs / self.study.name

    @functools.cached_property
    def fast(self) -> Capabilities:
        """Which parts of the fast path this device may use; none where the self-check has left no record of it."""
        return capabilities(self.device)

    @functools.cached_property
    def source(self) -> ImageSource:
        """Where the images come from, listed and indexed once."""
        return ImageSource(self.study.data)

    @functools.cached_property
    def images(self) -> Splits:
        """Training and validation images."""
        return self.source.splits()

    def test_images(self, count: int) -> Any | None:
        """The first `count` images of the test split, beyond `validation_images` where need be; None of fewer."""
        most = max(count, self.sample_counts[-1])
        if most <= self.study.data.validation_images:
            return self.images.validation.first(count)
        found = self.keep("test images", most, lambda: self._more_test_images(most))
        if found is None and count <= self.study.data.validation_images:
            return self.images.validation.first(count)
        return None if found is None else found.first(count)

    def _more_test_images(self, count: int) -> ImageSet | None:
        try:
            return self.source.splits(dataclasses.replace(self.study.data, validation_images=count)).validation
        except LrcoreError as error:
            print(f"no anchors of {count} images, as many as samples: {error}", file=sys.stderr)
            return None

    @functools.cached_property
    def data_recipe(self) -> str:
        """What the images are: the study's [data] and the files behind it."""
        return recipe(self.study.data, self.source.fingerprint(self.check))

    @functools.cached_property
    def encoder(self) -> VisionEncoder:
        """The study's frozen vision encoder."""
        wanted = self.study.encoder
        return load_encoder(wanted.name, wanted.size, wanted.weights).to(self.device)


def recipe(*parts: Any) -> str:
    """Eight hex digits of everything that determines a result (dataclasses, numbers, other recipes).

    It names the files under `runs/` and stands in every row, so that a changed study never reads old work. Fields that
    have their default do not count, so that a new key of the study files leaves all earlier work as it is; a default
    must hence never change what it means.
    """
    canonical = json.dumps([_told(part) for part in parts], sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


def _told(part: Any) -> Any:
    if not dataclasses.is_dataclass(part):
        return part
    values = {field.name: (getattr(part, field.name), field.default) for field in dataclasses.fields(part)}
    told = {name: value for name, (value, default) in values.items() if value != default}
    return {name: written(value) if isinstance(value, str) else value for name, value in told.items()}
