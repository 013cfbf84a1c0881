"""Densities against scipy, the shift's group law, and the sampling grid against diffusers' exact path."""

import math

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, special, stats

from lrcore.errors import LrcoreError
from lrcore.flow.timesteps import (
    SHIFTS,
    TRAINING_DENSITIES,
    PlateauLogitNormal,
    density,
    sample,
    sampling_grid,
    timeshift,
)
from lrcore.runtime.seeds import generator

SHIFT = st.floats(1e-3, 1e3)
UNIT = st.floats(0.0, 1.0)


def f64(*values):
    return torch.tensor(values, dtype=torch.float64)


@given(SHIFT, SHIFT, UNIT)
def test_shifts_compose_and_invert(a, b, t):
    t = f64(t)
    torch.testing.assert_close(timeshift(a, timeshift(b, t)), timeshift(a * b, t), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(timeshift(1 / a, timeshift(a, t)), t, rtol=1e-9, atol=1e-12)


@given(st.sampled_from(TRAINING_DENSITIES), SHIFT, st.floats(0.2, math.sqrt(2)), st.floats(1e-4, 1 - 1e-4))
@settings(deadline=None)
def test_quantile_inverts_the_cdf(name, shift, sigma, u):
    p = density(name, shift, sigma)
    torch.testing.assert_close(p.cdf(p.quantile(f64(u))), f64(u), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", TRAINING_DENSITIES)
@pytest.mark.parametrize("shift", [*SHIFTS, 0.1])
def test_pdf_is_the_derivative_of_the_cdf_and_integrates_to_one(name, shift):
    p = density(name, shift)
    total, _ = integrate.quad(lambda t: p.pdf(f64(t)).item(), 0, 1, limit=200, points=[0.05, 0.5, 0.95])
    assert total == pytest.approx(1.0, abs=1e-8)
    t = torch.linspace(0.01, 0.99, 99, dtype=torch.float64).requires_grad_()
    (slope,) = torch.autograd.grad(p.cdf(t).sum(), t)
    torch.testing.assert_close(slope, p.pdf(t.detach()), rtol=1e-9, atol=1e-12)


class ScipyShiftedUniform:
    """The ratio of uniform odds: logit(t) - log(a) is scipy's logistic distribution."""

    def __init__(self, shift, sigma):
        self.base, self.mu = stats.logistic(), math.log(shift)

    def pdf(self, t):
        return self.base.pdf(special.logit(t) - self.mu) / (t * (1 - t))

    def cdf(self, t):
        return self.base.cdf(special.logit(t) - self.mu)

    def quantile(self, u):
        return special.expit(self.base.ppf(u) + self.mu)


class ScipyLogitNormal(ScipyShiftedUniform):
    def __init__(self, shift, sigma):
        self.base, self.mu = stats.norm(scale=sigma), math.log(shift)


class ScipyPlateau:
    """Its mode is found by root finding on the derivative of scipy's log density, its mass by quadrature."""

    def __init__(self, shift, sigma):
        self.body = ScipyLogitNormal(shift, sigma)
        mu = math.log(shift)
        x = optimize.brentq(lambda x: -(x - mu) / sigma**2 + math.tanh(x / 2), mu - 9, mu + 9, xtol=1e-15, rtol=1e-15)
        self.mode = special.expit(x)
        self.height = self.body.pdf(self.mode)
        below, _ = integrate.quad(
            lambda y: self.body.base.pdf(y - mu), mu - 40 * sigma, x, epsabs=0, epsrel=1e-13, limit=400
        )
        self.below = below
        self.total = below + special.expit(-x) * self.height

    def pdf(self, t):
        return np.where(t <= self.mode, self.body.pdf(t), self.height) / self.total

    def cdf(self, t):
        return np.where(t <= self.mode, self.body.cdf(t), self.below + (t - self.mode) * self.height) / self.total

    def quantile(self, u):
        mass = u * self.total
        body = self.body.quantile(np.minimum(mass, self.below))
        return np.where(mass <= self.below, body, self.mode + (mass - self.below) / self.height)


REFERENCES = {"ts": ScipyShiftedUniform, "ln": ScipyLogitNormal, "pln": ScipyPlateau}


@pytest.mark.parametrize("name", TRAINING_DENSITIES)
@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.4])
@pytest.mark.parametrize("shift", [1e-3, 0.1, *SHIFTS, 1e3])
def test_densities_are_those_of_scipy(name, shift, sigma):
    ours, theirs = density(name, shift, sigma), REFERENCES[name](shift, sigma)
    u = np.concatenate([np.logspace(-12, -3, 10), np.linspace(0.001, 0.999, 201)])
    t = theirs.quantile(u)
    t = t[t < 1 - 1e-6]  # nearer to 1, float64 has no digits left for 1 - t
    for method, at in (("pdf", t), ("cdf", t), ("quantile", u)):
        found = getattr(ours, method)(torch.from_numpy(at)).numpy()
        np.testing.assert_allclose(found, getattr(theirs, method)(at), rtol=1e-9, err_msg=method)


