"""Encoders by their names: EfficientNet-Lite0, whose weights are pinned, and any other image model of timm.

    >>> encoder = load_encoder("efficientnet_lite0")   # doctest: +SKIP
    >>> encoder(images).pooled.shape                   # doctest: +SKIP
    torch.Size([8, 1280])
    >>> load_encoder("dinov2b", size=224).grid         # doctest: +SKIP
    16

timm is imported where a name is not pinned: it takes seconds.
"""

from __future__ import annotations

from lrcore.assets import pretrained
from lrcore.encoders.base import VisionEncoder, check_size
from lrcore.encoders.pinned import PATCH_STRIDE, EfficientNetLite0
from lrcore.errors import LrcoreError, naming, unknown

ENCODERS = ("efficientnet_lite0",)
"""The encoders whose weights are pinned; each is also a value of `repa` in the data."""

ALIASES = {"dinov2b": "vit_base_patch14_reg4_dinov2.lvd142m"}
"""Short names of timm models."""


def load_encoder(name: str, size: int = 128, weights: str = "") -> VisionEncoder:
    """The encoder `name`, on the CPU, taking images at `size` px.

    Args:
        name: one of `ENCODERS` or `ALIASES`, or any image model of timm, with or without the tag of its weights.
            `efficientnet_lite0` is the pinned one; timm's own model of that name needs its tag.
        size: a multiple of the patch size (transformers) or of 16 (other networks), in px.
        weights: a local state dict of the model, in safetensors or torch's format; "" takes the pinned weights, or
            those that timm fetches and caches.

    Raises:
        LrcoreError: unknown name, a size that does not fit, or weights that cannot be had, are damaged or belong to
            another architecture.
    """
    check_encoder_name(name)
    if name not in ENCODERS:
        from lrcore.encoders import timm_model

        return timm_model.load(name, ALIASES.get(name, name), size, weights)
    if weights:
        raise LrcoreError(
            f"encoder {name!r} has pinned weights and takes no others, but '{weights}' is given; "
            f"its architecture with other weights is encoder 'tf_{name}'"
        )
    check_size(size, PATCH_STRIDE)
    return EfficientNetLite0(name, pretrained.efficientnet_lite0(), size, pretrained.sha256(name))


def check_encoder(name: str, size: int) -> None:
    """Check the study's `encoder.name` and `encoder.size` as `load_encoder` would, without weights.

    Raises:
        LrcoreError: nothing has that name, or it does not take that size; names the key.
    """
    with naming("encoder.name"):
        check_encoder_name(name)
    with naming("encoder.size"):
        if name in ENCODERS:
            check_size(size, PATCH_STRIDE)
        else:
            from lrcore.encoders import timm_model

            timm_model.check_takes(ALIASES.get(name, name), size)


def check_encoder_name(name: str, kind: str = "encoder", pinned: tuple[str, ...] = ENCODERS) -> None:
    """Check `name` as `load_encoder` would, building nothing. Takes seconds once, to import timm, unless it is pinned.

    `kind`, for the message, and `pinned` are others where names mean more than encoders: `metrics.features`.

    Raises:
        LrcoreError: nothing has that name; says which name is nearest.
    """
    if name in pinned or name in ALIASES:
        return
    from lrcore.encoders import timm_model

    near = timm_model.nearest_names(name, (*pinned, *ALIASES))
    if near is not None:
        raise unknown(kind, name, (*near, "any other of timm.list_models()"))
