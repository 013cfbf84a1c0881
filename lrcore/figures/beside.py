"""Marks of a scatter that would cover one another, side by side: each can be pointed at."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

STEP = (0.04, 0.03)
"""Between two marks, in decades of a logarithmic axis across and up: about 13 and 9 pixels of a wide screen."""

_NEAR = 0.012
"""Decades: marks that are nearer in both directions stand at one place."""

_REACH = 12
"""Half steps that a mark may go from its place in a block, to get off a mark of another block."""

_WAYS = sorted(
    ((across, up) for across in range(-_REACH, _REACH + 1) for up in range(-_REACH, _REACH + 1)),
    key=lambda way: (abs(way[0]) + 2 * abs(way[1]), way),  # rather to the side: what is read there is coarse
)

Point = tuple[float, float]


def side_by_side(x: Iterable[float], y: Iterable[float], order: Sequence[Any]) -> list[Point]:
    """Where to draw the marks at (x, y), both on logarithmic axes, so that none covers another.

    Those of one place stand in a block around it, about twice as wide as high, by `order`, column by column: what is
    alike in `order` stands together. A mark that would meet one of another block gives way. The same marks always
    stand in the same way.
    """
    logs = [(math.log10(a), math.log10(b)) for a, b in zip(x, y, strict=True)]
    drawn: dict[int, Point] = {}
    for members in _places(logs):
        members.sort(key=lambda at: (order[at], at))
        rows = math.ceil(math.sqrt(len(members) / 2))
        columns = math.ceil(len(members) / rows)
        for number, at in enumerate(members):
            column, row = divmod(number, rows)
            across, up = (column - (columns - 1) / 2) * STEP[0], ((rows - 1) / 2 - row) * STEP[1]
            drawn[at] = _free((logs[at][0] + across, logs[at][1] + up), drawn.values())
    return [(10**a, 10**b) for a, b in (drawn[at] for at in range(len(logs)))]


def _free(wanted: Point, taken: Iterable[Point]) -> Point:
    """The place nearest to the wanted one where a mark meets none of those there; the wanted one where all is full."""
    there = list(taken)
    for across, up in _WAYS:
        here = wanted[0] + across * STEP[0] / 2, wanted[1] + up * STEP[1] / 2
        if not any(_within(here, other, (0.98 * STEP[0], 0.98 * STEP[1])) for other in there):
            return here
    return wanted


def _places(logs: Sequence[Point]) -> list[list[int]]:
    """The numbers of the marks of each place, those joined that a chain of near marks joins."""
    found: list[list[int]] = []
    for at, here in enumerate(logs):
        near = [part for part in found if any(_within(here, logs[other], (_NEAR, _NEAR)) for other in part)]
        found = [part for part in found if part not in near] + [[*(one for part in near for one in part), at]]
    return found


def _within(one: Point, other: Point, limits: Point) -> bool:
    return all(abs(a - b) <= limit for a, b, limit in zip(one, other, limits, strict=True))
