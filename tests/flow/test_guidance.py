"""Guidance against its formula, a closed-form flow and REPA's guided SDE; network passes counted."""

import itertools
import math

import pytest
import torch
from gaussian_mixture import GaussianMixture, plane_mixture
from rounding import in_float64

from lrcore.errors import LrcoreError
from lrcore.flow.guidance import Guidance, guided
from lrcore.flow.samplers import euler, heun, score, sde_grid
from lrcore.flow.sampling import integrate, step_noise
from lrcore.flow.shapes import TransformerShape
from lrcore.flow.timesteps import sampling_grid
from lrcore.flow.transformer import DiffusionTransformer, Prediction

LABELS = torch.tensor([3, 0, 9, 3])


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.fixture(scope="module")
def model():
    """A small transformer in which nothing is zero."""
    network = DiffusionTransformer(TransformerShape(32, 2, 2), channels=8, grid=(2, 2), classes=10).eval()
    for i, parameter in enumerate(network.parameters()):
        with torch.no_grad():
            parameter.copy_(0.2 * normal(*parameter.shape, seed=i)).requires_grad_(False)
    return network


class Mixtures:
    """Closed-form velocities: data of a label, and data without one."""

    def __init__(self, *mixtures):
        self.mixtures, self.classes, self.passes = mixtures, len(mixtures) - 1, []

    def __call__(self, tokens, t, labels):
        assert (labels == labels[0]).all()
        self.passes.append((round(t[0].item(), 6), labels[0].item()))
        return Prediction(self.mixtures[labels[0]].velocity(tokens, t), None)


def gaussian(mean):
    covariance = torch.tensor([[[0.5, 0.2], [0.2, 0.3]]]).double()
    return GaussianMixture(torch.ones(1).double(), torch.tensor([mean]).double(), covariance)


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 1.8, 7.5])
def test_formula_in_all_channels(model, scale):
    model = in_float64(model)
    x, t = normal(4, 4, 8, dtype=torch.float64), torch.tensor([1.0, 0.7, 0.2, 0.01])
    labelled, none = model(x, t, LABELS).velocity, model(x, t, torch.full((4,), 10)).velocity
    assert (labelled - none).abs().min() > 1e-5  # every channel would show a mistake
    found = guided(model, LABELS, Guidance(scale))(x, t)
    torch.testing.assert_close(found, (1 - scale) * none + scale * labelled, rtol=1e-10, atol=1e-10)


def test_an_interval_is_open_below_and_closed_above(model):
    guidance = Guidance(2.0, low=0.3, high=0.7)
    x, t = normal(4, 4, 8), torch.tensor([0.3, 0.300001, 0.7, 0.700001])
    inside = guided(model, LABELS, Guidance(2.0))(x, t)
    outside = model(x, t, LABELS).velocity
    found = guided(model, LABELS, guidance)(x, t)
    assert torch.equal(found[1:3], inside[1:3])
    assert torch.equal(found[[0, 3]], outside[[0, 3]])
    assert not torch.isclose(inside, outside).all(dim=(1, 2)).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("steps", [10, 50, 250])
def test_rounding_of_the_grid_does_not_decide_about_a_bound(steps, dtype):
    grid = sampling_grid(steps, 1.0)
    numbers = torch.arange(steps, -1, -1)
    for low, high in itertools.pairwise((0, 1, 3, 6, 7, 9, 10)):
        holds = Guidance(2.0, low / 10, high / 10).holds(grid.to(dtype))
        assert torch.equal(holds, (numbers * 10 > low * steps) & (numbers * 10 <= high * steps))


def test_a_second_pass_is_made_inside_the_interval_alone():
    network = Mixtures(plane_mixture(), gaussian([0.0, 0.0]))
    noise, labels = normal(2, 1, 2, dtype=torch.float64), torch.zeros(2, dtype=torch.int64)
    euler(guided(network, labels, Guidance(3.0, 0.3, 0.7)), noise, sampling_grid(10, 1.0))
    assert sorted(t for t, label in network.passes if label == 0) == [i / 10 for i in range(1, 11)]
    assert sorted(t for t, label in network.passes if label == 1) == [0.4, 0.5, 0.6, 0.7]
    network.passes.clear()
    euler(guided(network, labels, Guidance(1.0)), noise, sampling_grid(10, 1.0))
    assert [label for _, label in network.passes] == [0] * 10


@pytest.mark.parametrize("scale", [0.0, 1.0, 2.5])
def test_guided_gaussians_of_one_covariance_are_the_gaussian_of_the_extrapolated_mean(scale):
    # the velocity of such a Gaussian is affine in its mean
    labelled, none = torch.tensor([1.0, -0.5]), torch.tensor([0.2, 0.4])
    network = Mixtures(gaussian(labelled.tolist()), gaussian(none.tolist()))
    noise, labels = normal(5, 3, 2, dtype=torch.float64), torch.zeros(5, dtype=torch.int64)
    found = heun(guided(network, labels, Guidance(scale)), noise, sampling_grid(200, 1.0))
    expected = gaussian((none + scale * (labelled - none)).tolist()).flowed(noise)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_the_guided_sde_is_that_of_repa():
    """REPA guides the drift of the SDE, not the velocity: the same, since the drift is affine in the velocity."""
    network = Mixtures(plane_mixture(), gaussian([0.3, 0.0]))
    noise, labels = normal(3, 2, 2, dtype=torch.float64), torch.zeros(3, dtype=torch.int64)
    grid, images = sde_grid(15, 1.0), [0, 1, 2]
    found = integrate("euler_maruyama", guided(network, labels, Guidance(1.8, 0.0, 0.7)), noise, grid, 5, images)

    def drift(x, t, label):
        v = network.mixtures[label].velocity(x, torch.full((3,), t, dtype=torch.float64))
        return v - t * score(x, v, t)

    x = noise
    for step, (now, after) in enumerate(itertools.pairwise(grid.tolist())):
        d = drift(x, now, 0)
        if now <= 0.7:
            d = drift(x, now, 1) + 1.8 * (d - drift(x, now, 1))
        x = x + (after - now) * d
        if after > 0:
            x = x + math.sqrt(2 * now * (now - after)) * step_noise(5, images, step, 2, 2).double()
    torch.testing.assert_close(found, x, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("scale", [-0.1, math.nan, math.inf])
def test_a_scale_that_is_none_is_refused(scale):
    with pytest.raises(LrcoreError, match=f"guidance scale must be a finite number of at least 0, got {scale}"):
        Guidance(scale)


@pytest.mark.parametrize(("low", "high"), [(-0.1, 1.0), (0.0, 1.1), (0.5, 0.5), (0.7, 0.3), (math.nan, 1.0)])
def test_an_interval_that_is_none_is_refused(low, high):
    with pytest.raises(LrcoreError, match=rf"0 <= low < high <= 1, got \({low}, {high}\]"):
        Guidance(2.0, low, high)
