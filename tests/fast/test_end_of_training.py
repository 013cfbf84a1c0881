"""Distances at the end of trainings by the fast path are as far from the slow path's as those are from one another.

The yardstick is the slow path with the images of each batch in the opposite order: the same training but for the order
in which numbers are added up. (Another stack size, the yardstick of a GPU, gives the same bits on a CPU in bfloat16.)
"""

import pytest
import torch

from lrcore.fast.sampling import TogetherSampler
from lrcore.fast.training import StackSteps
from lrcore.flow.objective import Batch, FlowMatching, Randomness, composed, randomness
from lrcore.flow.samplers import euler
from lrcore.flow.shapes import SHAPES
from lrcore.flow.stacking import of_network, stack
from lrcore.flow.timesteps import density, sampling_grid
from lrcore.flow.transformer import DiffusionTransformer
from lrcore.metrics.features import statistics_of
from lrcore.metrics.frechet import FrechetReference
from lrcore.runtime.seeds import generator
from lrcore.training.checkpoints import TrainingState
from lrcore.training.loss_log import LossLog

RUNS, STEPS, SAMPLES, CLASSES = 8, 40, 96, 10
DENSITIES = [density("ln", 0.5 + 0.25 * run) for run in range(RUNS)]
GRIDS = [sampling_grid(6, 1.0)]
MIX = torch.randn(32, 16, generator=generator("mix")) / 32**0.5

BOUND = 3.5
"""The ratio of two deviations of eight numbers each is larger once in a thousand times: F(8, 8) is 12.0 there."""

ROUNDING = 1e-6
"""Samples are float32, whose rounding alone is 6e-8; in float32 trainings differ by hardly more at their end."""


def images(count, *named):
    """Tokens (count, 4, 8) around a centre of their class, and the classes."""
    source = generator(*named)
    labels = torch.randint(CLASSES, (count,), generator=source)
    centres = torch.randn(CLASSES, 4, 8, generator=generator("centres"))
    return centres[labels] + 0.3 * torch.randn(count, 4, 8, generator=source), labels


def features(tokens):
    return torch.tanh(tokens.flatten(-2) @ MIX)


def drawn_batch(step, backwards):
    batch = Batch(*images(16, "batch", step))
    found = randomness(batch, 0.1, generator("draw", step))
    if not backwards:
        return batch, found
    return Batch(batch.tokens.flip(0), batch.labels.flip(0)), Randomness(*(part.flip(0) for part in found))


def started(precision):
    models = []
    for run in range(RUNS):
        torch.manual_seed(run)
        models.append(FlowMatching(DiffusionTransformer(SHAPES["DiT-Nano"], 8, (2, 2), CLASSES), precision=precision))
    return TrainingState.start(stack(models), 2e-3, 0.95)


def trained(precision, way):
    """The averaged transformers at the end."""
    state = started(precision)
    steps = StackSteps(state, DENSITIES, LossLog(RUNS), drawn_batch(0, False)[0]) if way == "fast" else None
    for step in range(STEPS):
        batch, found = drawn_batch(step, way == "backwards")
        if steps:
            steps.advance(batch, found)
        else:
            losses = state.model(composed(batch, found, DENSITIES, CLASSES))
            state.advance(losses.objective.view(RUNS, -1).mean(1).sum())
    models = [DiffusionTransformer(SHAPES["DiT-Nano"], 8, (2, 2), CLASSES).eval() for _ in range(RUNS)]
    for run, model in enumerate(models):
        model.load_state_dict(of_network(state.averaged.transformer.state_dict(), run))
    return models


@torch.no_grad()
def samples(models, precision, way):
    """Tokens (runs, N, 4, 8)."""
    noise, labels = torch.randn(SAMPLES, 4, 8, generator=generator("noise")), torch.arange(SAMPLES) % CLASSES
    if way == "fast":
        return TogetherSampler(models, GRIDS, precision=precision)(noise, labels).tokens[:, 0]
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        ends = [euler(lambda x, t, m=model: m(x, t, labels).velocity, noise, GRIDS[0]) for model in models]
    return torch.stack(ends)


def distances(precision, way):
    """Of every run's samples from the images, as logarithms (runs,), float64."""
    reference = FrechetReference(statistics_of(features(images(2048, "reference")[0])))
    found = samples(trained(precision, way), precision, way)
    return torch.tensor(
        [reference.distance(statistics_of(features(of_run))) for of_run in found], dtype=torch.float64
    ).log()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_distances_are_those_of_the_slow_path_to_what_it_differs_from_itself(precision):
    expected = distances(precision, "slow")
    itself = (distances(precision, "backwards") - expected).square().mean().sqrt()
    apart = (distances(precision, "fast") - expected).square().mean().sqrt()
    assert 0 < itself < 0.01 and apart <= max(BOUND * itself, ROUNDING)
