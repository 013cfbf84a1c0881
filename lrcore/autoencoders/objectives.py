"""Training objectives of the small autoencoders: one module per family, each `loss(images, features, generator)`.

Reconstruction is L1 + LPIPS for all; the KL families add the divergence of the posterior from N(0, I)
(Rombach et al. 2022, arXiv 2112.10752), the FLUX.2-like one the alignment of its latent with a frozen encoder.
"""

from __future__ import annotations

from typing import Protocol

import torch
from diffusers import AutoencoderKL, AutoencoderKLFlux2
from lpips import LPIPS
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, relu

from lrcore.autoencoders.base import to_tokens
from lrcore.autoencoders.rae import TimmRaeDecoder
from lrcore.studies import AutoencoderSpec


class Objective(Protocol):
    """A trained module with its loss; `images` (B, 3, H, W) in [-1, 1], `features` (B, N, F) of the frozen encoder."""

    def loss(self, images: Tensor, features: Tensor, generator: torch.Generator) -> Tensor:
        """Scalar loss; all randomness comes from `generator`."""


class ReconstructionLoss:
    """mean |x - y| + weight * LPIPS(x, y), both images in [-1, 1]."""

    def __init__(self, lpips: LPIPS, weight: float) -> None:
        self.lpips, self.weight = lpips, weight

    def __call__(self, decoded: Tensor, images: Tensor) -> Tensor:
        perceptual: Tensor = self.lpips(decoded, images).mean()
        return (decoded - images).abs().mean() + self.weight * perceptual


def alignment_loss(projected: Tensor, features: Tensor, margin: float) -> Tensor:
    """Marginal cosine loss of tokens (B, N, F), relu(1 - margin - cos) averaged: VA-VAE (arXiv 2501.01423), sec. 3."""
    return relu(1.0 - margin - cosine_similarity(projected, features, dim=-1)).mean()


class KLObjective(nn.Module):
    """Reconstruction from a sample of the posterior, plus the divergence per latent element in nats."""

    def __init__(
        self, model: AutoencoderKL | AutoencoderKLFlux2, spec: AutoencoderSpec, reconstruction: ReconstructionLoss
    ) -> None:
        super().__init__()
        self.model, self.spec, self.reconstruction = model, spec, reconstruction

    def loss(self, images: Tensor, features: Tensor, generator: torch.Generator) -> Tensor:
        return self._with_mean(images, generator)[0]

    def _with_mean(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        posterior = self.model.encode(images).latent_dist
        decoded = self.model.decode(posterior.sample(generator)).sample
        divergence = posterior.kl().mean() / posterior.mean[0].numel()
        return self.reconstruction(decoded, images) + self.spec.kl_weight * divergence, posterior.mean


class AlignedKLObjective(KLObjective):
    """`KLObjective`, plus the alignment of the linearly projected tokens with the frozen encoder's patches."""

    def __init__(
        self, model: AutoencoderKLFlux2, spec: AutoencoderSpec, reconstruction: ReconstructionLoss, channels: int
    ) -> None:
        super().__init__(model, spec, reconstruction)
        self.projector = nn.Linear(spec.latent_channels * spec.patch**2, channels)

    def loss(self, images: Tensor, features: Tensor, generator: torch.Generator) -> Tensor:
        loss, mean = self._with_mean(images, generator)
        projected = self.projector(to_tokens(mean, self.spec.patch))
        return loss + self.spec.alignment_weight * alignment_loss(projected, features, self.spec.alignment_margin)


class RaeObjective(nn.Module):
    """Reconstruction from the frozen features with noise of a random strength on them (RAE, arXiv 2510.11690)."""

    def __init__(self, model: TimmRaeDecoder, spec: AutoencoderSpec, reconstruction: ReconstructionLoss) -> None:
        super().__init__()
        self.model, self.spec, self.reconstruction = model, spec, reconstruction

    def loss(self, images: Tensor, features: Tensor, generator: torch.Generator) -> Tensor:
        tokens = self.model.normalise(features)
        strength = self.spec.noise_tau * torch.randn(len(tokens), 1, 1, generator=generator).abs()
        noise = torch.randn(tokens.shape, generator=generator)
        return self.reconstruction(self.model(tokens + (strength * noise).to(tokens)), images)
