"""Names in figures beside what they name: none on another, none under a line, at any width of the screen."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
_CORNER = 0.7
"""Along either axis, a text at a corner of its mark is nearer."""
_SWEEPS = 4
_TOUCHING = 20.0
"""More than any place costs on its own."""
_CROSSED = 0.3
_BESIDE, _WIDEST = 0.03, 760.0
"""Names of lines begin this far beside the plot, as a share of its width, which is no more than so many pixels."""

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
    options = [[INSIDE, *_PLACES] if _fits(name) else list(_PLACES) for name in names]

    def cost(chosen: Sequence[int], at: int, option: int, touching: float, crossed: float) -> float:
        place = options[at][option]
        corner = _is_corner(place)
        total = 0.3 * option + (0.05 * names[at].size if corner else 0.0)  # beside a large mark it is less clear whose
        for plot in PLOTS:
            here = box(names[at], place, plot)
            total += 0.05 * _outside(here, plot)
            total += sum(crossed for part in segments for x, y in _along(part, plot) if _holds(here, x, y))
            for other, name in enumerate(names):
                if other != at:
                    on_text = _overlap(here, box(name, options[other][chosen[other]], plot))
                    on_mark = _overlap(here, _mark(name, plot))
                    total += 0.02 * on_text + 0.01 * on_mark + touching * ((on_text > 0) + (on_mark > 0))
        return total

    def settled(touching: float, crossed: float) -> list[str]:
        """Each text in turn goes where it costs least; to touch another text or mark at all costs `touching`, every ten
        pixels of a line under it `crossed`."""
        chosen = [0] * len(names)
        for _ in range(_SWEEPS):
            for at, own in enumerate(options):
                chosen[at] = min(range(len(own)), key=lambda option: cost(chosen, at, option, touching, crossed))
        return [own[option] for own, option in zip(options, chosen, strict=True)]

    found = settled(0.0, _CROSSED)
    if apart(names, found):
        return found
    stricter = settled(_TOUCHING, 4 * _CROSSED)  # a text may have preferred a corner of another to a worse place
    return stricter if apart(names, stricter) else found


BESIDE_MARKS = ("middle right", "middle left", "top center", "bottom center", "top right", "top left", "bottom right",
                "bottom left")  # fmt: skip
"""Of plotly's `textposition`, those that `roomy` tries, in this order."""


def roomy(names: Sequence[Name], marks: Sequence[Name]) -> list[str]:
    """Where each text goes, as plotly's `textposition`; '' for one that has no room.

    The first of `names` choose first. A text has room where it lies in the plot, on no text before it, and on none of
    `marks`, its own among them.
    """
    taken: list[list[Box]] = [[_mark(one, plot) for one in marks] for plot in PLOTS]
    found = []
    for name in names:
        plots = list(zip(PLOTS, taken, strict=True))
        free = [place for place in BESIDE_MARKS if all(_free(name, place, *one) for one in plots)]
        found.append(free[0] if free else "")
        for plot, of in plots if free else []:
            of.append(box(name, free[0], plot))
    return found


def _free(name: Name, place: str, plot: tuple[float, float], taken: Sequence[Box]) -> bool:
    here = box(name, place, plot)
    return not _outside(here, plot) and not any(_overlap(here, other) for other in taken)


def room() -> dict[str, object]:
    """What `roomy` reckons with, for scripts that do the same."""
    return {
        "character": _CHARACTER,
        "line": _LINE,
        "gap": _GAP,
        "corner": _CORNER,
        "plots": PLOTS,
        "places": BESIDE_MARKS,
    }


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
    """Names to the right of the plot, each at the end of a thin line in its colour from where its own line ends.

    No name lies on another or leaves the figure. Names have the colour of text: not every line's colour can be read as
    one. For figures with a height, margins and ranges of both axes (of their logarithms, on such axes); makes room at
    the right. x and y are in the units of the rows.
    """
    layout = figure.layout
    (left, right), (low, high) = layout.xaxis.range, layout.yaxis.range
    height = layout.height - layout.margin.t - layout.margin.b
    log_x, log_y = (axis.type == "log" for axis in (layout.xaxis, layout.yaxis))
    places_of = [(math.log10(y) if log_y else y) for *_, y in ends]
    pixels = [height * (place - low) / (high - low) for place in places_of]
    room = (_LINE / 2 - layout.margin.b, height + layout.margin.t - _LINE / 2)
    for (name, colour, x, _), place, free in zip(ends, places_of, spread(pixels, _LINE, *room), strict=True):
        figure.add_annotation(
            x=math.log10(x) if log_x else x,
            y=place,
            ax=right + _BESIDE * (right - left),
            ay=low + free * (high - low) / height,
            axref="x",
            ayref="y",
            text=f"<b>{name}</b>",
            font_size=12,
            arrowhead=0,
            arrowwidth=1,
            arrowcolor=colour,
            xanchor="left",
        )
    longest = max((len(name) for name, *_ in ends), default=0)
    figure.update_layout(margin_r=math.ceil(_WIDEST * _BESIDE + 1.15 * _CHARACTER * longest + 4), showlegend=False)


def name_points(figure: go.Figure, names: Sequence[Name], chosen: Sequence[str], **more: Any) -> None:
    """The texts, their first lines bold, where `places` has put them; for figures with ranges of both axes.

    `more`: of the annotations.
    """
    (left, right), (low, high) = figure.layout.xaxis.range, figure.layout.yaxis.range
    for name, place in zip(names, chosen, strict=True):
        vertical, horizontal = place.split()
        away = _away(name, place)
        figure.add_annotation(
            x=left + name.x * (right - left),
            y=low + name.y * (high - low),
            text="<br>".join([f"<b>{name.lines[0]}</b>", *name.lines[1:]]),
            font_size=12,
            showarrow=False,
            xanchor={"left": "right", "center": "center", "right": "left"}[horizontal],
            yanchor={"top": "bottom", "middle": "middle", "bottom": "top"}[vertical],
            xshift={"left": -away, "center": 0, "right": away}[horizontal],
            yshift={"top": away, "middle": 0, "bottom": -away}[vertical],
            **more,
        )


def spread(places: Sequence[float], gap: float, low: float = -math.inf, high: float = math.inf) -> list[float]:
    """The places moved as little as possible so that any two are at least `gap` apart; their order stays.

    None is below `low` or above `high`, as long as there is room for all.
    """
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
    for step, one in enumerate(order):  # who stands in the way of those at the edge gives way
        moved[one] = max(moved[one], low + gap * step)
    for step, one in enumerate(reversed(order)):
        moved[one] = min(moved[one], high - gap * step)
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
    away = _away(name, place)
    left = {"left": -away - width, "center": -width / 2, "right": away}[horizontal]
    bottom = {"top": away, "middle": -height / 2, "bottom": -away - height}[vertical]
    x, y = name.x * plot[0] + left, name.y * plot[1] + bottom
    return x, y, x + width, y + height


def _away(name: Name, place: str) -> float:
    """Pixels from the middle of a point to its text, along the axes."""
    return (_CORNER if _is_corner(place) else 1.0) * (name.size / 2 + _GAP)


def _is_corner(place: str) -> bool:
    return not place.startswith("middle") and not place.endswith("center")


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
