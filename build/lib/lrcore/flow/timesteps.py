"""Timesteps: the shift, the three training densities and the sampling grid.

Convention: t = 0 is data, t = 1 is noise; x_t = (1 - t) x + t eps, and the velocity is eps - x.

The timeshift s(a, t) = a t / (1 + (a - 1) t) (Esser et al. 2024, arXiv 2403.03206, eq. 23) keeps the
error of estimating a constant signal equal between n and m redundant noisy observations for a = sqrt(m / n).
Here m / n counts channels per token, c / 16 at full scale. RAE's code counts all numbers of a latent, sqrt(tokens x
channels / 4096), which is the same at 256 tokens alone.
With it the densities are

    ts    shifted uniform               p(t) = a / (a + (1 - a) t)^2
    ln    logit-normal(log a, sigma)    equals s(a, logit-normal(0, sigma))
    pln   plateau logit-normal          ln up to its mode t*, then constant, renormalised

    >>> sample(density("ln", shift=2.95), (4,), torch.Generator().manual_seed(0)).shape
    torch.Size([4])
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from lrcore.errors import LrcoreError, unknown

SHIFTS = (1.00, 1.78, 2.95, 4.63, 6.93)
"""The grid of shifts of the study; 6.93 = sqrt(768 / 16)."""

TRAINING_DENSITIES = ("ts", "ln", "pln")


def timeshift(a: float, t: Tensor) -> Tensor:
    """s(a, t) = a t / (1 + (a - 1) t), any shape, t in [0, 1]; its inverse is s(1 / a, t).

    Raises:
        LrcoreError: the shift is not a positive finite number.
    """
    return _positive("shift", a) * t / (1 + (a - 1) * t)


def sampling_grid(steps: int, sampleshift: float) -> Tensor:
    """Timesteps 1 = t_0 > ... > t_N = 0 of an N-step sampler: uniform steps pushed through s(sampleshift, .).

    Float64, shape (steps + 1,). Computed exactly once: schedulers that shift an already shifted
    grid end far from 0.1239, the last step before 0 of the 50-step grid at 6.93.
    """
    if steps < 1:
        raise LrcoreError(f"sampling steps must be at least 1, got {steps}")
    return timeshift(sampleshift, torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64))


class Density(Protocol):
    """A distribution of training timesteps over [0, 1]; every method is elementwise, keeps shape, dtype and device."""

    def pdf(self, t: Tensor) -> Tensor:
        """Probability density at t."""

    def cdf(self, t: Tensor) -> Tensor:
        """Probability of a timestep of at most t."""

    def quantile(self, u: Tensor) -> Tensor:
        """Inverse of `cdf`, u in [0, 1]."""


@dataclass(frozen=True)
class ShiftedUniform:
    """`ts`: s(a, u) of a uniform u."""

    shift: float

    def pdf(self, t: Tensor) -> Tensor:
        return self.shift / (self.shift + (1 - self.shift) * t) ** 2

    def cdf(self, t: Tensor) -> Tensor:
        return timeshift(1 / self.shift, t)

    def quantile(self, u: Tensor) -> Tensor:
        return timeshift(self.shift, u)


@dataclass(frozen=True)
class LogitNormal:
    """`ln`: logit(t) is normal with mean log(shift) and standard deviation sigma."""

    shift: float
    sigma: float = 1.0

    def pdf(self, t: Tensor) -> Tensor:
        z = (torch.logit(t) - math.log(self.shift)) / self.sigma
        inside = torch.exp(-0.5 * z**2) / (self.sigma * math.sqrt(2 * math.pi) * t * (1 - t))
        # 0 / 0 at both ends, where the normal factor falls faster than t (1 - t)
        return torch.where((t > 0) & (t < 1), inside, torch.zeros_like(t))

    def cdf(self, t: Tensor) -> Tensor:
        # through the logarithm: torch's ndtr is 0 in the lower tail, where the probability still has 16 digits
        below: Tensor = torch.special.log_ndtr((torch.logit(t) - math.log(self.shift)) / self.sigma).exp()
        return below

    def quantile(self, u: Tensor) -> Tensor:
        return torch.sigmoid(math.log(self.shift) + self.sigma * torch.special.ndtri(u))


class PlateauLogitNormal:
    """`pln`: the logit-normal up to its mode t*, constant at the mode's height from there to 1.

    Renormalised by Z = P(t*) + (1 - t*) p(t*), with P and p those of the logit-normal. The mode solves
    logit(t) = log(shift) + sigma^2 (2 t - 1).

    Raises:
        LrcoreError: the logit-normal has two modes: sigma above sqrt(2) with a shift too near 1.
    """

    def __init__(self, shift: float, sigma: float = 1.0) -> None:
        self.body = LogitNormal(shift, sigma)
        mu = math.log(shift)
        logit_mode = _logit_of_mode(mu, sigma)
        self.mode = 1 / (1 + math.exp(-logit_mode))
        past_mode = 1 / (1 + math.exp(logit_mode))  # 1 - mode, exact for modes next to 1
        z = (logit_mode - mu) / sigma
        self.height = math.exp(-0.5 * z**2) / (sigma * math.sqrt(2 * math.pi) * self.mode * past_mode)
        self.below_mode = 0.5 * math.erfc(-z / math.sqrt(2))
        self.normaliser = self.below_mode + past_mode * self.height

    def pdf(self, t: Tensor) -> Tensor:
        return torch.where(t <= self.mode, self.body.pdf(t), self.height) / self.normaliser

    def cdf(self, t: Tensor) -> Tensor:
        plateau = self.below_mode + (t - self.mode) * self.height
        return torch.where(t <= self.mode, self.body.cdf(t), plateau) / self.normaliser

    def quantile(self, u: Tensor) -> Tensor:
        mass = u * self.normaliser
        plateau = self.mode + (mass - self.below_mode) / self.height
        # clamped, since the branch not taken may leave [0, 1] and turn into NaN
        return torch.where(mass <= self.below_mode, self.body.quantile(mass.clamp(max=1.0)), plateau.clamp(max=1.0))


def density(trainp: str, shift: float, sigma: float = 1.0) -> Density:
    """The training density called `ts`, `ln` or `pln`; `sigma` matters for the last two.

    Raises:
        LrcoreError: unknown name; shift or sigma not positive; a `pln` with two modes.
    """
    _positive("shift", shift)
    _positive("sigma", sigma)
    if trainp == "ts":
        return ShiftedUniform(shift)
    if trainp == "ln":
        return LogitNormal(shift, sigma)
    if trainp == "pln":
        return PlateauLogitNormal(shift, sigma)
    raise unknown("training density", trainp, TRAINING_DENSITIES)


def sample(p: Density, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Float32 timesteps t ~ p on the generator's device, by the inverse cdf: no rejection, no host sync."""
    return p.quantile(torch.rand(shape, generator=generator, device=generator.device))


def _logit_of_mode(mu: float, sigma: float) -> float:
    """Root x of h(x) = x - mu - sigma^2 tanh(x / 2), the mode's equation in x = logit(t), by bisection."""

    def h(x: float) -> float:
        return x - mu - sigma**2 * math.tanh(x / 2)

    if sigma**2 > 2:  # else h never falls: one mode for every shift
        turn = 2 * math.atanh(math.sqrt(1 - 2 / sigma**2))
        if h(-turn) > 0 > h(turn):
            raise LrcoreError(
                f"the logit-normal with shift {math.exp(mu):g} and sigma {sigma:g} has two modes and no plateau: "
                "use sigma <= sqrt(2), or a shift further from 1"
            )
    low, high = mu - sigma**2 - 1.0, mu + sigma**2 + 1.0
    while True:
        middle = 0.5 * (low + high)
        if middle in (low, high):
            return middle
        low, high = (middle, high) if h(middle) < 0 else (low, middle)


def _positive(name: str, value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise LrcoreError(f"{name} must be a positive finite number, got {value!r}")
    return value
