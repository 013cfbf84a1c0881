"""The conditional flow-matching objective on normalised latents, and REPA beside it.

x_t = (1 - t) x + t eps, target velocity eps - x, loss = mean squared error with t ~ p
(Lipman et al. 2023, arXiv 2210.02747; Liu et al. 2023, arXiv 2209.03003; t = 1 is noise here).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, mse_loss

from lrcore.timesteps import Density, sample
from lrcore.transformer import DiffusionTransformer, RepaProjector


@dataclass(frozen=True)
class Batch:
    """Normalised `tokens` (B, N, C), int64 `labels` (B,), and frozen `features` (B, N, F) where REPA is on."""

    tokens: Tensor
    labels: Tensor
    features: Tensor | None = None


@dataclass(frozen=True)
class Repa:
    """REPA's part of the objective: projector, number of blocks before it, and weight."""

    projector: RepaProjector
    block: int
    weight: float


def interpolate(x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """x_t = (1 - t) x + t eps for (B, N, C) tokens and (B,) times."""
    t = t[:, None, None].to(x.dtype)
    return (1 - t) * x + t * noise


def flow_matching_loss(
    model: DiffusionTransformer,
    batch: Batch,
    density: Density,
    class_dropout: float,
    generator: torch.Generator,
    repa: Repa | None = None,
) -> Tensor:
    """Scalar training loss; times, noise and dropped labels come from `generator`, drawn in this order."""
    device = batch.tokens.device
    count = len(batch.tokens)
    t = sample(density, (count,), generator).to(device)
    noise = torch.randn(batch.tokens.shape, generator=generator).to(device)
    dropped = (torch.rand(count, generator=generator) < class_dropout).to(device)
    labels = torch.where(dropped, model.classes, batch.labels)
    noisy = interpolate(batch.tokens, noise, t)
    predicted = model(noisy, t, labels, hidden_after=repa.block if repa else None)
    loss = mse_loss(predicted.velocity.float(), noise - batch.tokens)
    if repa is None:
        return loss
    if batch.features is None:
        raise ValueError("REPA needs the features of the batch")
    return loss + repa.weight * repa_loss(repa.projector(predicted.hidden), batch.features)


def repa_loss(projected: Tensor, features: Tensor) -> Tensor:
    """Mean over images and tokens of the negative cosine similarity; both (B, N, F). REPA, eq. 8 (arXiv 2410.06940)."""
    return -cosine_similarity(projected.float(), features.float(), dim=-1).mean()
