"""Weights that are rounded shift no mean, and the network in half precision says what it is."""

import copy

import torch
from torch import nn

from lrcore.metrics import half_precision
from lrcore.metrics.features import FeatureNetwork, all_features, beside
from lrcore.metrics.half_precision import rounded_network
from lrcore.records.schema import HALF_PRECISION


def network(depth=2):
    """In float64, in which no rounding but that of parameters shows."""
    torch.manual_seed(0)
    layers = [(nn.Conv2d(16, 16, 3, stride, padding=1), nn.ReLU()) for stride in (1, 2, 1)[:depth]]
    return nn.Sequential(*(part for pair in layers for part in pair)).double()


def images(seed, count=8):
    return torch.rand(count, 16, 12, 12, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@torch.no_grad()
def test_the_mean_of_a_convolution_is_kept_but_for_the_rounding_of_its_bias():
    """Borders, at which the padding is seen, included."""
    exact, seen = network(1)[0], images(0)
    made = rounded_network(exact, torch.float16, list(seen.split(3))).double()
    apart = (made(seen) - exact(seen)).mean((0, 2, 3)).abs()
    assert (apart <= 2**-11 * made.bias.abs() + 1e-12).all()
    plain = (network(1)[0].half().double()(seen) - exact(seen)).mean((0, 2, 3)).abs()
    assert apart.mean() < 0.5 * plain.mean()


@torch.no_grad()
def test_of_several_layers_the_shift_falls_on_images_that_were_not_seen():
    exact, held_out = network(3), images(1, 32)
    for layer in exact[::2]:
        layer.bias.zero_()  # rounded, they would shift means as much
    plain = copy.deepcopy(exact).bfloat16()
    made = rounded_network(exact, torch.bfloat16, [images(0, 32)])
    assert {parameter.dtype for parameter in made.parameters()} == {torch.bfloat16}
    assert {parameter.dtype for parameter in exact.parameters()} == {torch.float64}

    def shift(of):
        return (of.double()(held_out) - exact(held_out)).mean((0, 2, 3)).norm()

    assert shift(made) < 0.7 * shift(plain)


def test_a_network_in_half_precision_has_a_protocol_of_its_own(monkeypatch):
    class Known(nn.Module):
        def __init__(self, *of):
            super().__init__()
            self.of = of

        def forward(self, pixels):
            return pixels.flatten(1)[:, :2].double()

    monkeypatch.setattr(half_precision, "Inception2015", Known)
    monkeypatch.setattr(half_precision, "HalfInception", Known)
    whole = FeatureNetwork("inception2015", 2, "hash", "pool", torch.device("cpu"), Known())
    pixels = torch.zeros(5, 3, 4, 4, dtype=torch.uint8)
    half = half_precision.in_half_precision(whole, pixels)
    assert half.protocol == f"pool{HALF_PRECISION} (bfloat16, biases corrected over 5 images)"
    assert half.extract.of[1] is torch.bfloat16 and (half.name, half.sha256) == (whole.name, whole.sha256)


def test_two_networks_side_by_side_see_chunks_as_they_would_alone():
    seen = []

    def toy(name, chunk, factor):
        def extract(pixels):
            seen.append((name, len(pixels)))
            return factor * pixels.flatten(1)[:, :2].float()

        return FeatureNetwork(name, 2, "", name, torch.device("cpu"), extract, chunk)

    a, b = toy("a", 6, 1), toy("b", 3, 2)
    pixels = torch.randint(0, 256, (8, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = all_features(beside(a, b), [pixels])
    assert seen == [("a", 6), ("b", 3), ("b", 3), ("a", 2), ("b", 2)]
    assert torch.equal(found, torch.cat([all_features(a, [pixels]), all_features(b, [pixels])], dim=1))
