"""KL autoencoders with one shift and one scale (SD, FLUX.1), through diffusers' AutoencoderKL."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from lrcore.autoencoders.base import LatentShape, encode_all, from_tokens, to_tokens
from lrcore.studies import AutoencoderSpec


def small_model(spec: AutoencoderSpec, resolution: int) -> AutoencoderKL:
    """A randomly initialised AutoencoderKL that halves the image once per width after the first."""
    blocks = len(spec.widths)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        block_out_channels=spec.widths,
        layers_per_block=1,
        latent_channels=spec.latent_channels,
        norm_num_groups=8,
        sample_size=resolution,
    )


class KLAutoencoder:
    """(mode - shift_factor) * scaling_factor, patchified; the factors are those of the model's config.

    The posterior's mode is the latent, not a sample of it: one latent per image, so caches are exact.
    """

    def __init__(self, model: AutoencoderKL, resolution: int, patch: int) -> None:
        self.model = model.eval().requires_grad_(False)
        self.patch = patch
        side = resolution // 2 ** (len(model.config.block_out_channels) - 1) // patch
        self.shape = LatentShape((side, side), model.config.latent_channels * patch**2)

    @classmethod
    def load(cls, folder: Path, resolution: int, patch: int) -> KLAutoencoder:
        """From a folder in diffusers' layout."""
        return cls(
            AutoencoderKL.from_pretrained(folder, local_files_only=True, low_cpu_mem_usage=False), resolution, patch
        )

    def encode(self, images: Tensor) -> Tensor:
        mode = self.model.encode(images).latent_dist.mode()
        shift, scale = self.model.config.shift_factor or 0.0, self.model.config.scaling_factor
        return to_tokens((mode - shift) * scale, self.patch)

    def decode(self, tokens: Tensor) -> Tensor:
        shift, scale = self.model.config.shift_factor or 0.0, self.model.config.scaling_factor
        latent = from_tokens(tokens, self.patch, self.shape.grid) / scale + shift
        images: Tensor = self.model.decode(latent).sample.clamp(-1.0, 1.0)
        return images


@torch.no_grad()
def measure_normalisation(model: AutoencoderKL, pixels: Tensor, resolution: int, patch: int) -> None:
    """Set shift and scale in the model's config so that the latents of `pixels` have mean 0 and deviation 1."""
    model.register_to_config(shift_factor=0.0, scaling_factor=1.0)
    tokens = encode_all(KLAutoencoder(model, resolution, patch), pixels).double()
    model.register_to_config(shift_factor=tokens.mean().item(), scaling_factor=1.0 / tokens.std().item())
