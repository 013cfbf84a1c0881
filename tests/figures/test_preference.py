"""lrcore.figures.preference: the published bars."""

import pytest
from figure_rows import published_rows

from lrcore.errors import LrcoreError
from lrcore.figures.preference import preference_bars


def test_a_bar_for_every_task():
    made = preference_bars(published_rows())
    bars = dict(zip(made.figure.data[0].y, made.figure.data[0].x, strict=True))
    assert bars == {"text to image": 66.6, "one reference image": 59.8, "several reference images": 63.6}
    assert "59.8 %" in made.alt
    assert made.figure.layout.shapes[0].x0 == 50


def test_none_is_said():
    with pytest.raises(LrcoreError, match="no published human preference"):
        preference_bars(published_rows().iloc[:3])
