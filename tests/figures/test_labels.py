"""lrcore.figures.labels: names that lie on nothing."""

from __future__ import annotations

import itertools

import plotly.graph_objects as go
import pytest
from drawn import overlapping

from lrcore.figures.labels import INSIDE, PLOTS, Name, apart, box, name_lines, places, spread


def test_places_of_points_that_are_near_one_another() -> None:
    for near in ((0.5, 0.52), (0.5, 0.5)):
        names = [Name(0.5, y, ["FLUX.2", "FID -52 %"], 14) for y in near] + [Name(0.9, 0.5, ["RAE"], 14)]
        chosen = places(names)
        for plot in PLOTS:
            assert not overlapping([box(*pair, plot) for pair in zip(names, chosen, strict=True)])


def test_places_are_off_lines_and_inside_the_plot() -> None:
    assert places([Name(0.5, 0.5, ["SD"], 14)]) == ["top center"]
    assert places([Name(0.5, 0.5, ["SD"], 14)], [(0.5, 0.5, 0.5, 1.0)]) == ["bottom center"]
    assert places([Name(0.5, 1.0, ["SD"], 14)]) == ["bottom center"]
    assert places([Name(0.0, 0.5, ["a long name of one"], 14)]) == ["middle right"]
    assert places([Name(0.5, 0.5, ["SD"], 70)]) == [INSIDE]
    assert places([]) == []


@pytest.mark.parametrize(
    ("at", "moved"),
    [
        ([], []),
        ([5.0], [5.0]),
        ([0.0, 20.0], [0.0, 20.0]),
        ([0.0, 0.0], [-5.0, 5.0]),
        ([3.0, 0.0], [6.5, -3.5]),
        ([0.0, 5.0, 40.0], [-2.5, 7.5, 40.0]),
        ([0.0, 9.0, 18.0], [-1.0, 9.0, 19.0]),
    ],
)
def test_spread(at: list[float], moved: list[float]) -> None:
    assert spread(at, 10.0) == pytest.approx(moved)


def test_lines_are_named_at_their_ends() -> None:
    figure = go.Figure(layout={"height": 400, "margin": {"t": 20, "b": 80}, "yaxis": {"range": [0, 3], "type": "log"}})
    name_lines(figure, [("SD", "#000", 1.0, 10.0), ("FLUX.2", "#111", 1.0, 11.0), ("RAE", "#222", 1.0, 1000.0)])
    notes = figure.layout.annotations
    assert (notes[0].text, notes[0].font.color, notes[0].y) == ("<b>SD</b>", "#000", 1.0)
    heights = sorted(100 * note.y + note.yshift for note in notes)
    assert min(b - a for a, b in itertools.pairwise(heights)) >= 14.99 and notes[2].yshift == 0
    assert figure.layout.margin.r > 40 and not figure.layout.showlegend


def test_what_has_no_room_is_said() -> None:
    few = [Name(0.1 + 0.4 * number, 0.5, ["SD"], 14) for number in range(3)]
    assert apart(few, places(few))
    crowd = [Name(0.5, 0.5, ["FLUX.2 unaligned", "1,024 numbers"], 70) for _ in range(6)]
    assert not apart(crowd, places(crowd))
