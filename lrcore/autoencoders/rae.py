"""The RAE family: a frozen vision encoder's patch features as latent, and a trained ViT decoder.

Zheng et al. 2025 (arXiv 2510.11690). `RaeAutoencoder` is the published model, diffusers' AutoencoderRAE, whose encoder
is one of three transformer families. `TimmRaeAutoencoder` is trained here: it takes any encoder of
`lrcore.encoders.base` and shares diffusers' decoder.
"""

from __future__ import annotations

import torch
from diffusers import AutoencoderRAE, ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.autoencoder_rae import RAEDecoder
from torch import Tensor

from lrcore.autoencoders.base import Autoencoder, LatentShape
from lrcore.autoencoders.stored_config import check_config
from lrcore.encoders.base import VisionEncoder
from lrcore.errors import LrcoreError

DEVIATION_FLOOR = 1e-5
"""Added to the deviations, as AutoencoderRAE does, for positions where a channel is constant."""


class RaeAutoencoder(Autoencoder):
    """diffusers' AutoencoderRAE, which normalises per position inside `encode`; its images are in [0, 1].

    Encoding is cheap beside the size of the latent (504 GB for ImageNet), so it is not stored.
    """

    cacheable = False

    def __init__(self, model: AutoencoderRAE, resolution: int, precision: str = "float32") -> None:
        """`precision`: see `Autoencoder`.

        Raises:
            LrcoreError: the decoder was made for another resolution, or the model has no statistics of its latent.
        """
        super().__init__()
        check_config(model.config, "rae", resolution, 1)
        side = model.config.encoder_input_size // model.config.encoder_patch_size
        self.shape = LatentShape(resolution, (side, side), model.config.encoder_hidden_size)
        self.model, self.precision = model.eval().requires_grad_(False), precision

    def encode_batch(self, images: Tensor) -> Tensor:
        latent: Tensor = self.model.encode((images + 1.0) / 2.0).latent
        return latent.flatten(2).transpose(1, 2) if self.model.config.reshape_to_2d else latent

    def decode_batch(self, tokens: Tensor) -> Tensor:
        latent = tokens
        if self.model.config.reshape_to_2d:
            latent = tokens.transpose(1, 2).unflatten(2, self.shape.grid)
        images: Tensor = self.model.decode(latent).sample
        return 2.0 * images - 1.0


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


class TimmRaeAutoencoder(Autoencoder):
    """Frozen encoder, per-position normalisation, trained decoder."""

    def __init__(self, model: TimmRaeDecoder, encoder: VisionEncoder, precision: str = "float32") -> None:
        """`precision`: of the decoder; the encoder is always float32.

        Raises:
            LrcoreError: the decoder was trained on another encoder.
        """
        super().__init__()
        wanted = (model.config.encoder, model.config.encoder_size, model.config.encoder_sha256)
        given = (encoder.name, encoder.size, encoder.sha256)
        if wanted != given:
            raise LrcoreError(f"the decoder was trained on the encoder {wanted} (name, size, sha256), not on {given}")
        self.model, self.encoder = model.eval().requires_grad_(False), encoder
        self.precision = precision
        grid = (model.config.grid, model.config.grid)
        self.shape = LatentShape(model.config.resolution, grid, model.config.channels)

    def encode_batch(self, images: Tensor) -> Tensor:
        tokens: Tensor = self.model.normalise(self.encoder.patches_only(images).flatten(2).transpose(1, 2))
        return tokens

    def decode_batch(self, tokens: Tensor) -> Tensor:
        images: Tensor = self.model(tokens)
        return images


@torch.no_grad()
def measure_normalisation(model: TimmRaeDecoder, features: Tensor) -> None:
    """Set the per-position statistics to those of `features` (images, N, C)."""
    model.latents_mean.copy_(features.double().mean(0))
    model.latents_std.copy_(features.double().std(0))
