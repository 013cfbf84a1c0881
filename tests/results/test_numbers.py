"""lrcore.results.numbers: honest number formats."""

from __future__ import annotations

import doctest
import math

from lrcore.results import numbers


def test_percent() -> None:
    assert [numbers.percent(x) for x in (-0.521, 0.05, math.nan)] == ["\N{MINUS SIGN}52 %", "+5 %", "n/a"]
    assert numbers.percent(0.615, signed=False) == "62 %"


def test_shown_as_its_example_says() -> None:
    assert doctest.testmod(numbers) == doctest.TestResults(failed=0, attempted=1)


def test_value_text() -> None:
    assert [numbers.value_text(value) for value in (1.0, "ln", 6.93)] == ["1.00", "ln", "6.93"]
