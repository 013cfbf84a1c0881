"""Names in figures beside what they name: none on another, none under a line, at any width of the screen."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

_CHARACTER, _LINE = 6.6, 15.0
"""Width and height in pixels that a letter of a figure's text takes, about."""

PLOTS = ((255.0, 300.0), (680.0, 360.0))
"""Width and height in pixels of the plot on a narrow and on a wide screen, about."""

_PLACES = ("top center", "bottom center", "middle right", "middle left", "top right", "top left", "bottom right",
           "bottom left")  # fmt: skip
"""Of plotly's `textposition`, those preferred first."""

INSIDE = "middle center"
_GAP = 4.0
_SWEEPS = 4
_BESIDE = 8.0
"""Pixels between the end of a line and its name."""

MOST_LINES = 6
"""More lines than this are named by a legend."""


@dataclass(frozen=True)
class Name:
    """A text of several lines at a point (x, y) of the plot, as shares of its width and height from the lower left.

    `size` is the diameter of the point's mark in pixels.
    """

    x: float
    y: float
    lines: Sequence[str]
    size: float


End = tuple[str, str, float, float]
"""A line's name and colour, and x and y of its last point."""

Segment = tuple[float, float, float, float]
"""A line from (x, y) to (x, y), as shares of the plot."""


def places(names: Sequence[Name], segments: Sequence[Segment] = ()) -> list[str]:
    """Where each text goes, as plotly's `textposition`: off the other texts, the marks and the segments.

    A mark that is as wide as its text may hold it.
    """
    chosen = [0] * len(names)
    options = [[INSIDE, *_PLACES] if _fits(name) else list(_PLACES) for name in names]

    def cost(at: int, option: int) -> float:
        place = options[at][option]
        corner = not place.startswith("middle") and not place.endswith("center")
        total = 0.3 * option + (0.05 * names[at].size if corner else 0.0)  # beside a large mark it is less clear whose
        for plot in PLOTS:
            here = box(names[at], place, plot)
            total += 0.05 * _outside(here, plot)
            total += sum(0.02 * 15 for part in segments for x, y in _along(part, plot) if _holds(here, x, y))
            for other, name in enumerate(names):
                if other != at:
                    total += 0.02 * _overlap(here, box(name, options[other][chosen[other]], plot))
                    total += 0.01 * _overlap(here, _mark(name, plot))
        return total

    for _ in range(_SWEEPS):
        for at in range(len(names)):
            chosen[at] = min(range(len(options[at])), key=lambda option: cost(at, option))
    return [options[at][option] for at, option in enumerate(chosen)]


def apart(names: Sequence[Name], chosen: Sequence[str]) -> bool:
    """Whether no text lies on another, or on another's mark, placed so; else a legend has to name the points."""
    for plot in PLOTS:
        boxes = [box(name, place, plot) for name, place in zip(names, chosen, strict=True)]
        marks = [_mark(name, plot) for name in names]
        on_marks = (
            _overlap(boxes[at], mark) for at, _ in enumerate(boxes) for other, mark in enumerate(marks) if at != other
        )
        if any(_overlap(*pair) for pair in itertools.combinations(boxes, 2)) or any(on_marks):
            return False
    return True


def name_lines(figure: go.Figure, ends: Sequence[End]) -> None:
    """Names at the right end of lines, spread so that none lies on another.

    For figures with a height, margins and a range of the y axis (of its logarithm, on such an axis); makes room at the
    right. x and y are in the units of the rows.
    """
    layout = figure.layout
    low, high = layout.yaxis.range
    height = layout.height - layout.margin.t - layout.margin.b
    log_x, log_y = (axis.type == "log" for axis in (layout.xaxis, layout.yaxis))
    places_of = [(math.log10(y) if log_y else y) for *_, y in ends]
    pixels = [height * (place - low) / (high - low) for place in places_of]
    for (name, colour, x, _), place, pixel, free in zip(ends, places_of, pixels, spread(pixels, _LINE), strict=True):
        figure.add_annotation(
            x=math.log10(x) if log_x else x,
            y=place,
            text=f"<b>{name}</b>",
            font={"color": colour, "size": 12},
            showarrow=False,
            xanchor="left",
            xshift=_BESIDE,
            yshift=free - pixel,
        )
    longest = max((len(name) for name, *_ in ends), default=0)
    figure.update_layout(margin_r=math.ceil(_BESIDE + 1.15 * _CHARACTER * longest + 4), showlegend=False)


def spread(places: Sequence[float], gap: float) -> list[float]:
    """The places moved as little as possible so that any two are at least `gap` apart; their order stays."""
    order = sorted(range(len(places)), key=lambda at: places[at])
    groups: list[tuple[float, list[int]]] = []  # the place of the lowest, and who stand in steps of `gap` above it
    for at in order:
        group = (places[at], [at])
        while groups and groups[-1][0] + gap * len(groups[-1][1]) > group[0]:
            members = groups.pop()[1] + group[1]
            start = sum(places[one] - gap * step for step, one in enumerate(members)) / len(members)
            group = (start, members)
        groups.append(group)
    moved = dict(
        itertools.chain.from_iterable(
            ((one, start + gap * step) for step, one in enumerate(members)) for start, members in groups
        )
    )
    return [moved[at] for at in range(len(places))]


Box = tuple[float, float, float, float]
"""Left, bottom, right, top in pixels."""


def _fits(name: Name) -> bool:
    """Whether the text has room in the mark."""
    return name.size >= max(_width(name), 1.5 * _LINE * len(name.lines))


def _width(name: Name) -> float:
    return _CHARACTER * max(map(len, name.lines))


def box(name: Name, place: str, plot: tuple[float, float]) -> Box:
    """What a text covers, about, of a plot of this width and height."""
    width, height = _width(name), _LINE * len(name.lines)
    vertical, horizontal = place.split()
    away = name.size / 2 + _GAP
    diagonal = away * (0.7 if vertical != "middle" and horizontal != "center" else 1.0)
    left = {"left": -diagonal - width, "center": -width / 2, "right": diagonal}[horizontal]
    bottom = {"top": diagonal, "middle": -height / 2, "bottom": -diagonal - height}[vertical]
    x, y = name.x * plot[0] + left, name.y * plot[1] + bottom
    return x, y, x + width, y + height


def _mark(name: Name, plot: tuple[float, float]) -> Box:
    x, y, half = name.x * plot[0], name.y * plot[1], 0.4 * name.size  # the square in a disk, about
    return x - half, y - half, x + half, y + half


def _overlap(one: Box, other: Box) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(wide, 0.0) * max(high, 0.0)


def _outside(box: Box, plot: tuple[float, float]) -> float:
    """By how many pixels a box leaves the plot, all sides together."""
    return max(-box[0], 0.0) + max(-box[1], 0.0) + max(box[2] - plot[0], 0.0) + max(box[3] - plot[1], 0.0)


def _along(segment: Segment, plot: tuple[float, float]) -> list[tuple[float, float]]:
    """Points of a segment, about ten pixels apart."""
    x0, y0, x1, y1 = (value * plot[at % 2] for at, value in enumerate(segment))
    count = max(2, int(math.hypot(x1 - x0, y1 - y0) / 10))
    return [(x0 + (x1 - x0) * step / count, y0 + (y1 - y0) * step / count) for step in range(count + 1)]


def _holds(box: Box, x: float, y: float) -> bool:
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]
