"""Nearest neighbours and the distance of decoded interpolations, where the answer is known."""

import pytest
import torch

from lrcore.autoencoders.base import Autoencoder, LatentShape
from lrcore.datasets.images import to_float
from lrcore.errors import LrcoreError
from lrcore.metrics import interpolation
from lrcore.metrics.features import FeatureNetwork, statistics
from lrcore.metrics.frechet import FrechetReference
from lrcore.metrics.interpolation import interpolated_frechet, interpolated_latents, nearest_neighbours


class Pixels(Autoencoder):
    """The latent is the image itself, one token a pixel."""

    def __init__(self):
        super().__init__()
        self.shape = LatentShape(4, (4, 4), 3)

    def encode_batch(self, images):
        return images.flatten(2).transpose(1, 2)

    def decode_batch(self, tokens):
        return tokens.transpose(1, 2).unflatten(2, (4, 4))


def pixel_network():
    return FeatureNetwork("pixels", 48, "", "", torch.device("cpu"), lambda pixels: to_float(pixels).flatten(1))


def latents(count, seed=0):
    return torch.randn(count, 5, 3, generator=torch.Generator().manual_seed(seed))


def test_neighbours_are_those_of_a_double_loop(monkeypatch):
    monkeypatch.setattr(interpolation, "BLOCK", 7)
    found = latents(30) + 100  # far from the origin, where squares lose digits
    expected = [
        min((other for other in range(30) if other != number), key=lambda other: float((found[other] - one).norm()))
        for number, one in enumerate(found)
    ]
    assert nearest_neighbours(found).tolist() == expected


def test_a_copy_is_the_nearest_and_stays_where_it_is():
    found = latents(10)
    found[7] = found[2]
    assert nearest_neighbours(found)[[2, 7]].tolist() == [7, 2]
    moved = interpolated_latents(found)
    assert torch.equal(moved[2], found[2])
    assert not torch.equal(moved[0], found[0])


def test_latents_move_by_the_weight():
    ends = torch.tensor([[[0.0]], [[4.0]]])
    assert interpolated_latents(ends).flatten().tolist() == [2.0, 2.0]
    assert interpolated_latents(ends, 0.25).flatten().tolist() == [1.0, 3.0]


def measured(pixels):
    autoencoder, network = Pixels(), pixel_network()
    originals = FrechetReference(statistics(network, [pixels]))
    return interpolated_frechet(autoencoder, interpolated_latents(autoencoder.encode(pixels)), network, originals)


def test_images_whose_middle_is_no_image_are_far_from_the_data():
    """Two constant shades: every image has a copy, so nothing moves; one image a shade, and all become the middle."""
    shades = torch.tensor([0, 100, 0, 100], dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 4, 4)
    assert measured(shades) == pytest.approx(0.0, abs=1e-6)
    # both become shade 50 of 255: means agree, the variance 0.5 * (200 / 255)^2 * 48 is lost
    assert measured(shades[:2]) == pytest.approx(0.5 * (200 / 255) ** 2 * 48, rel=1e-5)


def test_it_can_be_stopped():
    def stop():
        raise KeyboardInterrupt

    pixels = torch.zeros(4, 3, 4, 4, dtype=torch.uint8)
    network = pixel_network()
    originals = FrechetReference(statistics(network, [pixels]))
    with pytest.raises(KeyboardInterrupt):
        interpolated_frechet(Pixels(), Pixels().encode(pixels), network, originals, stop)


def test_refusals():
    with pytest.raises(LrcoreError, match="at least 2 latents, got 1"):
        nearest_neighbours(latents(1))
    spoilt = latents(4)
    spoilt[1, 2, 0] = torch.nan
    with pytest.raises(LrcoreError, match="latents hold NaN"):
        nearest_neighbours(spoilt)
    for weight in (-0.1, 1.1, torch.nan):
        with pytest.raises(LrcoreError, match=r"weight must be in \[0, 1\]"):
            interpolated_latents(latents(4), weight)


def test_images_that_decode_to_nan_are_refused():
    class Broken(Pixels):
        def decode_batch(self, tokens):
            return super().decode_batch(tokens) * torch.nan

    pixels = torch.arange(96, dtype=torch.uint8).view(2, 3, 4, 4)
    network = pixel_network()
    originals = FrechetReference(statistics(network, [pixels]))
    with pytest.raises(LrcoreError, match="decode to NaN"):
        interpolated_frechet(Broken(), Pixels().encode(pixels), network, originals)
