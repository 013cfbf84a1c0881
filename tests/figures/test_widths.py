"""lrcore.figures.widths: lines, marks and words against the rows."""

from __future__ import annotations

import math

import pytest
from figure_rows import generation_rows, study

from lrcore.errors import LrcoreError
from lrcore.figures import widths
from tests.results.test_widths import with_widths

DISTANCES = {("rae", 64, "none"): 140, ("rae", 96, "none"): 120, ("rae", 64, "linear"): 100, ("sd", 64, "none"): 104}


def test_lines_are_widths_and_stars_have_a_skip() -> None:
    shown = widths.distance_over_width(with_widths(DISTANCES)).choices["distance"]
    lines = {trace.name: trace for trace in shown.figure.data if trace.name and trace.x[0] is not None}
    assert lines["RAE"].x == (64, 96, 128) and lines["SD"].x == (64, 128)
    assert list(lines["RAE"].y) == pytest.approx([140 * 1.0005, 120 * 1.0005, 100])
    star = lines["RAE with a linear skip"]
    assert star.x == (64,) and star.y[0] == pytest.approx(100 * 1.0005) and star.marker.symbol == "star"
    assert [shape.x0 for shape in shown.figure.layout.shapes] == [112]  # SD's 4 channels lie outside
    assert "112 channels of RAE" in [note.text for note in shown.figure.layout.annotations]
    assert shown.figure.layout.xaxis.type == "log" and list(shown.figure.layout.xaxis.tickvals) == [64, 96, 128]
    low, high = (10**end for end in shown.figure.layout.xaxis.range)
    assert low < 64 and high > 128
    assert shown.words.title == widths.widths_in_words({"toy": with_widths(DISTANCES)}).split(": ", 1)[1].split(". ")[
        0
    ].replace("\\'", "'")
    assert "RAE width 64 with a linear skip 100" in shown.alt
    assert "Narrower than a token: the transformer for RAE (width 64, 112 channels)" in shown.words.notes


def test_views_are_what_there_are_rows_of() -> None:
    both = widths.distance_over_width(with_widths(DISTANCES))
    assert list(both.choices) == ["distance", "share learned"]
    assert both.choices["share learned"].name == "toy-width-share"
    without = with_widths(DISTANCES)
    for rows in (without.widths, without.confirmed):
        rows["gaussian_kid"] = math.nan
    assert list(widths.distance_over_width(without).choices) == ["distance"]


def test_a_study_of_one_width_has_none() -> None:
    one = study(generation_rows())
    assert not widths.has_widths(one) and widths.widths_in_words({"toy": one}) == ""
    with pytest.raises(LrcoreError, match="study toy has no transformers of several widths"):
        widths.distance_over_width(one)
