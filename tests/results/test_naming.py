"""One name and look per autoencoder, in one order."""

from __future__ import annotations

from itertools import combinations

import numpy
import pytest
from skimage.color import rgb2lab

from lrcore.errors import LrcoreError
from lrcore.results import naming
from lrcore.studies.loading import load_study


def test_looks_differ_in_colour_and_marker() -> None:
    assert [naming.AES[ae].colour for ae in ("sd", "flux1", "flux2", "rae")] == [
        "#0072B2",
        "#E69F00",
        "#009E73",
        "#CC79A7",
    ]
    for attribute in ("label", "colour", "symbol"):
        assert len({getattr(look, attribute) for look in naming.AES.values()}) == len(naming.AES)


DEFICIENCIES = {
    "none": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
"""Machado, Oliveira and Fernandes 2009, severity 1; of linear RGB."""


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_colours_stay_apart_with_any_colour_vision(deficiency: str) -> None:
    """At least 10 in CIELAB, where 2.3 is just noticeable; PCA gets darker with every coefficient more."""
    looks = list(naming.AES.values())
    pixels = numpy.array([[int(look.colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for look in looks])
    linear = numpy.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4)
    seen = (linear @ numpy.array(DEFICIENCIES[deficiency]).T).clip(0, 1)
    lab = rgb2lab(numpy.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055))
    for (look, one), (other, another) in combinations(zip(looks, lab, strict=True), 2):
        assert numpy.linalg.norm(one - another) > 10, (look.label, other.label)
    ramp = [lab[list(naming.AES).index(f"pca{k}")][0] for k in (4, 8, 16, 32)]
    assert ramp == sorted(ramp, reverse=True)


def test_every_space_of_the_small_study_has_a_look() -> None:
    assert set(load_study("cifar10-cpu").autoencoders) <= set(naming.AES)


def test_another_autoencoder_has_a_look_of_its_own() -> None:
    mine = naming.ae_style("mine")
    assert mine == naming.ae_style("mine") and mine.label == "mine"
    assert mine.colour not in {look.colour for look in naming.AES.values()}
    assert mine.symbol not in {look.symbol for look in naming.AES.values()}


def test_order() -> None:
    assert naming.in_order(["mine", "rae", "sd", "another", "sd"]) == ["sd", "rae", "another", "mine"]


def test_unknown_metric() -> None:
    with pytest.raises(LrcoreError, match=r"unknown reconstruction metric 'lpip'.*did you mean 'lpips'"):
        naming.metric_style("lpip")
