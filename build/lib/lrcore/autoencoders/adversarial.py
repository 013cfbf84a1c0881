"""The adversarial term of the autoencoders: a PatchGAN discriminator that learns in the same step as what it judges.

Patch-wise verdicts after Isola et al. 2017 (arXiv 1611.07004), hinge loss after Lim & Ye 2017 (arXiv 1705.02894),
adaptive weight after Esser et al. 2021 (arXiv 2012.09841). Both players' losses are summed and minimised by one
optimiser: each is cut off from the other's weights, so that the sum's gradient is theirs side by side.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import relu

from lrcore.errors import LrcoreError
from lrcore.spec.study import AutoencoderTraining

GRADIENT_FLOOR = 1e-4
"""Added to the norm of the adversarial gradient, as delta in Esser et al. 2021, eq. 7 (there 1e-6)."""

LARGEST_WEIGHT = 1e4
"""Bound of the adaptive weight: a discriminator that has no gradient yet would ask for an endless one."""


def autocast(images: Tensor, precision: str) -> torch.autocast:
    """For a forward pass on the device of `images`: in bfloat16 where `precision` is "bfloat16", else in float32."""
    return torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bfloat16")


class PatchDiscriminator(nn.Module):
    """Images (B, 3, H, W) in [-1, 1] to logits (B, 1, h, w), one a patch; above 0 reads "real".

    `layers` convolutions of stride 2 and two of stride 1, all 4 x 4; channels double from `width` to at most 8 x
    `width`. h = H / 2^layers - 2.
    """

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        channels = [3, *(width * min(2**depth, 8) for depth in range(layers + 1))]
        stages: list[nn.Module] = []
        for depth, (before, after) in enumerate(pairwise(channels)):
            stages.append(nn.Conv2d(before, after, 4, stride=2 if depth < layers else 1, padding=1))
            if depth:
                stages.append(_normalisation(after))
            stages.append(nn.LeakyReLU(0.2))
        self.stages = nn.Sequential(*stages, nn.Conv2d(channels[-1], 1, 4, padding=1))
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.stages(images)
        return logits


def _normalisation(channels: int) -> nn.Module:
    """Group normalisation in place of the batch normalisation of Isola et al. 2017.

    With batch statistics the verdict on an image depends on the others, and real and reconstructed batches, which
    differ most in their statistics, would each be normalised by their own. It has no running state either, which
    three passes a step would move and a checkpoint would have to keep.
    """
    return nn.GroupNorm(math.gcd(8, channels), channels)


def _initialise(module: nn.Module) -> None:
    """Normal weights of deviation 0.02: Isola et al. 2017, section 6.2."""
    if isinstance(module, nn.Conv2d) and module.bias is not None:
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


def discriminator_hinge(real: Tensor, fake: Tensor) -> Tensor:
    """(mean relu(1 - real) + mean relu(1 + fake)) / 2 of logits: Lim & Ye 2017, halved as in Esser et al.'s code."""
    return 0.5 * (relu(1.0 - real).mean() + relu(1.0 + fake).mean())


def generator_hinge(fake: Tensor) -> Tensor:
    """-mean of the logits of reconstructions: Lim & Ye 2017."""
    return -fake.mean()


def adaptive_weight(reconstruction: Tensor, adversarial: Tensor, last_layer: Tensor) -> Tensor:
    """|grad reconstruction| / (|grad adversarial| + 1e-4) at `last_layer`, within [0, 1e4], detached; stays on device.

    Esser et al. 2021, eq. 7: the two scalar losses then pull equally hard at the decoder's last weights.
    """
    norms = [
        torch.autograd.grad(loss, last_layer, retain_graph=True)[0].float().norm()
        for loss in (reconstruction, adversarial)
    ]
    weight: Tensor = norms[0] / (norms[1] + GRADIENT_FLOOR)
    return weight.clamp(0.0, LARGEST_WEIGHT).detach()


class Adversary(nn.Module):
    """A discriminator with the weight of its verdict and the step, from 0, from which it learns and counts."""

    def __init__(self, discriminator: PatchDiscriminator, weight: float, start: int) -> None:
        super().__init__()
        self.discriminator, self.weight, self.start = discriminator, weight, start

    def terms(
        self, decoded: Tensor, images: Tensor, reconstruction: Tensor, last_layer: Tensor, precision: str
    ) -> dict[str, Tensor]:
        """The summands `adversarial`, which moves the autoencoder alone, and `discriminator`, which moves only that.

        Args:
            decoded: reconstructions (B, 3, H, W) with their graph, of `images` (B, 3, H, W).
            reconstruction: scalar loss of `decoded`, what the adaptive weight balances against.
            last_layer: the decoder's last weights.
            precision: of the discriminator's passes, see `autocast`; losses are float32.
        """
        frozen = {name: parameter.detach() for name, parameter in self.discriminator.named_parameters()}
        with autocast(images, precision):
            judged = functional_call(self.discriminator, frozen, (decoded,))
            real, fake = self.discriminator(images), self.discriminator(decoded.detach())
        adversarial = generator_hinge(judged.float())
        weight = self.weight * adaptive_weight(reconstruction, adversarial, last_layer)
        return {"adversarial": weight * adversarial, "discriminator": discriminator_hinge(real.float(), fake.float())}


def least_resolution(layers: int) -> int:
    """Pixels a side of the smallest images that a discriminator of so many layers takes."""
    return 3 << layers


def adversary_of(training: AutoencoderTraining, resolution: int) -> Adversary | None:
    """The adversary that a study asks for, on the CPU; None where `gan_weight` is 0.

    Its weights are drawn on a copy of torch's random state: what is initialised later starts the same without it.

    Raises:
        LrcoreError: images of `resolution` px are too small for `gan_layers`.
    """
    if training.gan_weight == 0.0:
        return None
    least = least_resolution(training.gan_layers)
    if resolution < least:
        raise LrcoreError(
            f"autoencoder_training.gan_layers = {training.gan_layers} needs images of at least {least} px, "
            f"got {resolution} px"
        )
    with torch.random.fork_rng(devices=[]):
        discriminator = PatchDiscriminator(training.gan_width, training.gan_layers)
    return Adversary(discriminator, training.gan_weight, training.gan_start)
