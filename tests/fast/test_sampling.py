"""Samples drawn together are those that are drawn one by one, to rounding."""

import gc
import weakref

import pytest
import torch
from no_sync import NoSync
from torch import nn

from lrcore.errors import LrcoreError
from lrcore.fast.sampling import TogetherSampler
from lrcore.flow.guidance import Guidance, guided
from lrcore.flow.path_shape import PathShape
from lrcore.flow.samplers import euler
from lrcore.flow.shapes import SHAPES
from lrcore.flow.timesteps import sampling_grid
from lrcore.flow.transformer import DiffusionTransformer

GRIDS = [sampling_grid(5, shift) for shift in (1.0, 2.95, 6.93)]
NOISE = torch.randn(7, 4, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(7) % 10


def model(seed, skip=False):
    """Gates are not zero: a mixed-up member, time or label must show."""
    torch.manual_seed(seed)
    found = DiffusionTransformer(SHAPES["DiT-Nano"], 8, (2, 2), 10, skip).eval()
    for parameter in found.parameters():
        nn.init.normal_(parameter, std=0.1)
    return found


MODELS = [model(seed) for seed in range(3)]


@torch.no_grad()
def one_by_one(models, guidance, precision="float32"):
    states, paths = [], []
    for one in models:
        for grid in GRIDS:
            path = PathShape()
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                states.append(euler(guided(one, LABELS, guidance), NOISE, grid, path))
            paths.append(path.per_sample())
    shape = (len(models), len(GRIDS), len(NOISE))
    return torch.stack(states).view(*shape, 4, 8), torch.stack(paths).view(*shape, 2)


def spread(found, expected):
    return ((found - expected).abs().max() / expected.std()).item()


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("chunk_tokens", [1, 4 * 9 * 3, 16_384])  # an image, 3 of 7 or all of them at once
def test_they_are_those_of_each_model_and_shift_alone(members, chunk_tokens):
    sampler = TogetherSampler(MODELS[:members], GRIDS, chunk_tokens=chunk_tokens)
    with NoSync():
        tokens, paths = sampler(NOISE, LABELS)
    expected, expected_paths = one_by_one(MODELS[:members], Guidance())
    assert spread(tokens, expected) < 1e-5  # float32's 6e-8, through some ten layers and five steps
    torch.testing.assert_close(paths, expected_paths, rtol=0, atol=1e-5)
    assert torch.equal(tokens, sampler(NOISE, LABELS).tokens)  # buffers are started anew


@pytest.mark.parametrize("interval", [(0.0, 1.0), (0.3, 0.8)])
def test_guidance_is_for_the_times_of_each_row(interval):
    guidance = Guidance(2.5, *interval)
    sampler = TogetherSampler(MODELS, GRIDS, guidance)
    with NoSync():
        tokens, _ = sampler(NOISE, LABELS)
    expected, _ = one_by_one(MODELS, guidance)
    assert spread(tokens, expected) < 2e-5
    assert spread(tokens, one_by_one(MODELS, Guidance())[0]) > 0.1


def test_passes_without_guidance_are_made_once(monkeypatch):
    calls = []
    sampler = TogetherSampler(MODELS, GRIDS[:1], Guidance(2.0, 0.1, 0.5))
    forward = sampler.model.forward
    monkeypatch.setattr(sampler.model, "forward", lambda *of: calls.append(1) or forward(*of))
    sampler(NOISE, LABELS)
    assert len(calls) == 5 + 2  # of the times 1, 0.8, 0.6, 0.4, 0.2 two are inside


def test_a_skip_without_bias_is_applied():
    models = [model(seed, skip=True) for seed in range(2)]
    assert spread(TogetherSampler(models, GRIDS)(NOISE, LABELS).tokens, one_by_one(models, Guidance())[0]) < 1e-5


def test_bfloat16_has_the_rounding_of_bfloat16():
    sampler = TogetherSampler(MODELS, GRIDS, precision="bfloat16")
    exact, _ = one_by_one(MODELS, Guidance())
    expected = one_by_one(MODELS, Guidance(), "bfloat16")[0]
    # the way that is taken is as far from float32 as the other is
    assert (sampler(NOISE, LABELS).tokens - exact).norm() < 1.5 * (expected - exact).norm()


def test_grids_that_do_not_fit_are_refused():
    with pytest.raises(LrcoreError, match=r"one length.*\[4, 6\]"):
        TogetherSampler(MODELS, [sampling_grid(5, 1.0), sampling_grid(3, 1.0)])
    with pytest.raises(LrcoreError, match="fall from 1 to 0"):
        TogetherSampler(MODELS, [torch.tensor([1.0, 0.5, 0.5, 0.0])])


def test_it_can_be_stopped_between_steps():
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        TogetherSampler(MODELS, GRIDS, before_step=stop)(NOISE, LABELS)


def test_its_memory_is_free_at_once():
    """A device's memory, and that of graphs, is not to wait for a collection of cycles."""
    sampler = TogetherSampler(MODELS, GRIDS)
    sampler(NOISE, LABELS)
    gc.disable()
    try:
        gone = weakref.ref(sampler)
        del sampler
        assert gone() is None
    finally:
        gc.enable()
