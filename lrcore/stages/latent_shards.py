"""Latents of many images on disk: safetensors shards that several processes make together and read without loading.

    runs/<study>/latents/<ae>-<recipe>/00000.safetensors           images 0 to 4095 as they are
    runs/<study>/latents/<ae>-<recipe>/00000-flipped.safetensors   the same, mirrored left to right

A shard holds the tensor `mean` (n, N, C), and `std` where the autoencoder has a posterior, so that whether trainings
see the mode or samples, flips or none, is decided when they start. Mirrored images are encoded, not mirrored as
latents: an encoder need not commute with the mirror.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lrcore.autoencoders.base import IMAGES_PER_FORWARD, Autoencoder, LatentShape, Posterior
from lrcore.errors import LrcoreError
from lrcore.runtime.files import make_missing
from lrcore.runtime.tensor_files import require_whole_once, save_tensors
from lrcore.spec.study import LATENT_PRECISIONS

SHARD_IMAGES = 4096
"""Images of a shard: few enough that little is lost with the process that makes it."""

STORED = dict(zip(LATENT_PRECISIONS, (torch.float32, torch.float16), strict=True))
"""Number formats of shards. Normalised latents are far from float16's limits, which keeps 8 times as much of them as
bfloat16 in the same space."""


@dataclass(frozen=True)
class ShardPlan:
    """Which shards there are to be: of `images` images in `folder`, numbers as `precision` of `STORED`; with mirrored
    ones if `flipped`."""

    folder: Path
    images: int
    precision: str
    flipped: bool

    def path(self, number: int, flipped: bool) -> Path:
        """The file of shard `number`."""
        return self.folder / f"{number:05d}{'-flipped' if flipped else ''}.safetensors"

    @property
    def shards(self) -> list[tuple[int, bool]]:
        """Number and whether mirrored, of all."""
        numbers = range(-(-self.images // SHARD_IMAGES))
        return [(number, flipped) for flipped in ((False, True) if self.flipped else (False,)) for number in numbers]

    @property
    def missing(self) -> list[tuple[int, bool]]:
        """Those that are not there."""
        return [shard for shard in self.shards if not self.path(*shard).exists()]

    def size(self, number: int) -> int:
        """Images of shard `number`."""
        return min(SHARD_IMAGES, self.images - number * SHARD_IMAGES)

    def bytes_of(self, dimension: int, posterior: bool, shards: list[tuple[int, bool]]) -> int:
        """What `shards` take on disk, for latents of `dimension` numbers, with their deviation if there is a
        `posterior`."""
        images = sum(self.size(number) for number, _ in shards)
        return images * dimension * (1 + posterior) * STORED[self.precision].itemsize


def ensure_shards(
    plan: ShardPlan,
    autoencoder: Autoencoder,
    pixels: Tensor,
    name: str,
    stop: Callable[[], None],
    count: Callable[[int], None] = lambda images: None,
) -> None:
    """Make the shards that are missing; any number of processes may do so at once, each takes what no other has taken.

    Says beforehand how much disk they take. `pixels`: uint8 (images, 3, H, W) or what behaves like it; `name`: of the
    autoencoder, for messages; `stop` is called between chunks and while waiting for others, and may raise; `count`
    is told of every few images that were encoded here.

    Raises:
        LrcoreError: the disk has not room enough.
    """
    if not plan.missing:
        return
    _tell(plan, autoencoder, pixels, name)
    shards = {plan.path(*shard): shard for shard in plan.shards}
    make_missing(list(shards), lambda path: _make(plan, shards[path], autoencoder, pixels, stop, count), stop)


def _tell(plan: ShardPlan, autoencoder: Autoencoder, pixels: Tensor, name: str) -> None:
    posterior = autoencoder.posterior(pixels[:1]).std is not None
    wanted = plan.bytes_of(autoencoder.shape.dimension, posterior, plan.missing)
    plan.folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(plan.folder).free
    text = (
        f"latents of '{name}': {len(plan.missing)} of {len(plan.shards)} shards to encode, {wanted / 1e9:.2f} GB under "
        f"'{plan.folder}'"
    )
    if wanted > free:
        raise LrcoreError(
            f"{text}, where {free / 1e9:.2f} GB are free: make room, choose another folder with --runs, or set "
            'training.latent_precision = "float16"'
        )
    print(text, file=sys.stderr, flush=True)


def _make(
    plan: ShardPlan,
    shard: tuple[int, bool],
    autoencoder: Autoencoder,
    pixels: Tensor,
    stop: Callable[[], None],
    count: Callable[[int], None],
) -> None:
    number, flipped = shard
    found = []
    for chunk in pixels.narrow(0, number * SHARD_IMAGES, plan.size(number)).split(IMAGES_PER_FORWARD):
        stop()
        posterior = autoencoder.posterior(chunk.flip(-1) if flipped else chunk)
        found.append([part.to("cpu", STORED[plan.precision]) for part in posterior if part is not None])
        count(len(chunk))
    # without a posterior there is no second part
    tensors = dict(zip(("mean", "std"), (torch.cat(parts) for parts in zip(*found, strict=True)), strict=False))
    save_tensors(plan.path(*shard), tensors)


class LatentShards:
    """The latents of a plan whose shards are all there, by image number; the system reads what is asked for.

    A process reads every shard once as a whole when it first opens it, to check it against its digest: 2 to 3 seconds a
    gigabyte of one core, 20 minutes for 500 GB from a disk that gives as much.
    """

    def __init__(self, plan: ShardPlan, with_std: bool = True, latent: LatentShape | None = None) -> None:
        """`with_std`: read the deviation too, where there is one; `latent`: what each has to be, if known."""
        self._plan, self._names, self._latent = plan, ("mean", "std") if with_std else ("mean",), latent

    def __getitem__(self, picked: tuple[Tensor, Tensor]) -> Posterior:
        """Mean and deviation (B, N, C), as they are stored, of images by `(numbers, flipped)`: int64 and bool (B,).

        Raises:
            LrcoreError: a shard is damaged; says which.
        """
        numbers, flipped = picked
        read = [
            self._row(number, mirrored) for number, mirrored in zip(numbers.tolist(), flipped.tolist(), strict=True)
        ]
        mean, *std = (torch.stack(rows) for rows in zip(*read, strict=True))
        return Posterior(mean, std[0] if std else None)

    @property
    def key(self) -> tuple[ShardPlan, tuple[str, ...]]:
        """What tells them from others."""
        return self._plan, self._names

    @property
    def nbytes(self) -> int:
        """Of all of them."""
        return sum(tensor.nbytes for tensors in self._tensors.values() for tensor in tensors)

    def whole(self, device: torch.device) -> Posterior:
        """All of them as they are stored, on `device`: image after image, then the mirrored ones.

        Raises:
            LrcoreError: a shard is damaged; says which.
        """
        parts = zip(*(self._tensors[shard] for shard in self._plan.shards), strict=True)
        mean, *std = (torch.cat([shard.to(device) for shard in shards]) for shards in parts)
        return Posterior(mean, std[0] if std else None)

    def _row(self, number: int, flipped: bool) -> Iterator[Tensor]:
        shard, row = divmod(number, SHARD_IMAGES)
        return (tensor[row] for tensor in self._tensors[shard, flipped])

    @cached_property
    def _tensors(self) -> dict[tuple[int, bool], list[Tensor]]:
        return {shard: self._checked(shard) for shard in self._plan.shards}

    def _checked(self, shard: tuple[int, bool]) -> list[Tensor]:
        path = self._plan.path(*shard)
        tensors = _mapped(path, self._plan.size(shard[0]), self._names)
        wanted = self._latent and (self._latent.tokens, self._latent.channels_per_token)
        for tensor in tensors:
            if tensor.ndim != 3 or not tensor.is_floating_point() or wanted not in (None, tuple(tensor.shape[1:])):
                raise LrcoreError(
                    f"'{os.fspath(path)}' holds {tensor.dtype} {tuple(tensor.shape)}, not latents of "
                    f"{wanted or '(tokens, channels)'}: delete it to make it again"
                )
        return tensors


def _mapped(path: Path, images: int, names: Sequence[str]) -> list[Tensor]:
    """Those of the tensors `names` that there are, as memory maps of the file, which is checked as a whole first."""
    require_whole_once(path)
    try:
        with safe_open(path, framework="pt") as stored:
            tensors = [stored.get_tensor(name) for name in names if name in stored.keys()]  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise LrcoreError(f"'{path}' is damaged ({error}): delete it to make it again") from error
    if not tensors or len(tensors[0]) != images:
        raise LrcoreError(f"'{os.fspath(path)}' does not hold {images} latents: delete it to make it again")
    return tensors
