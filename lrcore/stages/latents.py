"""Stage: the normalised latents of the training images, encoded once where that is allowed."""

from __future__ import annotations

from torch import Tensor

from lrcore.autoencoders.base import Autoencoder, encode_all
from lrcore.autoencoders.guard import guard_scale
from lrcore.stages.autoencoder import autoencoder_recipe
from lrcore.stages.features import cached_tensor
from lrcore.stages.workspace import Workspace

GUARDED_IMAGES = 512
"""So many of the first images are encoded to see whether the latents are normalised, before all of them are."""


class TrainingLatents:
    """Tokens of the training images by number: from the cache, or encoded anew at each call."""

    def __init__(self, autoencoder: Autoencoder, pixels: Tensor, cached: Tensor | None) -> None:
        self.autoencoder, self.pixels, self.cached = autoencoder, pixels, cached

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, picked: Tensor) -> Tensor:
        """Tokens (len(picked), N, C), float32, of the images `picked`."""
        if self.cached is not None:
            return self.cached[picked]
        return self.autoencoder.encode(self.pixels[picked]).cpu()


def training_latents(work: Workspace, ae: str, autoencoder: Autoencoder) -> TrainingLatents:
    """The latents that transformers are trained on.

    Raises:
        LrcoreError: they are not normalised.
    """
    pixels = work.images.train.images
    guard_scale(encode_all(autoencoder, pixels[:GUARDED_IMAGES]), ae)
    if not autoencoder.cacheable:
        return TrainingLatents(autoencoder, pixels, None)
    path = work.runs / "latents" / f"{ae}-{autoencoder_recipe(work, ae)}.safetensors"
    cached = cached_tensor(path, lambda: encode_all(autoencoder, pixels, work.stop.check))
    return TrainingLatents(autoencoder, pixels, cached)
