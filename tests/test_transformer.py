"""The transformer's size, its start, and what may not influence what."""

import numpy as np
import pytest
import torch

from lrcore.flow_matching import repa_losses
from lrcore.transformer import SHAPES, DiffusionTransformer, RepaProjector, parameter_count, positions


def small():
    torch.manual_seed(0)
    return DiffusionTransformer(SHAPES["DiT-Nano"], channels=16, grid=(4, 4), classes=10)


def woken(model):
    """adaLN-zero starts as a constant: give every parameter a value, so that a test sees all of the model."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.05)
    return model


def test_the_published_xl_has_675_million_parameters():
    with torch.device("meta"):
        model = DiffusionTransformer(SHAPES["DiT-XL"], channels=16, grid=(16, 16), classes=1000)
    assert parameter_count(model) / 1e6 == pytest.approx(675, abs=1)


@pytest.mark.parametrize("grid", [(4, 4), (16, 16), (3, 5)])
def test_positions_are_those_of_dits_code(grid):
    """Half of the channels for the column, half for the row; in each the sines, then the cosines, 1 unit a token."""
    rows, columns = grid
    frequencies = 10_000.0 ** (-np.arange(16) / 16)
    expected = [
        [wave(at * frequencies) for at in (column, row) for wave in (np.sin, np.cos)]
        for row in range(rows)
        for column in range(columns)
    ]
    np.testing.assert_allclose(positions(64, grid), np.reshape(expected, (rows * columns, 64)), atol=1e-7)


def test_repas_loss_is_the_mean_over_images_and_tokens_one_by_one():
    projected, features = torch.randn(3, 5, 7), 10 * torch.randn(3, 5, 7)
    pairs = [(p, f) for image in zip(projected, features, strict=True) for p, f in zip(*image, strict=True)]
    one_by_one = [-(p @ f) / (p.norm() * f.norm()) for p, f in pairs]
    torch.testing.assert_close(repa_losses(projected, features), torch.stack(one_by_one).view(3, 5).mean(1))


def test_it_starts_at_zero_velocity():
    velocity = small()(torch.randn(2, 16, 16), torch.rand(2), torch.tensor([1, 2])).velocity
    assert velocity.shape == (2, 16, 16)
    assert (velocity == 0).all()


def test_time_label_and_position_matter():
    model = woken(small())
    tokens, t, labels = torch.randn(1, 16, 16), torch.tensor([0.3]), torch.tensor([1])
    velocity = model(tokens, t, labels).velocity
    assert not torch.allclose(velocity, model(tokens, t + 0.1, labels).velocity)
    assert not torch.allclose(velocity, model(tokens, t, labels + 1).velocity)
    assert not torch.allclose(velocity.flip(1), model(tokens.flip(1), t, labels).velocity)


def test_images_of_a_batch_do_not_see_each_other():
    model = woken(small())
    tokens, t, labels = torch.randn(3, 16, 16), torch.rand(3), torch.tensor([1, 2, 10])
    alone = model(tokens[1:2], t[1:2], labels[1:2]).velocity
    torch.testing.assert_close(model(tokens, t, labels).velocity[1:2], alone, rtol=1e-5, atol=1e-6)


def test_hidden_tokens_are_those_after_the_block_asked_for():
    model = woken(small())
    seen = []
    model.blocks[1].register_forward_hook(lambda module, inputs, output: seen.append(output))
    hidden = model(torch.randn(2, 16, 16), torch.rand(2), torch.tensor([0, 1]), hidden_after=2).hidden
    assert torch.equal(hidden, seen[0])
    assert RepaProjector(64, 112, 32)(hidden).shape == (2, 16, 112)
