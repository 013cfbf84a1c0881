"""Numerical integration of the velocity from noise (t = 1) to data (t = 0): Euler, Heun, Euler-Maruyama.

    euler           the flow's ODE, dx/dt = v(x, t), first order              1 evaluation of the network a step
    heun            the same ODE, second order                                2 a step, 1 in the last
    euler_maruyama  an SDE with the same marginals, that of published         1 a step
                    SiT and REPA results

Each tells `watch` of the state at every time of its grid, the start included (`lrcore.flow.path_shape` looks at it so).

A grid of n steps has n + 1 times. SiT's code calls n times of the ODE `num_steps = n`: n - 1 of our Euler steps.

The state keeps the dtype of the noise. Times and step sizes are float64; the network gets its times in float32, in
float64 only where the state is float64. No sampler evaluates the network at t = 0.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from lrcore.errors import LrcoreError
from lrcore.flow.timesteps import timeshift

SDE_LAST_STEP = 0.04
"""Time from which the SDE goes to 0 in one step without noise: SiT's and REPA's."""

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(tokens (B, N, C), times (B,)) to velocities (B, N, C)."""

Watch = Callable[[Tensor], None]
"""Sees the state (B, N, C), which it must leave as it is."""


def unwatched(state: Tensor) -> None:
    """A `Watch` that does nothing."""


@torch.no_grad()
def euler(velocity: Velocity, noise: Tensor, grid: Tensor, watch: Watch = unwatched) -> Tensor:
    """Integrate dx/dt = v(x, t) from `noise` at grid[0] = 1 down to grid[-1] = 0 by Euler's method.

    Args:
        noise: (B, N, C).
        grid: decreasing timesteps (steps + 1,), see `lrcore.flow.timesteps.sampling_grid`.

    Raises:
        LrcoreError: the grid does not fall from 1 to 0.
    """
    x = noise
    watch(x)
    for now, after in _steps(grid):
        x = x + (after - now) * _evaluated(velocity, x, now)
        watch(x)
    return x


@torch.no_grad()
def heun(velocity: Velocity, noise: Tensor, grid: Tensor, watch: Watch = unwatched) -> Tensor:
    """Integrate as `euler` does, by Heun's method (explicit trapezoidal rule); the last step is Euler's.

    One step of Euler's leaves the order at 2 (Karras et al. 2022, arXiv 2206.00364, algorithm 1, does the same). The
    trapezoid would need the velocity at t = 0. That exists where data have a smooth density, and there it would gain
    a constant factor. Near a manifold, where latents are, the velocity off it jumps at 0 and the trapezoid from t
    would leave noise of standard deviation t / 2: 0.06 for 50 steps at sampleshift 6.93. The logit-normal training
    densities, moreover, draw no times near 0.
    """
    x = noise
    watch(x)
    for now, after in _steps(grid):
        slope = _evaluated(velocity, x, now)
        ahead = x + (after - now) * slope
        if after > 0:
            ahead = x + (after - now) * 0.5 * (slope + _evaluated(velocity, ahead, after))
        x = ahead
        watch(x)
    return x


@torch.no_grad()
def euler_maruyama(
    velocity: Velocity, noise: Tensor, grid: Tensor, step_noise: Callable[[int], Tensor], watch: Watch = unwatched
) -> Tensor:
    """Integrate SiT's reverse SDE (Ma et al. 2024, arXiv 2401.08740, sec. 2) by the method of Euler and Maruyama.

        dx = [v(x, t) - w(t) / 2 score(x, t)] dt + sqrt(w(t)) dW    backwards in time,   w(t) = 2 t

    Its marginals are those of the ODE whatever w is; this one is "sigma" in SiT's code and the one of REPA's sampler
    (arXiv 2410.06940). As in theirs the last step takes the drift without noise: from t it ends at
    E[x | x_t] - t E[eps | x_t].

    Args:
        noise: (B, N, C).
        grid: decreasing timesteps (steps + 1,), see `sde_grid`.
        step_noise: number of the step (from 0) to standard Gaussian noise (B, N, C).

    Raises:
        LrcoreError: the grid does not fall from 1 to 0.
    """
    x = noise
    watch(x)
    for step, (now, after) in enumerate(_steps(grid)):
        w = 2 * now
        v = _evaluated(velocity, x, now)
        x = x + (after - now) * (v - 0.5 * w * score(x, v, now))
        if after > 0:
            x = x + math.sqrt(w * (now - after)) * step_noise(step).to(x)
        watch(x)
    return x


def score(x: Tensor, v: Tensor, t: float) -> Tensor:
    """Gradient of log p_t at `x` from the velocity `v` there, t > 0: -(x + (1 - t) v) / t, which is -E[eps | x] / t.

    SiT (arXiv 2401.08740, sec. 2), for x_t = (1 - t) x + t eps.
    """
    return -(x + (1 - t) * v) / t


def sde_grid(steps: int, sampleshift: float) -> Tensor:
    """Timesteps of the SDE (steps + 1,), float64: `steps` of them from 1 to `SDE_LAST_STEP`, then 0.

    Uniform at sampleshift 1, the published grid. The shift moves the times between and keeps both ends, s(a, u) with
    u uniform from 1 to s(1 / a, 0.04): it chooses where the steps are spent, not how much noise the last one faces.

    Raises:
        LrcoreError: fewer than 2 steps; the shift is not a positive finite number.
    """
    if steps < 2:
        raise LrcoreError(f"sampling steps of the SDE must be at least 2, got {steps}")
    last = torch.tensor(SDE_LAST_STEP, dtype=torch.float64)
    # s(1 / a, last) written out, so that a shift that is none reaches the check of `timeshift`
    unshifted_last = last / (sampleshift + (1 - sampleshift) * last)
    unshifted = torch.linspace(1.0, unshifted_last.item(), steps, dtype=torch.float64)
    return torch.cat([timeshift(sampleshift, unshifted), torch.zeros(1, dtype=torch.float64)])


def _evaluated(velocity: Velocity, x: Tensor, t: float) -> Tensor:
    """The velocity at one time for all images, in the dtype of the state."""
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    return velocity(x, torch.full((len(x),), t, dtype=dtype, device=x.device)).to(x.dtype)


def _steps(grid: Tensor) -> list[tuple[float, float]]:
    """The (time before, time after) of every step."""
    times = grid.double().tolist()
    pairs = list(itertools.pairwise(times))
    for now, after in pairs:
        if not now > after:
            raise LrcoreError(f"sampling times must fall at every step, got {after} after {now}")
    # the start within rounding: s(a, 1) is a / (1 + (a - 1))
    if not pairs or abs(times[0] - 1) > 1e-6 or times[-1] != 0:
        raise LrcoreError(f"sampling times must go from 1 to 0, got {times[:1]} to {times[-1:]}")
    return pairs
