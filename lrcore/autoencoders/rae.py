"""The RAE family, small: a frozen timm encoder's patch features as latent, and a trained ViT decoder.

After Zheng et al. 2025 (arXiv 2510.11690). diffusers' AutoencoderRAE builds its encoder from three
transformer families; this one takes the study's encoder and shares diffusers' decoder.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.autoencoder_rae import RAEDecoder
from torch import Tensor

from lrcore.autoencoders.base import LatentShape
from lrcore.encoders import VisionEncoder
from lrcore.errors import LrcoreError

DEVIATION_FLOOR = 1e-5
"""Added to the deviations, as AutoencoderRAE does, for positions where a channel is constant."""


class TimmRaeDecoder(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """The trained part: per-position statistics of the latent, and the decoder from patches to images.

    The encoder is not stored: `encoder` and `encoder_size` name it.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        encoder: str,
        encoder_size: int,
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


class RaeAutoencoder:
    """Frozen encoder, per-position normalisation, trained decoder."""

    def __init__(self, model: TimmRaeDecoder, encoder: VisionEncoder) -> None:
        wanted = (model.config.encoder, model.config.encoder_size)
        if wanted != (encoder.name, encoder.size):
            raise LrcoreError(f"the decoder was trained on {wanted}, not on {(encoder.name, encoder.size)}")
        self.model = model.eval().requires_grad_(False)
        self.encoder = encoder
        self.shape = LatentShape((model.config.grid, model.config.grid), model.config.channels)

    @classmethod
    def load(cls, folder: Path, encoder: VisionEncoder) -> RaeAutoencoder:
        """From a folder in diffusers' layout."""
        return cls(TimmRaeDecoder.from_pretrained(folder, local_files_only=True, low_cpu_mem_usage=False), encoder)

    def encode(self, images: Tensor) -> Tensor:
        tokens: Tensor = self.model.normalise(self.encoder.patches_only(images).flatten(2).transpose(1, 2))
        return tokens

    def decode(self, tokens: Tensor) -> Tensor:
        images: Tensor = self.model(tokens).clamp(-1.0, 1.0)
        return images


@torch.no_grad()
def measure_normalisation(model: TimmRaeDecoder, features: Tensor) -> None:
    """Set the per-position statistics to those of `features` (images, N, C)."""
    model.latents_mean.copy_(features.double().mean(0))
    model.latents_std.copy_(features.double().std(0))
