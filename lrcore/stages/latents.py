"""Stage: the normalised latents of the training images, encoded once."""

from __future__ import annotations

from torch import Tensor

from lrcore.autoencoders.base import Autoencoder, encode_all, guard_scale
from lrcore.stages.autoencoder import autoencoder_recipe
from lrcore.stages.features import cached_tensor
from lrcore.stages.workspace import Workspace


def training_latents(work: Workspace, ae: str, autoencoder: Autoencoder) -> Tensor:
    """Tokens (train images, N, C), float32.

    Raises:
        LrcoreError: they are not normalised.
    """
    path = work.runs / "latents" / f"{ae}-{autoencoder_recipe(work, ae)}.safetensors"
    tokens = cached_tensor(path, lambda: encode_all(autoencoder, work.images.train.images))
    guard_scale(tokens, ae)
    return tokens
