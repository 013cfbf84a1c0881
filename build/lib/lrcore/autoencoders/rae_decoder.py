"""The decoder of a RAE over any encoder: diffusers' RAEDecoder behind the statistics of its latent.

A module of its own, since importing diffusers takes seconds: what makes or loads one imports it.
"""

from __future__ import annotations

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.autoencoder_rae import RAEDecoder
from torch import Tensor

DEVIATION_FLOOR = 1e-5
"""Added to the deviations, as AutoencoderRAE does, for positions where a channel is constant."""


class TimmRaeDecoder(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """The trained part: per-position statistics of the latent, and the decoder from patches to images.

    The encoder is not stored: its name, input size and the sha256 of its weights are.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        encoder: str,
        encoder_size: int,
        encoder_sha256: str,
        channels: int,
        grid: int,
        resolution: int,
        decoder_width: int,
        decoder_depth: int,
        decoder_heads: int,
    ) -> None:
        super().__init__()
        self.decoder = RAEDecoder(
            hidden_size=channels,
            decoder_hidden_size=decoder_width,
            decoder_num_hidden_layers=decoder_depth,
            decoder_num_attention_heads=decoder_heads,
            decoder_intermediate_size=4 * decoder_width,
            num_patches=grid**2,
            patch_size=resolution // grid,
            image_size=resolution,
        )
        self.register_buffer("latents_mean", torch.zeros(grid**2, channels))
        self.register_buffer("latents_std", torch.ones(grid**2, channels))

    def normalise(self, features: Tensor) -> Tensor:
        """Features (B, N, C) to mean 0 and deviation 1 at every position and channel."""
        normalised: Tensor = (features - self.latents_mean) / (self.latents_std + DEVIATION_FLOOR)
        return normalised

    def forward(self, tokens: Tensor) -> Tensor:
        """Normalised tokens (B, N, C) to images (B, 3, H, W), not clamped."""
        features = tokens * (self.latents_std + DEVIATION_FLOOR) + self.latents_mean
        images: Tensor = self.decoder.unpatchify(self.decoder(features).logits)
        return images


@torch.no_grad()
def measure_normalisation(model: TimmRaeDecoder, features: Tensor) -> None:
    """Set the per-position statistics to those of `features` (images, N, C)."""
    model.latents_mean.copy_(features.double().mean(0))
    model.latents_std.copy_(features.double().std(0))
