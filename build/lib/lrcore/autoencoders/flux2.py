"""The FLUX.2 family: patchified mode, normalised per channel by batch-norm statistics (AutoencoderKLFlux2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lrcore.autoencoders.base import CollapsedError, Posterior, encode_all
from lrcore.autoencoders.gaussian_posterior import PosteriorAutoencoder, small_model_config
from lrcore.autoencoders.patches import from_tokens, to_tokens
from lrcore.autoencoders.stored_config import check_config
from lrcore.errors import LrcoreError
from lrcore.spec.study import AutoencoderSpec

if TYPE_CHECKING:
    from diffusers import AutoencoderKLFlux2


def small_model(spec: AutoencoderSpec, resolution: int) -> AutoencoderKLFlux2:
    """A randomly initialised AutoencoderKLFlux2 that halves the image once per width after the first."""
    from diffusers import AutoencoderKLFlux2

    return AutoencoderKLFlux2(**small_model_config(spec, resolution), patch_size=(spec.patch, spec.patch))


class Flux2Autoencoder(PosteriorAutoencoder):
    """(patchify(mode) - bn.running_mean) / sqrt(bn.running_var + eps); patch and statistics are the model's own."""

    def __init__(self, model: AutoencoderKLFlux2, resolution: int, precision: str = "float32") -> None:
        """`precision`: see `Autoencoder`.

        Raises:
            LrcoreError: the model's downsampling and patch do not divide the resolution, its patch is not square, or
                its statistics are no mean and variance.
        """
        check_config(model.config, "flux2", resolution, 1)
        mean, variance = model.bn.running_mean, model.bn.running_var
        if not (mean.isfinite().all() and variance.isfinite().all() and (variance + model.bn.eps > 0).all()):
            raise LrcoreError("bn.running_mean and bn.running_var of this AutoencoderKLFlux2 are no mean and variance")
        # its config has no `force_upcast`; its layers are those of the models that have it
        super().__init__(model, resolution, model.config.patch_size[0], precision, upcast=True)

    def posterior_batch(self, images: Tensor) -> Posterior:
        found = self.model.encode(images).latent_dist
        std = to_tokens(found.std.float(), self.shape.patch) / self._deviation()
        return Posterior(self._normalised(found.mode()), std)

    def decode_batch(self, tokens: Tensor) -> Tensor:
        latent = tokens * self._deviation() + self.model.bn.running_mean
        images: Tensor = self.model.decode(from_tokens(latent, self.shape.patch, self.shape.grid)).sample
        return images

    def _normalised(self, latent: Tensor) -> Tensor:
        tokens = to_tokens(latent.float(), self.shape.patch)
        normalised: Tensor = (tokens - self.model.bn.running_mean) / self._deviation()
        return normalised

    def _deviation(self) -> Tensor:
        return torch.sqrt(self.model.bn.running_var + self.model.bn.eps)


@torch.no_grad()
def measure_normalisation(
    model: AutoencoderKLFlux2, pixels: Tensor, before_chunk: Callable[[], None] = lambda: None
) -> None:
    """Set the batch-norm statistics to those of the latents of `pixels` (uint8), over images and positions.

    `before_chunk` may raise to stop.

    Raises:
        CollapsedError: channels that are the same everywhere.
    """
    model.bn.running_mean.zero_()
    model.bn.running_var.fill_(1.0 - model.bn.eps)  # the latent as it is
    autoencoder = Flux2Autoencoder(model, pixels.shape[-1])
    autoencoder.before_chunk = before_chunk
    channels = encode_all(autoencoder, pixels).flatten(0, 1)
    variance, mean = torch.var_mean(channels.double(), dim=0)
    dead = (variance == 0).nonzero().flatten().tolist()
    if dead:
        raise CollapsedError(f"the latent has collapsed in {len(dead)} of {len(mean)} channels, the first is {dead[0]}")
    model.bn.running_mean.copy_(mean)
    model.bn.running_var.copy_(variance)
