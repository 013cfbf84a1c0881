"""CIFAR-10: 60,000 colour images of 32 x 32 pixels in ten classes (Krizhevsky, 2009)."""

from __future__ import annotations

import torch
from safetensors import safe_open

from lrcore.assets import cache
from lrcore.errors import LrcoreError, unknown

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""Class names by label."""

SIZES = {"train": 50_000, "test": 10_000}
"""Images in each split."""

HOLD_EVERY_CLASS = 30
"""The first so many training images hold every class."""


def load(split: str, limit: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """The first `limit` images of a split (all without it), in the order of the data set's authors.

    Returns:
        images: uint8 (N, 3, 32, 32), mapped from the cache: only what is looked at takes memory.
        labels: int64 (N,), in [0, 9], see `CLASSES`.

    Raises:
        LrcoreError: unknown split, a limit outside 1 to the split's size, or the data cannot be had.
    """
    if split not in SIZES:
        raise unknown("split", split, SIZES)
    if limit is not None and not 1 <= limit <= SIZES[split]:
        raise LrcoreError(f"limit {limit} of CIFAR-10's {split} split; allowed: 1 to {SIZES[split]}")
    with safe_open(cache.fetch("cifar10"), framework="pt") as file:
        return file.get_slice(f"{split}_images")[:limit], file.get_slice(f"{split}_labels")[:limit]
