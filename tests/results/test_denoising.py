"""lrcore.results.denoising: bins are compared with means of the curve under each training's density of t."""

from __future__ import annotations

import math

import pandas
import pytest
from denoising_rows import EDGES, curve, latents, losses
from scipy import integrate

from lrcore.errors import LrcoreError
from lrcore.results.denoising import over_gaussian


def test_a_uniform_density_gives_the_middle_of_a_line():
    found = over_gaussian(losses(("ts", 1.0, 0.7, 100)), latents())
    assert found["gaussian_loss"].tolist() == pytest.approx([1.75, 1.25])
    assert found["ratio"].tolist() == pytest.approx([0.7 / 1.75, 0.7 / 1.25])
    assert found["standard_error"].tolist() == pytest.approx([0.07 / 1.75, 0.07 / 1.25])
    assert found[["ae", "step", "count"]].to_numpy().tolist() == [["sd", 20, 100]] * 2


@pytest.mark.parametrize(("edges", "place"), [(EDGES[0], 0), (EDGES[1], 1)])
def test_a_shifted_density_weighs_the_bin(edges: tuple[float, float], place: int):
    """Against scipy's adaptive quadrature of the shifted uniform density a / (a + (1 - a) t)^2."""
    a = 6.93

    def pdf(t: float) -> float:
        return a / (a + (1 - a) * t) ** 2

    expected = integrate.quad(lambda t: pdf(t) * curve(t), *edges)[0] / integrate.quad(pdf, *edges)[0]
    found = over_gaussian(losses(("ts", a, 1.0, 1)), latents())["gaussian_loss"][place]
    # midpoints of width h err by at most h^2 / 24 times the range of the slope, here below 200
    assert found == pytest.approx(expected, abs=(0.5 / 200) ** 2 / 24 * 200)


def test_trainings_count_by_their_images():
    runs = (("ts", 1.0, 0.5, 100), ("ts", 2.95, 1.5, 300))
    found = over_gaussian(losses(*runs), latents())
    one, other = (over_gaussian(losses(run), latents())["gaussian_loss"] for run in runs)
    assert found["loss"].tolist() == pytest.approx([1.25, 1.25])
    assert found["gaussian_loss"].tolist() == pytest.approx(((one + 3 * other) / 4).tolist())
    assert found["count"].tolist() == [400, 400]


def test_bins_without_images_and_trainings_with_repa_do_not_count():
    plain = losses(("ts", 1.0, 0.7, 100), ("ts", 1.0, 0.7, 100))
    empty = losses(("ts", 1.0, math.nan, 0))
    aligned = losses(("ts", 1.0, 5.0, 100), repa="encoder")
    found = over_gaussian(pandas.concat([plain, empty, aligned]), latents())
    assert found["loss"].tolist() == pytest.approx([0.7, 0.7])
    assert found["count"].tolist() == [200, 200]


def test_an_autoencoder_whose_covariance_was_not_measured_is_left_out():
    both = pandas.concat([losses(("ts", 1.0, 0.7, 100)), losses(("ts", 1.0, 0.7, 100), ae="rae")])
    assert set(over_gaussian(both, latents())["ae"]) == {"sd"}
    with pytest.raises(LrcoreError, match="no training without REPA has both"):
        over_gaussian(losses(("ts", 1.0, 0.7, 100)), latents("rae"))
