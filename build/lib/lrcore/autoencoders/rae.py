"""The RAE family: a frozen vision encoder's patch features as latent, and a trained ViT decoder.

Zheng et al. 2025 (arXiv 2510.11690). `RaeAutoencoder` is the published model, diffusers' AutoencoderRAE, whose encoder
is one of three transformer families. `TimmRaeAutoencoder` is trained here: it takes any encoder of
`lrcore.encoders.base` and shares diffusers' decoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from lrcore.autoencoders.base import Autoencoder, LatentShape
from lrcore.autoencoders.stored_config import check_config
from lrcore.encoders.base import VisionEncoder
from lrcore.errors import LrcoreError

if TYPE_CHECKING:
    from diffusers import AutoencoderRAE

    from lrcore.autoencoders.rae_decoder import TimmRaeDecoder


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
