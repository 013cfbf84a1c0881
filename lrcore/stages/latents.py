"""Stage: the normalised latents of the training images, encoded once where that is allowed."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from lrcore.autoencoders.base import Autoencoder
from lrcore.spec.study import Study
from lrcore.stages.autoencoder import autoencoder_recipe
from lrcore.stages.features import CHUNK
from lrcore.stages.latent_shards import LatentShards, ShardPlan, ensure_shards
from lrcore.stages.scale import require_normalised
from lrcore.stages.workspace import Workspace


def shard_plan(work: Workspace, ae: str) -> ShardPlan:
    """Where the latents of the training images are, or would be."""
    precision = work.study.training.latent_precision
    suffix = "" if precision == "float32" else f"-{precision}"
    folder = work.runs / "latents" / f"{ae}-{autoencoder_recipe(work, ae)}{suffix}"
    return ShardPlan(folder, *shard_settings(work.study))


def shard_settings(study: Study) -> tuple[int, str, bool]:
    """Images, precision and whether there are mirrored ones: what the study says of a `ShardPlan`."""
    return study.data.train_images, study.training.latent_precision, study.training.flip


def training_latents(work: Workspace, ae: str, autoencoder: Autoencoder) -> LatentShards | None:
    """The stored latents of the training images; None of an autoencoder that has to encode them anew each time.

    Raises:
        LrcoreError: they are not normalised, or the disk has not room enough.
    """
    require_normalised(work, ae, autoencoder)
    if not autoencoder.cacheable:
        return None
    plan = shard_plan(work, ae)
    images = sum(plan.size(number) for number, _ in plan.missing)
    count = work.counted("latents to be stored", images)
    ensure_shards(plan, autoencoder, work.images.train.images, ae, work.check, count)
    return LatentShards(plan, work.study.training.latent == "sample", autoencoder.shape)


def latent_chunks(work: Workspace, ae: str, autoencoder: Autoencoder, count: int) -> Iterator[Tensor]:
    """The latents (modes) of the first `count` training images or of all, float32 on the CPU, in batches (B, N, C).

    Those that are stored are read, and stored first where there are none.
    """
    stored, images = training_latents(work, ae, autoencoder), min(count, work.study.data.train_images)
    for numbers in torch.arange(images).split(CHUNK):
        work.check()
        if stored is not None:
            yield stored[numbers, torch.zeros(len(numbers), dtype=torch.bool)].mean.float()
        else:
            yield autoencoder.encode(work.images.train.images[numbers]).cpu()
