"""Autoencoders without posterior whose latent has one shift and one scale (diffusers' AutoencoderTiny, AutoencoderDC).

TAESD and its siblings (github.com/madebyollin/taesd) make latents that are at the diffusion model's scale already, so
their factors are 0 and 1. DC-AE (Chen et al. 2024, arXiv 2410.10733), of which Sana's is one, has a `scaling_factor`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from lrcore.autoencoders.base import Autoencoder, LatentShape, token_grid
from lrcore.autoencoders.patches import from_tokens, to_tokens
from lrcore.autoencoders.stored_config import check_config, halvings

if TYPE_CHECKING:
    from diffusers import AutoencoderDC, AutoencoderTiny


class ScaledAutoencoder(Autoencoder):
    """(latent - shift_factor) * scaling_factor, patchified; factors that the config lacks are 0 and 1."""

    def __init__(
        self, model: AutoencoderTiny | AutoencoderDC, resolution: int, patch: int, precision: str = "float32"
    ) -> None:
        """`patch`: latent pixels a token spans; `precision`: see `Autoencoder`.

        Raises:
            LrcoreError: the model's downsampling and the patch do not divide the resolution, or its config says no
                normalisation that can be: see `stored_config.check_config`.
        """
        super().__init__()
        kind = "tiny" if type(model).__name__ == "AutoencoderTiny" else "dc"
        check_config(model.config, kind, resolution, patch)
        grid = token_grid(resolution, 2 ** halvings(model.config, kind), patch)
        self.shape = LatentShape(resolution, grid, model.config.latent_channels * patch**2, patch)
        self.shift = float(model.config.get("shift_factor") or 0.0)
        self.scale = float(model.config.scaling_factor)
        self.model, self.precision = model.eval().requires_grad_(False), precision

    def encode_batch(self, images: Tensor) -> Tensor:
        latent: Tensor = self.model.encode(images, return_dict=False)[0]
        return to_tokens((latent.float() - self.shift) * self.scale, self.shape.patch)

    def decode_batch(self, tokens: Tensor) -> Tensor:
        latent = from_tokens(tokens, self.shape.patch, self.shape.grid) / self.scale + self.shift
        images: Tensor = self.model.decode(latent, return_dict=False)[0]
        return images
