"""The shape of sampling paths against paths whose shape is known, and against the definitions on a stored path."""

import math

import pytest
import torch
from torch.nn.functional import cosine_similarity

from lrcore.flow.path_shape import PathShape
from lrcore.flow.sampling import SAMPLERS, integrate, sampler_grid


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def of(states):
    shape = PathShape()
    for state in states:
        shape(state)
    return shape.per_sample()


def test_a_straight_line_is_1_and_1_whatever_its_steps():
    direction = normal(3, 4, 5)
    found = of([t * direction for t in (0.0, 0.1, 0.5, 0.6, 2.0)])
    torch.testing.assert_close(found, torch.ones(3, 2, dtype=torch.float64))


def test_a_polygon_has_the_angle_and_the_detour_of_its_sides():
    """Half a regular polygon of 2n sides: equal angles of pi / n, and its diameter over n of its sides."""
    n = 12
    angles = torch.arange(n + 1, dtype=torch.float64) * math.pi / n
    points = torch.stack([angles.cos(), angles.sin()], dim=1)
    (straightness, efficiency), *_ = of(points[:, None, None]).tolist()
    assert straightness == pytest.approx(math.cos(math.pi / n), rel=1e-12)
    assert efficiency == pytest.approx(1 / (n * math.sin(math.pi / (2 * n))), rel=1e-12)


def test_there_and_back():
    point = torch.ones(1, 1, 1, dtype=torch.float64)
    assert of([0 * point, point, 0 * point]).tolist() == [[-1, 0]]


def test_what_is_not_defined_is_nan_of_that_sample_alone():
    still, moving = torch.zeros(3, 1, 2), torch.tensor([[[1.0, 0.0]], [[2.0, 0.0]], [[3.0, 0.0]]])
    found = of(torch.stack([still, moving], dim=1))
    assert found[0].isnan().all() and found[1].tolist() == [1, 1]
    straightness, efficiency = of(moving[:2, None])[0].tolist()
    assert math.isnan(straightness) and efficiency == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sampler_tells_of_every_state_and_the_shape_is_that_of_the_stored_path(sampler, dtype):
    noise, grid, path, shape = normal(4, 3, 5, dtype=dtype), sampler_grid(sampler, 9, 2.95), [], PathShape()

    def watch(state):
        path.append(state)
        shape(state)

    def velocity(x, t):
        return torch.tanh(2 * x) - x * t[:, None, None]

    end = integrate(sampler, velocity, noise, grid, 0, range(4), watch)
    assert torch.equal(end, integrate(sampler, velocity, noise, grid, 0, range(4)))
    assert len(path) == len(grid) and torch.equal(path[0], noise) and torch.equal(path[-1], end)
    steps = torch.stack(path).double().flatten(2).diff(dim=0)
    found = shape.per_sample()
    assert found.shape == (4, 2) and found.dtype == torch.float64
    torch.testing.assert_close(found[:, 0], cosine_similarity(steps[1:], steps[:-1], dim=2).mean(0))
    torch.testing.assert_close(found[:, 1], steps.sum(0).norm(dim=1) / steps.norm(dim=2).sum(0))
