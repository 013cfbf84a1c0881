"""What the latent of an autoencoder is like, before it is trained or fetched; and transformers too narrow for it."""

from __future__ import annotations

from collections.abc import Iterable

from lrcore.autoencoders import by_class, patch_autoencoder, taef2
from lrcore.autoencoders.base import LatentShape, token_grid
from lrcore.autoencoders.loading import stored_class
from lrcore.spec.study import AutoencoderSpec, written
from lrcore.stages import custom
from lrcore.stages.autoencoder import ensure_autoencoder
from lrcore.stages.workspace import Workspace
from lrcore.studies.widths import check_widths

PUBLISHED_STRIDE = 16
"""Pixels a token spans in each direction, in all of `PUBLISHED_CHANNELS`."""

PUBLISHED_CHANNELS = {
    "stabilityai/sd-vae-ft-ema": 16,
    "black-forest-labs/FLUX.1-dev": 64,
    "black-forest-labs/FLUX.2-dev": 128,
    "nyu-visionx/RAE-dinov2-wReg-base-ViTXL-n08": 768,
}
"""Channels per token of autoencoders that need not be fetched for this, by hub id (patch 2 but for the last)."""


def latent_shape(work: Workspace, ae: str) -> LatentShape:
    """The shape of an autoencoder's latent, without training or fetching it where that can be.

    Raises:
        LrcoreError: one from elsewhere cannot be had, or its parts do not fit.
    """
    spec, resolution = work.study.autoencoders[ae], work.study.data.resolution
    if spec.pretrained in PUBLISHED_CHANNELS and spec.patch == AutoencoderSpec.patch:
        grid = token_grid(spec.size or resolution, PUBLISHED_STRIDE, 1)
        return LatentShape(resolution, grid, PUBLISHED_CHANNELS[spec.pretrained])
    if spec.family == "taef2":
        return taef2.latent_shape(resolution, spec.size)
    if spec.origin == "fitted":
        return patch_autoencoder.latent_shape(resolution, spec.patch, spec.coefficients)
    if spec.origin == "custom":
        return custom.known(work, ae).latent
    if spec.origin != "trained":
        return ensure_autoencoder(work, ae).shape
    if spec.family == "rae":
        return LatentShape(resolution, (work.encoder.grid, work.encoder.grid), work.encoder.patch_channels)
    grid = token_grid(resolution, 2 ** (len(spec.widths) - 1), spec.patch)
    return LatentShape(resolution, grid, spec.latent_channels * spec.patch**2, spec.patch)


def has_posterior(work: Workspace, ae: str) -> bool | None:
    """Whether stored latents have a deviation; None of an autoencoder whose latents are not stored.

    Raises:
        LrcoreError: one of your own cannot be made, or one of diffusers' cannot be had.
    """
    spec = work.study.autoencoders[ae]
    if spec.origin == "custom":
        found = custom.known(work, ae)
        return found.posterior if found.cacheable else None
    if spec.family == "diffusers":
        name = stored_class(spec.pretrained, spec.subfolder, spec.revision)
        return by_class.supported(name, written(spec.pretrained)).posterior
    if spec.family == "rae":
        return False if spec.origin == "trained" else None
    return spec.family not in ("patches", "taef2")


def require_wide_enough(work: Workspace, aes: Iterable[str]) -> None:
    """Refuse transformers that are narrower than tokens of `aes`, now that all latents are known.

    Raises:
        LrcoreError: as `studies.widths.check_widths`; or a latent cannot be had.
    """
    check_widths(work.study, {ae: latent_shape(work, ae).channels_per_token for ae in aes})
