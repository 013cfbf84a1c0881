"""KL autoencoders with one shift and one scale (SD, FLUX.1), through diffusers' AutoencoderKL.

Rombach et al. 2022 (arXiv 2112.10752). The normalised latent is (z - shift_factor) * scaling_factor, with the factors
of the model's own config, so that a model cannot be used with another's. Where the config has `latents_mean` and
`latents_std` of its channels it is (z - latents_mean) * scaling_factor / latents_std, as in diffusers' SDXL pipelines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lrcore.autoencoders.base import CollapsedError, Posterior, encode_all
from lrcore.autoencoders.gaussian_posterior import PosteriorAutoencoder, small_model_config
from lrcore.autoencoders.patches import from_tokens, to_tokens
from lrcore.autoencoders.stored_config import check_config
from lrcore.spec.study import AutoencoderSpec

if TYPE_CHECKING:
    from diffusers import AutoencoderKL


def small_model(spec: AutoencoderSpec, resolution: int) -> AutoencoderKL:
    """A randomly initialised AutoencoderKL that halves the image once per width after the first."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(**small_model_config(spec, resolution))


class KLAutoencoder(PosteriorAutoencoder):
    """(mode - shift_factor) * scaling_factor, patchified.

    The posterior's mode is the latent; `encode(images, generator)` draws a sample instead.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, model: AutoencoderKL, resolution: int, patch: int, precision: str = "float32") -> None:
        """`patch`: latent pixels a token spans; `precision`: see `Autoencoder`.

        Raises:
            LrcoreError: the model's downsampling and the patch do not divide the resolution, or its config says no
                normalisation that can be: see `stored_config.check_config`.
        """
        check_config(model.config, "kl", resolution, patch)
        super().__init__(model, resolution, patch, precision, upcast=model.config.force_upcast)
        mean, std = model.config.latents_mean, model.config.latents_std
        channels = model.config.latent_channels
        shift = [model.config.shift_factor or 0.0] * channels if mean is None else mean
        scale = [model.config.scaling_factor / deviation for deviation in ([1.0] * channels if std is None else std)]
        for name, values in (("shift", shift), ("scale", scale)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1), persistent=False)

    def posterior_batch(self, images: Tensor) -> Posterior:
        found = self.model.encode(images).latent_dist
        return Posterior(self._normalised(found.mode()), to_tokens(found.std.float() * self.scale, self.shape.patch))

    def decode_batch(self, tokens: Tensor) -> Tensor:
        latent = from_tokens(tokens, self.shape.patch, self.shape.grid) / self.scale + self.shift
        images: Tensor = self.model.decode(latent).sample
        return images

    def _normalised(self, latent: Tensor) -> Tensor:
        return to_tokens((latent.float() - self.shift) * self.scale, self.shape.patch)


@torch.no_grad()
def measure_normalisation(
    model: AutoencoderKL, pixels: Tensor, resolution: int, before_chunk: Callable[[], None] = lambda: None
) -> None:
    """Set shift and scale in the model's config so that the latents of `pixels` have mean 0 and deviation 1.

    `before_chunk` may raise to stop.

    Raises:
        CollapsedError: the latents are all the same.
    """
    model.register_to_config(shift_factor=0.0, scaling_factor=1.0)
    autoencoder = KLAutoencoder(model, resolution, patch=1).to(model.device)
    autoencoder.before_chunk = before_chunk
    latents = encode_all(autoencoder, pixels).double()
    if not latents.std() > 0:
        raise CollapsedError(f"the latent has collapsed: all values are {latents.mean().item():.4g}")
    model.register_to_config(shift_factor=latents.mean().item(), scaling_factor=1.0 / latents.std().item())
