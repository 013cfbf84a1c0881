"""The FLUX.2 family: patchified mode, normalised per channel by batch-norm statistics (AutoencoderKLFlux2)."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKLFlux2
from torch import Tensor

from lrcore.autoencoders.base import LatentShape, from_tokens, to_tokens
from lrcore.images import to_float
from lrcore.studies import AutoencoderSpec


def small_model(spec: AutoencoderSpec, resolution: int) -> AutoencoderKLFlux2:
    """A randomly initialised AutoencoderKLFlux2 that halves the image once per width after the first."""
    blocks = len(spec.widths)
    return AutoencoderKLFlux2(
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        block_out_channels=spec.widths,
        layers_per_block=1,
        latent_channels=spec.latent_channels,
        norm_num_groups=8,
        sample_size=resolution,
        patch_size=(spec.patch, spec.patch),
    )


class Flux2Autoencoder:
    """(patchify(mode) - bn.running_mean) / sqrt(bn.running_var + eps); the patch is the model's own."""

    def __init__(self, model: AutoencoderKLFlux2, resolution: int) -> None:
        # eval: in train mode the batch norm would move its statistics with every batch
        self.model = model.eval().requires_grad_(False)
        self.patch = model.config.patch_size[0]
        side = resolution // 2 ** (len(model.config.block_out_channels) - 1) // self.patch
        self.shape = LatentShape((side, side), model.config.latent_channels * self.patch**2)

    @classmethod
    def load(cls, folder: Path, resolution: int) -> Flux2Autoencoder:
        """From a folder in diffusers' layout."""
        return cls(
            AutoencoderKLFlux2.from_pretrained(folder, local_files_only=True, low_cpu_mem_usage=False), resolution
        )

    def encode(self, images: Tensor) -> Tensor:
        tokens = to_tokens(self.model.encode(images).latent_dist.mode(), self.patch)
        normalised: Tensor = (tokens - self.model.bn.running_mean) / self._deviation()
        return normalised

    def decode(self, tokens: Tensor) -> Tensor:
        latent = from_tokens(tokens * self._deviation() + self.model.bn.running_mean, self.patch, self.shape.grid)
        images: Tensor = self.model.decode(latent).sample.clamp(-1.0, 1.0)
        return images

    def _deviation(self) -> Tensor:
        return torch.sqrt(self.model.bn.running_var + self.model.bn.eps)


@torch.no_grad()
def measure_normalisation(model: AutoencoderKLFlux2, pixels: Tensor, patch: int) -> None:
    """Set the batch-norm statistics to those of the latents of `pixels` (uint8), over images and positions."""
    model.eval()
    chunks = [to_tokens(model.encode(to_float(chunk)).latent_dist.mode(), patch) for chunk in pixels.split(64)]
    channels = torch.cat(chunks).flatten(0, 1).double()
    model.bn.running_mean.copy_(channels.mean(0))
    model.bn.running_var.copy_(channels.var(0))
