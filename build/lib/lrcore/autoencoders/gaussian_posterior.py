"""What AutoencoderKL and AutoencoderKLFlux2 share: a convolutional network and a Gaussian posterior."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from torch import Tensor

from lrcore.autoencoders.base import Autoencoder, LatentShape, token_grid
from lrcore.autoencoders.precision import accumulate_in_float32
from lrcore.spec.study import AutoencoderSpec

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, AutoencoderKLFlux2


def small_model_config(spec: AutoencoderSpec, resolution: int) -> dict[str, Any]:
    """What either class is made with: a network that halves the image once per width after the first."""
    blocks = len(spec.widths)
    return {
        "down_block_types": ("DownEncoderBlock2D",) * blocks,
        "up_block_types": ("UpDecoderBlock2D",) * blocks,
        "block_out_channels": spec.widths,
        "layers_per_block": spec.layers_per_block,
        "latent_channels": spec.latent_channels,
        "norm_num_groups": 8,
        "sample_size": resolution,
    }


class PosteriorAutoencoder(Autoencoder):
    """The posterior's mode, normalised as the family does it, is the latent."""

    def __init__(
        self, model: AutoencoderKL | AutoencoderKLFlux2, resolution: int, patch: int, precision: str, upcast: bool
    ) -> None:
        """`patch`: latent pixels a token spans; `upcast`: whether convolutions in bfloat16 must add up in float32.

        Raises:
            LrcoreError: the model's downsampling and the patch do not divide the resolution.
        """
        super().__init__()
        grid = token_grid(resolution, 2 ** (len(model.config.block_out_channels) - 1), patch)
        self.shape = LatentShape(resolution, grid, model.config.latent_channels * patch**2, patch)
        self.model, self.precision = model.eval().requires_grad_(False), precision
        if precision == "bfloat16" and upcast:
            accumulate_in_float32(model)

    def encode_batch(self, images: Tensor) -> Tensor:
        return self._normalised(self.model.encode(images).latent_dist.mode())

    @abstractmethod
    def _normalised(self, latent: Tensor) -> Tensor:
        """A latent (B, C, H, W) as normalised tokens (B, N, C p^2), float32."""
