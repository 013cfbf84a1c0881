"""What samples start from: noise and classes, which all trainings and sampling shifts of a latent space share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from lrcore.autoencoders.base import LatentShape
from lrcore.flow.sampling import drawn_labels, starting_noise
from lrcore.stages.anchors import sample_seed
from lrcore.stages.workspace import Workspace

IN_MEMORY = 2**29
"""Bytes of noise that are kept, of the first samples; that of others is drawn each time."""


class Start(NamedTuple):
    """`noise` (B, N, C), float32, and `labels` (B,), int64, of B samples, on the study's device; not to be changed."""

    noise: Tensor
    labels: Tensor


def starts(work: Workspace, latent: LatentShape, classes: int, numbers: Sequence[int]) -> Start:
    """Noise and labels of the samples `numbers`, drawn once for all that share latent shape, classes and seed."""
    seed, tokens, channels = sample_seed(work), latent.tokens, latent.channels_per_token
    kept: dict[tuple[int, ...], Start] = work.keep("starts of samples", (seed, tokens, channels, classes), dict)
    if found := kept.get(tuple(numbers)):
        return found
    # drawn on the CPU, so that every device starts from the same noise
    noise, labels = starting_noise(seed, numbers, tokens, channels), drawn_labels(seed, numbers, classes)
    found = Start(noise.to(work.device), labels.to(work.device))
    if sum(start.noise.nbytes for start in kept.values()) + noise.nbytes <= IN_MEMORY:
        kept[tuple(numbers)] = found
    return found
