"""The conditional flow-matching objective on normalised latents, and REPA beside it, towards an encoder or itself.

x_t = (1 - t) x + t eps, target velocity eps - x, loss = mean squared error with t ~ p
(Lipman et al. 2023, arXiv 2210.02747; Liu et al. 2023, arXiv 2209.03003; t = 1 is noise here).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, smooth_l1_loss

from lrcore.flow.timesteps import Density
from lrcore.flow.transformer import DiffusionTransformer, RepaProjector
from lrcore.runtime.distributed import ALONE, World

SMOOTH_L1_WIDTH = 0.05
"""Distance up to which `self_losses` are quadratic."""


@dataclass(frozen=True)
class Batch:
    """Normalised `tokens` (B, N, C), int64 `labels` (B,), and frozen `features` (B, N, F) where REPA is on."""

    tokens: Tensor
    labels: Tensor
    features: Tensor | None = None


class Draw(NamedTuple):
    """A training batch with its randomness: R = S * B rows for S runs that see the same images, run after run.

    `noisy` tokens x_t and `target` velocities (R, N, C), times `t` (R,), `labels` (R,) some of which are dropped,
    `features` (R, N, F) where REPA is on: an encoder's, or those of `own_features`.
    """

    noisy: Tensor
    target: Tensor
    t: Tensor
    labels: Tensor
    features: Tensor | None


class Losses(NamedTuple):
    """Of each row: the squared error of the `velocity` (R,), averaged over its numbers; the whole `objective` (R,)."""

    velocity: Tensor
    objective: Tensor


def interpolate(x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """x_t = (1 - t) x + t eps for (B, N, C) tokens and (B,) times."""
    t = t[:, None, None].to(x.dtype)
    return (1 - t) * x + t * noise


class Randomness(NamedTuple):
    """What is drawn for a batch: `uniform` numbers in [0, 1) that become times (B,), `noise` (B, N, C), and which
    labels are `dropped` (B,), bool."""

    uniform: Tensor
    noise: Tensor
    dropped: Tensor


def randomness(batch: Batch, class_dropout: float, generator: torch.Generator, world: World = ALONE) -> Randomness:
    """Drawn from `generator` in the order of the fields, on its device.

    Where several processes train together, `batch` is this one's share, and what is drawn for the whole batch is
    divided as well.
    """
    count, device = len(batch.tokens) * world.size, generator.device
    uniform = world.share(torch.rand(count, generator=generator, device=device))
    noise = world.share(torch.randn(count, *batch.tokens.shape[1:], generator=generator, device=device))
    dropped = world.share(torch.rand(count, generator=generator, device=device) < class_dropout)
    return Randomness(uniform, noise, dropped)


def composed(batch: Batch, drawn: Randomness, densities: Sequence[Density], classes: int) -> Draw:
    """What one run per density sees of a batch.

    All runs share images, noise, dropped labels and the uniform numbers that their inverse cdfs turn into times, so
    that they differ in what is studied alone.
    """
    runs = len(densities)
    t = torch.cat([density.quantile(drawn.uniform) for density in densities])
    tokens, noise = batch.tokens.repeat(runs, 1, 1), drawn.noise.repeat(runs, 1, 1)
    labels = torch.where(drawn.dropped, classes, batch.labels).repeat(runs)
    features = None if batch.features is None else batch.features.repeat(runs, 1, 1)
    return Draw(interpolate(tokens, noise, t), noise - tokens, t, labels, features)


def draw(
    batch: Batch,
    densities: Sequence[Density],
    classes: int,
    class_dropout: float,
    generator: torch.Generator,
    world: World = ALONE,
) -> Draw:
    """`randomness` from `generator`, on its device, where `batch` must be, `composed` for one run per density."""
    return composed(batch, randomness(batch, class_dropout, generator, world), densities, classes)


def repa_losses(projected: Tensor, features: Tensor) -> Tensor:
    """Negative cosine similarity, averaged over tokens: both (R, N, F) to (R,). REPA, eq. 8 (arXiv 2410.06940)."""
    return -cosine_similarity(projected.float(), features.float(), dim=-1).mean(1)


def self_losses(projected: Tensor, features: Tensor) -> Tensor:
    """Smooth L1 distance (Huber's, over its width 0.05), averaged over tokens and channels: both (R, N, F) to (R,).

    The distance of self-representation alignment (Jiang et al. 2025, arXiv 2505.02831), with its authors' width.
    """
    found = smooth_l1_loss(projected.float(), features.float(), reduction="none", beta=SMOOTH_L1_WIDTH)
    return found.flatten(1).mean(1)


class FlowMatching(nn.Module):
    """What is trained: the transformer, and REPA's projector where there is one; called on a `Draw`.

    `repa_block`: blocks before the projector; `repa_weight`: of its loss, `repa_loss`; `precision` "bfloat16" runs the
    networks under autocast, with weights and losses in float32.
    """

    def __init__(
        self,
        transformer: DiffusionTransformer,
        projector: RepaProjector | None = None,
        repa_block: int = 0,
        repa_weight: float = 0.0,
        precision: str = "float32",
        repa_loss: Callable[[Tensor, Tensor], Tensor] = repa_losses,
    ) -> None:
        super().__init__()
        self.transformer, self.projector = transformer, projector
        self.repa_block, self.repa_weight, self.precision = repa_block, repa_weight, precision
        self.repa_loss = repa_loss

    def forward(self, drawn: Draw) -> Losses:
        hidden_after = None if self.projector is None else self.repa_block
        with self.autocast(drawn.noisy.device):
            predicted = self.transformer(drawn.noisy, drawn.t, drawn.labels, hidden_after=hidden_after)
            projected = None if self.projector is None else self.projector(predicted.hidden)
        velocity = (predicted.velocity.float() - drawn.target).square().flatten(1).mean(1)
        if projected is None:
            return Losses(velocity, velocity)
        if drawn.features is None:
            raise ValueError("REPA needs the features of the batch")
        return Losses(velocity, velocity + self.repa_weight * self.repa_loss(projected, drawn.features))

    def autocast(self, device: torch.device) -> torch.autocast:
        """The context in which the networks run."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bfloat16")


@torch.no_grad()
def own_features(
    averaged: FlowMatching,
    drawn: Draw,
    block: int,
    gap: float,
    runs: int,
    generator: torch.Generator,
    world: World = ALONE,
) -> Tensor:
    """The averaged model's tokens (R, N, width) after `block` blocks, of the same images and noise at less of it.

    Self-representation alignment (Jiang et al. 2025, arXiv 2505.02831): what the trained model sees at time t has its
    target at max(t - k, 0), k uniform in [0, `gap`], with the same labels, dropped ones too. k comes from `generator`,
    after what `draw` takes from it, and is the same for all `runs`. The target stands as the blocks give it: without
    projector, without gradient.
    """
    uniform = torch.rand(len(drawn.t) // runs * world.size, generator=generator, device=generator.device)
    t = (drawn.t - gap * world.share(uniform).repeat(runs)).clamp(min=0)
    # x_t lies on a line, along which its velocity is the same everywhere
    nearer = drawn.noisy + (t - drawn.t)[:, None, None] * drawn.target
    with averaged.autocast(nearer.device):
        return averaged.transformer.hidden(nearer, t, drawn.labels, after=block)
