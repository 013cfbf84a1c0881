"""lrcore.figures.labels: names that lie on nothing."""

from __future__ import annotations

import itertools

import plotly.graph_objects as go
import pytest
from drawn import covered, overlapping

from lrcore.figures import labels
from lrcore.figures.labels import INSIDE, PLOTS, Name, apart, box, name_lines, name_points, places, spread


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
    figure = lines_figure()
    name_lines(figure, [("SD", "#000", 0.9, 10.0), ("FLUX.2", "#111", 0.8, 11.0), ("RAE", "#222", 1.0, 1000.0)])
    notes = figure.layout.annotations
    assert (notes[0].text, notes[0].arrowcolor, notes[0].x, notes[0].y) == ("<b>SD</b>", "#000", 0.9, 1.0)
    assert all(note.font.color is None for note in notes)  # the theme's
    heights = sorted(100 * note.ay for note in notes)
    assert min(b - a for a, b in itertools.pairwise(heights)) >= 14.99 and notes[2].ay == notes[2].y == 3
    assert {note.ax > 1 for note in notes} == {True}
    assert figure.layout.margin.r > 40 and not figure.layout.showlegend


@pytest.mark.parametrize("y", [1.0, 30.0, 1000.0], ids=["at the bottom", "between", "at the top"])
def test_names_of_lines_that_end_at_one_height_are_apart_and_inside_the_figure(y: float) -> None:
    figure = lines_figure()
    name_lines(figure, [(f"line {number}", "#000", 1.0, y) for number in range(6)])
    heights = [100 * note.ay for note in figure.layout.annotations]
    assert min(b - a for a, b in itertools.pairwise(sorted(heights))) >= 14.99
    assert min(heights) >= 7.5 - 80 and max(heights) <= 300 + 20 - 7.5
    assert heights == sorted(heights)  # equal ones stay in their order


def lines_figure() -> go.Figure:
    """Of 300 pixels between its margins, for the values 1 to 1000."""
    axes = {"xaxis": {"range": [0, 1]}, "yaxis": {"range": [0, 3], "type": "log"}}
    return go.Figure(layout={"height": 400, "margin": {"t": 20, "b": 80}, **axes})


@pytest.mark.parametrize(
    ("at", "moved"),
    [
        ([0.0, 0.0], [0.0, 10.0]),
        ([100.0, 100.0], [90.0, 100.0]),
        ([0.0, 0.0, 12.0], [0.0, 10.0, 20.0]),
        ([50.0], [50.0]),
        ([-5.0, 200.0], [0.0, 100.0]),
    ],
)
def test_spread_between_ends(at: list[float], moved: list[float]) -> None:
    assert spread(at, 10.0, 0.0, 100.0) == pytest.approx(moved)


def test_names_of_points_stand_where_they_were_put() -> None:
    figure = go.Figure(layout={"xaxis": {"range": [0, 2]}, "yaxis": {"range": [0, 3], "type": "log"}})
    places_of = ["top center", "middle left", "bottom right"]
    name_points(figure, [Name(0.5, 0.5, ["SD", "FID -52 %"], 14)] * 3, places_of)
    notes = figure.layout.annotations
    assert {(note.x, note.y, note.text) for note in notes} == {(1.0, 1.5, "<b>SD</b><br>FID -52 %")}
    for note, place in zip(notes, places_of, strict=True):
        for plot in PLOTS:
            assert covered(note, 0.5, 0.5, plot) == pytest.approx(
                box(Name(0.5, 0.5, ["SD", "FID -52 %"], 14), place, plot)
            )


def test_what_has_no_room_is_said() -> None:
    few = [Name(0.1 + 0.4 * number, 0.5, ["SD"], 14) for number in range(3)]
    assert apart(few, places(few))
    crowd = [Name(0.5, 0.5, ["FLUX.2 unaligned", "1,024 numbers"], 70) for _ in range(6)]
    assert not apart(crowd, places(crowd))


def test_names_without_room_are_left_out() -> None:
    marks = [Name(0.5, 0.5, ["first"], 10), Name(0.51, 0.5, ["second"], 10)]
    first, second = labels.roomy(marks, marks)
    assert first == "middle left" and second == "middle right"
    assert labels.roomy([Name(0.5, 0.5, ["long" * 40], 10)], marks) == [""]
    crowd = [Name(x / 20, y / 20, ["crowded"], 12) for x in range(21) for y in range(21)]
    assert set(labels.roomy(crowd[:50], crowd)) == {""}