@given(SHIFT, st.floats(0.2, 3.0))
def test_logit_normal_is_the_shifted_one_of_shift_1(shift, sigma):
    u = torch.linspace(0.001, 0.999, 101, dtype=torch.float64)
    shifted = timeshift(shift, density("ln", 1.0, sigma).quantile(u))
    torch.testing.assert_close(density("ln", shift, sigma).quantile(u), shifted, rtol=1e-9, atol=0)


@given(SHIFT)
def test_shifted_uniform_is_the_shift_of_a_uniform(shift):
    u = torch.linspace(0.001, 0.999, 101, dtype=torch.float64)
    torch.testing.assert_close(density("ts", shift).quantile(u), timeshift(shift, u), rtol=1e-12, atol=0)


@given(st.sampled_from(TRAINING_DENSITIES), SHIFT, st.floats(0.3, math.sqrt(2)))
@settings(deadline=None, max_examples=50)
def test_densities_are_normalised(name, shift, sigma):
    p = density(name, shift, sigma)
    assert p.cdf(f64(0.0)).item() == 0
    assert p.cdf(f64(1.0)).item() == pytest.approx(1, rel=1e-12)
    # by Gauss-Legendre quadrature: a tenth of the mass lies between two deciles
    edges = p.quantile(torch.linspace(0, 1, 11, dtype=torch.float64))
    nodes, weights = np.polynomial.legendre.leggauss(80)
    low, high = edges[1:-2, None], edges[2:-1, None]
    t = low + (high - low) * torch.from_numpy(nodes + 1) / 2
    masses = (p.pdf(t) * torch.from_numpy(weights)).sum(1) * (high - low)[:, 0] / 2
    torch.testing.assert_close(masses, torch.full((8,), 0.1, dtype=torch.float64), rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", TRAINING_DENSITIES)
def test_sampling_never_asks_the_device_for_a_value(name):
    # tensors of the meta device have no values: whatever would wait for one raises
    assert density(name, 2.95).quantile(torch.rand(8, device="meta")).shape == (8,)


@pytest.mark.parametrize("shift", SHIFTS)
def test_plateau_starts_at_the_mode(shift):
    p = PlateauLogitNormal(shift)
    grid = torch.linspace(1e-4, 1 - 1e-4, 100_001, dtype=torch.float64)
    assert grid[p.body.pdf(grid).argmax()].item() == pytest.approx(p.mode, abs=2e-5)
    above = p.pdf(f64(p.mode + 1e-9, 0.5 * (1 + p.mode), 1.0))
    assert (above == above[0]).all()


def test_plateau_refuses_two_modes_and_takes_a_wide_density_with_one():
    with pytest.raises(LrcoreError, match="two modes"):
        density("pln", 1.0, sigma=2.0)
    assert density("pln", 6.93, sigma=1.45).cdf(f64(1.0)).item() == pytest.approx(1.0)


def test_ends_of_the_interval_are_not_nan():
    for name in TRAINING_DENSITIES:
        p = density(name, 6.93)
        for values in (p.pdf(f64(0.0, 1.0)), p.cdf(f64(0.0, 1.0)), p.quantile(f64(0.0, 1.0))):
            assert torch.isfinite(values).all()


@pytest.mark.parametrize("name", TRAINING_DENSITIES)
@pytest.mark.parametrize("shift", [1e-3, *SHIFTS, 1e3])
def test_samples_follow_the_density(name, shift):
    p = density(name, shift)
    drawn = sample(p, (1_000_000,), generator("kolmogorov-smirnov", name, shift))
    assert drawn.dtype == torch.float32
    result = stats.kstest(drawn.double().numpy(), lambda t: p.cdf(torch.from_numpy(t)).numpy())
    assert result.pvalue > 1e-3


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("steps", [1, 10, 50])
def test_grid_equals_the_exact_path_of_diffusers(shift, steps):
    scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
    scheduler.set_timesteps(sigmas=torch.linspace(1, 1 / steps, steps).numpy())
    torch.testing.assert_close(sampling_grid(steps, shift).float(), scheduler.sigmas, rtol=1e-6, atol=1e-7)


def test_last_step_of_the_study():
    assert sampling_grid(50, 6.93)[-2].item() == pytest.approx(0.1239, abs=5e-5)


@pytest.mark.parametrize("shift", [0.0, -1.0, math.nan, math.inf])
def test_a_shift_that_is_none_is_refused(shift):
    with pytest.raises(LrcoreError, match="shift must be a positive finite number"):
        density("ln", shift)


def test_an_unknown_density_is_refused():
    with pytest.raises(LrcoreError, match="'lnn'; allowed: ts, ln, pln; did you mean 'ln'"):
        density("lnn", 1.0)
