"""Training objectives of the small autoencoders: one module per family, each a sum of named terms.

Reconstruction is L1 + LPIPS for all, with a PatchGAN where the study asks for it (`adversarial`); the KL families add
the divergence of the posterior from N(0, I) (Rombach et al. 2022, arXiv 2112.10752), the FLUX.2-like one the alignment
of its latent with a frozen encoder (`alignment`).

In bfloat16 the networks' forward passes run under autocast. Weights, posterior, LPIPS and losses are float32, whose
range bfloat16 has: no gradient scaling is needed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from lrcore.autoencoders.adversarial import Adversary, autocast
from lrcore.autoencoders.alignment import on_grid
from lrcore.autoencoders.patches import to_tokens
from lrcore.flow.objective import repa_losses
from lrcore.flow.transformer import RepaProjector
from lrcore.spec.study import AutoencoderSpec

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, AutoencoderKLFlux2
    from lpips import LPIPS

    from lrcore.autoencoders.rae_decoder import TimmRaeDecoder


class Objective(Protocol):
    """A trained module with its loss.

    `images` (B, 3, H, W) in [-1, 1] and `features` (B, N, F) of the frozen encoder lie on the module's device; an
    objective that makes no use of features takes None. `generator` is a CPU one and all randomness comes from it;
    `step` counts from 0.
    """

    def terms(
        self, images: Tensor, features: Tensor | None, generator: torch.Generator, step: int
    ) -> dict[str, Tensor]:
        """The summands of the loss, float32 scalars with their weights applied, by name."""

    def loss(self, images: Tensor, features: Tensor | None, generator: torch.Generator, step: int) -> Tensor:
        """Scalar loss, float32: the sum of `terms`."""


class ReconstructionLoss:
    """mean |x - y| + weight * LPIPS(x, y), both images in [-1, 1], in float32 whatever comes in."""

    def __init__(self, lpips: LPIPS, weight: float) -> None:
        self.lpips, self.weight = lpips, weight

    def __call__(self, decoded: Tensor, images: Tensor) -> Tensor:
        return total(self.terms(decoded, images))

    def terms(self, decoded: Tensor, images: Tensor) -> dict[str, Tensor]:
        """The two summands, `l1` and `lpips`."""
        decoded, images = decoded.float(), images.float()
        # differences of near-equal features: bfloat16's 8 bits would round them away
        with torch.autocast(images.device.type, enabled=False):
            perceptual: Tensor = self.lpips(decoded, images).mean()
        return {"l1": (decoded - images).abs().mean(), "lpips": self.weight * perceptual}


def total(terms: dict[str, Tensor]) -> Tensor:
    """The sum of the terms, in their order."""
    first, *others = terms.values()
    for term in others:
        first = first + term
    return first


class AutoencoderObjective(nn.Module, ABC):
    """What the families share: `model` is what gets exported; the adversary, if any, stands beside it.

    Deterministic in (weights, images, features, generator, step), so a step can be replayed from a checkpoint.
    """

    def __init__(
        self,
        model: Any,
        spec: AutoencoderSpec,
        reconstruction: ReconstructionLoss,
        precision: str = "float32",
        adversary: Adversary | None = None,
    ) -> None:
        """`precision`: "float32" or "bfloat16". `reconstruction` is no sub-module: its network is moved apart."""
        super().__init__()
        self.model, self.spec, self.reconstruction = model, spec, reconstruction
        self.precision, self.adversary = precision, adversary

    def loss(self, images: Tensor, features: Tensor | None, generator: torch.Generator, step: int) -> Tensor:
        """See `Objective`."""
        return total(self.terms(images, features, generator, step))

    def terms(
        self, images: Tensor, features: Tensor | None, generator: torch.Generator, step: int
    ) -> dict[str, Tensor]:
        """See `Objective`; needs gradients enabled where an adversary counts, for its adaptive weight."""
        decoded, latent_terms = self._decoded(images, features, generator)
        terms = self.reconstruction.terms(decoded, images)
        if self.adversary is None or step < self.adversary.start:
            return terms | latent_terms
        adversarial = self.adversary.terms(decoded, images, total(terms), self._last_layer(), self.precision)
        return terms | latent_terms | adversarial

    @abstractmethod
    def _decoded(
        self, images: Tensor, features: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Reconstructions (B, 3, H, W), float32, and the terms of the latent."""

    @abstractmethod
    def _last_layer(self) -> Tensor:
        """The weights of the decoder's last layer."""


class KLObjective(AutoencoderObjective):
    """Reconstruction from a sample of the posterior, plus the divergence per latent element in nats."""

    model: AutoencoderKL | AutoencoderKLFlux2

    def _decoded(
        self, images: Tensor, features: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

        with autocast(images, self.precision):
            parameters = self.model.encode(images).latent_dist.parameters
        # float32 from here: exp(logvar) and the sample would inherit the rounding of bfloat16
        posterior = DiagonalGaussianDistribution(parameters.float())
        latent = posterior.sample(generator)
        with autocast(images, self.precision):
            decoded = self.model.decode(latent).sample
        divergence = posterior.kl().mean() / posterior.mean[0].numel()
        return decoded.float(), {"kl": self.spec.kl_weight * divergence} | self._mean_terms(posterior.mean, features)

    def _mean_terms(self, mean: Tensor, features: Tensor | None) -> dict[str, Tensor]:
        """Terms of the posterior's mean (B, C, H, W), float32."""
        return {}

    def _last_layer(self) -> Tensor:
        weight: Tensor = self.model.decoder.conv_out.weight
        return weight


class AlignedKLObjective(KLObjective):
    """`KLObjective`, plus the alignment of the projected tokens with the frozen encoder's patches (`alignment`)."""

    def __init__(
        self,
        model: AutoencoderKLFlux2,
        spec: AutoencoderSpec,
        reconstruction: ReconstructionLoss,
        channels: int,
        precision: str = "float32",
        adversary: Adversary | None = None,
    ) -> None:
        """`channels`: F of the features; their grid may differ from that of the tokens."""
        super().__init__(model, spec, reconstruction, precision, adversary)
        self.projector = RepaProjector(spec.latent_channels * spec.patch**2, channels, spec.alignment_hidden)

    def _mean_terms(self, mean: Tensor, features: Tensor | None) -> dict[str, Tensor]:
        patch = self.spec.patch
        projected = self.projector(to_tokens(mean, patch))
        targets = on_grid(_given(features), (mean.shape[-2] // patch, mean.shape[-1] // patch))
        return {"alignment": self.spec.alignment_weight * repa_losses(projected, targets).mean()}


class RaeObjective(AutoencoderObjective):
    """Reconstruction from the frozen features with noise of a random strength on them (RAE, arXiv 2510.11690)."""

    model: TimmRaeDecoder

    def _decoded(
        self, images: Tensor, features: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        tokens = self.model.normalise(_given(features))
        strength = self.spec.noise_tau * torch.randn(len(tokens), 1, 1, generator=generator).abs()
        noise = torch.randn(tokens.shape, generator=generator)
        noisy = tokens + (strength * noise).to(tokens)
        with autocast(images, self.precision):
            decoded = self.model(noisy)
        return decoded.float(), {}

    def _last_layer(self) -> Tensor:
        weight: Tensor = self.model.decoder.decoder_pred.weight
        return weight


def _given(features: Tensor | None) -> Tensor:
    if features is None:
        raise ValueError("this objective needs the encoder's features of the batch")
    return features
