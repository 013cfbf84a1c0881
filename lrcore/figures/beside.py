"""Marks of a scatter that would cover one another, side by side: each can be pointed at."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

STEP = (0.04, 0.03)
"""Between two marks, in decades of a logarithmic axis across and up: about 13 and 9 pixels of a wide screen."""

_NEAR = 0.012
"""Decades: marks that are nearer in both directions stand at one place."""


def side_by_side(x: Iterable[float], y: Iterable[float], order: Sequence[Any]) -> list[tuple[float, float]]:
    """Where to draw the marks at (x, y), both on logarithmic axes, so that none covers another of the same place.

    Those of one place stand in a block around it, about twice as wide as high, by `order`, column by column: what is
    alike in `order` stands together. The same marks always give the same block.
    """
    logs = [(math.log10(a), math.log10(b)) for a, b in zip(x, y, strict=True)]
    drawn = list(logs)
    for members in _places(logs):
        members.sort(key=lambda at: (order[at], at))
        rows = math.ceil(math.sqrt(len(members) / 2))
        columns = math.ceil(len(members) / rows)
        for number, at in enumerate(members):
            column, row = divmod(number, rows)
            across, up = (column - (columns - 1) / 2) * STEP[0], ((rows - 1) / 2 - row) * STEP[1]
            drawn[at] = logs[at][0] + across, logs[at][1] + up
    return [(10**a, 10**b) for a, b in drawn]


def _places(logs: Sequence[tuple[float, float]]) -> list[list[int]]:
    """The numbers of the marks of each place, those joined that a chain of near marks joins."""
    found: list[list[int]] = []
    for at, here in enumerate(logs):
        near = [part for part in found if any(_is_near(here, logs[other]) for other in part)]
        found = [part for part in found if part not in near] + [[*(one for part in near for one in part), at]]
    return found


def _is_near(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return all(abs(a - b) <= _NEAR for a, b in zip(one, other, strict=True))
