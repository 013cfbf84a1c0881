"""Sampling: noise and labels that belong to an image's number, and the samplers by name.

Nothing random depends on the batch: images 4 and 5 are the same images in any batch that holds them.

    >>> noise = starting_noise(0, [4, 5], tokens=64, channels=16)
    >>> grid = sampler_grid("heun", steps=10, sampleshift=2.95)
    >>> integrate("heun", lambda x, t: -x, noise, grid, seed=0, images=[4, 5]).shape
    torch.Size([2, 64, 16])
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lrcore.errors import LrcoreError, unknown
from lrcore.flow.samplers import Velocity, Watch, euler, euler_maruyama, heun, sde_grid, unwatched
from lrcore.flow.timesteps import sampling_grid
from lrcore.runtime.seeds import generator

LABEL_RULE = "uniform over classes, drawn per image"
"""How samples get their class; recorded in every row, since balanced classes move the Frechet distance."""

SAMPLERS = ("euler", "heun", "euler_maruyama")
"""See `lrcore.flow.samplers`."""


def starting_noise(seed: int, images: Sequence[int], tokens: int, channels: int) -> Tensor:
    """Gaussian noise (len(images), tokens, channels), float32; each image's depends on (seed, its number) alone.

    So a sample does not depend on the batch size or on the number of processes, but for the rounding of the network,
    which differs with the batch size (about 5e-7 of latents of deviation 1).
    """
    return torch.stack([torch.randn(tokens, channels, generator=generator(seed, "noise", int(i))) for i in images])


def step_noise(seed: int, images: Sequence[int], step: int, tokens: int, channels: int) -> Tensor:
    """Gaussian noise as `starting_noise`, for one step (from 0) of a stochastic sampler.

    Each image's depends on (seed, its number, step) alone. Drawn on the CPU, so that it is the same for every device,
    at about 3 ns a value.
    """
    generators = [generator(seed, "step noise", int(i), step) for i in images]
    return torch.stack([torch.randn(tokens, channels, generator=g) for g in generators])


def drawn_labels(seed: int, images: Sequence[int], classes: int) -> Tensor:
    """Class labels (len(images),), int64, by `LABEL_RULE`; each depends on (seed, the image's number) alone."""
    drawn = [torch.randint(classes, (), generator=generator(seed, "label", int(i))) for i in images]
    return torch.stack(drawn)


def sampler_grid(sampler: str, steps: int, sampleshift: float) -> Tensor:
    """The timesteps of `sampler` (steps + 1,), float64, falling from 1 to 0.

    Raises:
        LrcoreError: unknown sampler; too few steps; the shift is not a positive finite number.
    """
    if sampler not in SAMPLERS:
        raise unknown("sampler", sampler, SAMPLERS)
    return sde_grid(steps, sampleshift) if sampler == "euler_maruyama" else sampling_grid(steps, sampleshift)


def integrate(
    sampler: str,
    velocity: Velocity,
    noise: Tensor,
    grid: Tensor,
    seed: int,
    images: Sequence[int],
    watch: Watch = unwatched,
) -> Tensor:
    """Take `noise` (B, N, C) to data (B, N, C), in its dtype and on its device, by the sampler of that name.

    Args:
        velocity: may be one of `lrcore.flow.guidance.guided`.
        grid: see `sampler_grid`.
        seed, images: the seed and the B numbers of the images; `euler_maruyama` draws its noise by them.
        watch: is told of the state at every time of the grid, such as `lrcore.flow.path_shape.PathShape`.

    Raises:
        LrcoreError: unknown sampler; the grid does not fall from 1 to 0; not as many numbers as images.
    """
    if len(images) != len(noise):
        raise LrcoreError(f"{len(images)} image numbers for the noise of {len(noise)} images")
    if sampler == "euler":
        return euler(velocity, noise, grid, watch)
    if sampler == "heun":
        return heun(velocity, noise, grid, watch)
    if sampler == "euler_maruyama":
        _, tokens, channels = noise.shape

        def drawn(step: int) -> Tensor:
            return step_noise(seed, images, step, tokens, channels)

        return euler_maruyama(velocity, noise, grid, drawn, watch)
    raise unknown("sampler", sampler, SAMPLERS)
