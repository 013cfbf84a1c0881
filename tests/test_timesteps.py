"""Densities against scipy, the shift's group law, and the sampling grid against diffusers' exact path."""

import math

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from lrcore.errors import LrcoreError
from lrcore.seeds import generator
from lrcore.timesteps import SHIFTS, TRAINING_DENSITIES, PlateauLogitNormal, density, sample, sampling_grid, timeshift

SHIFT = st.floats(1e-3, 1e3)
UNIT = st.floats(0.0, 1.0)


def f64(*values):
    return torch.tensor(values, dtype=torch.float64)


@given(SHIFT, SHIFT, UNIT)
def test_shifts_compose_and_invert(a, b, t):
    t = f64(t)
    torch.testing.assert_close(timeshift(a, timeshift(b, t)), timeshift(a * b, t), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(timeshift(1 / a, timeshift(a, t)), t, rtol=1e-9, atol=1e-12)


@given(st.sampled_from(TRAINING_DENSITIES), SHIFT, st.floats(1e-4, 1 - 1e-4))
@settings(deadline=None)
def test_quantile_inverts_the_cdf(name, shift, u):
    p = density(name, shift)
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


@pytest.mark.parametrize("shift", SHIFTS)
def test_logit_normal_is_the_normal_of_scipy(shift):
    t = torch.linspace(0.001, 0.999, 201, dtype=torch.float64)
    normal = stats.norm(loc=math.log(shift), scale=1.0)
    logit = torch.logit(t).numpy()
    expected = torch.from_numpy(normal.pdf(logit)) / (t * (1 - t))
    torch.testing.assert_close(density("ln", shift).pdf(t), expected, rtol=1e-9, atol=0)
    torch.testing.assert_close(density("ln", shift).cdf(t), torch.from_numpy(normal.cdf(logit)), rtol=1e-9, atol=0)


@pytest.mark.parametrize("shift", SHIFTS)
def test_logit_normal_is_the_shifted_standard_one(shift):
    u = torch.linspace(0.001, 0.999, 101, dtype=torch.float64)
    torch.testing.assert_close(density("ln", shift).quantile(u), timeshift(shift, density("ln", 1.0).quantile(u)))


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
@pytest.mark.parametrize("shift", [1.0, 6.93])
def test_samples_follow_the_density(name, shift):
    p = density(name, shift)
    drawn = sample(p, (100_000,), generator("kolmogorov-smirnov", name))
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
