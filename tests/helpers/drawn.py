"""What tests ask of names in figures."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import plotly.graph_objects as go

from lrcore.figures.labels import Box


def overlapping(boxes: Sequence[Box]) -> list[tuple[Box, Box]]:
    """The pairs of boxes that lie on one another."""
    return [
        (one, other)
        for one, other in itertools.combinations(boxes, 2)
        if one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
    ]


def covered(note: go.layout.Annotation, x: float, y: float, plot: tuple[float, float]) -> Box:
    """What a text beside a point covers, about: the point at shares (x, y) of a plot of this width and height."""
    lines = note.text.replace("<b>", "").replace("</b>", "").split("<br>")
    width, height = 6.6 * max(map(len, lines)), 15.0 * len(lines)
    left = x * plot[0] + note.xshift - {"left": 0, "center": width / 2, "right": width}[note.xanchor]
    bottom = y * plot[1] + note.yshift - {"bottom": 0, "middle": height / 2, "top": height}[note.yanchor]
    return left, bottom, left + width, bottom + height
