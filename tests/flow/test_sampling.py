"""Samplers against closed forms, scipy, diffusers and a transcription of SiT's SDE; noise that belongs to images."""

import functools
import itertools
import math

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from gaussian_mixture import GaussianMixture, plane_mixture

from lrcore.errors import LrcoreError
from lrcore.flow.samplers import SDE_LAST_STEP, euler, euler_maruyama, heun, score, sde_grid
from lrcore.flow.sampling import SAMPLERS, drawn_labels, integrate, sampler_grid, starting_noise, step_noise
from lrcore.flow.shapes import TransformerShape
from lrcore.flow.timesteps import SHIFTS, sampling_grid, timeshift
from lrcore.flow.transformer import DiffusionTransformer

SAMPLES = 20_000
MIXTURE = plane_mixture()


def bent(x, t):
    """A velocity without a closed-form flow."""
    return torch.tanh(2 * x) + torch.cos(x * (1 + t[:, None, None])) - x * t[:, None, None]


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# ---------------------------------------------------------------------------------------------------- exactness


@pytest.mark.parametrize("shift", [1.0, 2.95, 6.93])
def test_euler_is_that_of_diffusers_on_its_exact_path(shift):
    noise = normal(3, 4, 5, dtype=torch.float32)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
    scheduler.set_timesteps(sigmas=np.linspace(1, 1 / 50, 50))
    x = noise
    for t, sigma in zip(scheduler.timesteps, scheduler.sigmas[:-1], strict=True):
        x = scheduler.step(bent(x, sigma.expand(3)), t, x).prev_sample
    assert torch.equal(euler(bent, noise, scheduler.sigmas), x)
    # their sigmas are rounded to float32 before their differences are taken, ours after
    torch.testing.assert_close(euler(bent, noise, sampling_grid(50, shift)), x, rtol=1e-6, atol=1e-6)


@functools.cache
def flowed():
    """Noise and where the flow of the mixture takes it."""
    noise = normal(32, 1, 2)
    return noise, MIXTURE.flowed(noise)


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize(("method", "order", "within"), [(euler, 1, 0.1), (heun, 2, 0.15)])
def test_order_of_convergence(method, order, within, shift):
    noise, exact = flowed()
    steps = [20, 40, 80, 160, 320, 640]
    errors = [(method(MIXTURE.velocity, noise, sampling_grid(n, shift)) - exact).norm().item() for n in steps]
    slope, _ = np.polyfit(np.log(steps), np.log(errors), 1)
    assert -slope == pytest.approx(order, abs=within)


@pytest.mark.parametrize("method", [euler, heun])
def test_a_constant_velocity_is_integrated_exactly(method):
    x, velocity = normal(2, 3, 4), normal(2, 3, 4, seed=1)
    torch.testing.assert_close(method(lambda x, t: velocity, x, sampling_grid(7, 2.95)), x - velocity)


def test_the_last_step_of_heun_leaves_no_noise_beside_a_manifold():
    line = GaussianMixture(*(torch.tensor(v).double() for v in ([1.0], [[0.3, 0.2]], [[[0.25, 0.0], [0.0, 1e-6]]])))
    noise, grid = normal(4, 500, 2), sampling_grid(50, 6.93)

    def off_the_line(points):
        return (points[..., 1] - 0.2).square().mean().sqrt().item()

    assert off_the_line(heun(line.velocity, noise, grid)) < 1.1e-3  # of which the data have 1e-3
    # the trapezoid in the last step, which needs the velocity at 0
    before = (1 - grid[-2]) * torch.tensor([0.3, 0.2]).double() + grid[-2] * noise
    slope = line.velocity(before, grid[-2].expand(4))
    slope_at_0 = line.velocity(before - grid[-2] * slope, torch.zeros(4).double())
    trapezoid = before - grid[-2] * 0.5 * (slope + slope_at_0)
    assert off_the_line(trapezoid) == pytest.approx(grid[-2].item() / 2, rel=0.05)


