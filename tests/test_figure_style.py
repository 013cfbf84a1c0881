"""lrcore.figures.style: one look per autoencoder, honest number formats."""

from __future__ import annotations

import math

import pytest

from lrcore.errors import LrcoreError
from lrcore.figures import style


def test_looks_differ_in_colour_and_marker() -> None:
    assert [style.AES[ae].colour for ae in ("sd", "flux1", "flux2", "rae")] == [
        "#0072B2",
        "#E69F00",
        "#009E73",
        "#CC79A7",
    ]
    for attribute in ("label", "colour", "symbol"):
        assert len({getattr(look, attribute) for look in style.AES.values()}) == len(style.AES)


def test_another_autoencoder_has_a_look_of_its_own() -> None:
    mine = style.ae_style("mine")
    assert mine == style.ae_style("mine") and mine.label == "mine"
    assert mine.colour not in {look.colour for look in style.AES.values()}
    assert mine.symbol not in {look.symbol for look in style.AES.values()}


def test_order() -> None:
    assert style.in_order(["mine", "rae", "sd", "another", "sd"]) == ["sd", "rae", "another", "mine"]


def test_unknown_metric() -> None:
    with pytest.raises(LrcoreError, match=r"unknown reconstruction metric 'lpip'.*did you mean 'lpips'"):
        style.metric_style("lpip")


def test_percent_and_padded() -> None:
    assert [style.percent(x) for x in (-0.521, 0.05, math.nan)] == ["\N{MINUS SIGN}52 %", "+5 %", "n/a"]
    assert style.percent(0.615, signed=False) == "62 %"
    assert style.padded([1.0, 3.0, math.nan], 0.5) == [0.0, 4.0]
    low, high = style.padded([2.0], 0.5)
    assert low < 2.0 < high
