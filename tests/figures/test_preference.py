"""lrcore.figures.preference: the published bars."""

import pytest
from figure_rows import published_rows

from lrcore.errors import LrcoreError
from lrcore.figures.preference import preference_bars, won


def test_a_bar_for_every_task():
    made = preference_bars(published_rows())
    bars = dict(zip(made.figure.data[0].y, made.figure.data[0].x, strict=True))
    assert bars == {"text to image": 66.6, "one reference image": 59.8, "several reference images": 63.6}
    assert "59.8 %" in made.alt
    assert made.figure.layout.shapes[0].x0 == 50


def test_none_is_said():
    with pytest.raises(LrcoreError, match="no published human preference"):
        preference_bars(published_rows().iloc[:3])


@pytest.mark.parametrize(
    ("shares", "many"),
    [([60.0, 50.1], "all 2 tasks"), ([60.0, 50.0], "1 of 2 tasks"), ([40.0], "0 of 1 task"), ([60.0], "1 of 1 task")],
)
def test_the_title_counts_the_tasks_won(shares, many):
    assert won(shares) == f"People preferred FLUX.2 [dev] to open models in {many}"