@pytest.mark.parametrize(("sampler", "evaluations"), [("euler", 10), ("heun", 19), ("euler_maruyama", 10)])
def test_evaluations_of_the_network(sampler, evaluations):
    seen = []
    grid = sampler_grid(sampler, 10, 2.95)
    integrate(sampler, lambda x, t: (seen.append(t), x)[1], torch.zeros(2, 1, 1), grid, 0, [0, 1])
    assert len(seen) == evaluations
    assert all(t.shape == (2,) and t[0] == t[1] for t in seen)
    assert {t[0].item() for t in seen} == set(grid[:-1].float().tolist())  # never at 0


# ------------------------------------------------------------------------------------------------------ the SDE


@pytest.mark.parametrize("t", [1.0, 0.6, 0.04])
def test_the_score_is_the_gradient_of_the_log_density(t):
    x = normal(5, 3, 2).requires_grad_()
    (gradient,) = torch.autograd.grad(MIXTURE.at(t).log_prob(x).sum(), x)
    x = x.detach()
    found = score(x, MIXTURE.velocity(x, torch.full((5,), t, dtype=torch.float64)), t)
    torch.testing.assert_close(found, gradient, rtol=1e-9, atol=1e-9)


def transcribed_sde(velocity, noise, grid, draw, sign=1.0):
    """SiT's sampler from its general formulas, with alpha = 1 - t and sigma = t; `sign` -1 is a mistake."""
    x, times = noise, grid.tolist()
    for i, (t, s) in enumerate(itertools.pairwise(times)):
        alpha, alpha_slope, sigma, sigma_slope = 1 - t, -1.0, t, 1.0
        v = velocity(x, torch.full((len(x),), t, dtype=torch.float64))
        gradient = (alpha * v - alpha_slope * x) / sigma / (alpha_slope * sigma - alpha * sigma_slope)
        mean = x - (t - s) * (v - sign * 0.5 * (2 * sigma) * gradient)
        x = mean if i == len(times) - 2 else mean + (2 * sigma) ** 0.5 * (t - s) ** 0.5 * draw(i)
    return x


@pytest.mark.parametrize("shift", [1.0, 4.63])
def test_the_sde_is_the_one_of_sit(shift):
    noise, grid, images = normal(3, 7, 2), sde_grid(20, shift), [5, 2, 9]
    found = integrate("euler_maruyama", MIXTURE.velocity, noise, grid, 11, images)
    theirs = transcribed_sde(MIXTURE.velocity, noise, grid, lambda i: step_noise(11, images, i, 7, 2).double())
    torch.testing.assert_close(found, theirs, rtol=1e-10, atol=1e-10)


def test_the_last_step_of_the_sde_is_its_drift():
    x, grid, ends = normal(2, 3, 2), sde_grid(30, 1.0), []

    def velocity(x, t):
        ends.append((x, MIXTURE.velocity(x, t)))
        return ends[-1][1]

    found = euler_maruyama(velocity, x, grid, lambda i: normal(2, 3, 2, seed=i))
    x, v = ends[-1]
    data, noise = x - SDE_LAST_STEP * v, x + (1 - SDE_LAST_STEP) * v
    torch.testing.assert_close(found, data - SDE_LAST_STEP * noise)


def test_the_grid_of_the_sde_is_the_published_one():
    published = torch.cat([torch.linspace(1.0, 0.04, 250, dtype=torch.float64), torch.zeros(1)])
    torch.testing.assert_close(sde_grid(250, 1.0), published, rtol=0, atol=1e-15)


@pytest.mark.parametrize("shift", [0.5, *SHIFTS])
def test_a_shifted_grid_of_the_sde_keeps_its_ends(shift):
    grid = sde_grid(50, shift)
    assert grid.shape == (51,)
    assert [grid[0].item(), grid[-2].item(), grid[-1].item()] == pytest.approx([1.0, SDE_LAST_STEP, 0.0], abs=1e-14)
    steps = timeshift(1 / shift, grid[:-1]).diff()
    torch.testing.assert_close(steps, steps[0].expand(49), rtol=1e-12, atol=0)


# ------------------------------------------------------------------------------------------------- distributions


