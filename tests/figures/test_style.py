"""lrcore.figures.style: ranges of axes."""

from __future__ import annotations

import math

import pytest

from lrcore.figures import style


def test_padded() -> None:
    assert style.padded([1.0, 3.0, math.nan], 0.5) == [0.0, 4.0]
    low, high = style.padded([2.0], 0.5)
    assert low < 2.0 < high


def test_an_axis_of_distances_is_logarithmic_where_all_are_above_0() -> None:
    axis = style.distance_axis([1.0, 100.0, math.nan], 0.1)
    assert (axis["type"], axis["range"]) == ("log", pytest.approx([-0.2, 2.2])) and axis["dtick"] == "D2"
    assert style.distance_axis([1.0, 1e4], 0.1)["dtick"] == 1 and "dtick" not in style.distance_axis([4.0, 8.0], 0.1)
    for least in (0.0, -1.0):
        axis = style.distance_axis([least, 9.0], 0.1)
        assert axis["type"] == "linear" and axis["range"][0] < least and "dtick" not in axis
    assert style.distance_axis([math.nan], 0.1)["type"] == "linear"
