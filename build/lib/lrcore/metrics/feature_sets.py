"""Checks of feature matrices, one row an image, before two of them are compared."""

from __future__ import annotations

import torch
from torch import Tensor

from lrcore.errors import LrcoreError


def checked_set(features: Tensor, name: str, least: int) -> Tensor:
    """`features` (N, D), floating point, as they are.

    Raises:
        LrcoreError: another shape or type, fewer than `least` rows, or rows that hold NaN or infinity.
    """
    if features.ndim != 2 or not features.is_floating_point():
        raise LrcoreError(
            f"{name} features must be floats of shape (N, D), got {features.dtype} {tuple(features.shape)}"
        )
    require_images(len(features), name, least)
    bad = int((~torch.isfinite(features).all(dim=1)).sum())
    if bad:
        raise LrcoreError(f"{name} features: {bad} of {len(features)} vectors hold NaN or infinity")
    return features


def require_images(count: int, name: str, least: int) -> None:
    """Raises LrcoreError where a set has fewer images than `least`."""
    if count < least:
        raise LrcoreError(f"{name} features: at least {least} images are needed, got {count}")


def checked_pair(a: Tensor, b: Tensor, least: int) -> tuple[Tensor, Tensor]:
    """Both sets, `b` on the device of `a`. Raises LrcoreError as `checked_set`, and where their dimensions differ."""
    a, b = checked_set(a, "first", least), checked_set(b, "second", least)
    require_same_dimension(a, b)
    return a, b.to(a.device)


def require_same_dimension(a: Tensor, b: Tensor) -> None:
    """Raises LrcoreError where features (N, D) of two sets are not as many."""
    if a.shape[1] != b.shape[1]:
        raise LrcoreError(f"sets of {a.shape[1]} and of {b.shape[1]} features cannot be compared")