def surprise(samples):
    """Largest deviation of mean and covariance from the mixture's beyond the bias, in standard errors.

    The bias, at a million samples: of 250 steps of Euler or of the SDE the covariance is 0.01 short, of 100 of Heun
    0.001; no mean is further off than its error of 0.001.
    """
    points = samples.reshape(-1, 2)
    off = points - MIXTURE.mean
    outer = (off[:, :, None] * off[:, None, :]).flatten(1)
    error_of_mean = off.mean(0).abs() / (off.std(0) / SAMPLES**0.5)
    gap = (outer.mean(0) - MIXTURE.covariance.flatten()).abs()
    error_of_covariance = (gap - 0.01).clamp(min=0) / (outer.std(0) / SAMPLES**0.5)
    return max(error_of_mean.max().item(), error_of_covariance.max().item())


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samples_follow_the_mixture(sampler):
    steps = 100 if sampler == "heun" else 250
    noise = normal(20, SAMPLES // 20, 2, seed=3)
    samples = integrate(sampler, MIXTURE.velocity, noise, sampler_grid(sampler, steps, 1.0), 3, range(20))
    assert surprise(samples) < 3.5


def test_the_wrong_sign_of_the_score_is_far_from_the_mixture():
    noise = normal(20, SAMPLES // 20, 2, seed=4)
    samples = transcribed_sde(MIXTURE.velocity, noise, sde_grid(50, 1.0), lambda i: normal(*noise.shape, seed=i), -1.0)
    assert surprise(samples) > 20


# --------------------------------------------------------------------------------------------- images and batches


@pytest.fixture(scope="module")
def model():
    """A small transformer in which nothing is zero, in float64: what differs is not rounding."""
    network = DiffusionTransformer(TransformerShape(32, 2, 2), channels=8, grid=(2, 2), classes=10).eval()
    for i, parameter in enumerate(network.parameters()):
        with torch.no_grad():
            parameter.copy_(0.2 * normal(*parameter.shape, seed=i))
    return network.double()


def sampled(model, sampler, numbers):
    labels = drawn_labels(7, numbers, model.classes)
    noise = starting_noise(7, numbers, 4, 8).double()
    grid = sampler_grid(sampler, 12, 2.95)
    return integrate(sampler, lambda x, t: model(x, t, labels).velocity, noise, grid, 7, numbers)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_an_image_does_not_depend_on_its_batch(model, sampler):
    together = sampled(model, sampler, list(range(24)))
    for size in (1, 3, 8):
        batches = [sampled(model, sampler, list(range(i, i + size))) for i in range(0, 24, size)]
        torch.testing.assert_close(torch.cat(batches), together, rtol=0, atol=1e-10)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(sampled(model, sampler, order.tolist()), together[order], rtol=0, atol=1e-10)
    # far apart, so that the comparison says something
    assert torch.pdist(together.flatten(1)).min() > 0.1


def test_noise_and_labels_belong_to_images_to_the_bit():
    together = starting_noise(7, range(5), 4, 8)
    assert torch.equal(starting_noise(7, [3], 4, 8)[0], together[3])
    assert torch.equal(drawn_labels(7, range(50), 10)[48:], drawn_labels(7, [48, 49], 10))
    steps = step_noise(7, range(5), 2, 4, 8)
    assert torch.equal(step_noise(7, [4, 1], 2, 4, 8), steps[[4, 1]])
    # an element of a tensor is the number it holds
    assert torch.equal(starting_noise(7, torch.tensor([3, 4]), 4, 8), together[3:])
    assert torch.equal(step_noise(7, torch.tensor([3, 4]), 2, 4, 8), steps[3:])
    assert torch.equal(drawn_labels(7, torch.arange(50), 10), drawn_labels(7, range(50), 10))


def test_noise_differs_between_images_steps_seeds_and_purposes():
    draws = [starting_noise(s, [i], 64, 64) for s in (7, 8) for i in (0, 1, 12)]
    draws += [step_noise(s, [i], step, 64, 64) for s in (7, 8) for i in (0, 1, 12) for step in (0, 1, 12)]
    correlation = torch.corrcoef(torch.stack([d.flatten() for d in draws]))
    assert (correlation - torch.eye(len(draws))).abs().max() < 5 / 64  # five standard errors of 4096 values
    assert all(abs(d.mean()) < 4 / 64 and abs(d.std() - 1) < 4 / 64 for d in draws)


def test_labels_are_drawn_uniformly():
    counts = torch.bincount(drawn_labels(0, range(2000), 10), minlength=10)
    assert ((counts - 200) ** 2 / 200).sum() < 28  # chi squared, 9 degrees of freedom, p = 0.001


# ---------------------------------------------------------------------------------------- precision and bad input


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(
    ("state", "times"),
    [(torch.float32, torch.float32), (torch.float64, torch.float64), (torch.bfloat16, torch.float32)],
)
def test_precision(sampler, state, times):
    grid = sampler_grid(sampler, 5, 2.95)
    seen = []

    def velocity(x, t):
        assert x.dtype == state
        assert not torch.is_grad_enabled()
        seen.append(t)
        return (x * t[:, None, None].to(x)).to(torch.bfloat16)  # as under autocast

    noise = starting_noise(0, [0, 1], 3, 2).to(state)
    assert integrate(sampler, velocity, noise, grid, 0, [0, 1]).dtype == state
    assert {t.dtype for t in seen} == {times}
    torch.testing.assert_close(seen[-1][0], grid[-2].to(times), rtol=0, atol=0)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_velocity_of_low_precision_is_summed_in_that_of_the_state(sampler):
    grid, noise = sampler_grid(sampler, 20, 2.95), starting_noise(0, [0, 1], 3, 2)
    found = integrate(sampler, lambda x, t: bent(x, t).bfloat16(), noise, grid, 0, [0, 1])
    expected = integrate(sampler, lambda x, t: bent(x, t).bfloat16().float(), noise, grid, 0, [0, 1])
    assert torch.equal(found, expected)


def test_every_sampler_has_its_grid():
    assert torch.equal(sampler_grid("euler", 50, 2.95), sampling_grid(50, 2.95))
    assert torch.equal(sampler_grid("heun", 50, 2.95), sampling_grid(50, 2.95))
    assert torch.equal(sampler_grid("euler_maruyama", 50, 2.95), sde_grid(50, 2.95))


def test_unknown_samplers_are_refused():
    with pytest.raises(LrcoreError, match="unknown sampler 'huen'; allowed: euler, heun, euler_maruyama; did you mean"):
        sampler_grid("huen", 10, 1.0)
    with pytest.raises(LrcoreError, match="unknown sampler 'dopri5'"):
        integrate("dopri5", bent, torch.zeros(1, 1, 1), sampling_grid(4, 1.0), 0, [0])


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([0.0, 0.5, 1.0], "must fall at every step, got 0.5 after 0.0"),
        ([1.0, 0.5, 0.5, 0.0], "got 0.5 after 0.5"),
        ([1.0, math.nan, 0.0], "got nan after 1.0"),
        ([1.0, 0.5], "from 1 to 0, got .1.0. to .0.5."),
        ([0.5, 0.0], "from 1 to 0, got .0.5. to .0.0."),
        ([0.0], "from 1 to 0"),
        ([], "from 1 to 0"),
    ],
)
def test_a_grid_that_does_not_go_from_noise_to_data_is_refused(sampler, times, message):
    with pytest.raises(LrcoreError, match=message):
        integrate(sampler, bent, torch.zeros(1, 1, 1), torch.tensor(times), 0, [0])


def test_a_number_for_every_image_is_asked_for():
    with pytest.raises(LrcoreError, match="2 image numbers for the noise of 3 images"):
        integrate("euler", bent, torch.zeros(3, 1, 1), sampling_grid(4, 1.0), 0, [0, 1])


@pytest.mark.parametrize("shift", [0.0, -1.0, math.nan, math.inf])
def test_a_grid_of_the_sde_that_is_none_is_refused(shift):
    with pytest.raises(LrcoreError, match=f"shift must be a positive finite number, got {shift}"):
        sde_grid(10, shift)
    with pytest.raises(LrcoreError, match="SDE must be at least 2, got 1"):
        sde_grid(1, 1.0)
