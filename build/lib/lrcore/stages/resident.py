"""Latents and patch features of all training images on the GPU, where there is room: batches are gathered there.

On a CPU nothing is copied: files of latents are mapped, and what is read of them stays in memory as it is.
"""

from __future__ import annotations

from collections.abc import Hashable

import torch
from torch import Tensor

from lrcore.autoencoders.base import Posterior
from lrcore.stages.features import features_recipe
from lrcore.stages.latent_shards import LatentShards
from lrcore.stages.workspace import Workspace

LATENTS, FEATURES = "latents on the device", "patch features on the device"

SHARE = 8
"""Latents and features may each take one in so many bytes that are free: trainings need most of them."""


def room(device: torch.device) -> int:
    """Bytes that either may take on `device`."""
    return int(torch.cuda.mem_get_info(device)[0]) // SHARE if device.type == "cuda" else 0


def resident_latents(work: Workspace, shards: LatentShards | None) -> Posterior | None:
    """Those of all images, the mirrored ones after the others, on the device; None where they are not to be there."""
    if shards is None or not _fits(work, LATENTS, shards.key, shards.nbytes):
        return None
    return work.keep(LATENTS, shards.key, lambda: shards.whole(work.device))


def resident_features(work: Workspace, features: Tensor | None) -> Tensor | None:
    """The patch features (images, N, F) on the device; None where they are not to be there."""
    if features is None or not _fits(work, FEATURES, features_recipe(work), features.nbytes):
        return None
    return work.keep(FEATURES, features_recipe(work), lambda: features.to(work.device))


def _fits(work: Workspace, kind: str, key: Hashable, nbytes: int) -> bool:
    """Whether it is there or there is room for it now: room that lacked may be free again later."""
    return work.holds(kind, key) or nbytes <= room(work.device)
