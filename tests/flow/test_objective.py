"""The objective: its interpolant, its minimum, its randomness, and REPA."""

import pytest
import torch
from torch.nn.functional import mse_loss

from lrcore.flow.objective import Batch, FlowMatching, draw, interpolate, repa_losses
from lrcore.flow.shapes import SHAPES
from lrcore.flow.timesteps import density
from lrcore.flow.transformer import DiffusionTransformer, RepaProjector
from lrcore.runtime.distributed import World
from lrcore.runtime.seeds import generator


def batch(images=64):
    draw = generator("test batch")
    return Batch(torch.randn(images, 4, 8, generator=draw), torch.arange(images) % 10)


def test_interpolant_ends():
    x, noise = torch.randn(2, 4, 8), torch.randn(2, 4, 8)
    assert torch.equal(interpolate(x, noise, torch.zeros(2)), x)
    assert torch.equal(interpolate(x, noise, torch.ones(2)), noise)


def nano():
    torch.manual_seed(0)
    model = DiffusionTransformer(SHAPES["DiT-Nano"], 8, (2, 2), 10)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return model


PLAIN = (density("ln", 1.0),)


def drawn(*words, densities=PLAIN, data=None, dropout=0.1):
    return draw(data or batch(), densities, 10, dropout, generator(*words))


def test_a_draw_holds_the_interpolant_its_velocity_and_drops_labels_at_their_rate():
    data = batch(2000)
    found = drawn("a", data=data, dropout=0.25)
    noise = found.target + data.tokens
    assert noise.mean().item() == pytest.approx(0, abs=0.02)
    assert noise.std().item() == pytest.approx(1, abs=0.02)
    torch.testing.assert_close(found.noisy, interpolate(data.tokens, noise, found.t))
    kept = found.labels == data.labels
    assert (found.labels[~kept] == 10).all()
    assert (~kept).float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_a_draw_is_a_function_of_its_generator():
    first, again, other = drawn("s", 1), drawn("s", 1), drawn("s", 2)
    assert torch.equal(first.noisy, again.noisy)
    assert not torch.equal(first.noisy, other.noisy)


def test_runs_of_a_draw_differ_in_their_times_alone():
    densities = (density("ln", 1.0), density("ts", 2.95))
    both, alone = drawn("s", densities=densities), drawn("s", densities=densities[1:])
    for name in ("noisy", "target", "t", "labels"):
        assert torch.equal(getattr(both, name)[64:], getattr(alone, name)), name
    assert torch.equal(both.target[:64], both.target[64:])
    assert not torch.equal(both.t[:64], both.t[64:])


def test_the_shares_of_several_processes_make_up_the_draw():
    data = Batch(batch().tokens, batch().labels, torch.randn(64, 4, 16))
    whole = drawn("s", data=data)
    shares = [
        (World(rank, 4), Batch(*(part.chunk(4)[rank] for part in (data.tokens, data.labels, data.features))))
        for rank in range(4)
    ]
    parts = [draw(share, PLAIN, 10, 0.1, generator("s"), world) for world, share in shares]
    for name in ("noisy", "target", "t", "labels", "features"):
        torch.testing.assert_close(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))


def test_the_loss_is_the_mean_squared_error_of_the_velocity():
    model, found = nano(), drawn("s")
    losses = FlowMatching(model)(found)
    velocity = model(found.noisy, found.t, found.labels).velocity
    # both are means over 2,048 squares, of which half add to a sum in float32 at the worst
    expected = mse_loss(velocity.double(), found.target.double()).item()
    assert losses.velocity.mean().item() == pytest.approx(expected, rel=2048 / 2 * 2.0**-24)
    assert torch.equal(losses.velocity, losses.objective)


def test_bfloat16_rounds_the_network_but_keeps_losses_and_weights_in_float32():
    model, found = nano(), drawn("s")
    exact, rounded = FlowMatching(model)(found).velocity, FlowMatching(model, precision="bfloat16")(found).velocity
    assert rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded)
    torch.testing.assert_close(exact, rounded, rtol=0.02, atol=0)
    rounded.mean().backward()
    assert {p.grad.dtype for p in model.parameters()} == {torch.float32}


def test_repa_loss_is_minus_the_mean_cosine():
    features = torch.randn(2, 4, 16)
    assert repa_losses(3 * features, features).tolist() == pytest.approx([-1, -1])
    assert repa_losses(-features, features).tolist() == pytest.approx([1, 1])


def test_repa_adds_its_weighted_loss_and_needs_features():
    model, projector = nano(), RepaProjector(64, 16, 32)
    found = drawn("r", data=Batch(batch().tokens, batch().labels, torch.randn(64, 4, 16)))

    def objective(weight):
        return FlowMatching(model, projector, 2, weight)(found).objective.double().mean().item()

    # four objectives of about 2, each rounded after its product and after its sum
    assert objective(2.0) - objective(1.0) == pytest.approx(objective(1.0) - objective(0.0), abs=4 * 2 * 2.0**-23)
    assert objective(1.0) != pytest.approx(objective(0.0), abs=1e-4)
    with pytest.raises(ValueError, match="needs the features"):
        FlowMatching(model, projector, 2, 1.0)(drawn("r"))
