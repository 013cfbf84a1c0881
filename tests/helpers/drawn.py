"""What tests ask of names in figures."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from lrcore.figures.labels import Box


def overlapping(boxes: Sequence[Box]) -> list[tuple[Box, Box]]:
    """The pairs of boxes that lie on one another."""
    return [
        (one, other)
        for one, other in itertools.combinations(boxes, 2)
        if one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
    ]
