"""Randomness as a function of (seed, purpose, index): any step can be replayed, nothing random is stored."""

from __future__ import annotations

import functools
import hashlib

import torch
from torch import Tensor


def generator(*words: object, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator whose state depends on `words` alone, e.g. `generator(seed, "noise", step)`.

    The numbers that it gives differ between the CPU and CUDA.
    """
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def batch_indices(seed: int, step: int, batch_size: int, images: int) -> Tensor:
    """Indices (batch_size,) of training step `step` (from 0): epoch after epoch of fresh permutations.

    Batches run on across the end of an epoch, so no image is dropped.
    """
    positions = torch.arange(step * batch_size, (step + 1) * batch_size)
    picked = [_permutation(seed, int(epoch), images)[positions[positions // images == epoch] % images]
              for epoch in torch.unique(positions // images)]  # fmt: skip
    return torch.cat(picked)


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, images: int) -> Tensor:
    return torch.randperm(images, generator=generator(seed, "order", epoch))
