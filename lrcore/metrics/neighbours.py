"""Latent neighbour consistency (LNC): do images whose latents are alike show the same class?

Zhong et al. 2026 (arXiv 2606.03578) take the share of an image's nearest neighbours that have its class. Over their
tokenizers it goes with a linear probe's accuracy.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from lrcore.errors import LrcoreError
from lrcore.metrics.jackknife import Estimate, check_tokens, chunks
from lrcore.metrics.reconstruction import summarise

NEIGHBOURS = (5, 10)
"""How many neighbours are looked at."""

CONSISTENCY_PROTOCOL = (
    "share of the nearest other images, by cosine of the mean over latent pixels, that have the same class; mean over "
    "images; latents as they are, not centred"
)

_BLOCK = 512


def neighbour_consistency(tokens: Tensor, labels: Tensor, counts: Sequence[int] = NEIGHBOURS) -> list[Estimate]:
    """The share in [0, 1] for each number of neighbours in `counts`, by `CONSISTENCY_PROTOCOL`; scalars.

    Chance is the share of the images' own class among the others. The standard error is that of the mean over images.

    Args:
        tokens: (N, T, C), any floating-point type: latent pixels, not patches of them.
        labels: (N,) integers.
        counts: each from 1 to N - 1.

    Raises:
        LrcoreError: another shape or type, NaN or infinity, a count that there are not as many other images for, or an
            image whose mean is zero in all channels.
    """
    check_tokens(tokens)
    if labels.shape != tokens.shape[:1]:
        raise LrcoreError(f"labels must be one integer for each of {len(tokens)} images, got {tuple(labels.shape)}")
    for count in counts:
        if not 1 <= count < len(tokens):
            raise LrcoreError(f"{count} neighbours of {len(tokens)} images: allowed are 1 to {len(tokens) - 1}")
    means = torch.cat([part.mean(dim=1) for part in chunks(tokens)])
    if (means.norm(dim=1) == 0).any():
        raise LrcoreError("the mean of a latent is zero in all channels: it has no direction, and no neighbours by it")
    directions = normalize(means, dim=1)
    hits = []
    for start in range(0, len(directions), _BLOCK):
        block = directions[start : start + _BLOCK]
        similarity = block @ directions.T
        rows = torch.arange(len(block))
        similarity[rows, rows + start] = -torch.inf
        nearest = similarity.topk(max(counts), dim=1).indices
        hits.append(labels[nearest] == labels[start : start + _BLOCK, None])
    same = torch.cat(hits).double()
    return [_mean(same[:, :count].mean(dim=1)) for count in counts]


def _mean(shares: Tensor) -> Estimate:
    found = summarise(shares)
    value, error = torch.tensor([found.mean, found.standard_error], dtype=torch.float64)
    return Estimate(value, error, found.n)
