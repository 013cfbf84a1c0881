"""lrcore.figures.style: ranges of axes."""

from __future__ import annotations

import math

from lrcore.figures import style


def test_padded() -> None:
    assert style.padded([1.0, 3.0, math.nan], 0.5) == [0.0, 4.0]
    low, high = style.padded([2.0], 0.5)
    assert low < 2.0 < high
