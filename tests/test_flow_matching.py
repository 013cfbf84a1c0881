"""The objective: its interpolant, its minimum, its randomness, and REPA."""

import pytest
import torch

from lrcore.flow_matching import Batch, Repa, flow_matching_loss, interpolate, repa_loss
from lrcore.seeds import generator
from lrcore.timesteps import density, sample
from lrcore.transformer import SHAPES, DiffusionTransformer, Prediction, RepaProjector


class Oracle:
    """Knows the noise that the loss will draw, and so the velocity."""

    classes = 10

    def __init__(self, batch, words):
        draw = generator(*words)
        self.t = sample(density("ln", 1.0), (len(batch.tokens),), draw)
        self.noise = torch.randn(batch.tokens.shape, generator=draw)
        self.batch, self.labels = batch, None

    def __call__(self, tokens, t, labels, hidden_after=None):
        torch.testing.assert_close(tokens, interpolate(self.batch.tokens, self.noise, self.t))
        self.labels = labels
        return Prediction(self.noise - self.batch.tokens, None)


def batch(images=64):
    draw = generator("test batch")
    return Batch(torch.randn(images, 4, 8, generator=draw), torch.arange(images) % 10)


def test_interpolant_ends():
    x, noise = torch.randn(2, 4, 8), torch.randn(2, 4, 8)
    assert torch.equal(interpolate(x, noise, torch.zeros(2)), x)
    assert torch.equal(interpolate(x, noise, torch.ones(2)), noise)


def test_the_true_velocity_has_no_loss_and_labels_drop_at_their_rate():
    data = batch(2000)
    oracle = Oracle(data, ("a", 1))
    loss = flow_matching_loss(oracle, data, density("ln", 1.0), 0.25, generator("a", 1))
    assert loss.item() == 0
    kept = oracle.labels == data.labels
    assert (oracle.labels[~kept] == 10).all()
    assert (~kept).float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_the_loss_is_a_function_of_its_generator():
    model = DiffusionTransformer(SHAPES["DiT-Nano"], 8, (2, 2), 10)
    first, again, other = (
        flow_matching_loss(model, batch(), density("ts", 2.0), 0.1, generator(*words)).item()
        for words in (("s", 1), ("s", 1), ("s", 2))
    )
    assert first == again != other


def test_repa_loss_is_minus_the_mean_cosine():
    features = torch.randn(2, 4, 16)
    assert repa_loss(3 * features, features).item() == pytest.approx(-1)
    assert repa_loss(-features, features).item() == pytest.approx(1)


def test_repa_adds_its_weighted_loss_and_needs_features():
    model, projector = DiffusionTransformer(SHAPES["DiT-Nano"], 8, (2, 2), 10), RepaProjector(64, 16, 32)
    data = Batch(batch().tokens, batch().labels, torch.randn(64, 4, 16))

    def loss(weight):
        repa = Repa(projector, 2, weight)
        return flow_matching_loss(model, data, density("ln", 1.0), 0.1, generator("r"), repa).item()

    assert loss(2.0) - loss(1.0) == pytest.approx(loss(1.0) - loss(0.0), abs=1e-5)
    assert loss(1.0) != pytest.approx(loss(0.0), abs=1e-4)
    with pytest.raises(ValueError, match="needs the features"):
        flow_matching_loss(model, batch(), density("ln", 1.0), 0.1, generator("r"), Repa(projector, 2, 1.0))
