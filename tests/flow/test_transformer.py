"""The transformer's size, its start, and what may not influence what."""

import numpy as np
import pytest
import torch
from torch import nn

from lrcore.errors import LrcoreError
from lrcore.flow.objective import repa_losses
from lrcore.flow.shapes import SHAPES, TransformerShape, with_width
from lrcore.flow.transformer import (
    Block,
    DiffusionTransformer,
    LinearSkip,
    RepaProjector,
    parameter_count,
    positions,
)


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


def test_attention_and_mlp_are_timms():
    """Bit for bit, weights of a seed among them: trainings that were begun with timm's go on."""
    from timm.layers import Attention, Mlp

    torch.manual_seed(0)
    theirs = Attention(96, num_heads=3, qkv_bias=True), Mlp(96, 384, act_layer=lambda: nn.GELU(approximate="tanh"))
    torch.manual_seed(0)
    block = Block(96, 3)
    tokens = torch.randn(2, 16, 96)
    for own, other in zip((block.attn, block.mlp), theirs, strict=True):
        assert [*own.state_dict()] == [*other.state_dict()]
        assert all(torch.equal(*pair) for pair in zip(own.parameters(), other.parameters(), strict=True))
        assert torch.equal(own(tokens), other(tokens))


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
    model = woken(small()).double()
    tokens, t, labels = torch.randn(3, 16, 16).double(), torch.rand(3), torch.tensor([1, 2, 10])
    alone = model(tokens[1:2], t[1:2], labels[1:2]).velocity
    torch.testing.assert_close(model(tokens, t, labels).velocity[1:2], alone, rtol=1e-10, atol=1e-10)


def test_hidden_tokens_are_those_after_the_block_asked_for():
    model = woken(small())
    seen = []
    model.blocks[1].register_forward_hook(lambda module, inputs, output: seen.append(output))
    given = torch.randn(2, 16, 16), torch.rand(2), torch.tensor([0, 1])
    hidden = model(*given, hidden_after=2).hidden
    assert torch.equal(hidden, seen[0])
    assert RepaProjector(64, 112, 32)(hidden).shape == (2, 16, 112)
    assert torch.equal(hidden, model.hidden(*given, after=2))


@pytest.mark.parametrize(("width", "heads"), [(64, 2), (96, 3), (128, 4), (192, 6), (16, 1), (0, 4)])
def test_another_width_keeps_depth_and_size_of_the_heads(width, heads):
    assert with_width(SHAPES["DiT-Micro"], width) == TransformerShape(width or 128, 3, heads)


@pytest.mark.parametrize("width", [-4, 2, 66, 100])
def test_a_width_that_does_not_fit_is_named(width):
    with pytest.raises(LrcoreError, match=rf"width {width} does not fit .* heads of 32 channels: allowed .* 32, and"):
        with_width(SHAPES["DiT-Micro"], width)


def test_a_linear_skip_leaves_start_and_names_of_all_else_as_they_are():
    torch.manual_seed(0)
    skipping = DiffusionTransformer(SHAPES["DiT-Nano"], channels=16, grid=(4, 4), classes=10, skip=True)
    plain, found = small().state_dict(), skipping.state_dict()
    assert [name for name in found if name not in plain] == [
        "skip.linear.weight",
        "skip.gate.1.weight",
        "skip.gate.1.bias",
    ]
    assert all(torch.equal(found[name], weight) for name, weight in plain.items())
    given = torch.randn(2, 16, 16), torch.rand(2), torch.tensor([1, 2])
    assert (skipping(*given).velocity == 0).all()
    skipping(*given).velocity.sum().backward()
    assert skipping.skip.gate[1].weight.grad.any()  # it does not stay there


def test_a_linear_skip_is_linear_in_the_tokens_and_knows_time_alone():
    skip = woken(LinearSkip(64, 16))
    a, b, time, other = torch.randn(2, 4, 16), torch.randn(2, 4, 16), torch.randn(2, 64), torch.randn(2, 64)
    torch.testing.assert_close(skip(a + 2 * b, time), skip(a, time) + 2 * skip(b, time), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(skip(a, time), skip(a, other))


def error_on_full_rank(skip):
    """What a transformer of width 4 leaves of x/2, in 8 channels, after some hundred steps; its mean square is 0.25."""
    torch.manual_seed(0)
    model = DiffusionTransformer(TransformerShape(4, 1, 1), channels=8, grid=(2, 2), classes=1, skip=skip)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    labels = torch.zeros(64, dtype=torch.long)
    for _ in range(150):
        tokens = torch.randn(64, 4, 8)
        loss = (model(tokens, torch.rand(64), labels).velocity - 0.5 * tokens).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def test_a_linear_skip_gives_what_a_narrow_transformer_has_no_rank_for():
    """All velocities lie in the 4 dimensions that the last layer's matrix spans, so that at least half of the variance
    of 8 equal channels is lost, whatever comes before; 0.4 leaves room for what a batch of 1,024 numbers shows of it.
    """
    assert error_on_full_rank(skip=False) > 0.4 * 0.25
    assert error_on_full_rank(skip=True) < 0.01 * 0.25
