"""Latents and patch features of all training images on the GPU, where there is room: batches are gathered there.

On a CPU nothing is copied: files of latents are mapped, and what is read of them stays in memory as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lrcore.autoencoders.base import Posterior
from lrcore.stages.features import features_recipe
from lrcore.stages.latent_shards import LatentShards
from lrcore.stages.workspace import Workspace

SHARE = 8
"""Latents and features may each take one in so many bytes that are free: trainings need most of them."""


def room(device: torch.device) -> int:
    """Bytes that either may take on `device`."""
    return int(torch.cuda.mem_get_info(device)[0]) // SHARE if device.type == "cuda" else 0


def resident_latents(work: Workspace, shards: LatentShards | None) -> Posterior | None:
    """Those of all images, the mirrored ones after the others, on the device; None where they are not to be there."""

    def make() -> Posterior | None:
        return shards.whole(work.device) if shards is not None and shards.nbytes <= room(work.device) else None

    return None if shards is None else work.keep("latents on the device", shards.key, make)


def resident_features(work: Workspace, features: Tensor | None) -> Tensor | None:
    """The patch features (images, N, F) on the device; None where they are not to be there."""

    def make() -> Tensor | None:
        return features.to(work.device) if features is not None and features.nbytes <= room(work.device) else None

    return None if features is None else work.keep("patch features on the device", features_recipe(work), make)
