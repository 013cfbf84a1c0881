"""What the `config.json` of an autoencoder in diffusers' layout must say for it to be used; asked before any work."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lrcore.autoencoders.base import token_grid
from lrcore.errors import LrcoreError, shown

RAE_ENCODERS = ("dinov2", "mae")
"""Vision encoders of diffusers' AutoencoderRAE that it can build. Its third, "siglip2", it cannot with transformers 5,
whose SigLIP has lost the part that it reaches for."""


def check_config(config: Mapping[str, Any], family: str, resolution: int, patch: int) -> None:
    """Refuse a model whose config says that its latent cannot be normalised or that it takes no such images.

    Keys that are not there have diffusers' defaults, which are fine. `patch`: of the study, where it says that.

    Raises:
        LrcoreError: naming the key of `config.json`, its value and what is allowed.
    """
    _CHECKS[family](config, resolution, patch)


def halvings(config: Mapping[str, Any], family: str) -> int:
    """How often the encoder halves the image, of "tiny", "dc" and "qwen_image".

    Raises:
        LrcoreError: the key that says so is no list.
    """
    key, default = _STAGES[family]
    stages = config.get(key, [None] * default)
    if not isinstance(stages, list | tuple) or not stages:
        raise _wrong(key, "a list", stages)
    return len(stages) - 1


def _check_factors(config: Mapping[str, Any]) -> None:
    if not _is_number(scale := config.get("scaling_factor", 1.0)) or scale <= 0:
        raise _wrong("scaling_factor", "a positive number", scale)
    if not _is_number(shift := config.get("shift_factor") or 0.0):
        raise _wrong("shift_factor", "a number, or null for none", shift)


def _check_tiny(config: Mapping[str, Any], resolution: int, patch: int) -> None:
    _check_scaled(config, "tiny", resolution, patch)


def _check_dc(config: Mapping[str, Any], resolution: int, patch: int) -> None:
    _check_scaled(config, "dc", resolution, patch)


def _check_scaled(config: Mapping[str, Any], family: str, resolution: int, patch: int) -> None:
    _whole(config, "latent_channels", 4)
    _check_factors(config)
    token_grid(resolution, 2 ** halvings(config, family), patch)


def _check_qwen_image(config: Mapping[str, Any], resolution: int, patch: int) -> None:
    channels = _whole(config, "z_dim", 16)
    _check_channel_statistics(config, channels, all_of=channels != 16)
    token_grid(resolution, 2 ** halvings(config, "qwen_image"), patch)


def _check_kl(config: Mapping[str, Any], resolution: int, patch: int) -> None:
    channels = _whole(config, "latent_channels", 4)
    _check_factors(config)
    mean, std = config.get("latents_mean"), config.get("latents_std")
    if (mean is None) != (std is None):
        raise LrcoreError("the config of this AutoencoderKL has one of latents_mean and latents_std without the other")
    if mean is not None:
        _check_channel_statistics(config, channels)
    _check_grid(config, resolution, patch)


def _check_channel_statistics(config: Mapping[str, Any], channels: int, all_of: bool = True) -> None:
    """That both lists have a number for each channel; `all_of`: also those that are not there."""
    for key in ("latents_mean", "latents_std"):
        if key not in config and not all_of:
            continue
        values: Any = config.get(key)
        wanted = f"a list of {channels} numbers, one a channel" + (", all positive" if key == "latents_std" else "")
        if not _are_numbers(values, channels) or (key == "latents_std" and min(values) <= 0):
            raise _wrong(key, wanted, values)


def _check_flux2(config: Mapping[str, Any], resolution: int, patch: int) -> None:
    sides = config.get("patch_size", (2, 2))
    if not isinstance(sides, Sequence) or len(sides) != 2 or sides[0] != sides[1] or not _is_whole(sides[0]):
        raise _wrong("patch_size", "two equal whole numbers: a token is a square patch", sides)
    _check_grid(config, resolution, sides[0])


def _check_grid(config: Mapping[str, Any], resolution: int, patch: int) -> None:
    blocks = config.get("block_out_channels")
    if blocks is not None:
        token_grid(resolution, 2 ** (len(blocks) - 1), patch)


def _check_rae(config: Mapping[str, Any], resolution: int, patch: int) -> None:
    for key in ("latents_mean", "latents_std"):
        if config.get(key) is None:
            # without them AutoencoderRAE does not normalise, and says nothing
            raise LrcoreError(f"this RAE has no {key} in its config.json, so its latent cannot be normalised")
    if (encoder := config.get("encoder_type", "dinov2")) not in RAE_ENCODERS:
        raise _wrong("encoder_type", f"one of {', '.join(RAE_ENCODERS)}", encoder)
    size, stride = _whole(config, "encoder_input_size", 224), _whole(config, "encoder_patch_size", 14)
    side, channels = size // stride, _whole(config, "encoder_hidden_size", 768)
    made = config.get("image_size") or _whole(config, "patch_size", 16) * side
    if made != resolution:
        raise LrcoreError(f"this RAE decodes to {made} px, the images have {resolution} px")
    for key in ("latents_mean", "latents_std"):
        _check_statistics(key, config[key], (channels, side, side))


def _check_statistics(key: str, values: Any, latent: tuple[int, int, int]) -> None:
    """That they are one number a channel and position of the latent (C, rows, columns), or the same for several."""
    shape, flat = _shape(values)
    fits = shape is not None and len(shape) <= 3 and all(
        have in (1, wanted) for have, wanted in zip(reversed(shape), reversed(latent), strict=False)
    )  # fmt: skip
    if not fits or not all(map(_is_number, flat)) or (key == "latents_std" and min(flat) < 0):
        wanted = f"numbers that broadcast to (channels, rows, columns) {latent}"
        raise _wrong(key, wanted + (", none below 0" if key == "latents_std" else ""), values)


def _shape(values: Any) -> tuple[tuple[int, ...] | None, list[Any]]:
    """The shape of nested lists, None of ragged or empty ones, and what is in them."""
    if not isinstance(values, list | tuple):
        return (), [values]
    parts = [_shape(value) for value in values]
    flat = [item for _, items in parts for item in items]
    shapes = {shape for shape, _ in parts}
    inner = shapes.pop() if len(shapes) == 1 else None
    return (None if inner is None else (len(values), *inner)), flat


def _whole(config: Mapping[str, Any], key: str, default: int) -> int:
    value = config.get(key, default)
    if not _is_whole(value):
        raise _wrong(key, "a positive whole number", value)
    return int(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _are_numbers(values: Any, count: int) -> bool:
    return isinstance(values, list | tuple) and len(values) == count and all(map(_is_number, values))


def _wrong(key: str, wanted: str, value: Any) -> LrcoreError:
    return LrcoreError(f"{key} in its config.json must be {wanted}, got {shown(value)}")


_CHECKS = {
    "kl": _check_kl,
    "flux2": _check_flux2,
    "rae": _check_rae,
    "tiny": _check_tiny,
    "dc": _check_dc,
    "qwen_image": _check_qwen_image,
}

_STAGES = {
    "tiny": ("num_encoder_blocks", 4),
    "dc": ("encoder_block_out_channels", 6),
    "qwen_image": ("dim_mult", 4),
}
"""The key whose list has an entry a stage, the first at the image's size, and how many there are by default."""
