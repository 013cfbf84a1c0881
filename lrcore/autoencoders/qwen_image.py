"""Qwen-Image's autoencoder, of videos: an image is a video of one frame (diffusers' AutoencoderKLQwenImage).

Wu et al. 2025 (arXiv 2508.02324). Latents have five dimensions, (B, C, frames, rows, columns), and a mean and a
deviation for each channel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lrcore.autoencoders.base import Autoencoder, LatentShape, Posterior, token_grid
from lrcore.autoencoders.patches import from_tokens, to_tokens
from lrcore.autoencoders.stored_config import check_config, halvings

if TYPE_CHECKING:
    from diffusers import AutoencoderKLQwenImage


class QwenImageAutoencoder(Autoencoder):
    """(mode - latents_mean) / latents_std of each channel, of the only frame, patchified."""

    shift: Tensor
    deviation: Tensor

    def __init__(self, model: AutoencoderKLQwenImage, resolution: int, patch: int, precision: str = "float32") -> None:
        """`patch`: latent pixels a token spans; `precision`: see `Autoencoder`.

        Raises:
            LrcoreError: the model's downsampling and the patch do not divide the resolution, or its config says no
                normalisation that can be: see `stored_config.check_config`.
        """
        super().__init__()
        check_config(model.config, "qwen_image", resolution, patch)
        grid = token_grid(resolution, 2 ** halvings(model.config, "qwen_image"), patch)
        self.shape = LatentShape(resolution, grid, model.config.z_dim * patch**2, patch)
        self.model, self.precision = model.eval().requires_grad_(False), precision
        for name, values in (("shift", model.config.latents_mean), ("deviation", model.config.latents_std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1), persistent=False)

    def encode_batch(self, images: Tensor) -> Tensor:
        return self.posterior_batch(images).mean

    def posterior_batch(self, images: Tensor) -> Posterior:
        found = self.model.encode(images.unsqueeze(2)).latent_dist
        mean, std = (part.squeeze(2).float() for part in (found.mode(), found.std))
        patch = self.shape.patch
        return Posterior(to_tokens((mean - self.shift) / self.deviation, patch), to_tokens(std / self.deviation, patch))

    def decode_batch(self, tokens: Tensor) -> Tensor:
        latent = from_tokens(tokens, self.shape.patch, self.shape.grid) * self.deviation + self.shift
        images: Tensor = self.model.decode(latent.unsqueeze(2)).sample
        return images.squeeze(2)
