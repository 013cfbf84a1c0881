"""lrcore.results.numbers: honest number formats."""

from __future__ import annotations

import doctest
import math

from lrcore.results import numbers


def test_percent() -> None:
    assert [numbers.percent(x) for x in (-0.521, 0.05, math.nan)] == ["\N{MINUS SIGN}52 %", "+5 %", "n/a"]
    assert numbers.percent(0.615, signed=False) == "62 %"


def test_shown_as_its_example_says() -> None:
    assert doctest.testmod(numbers) == doctest.TestResults(failed=0, attempted=3)


def test_digits_at_the_edges_of_the_rule() -> None:
    values = (999.96, 1000.0, 12.34, 0.0999, 0.09996, 0.00099, -0.0, -0.0123, 1e-9)
    assert [numbers.shown(value) for value in values] == [
        *("1000", "1,000", "12.3", "0.1", "0.1", "9.9e\N{MINUS SIGN}4", "0", "\N{MINUS SIGN}0.012", "1e\N{MINUS SIGN}9")
    ]
    pairs = ((3.2, 12.0), (580.3, 14.2), (0.5, 0.012), (0.0953, 0.0096), (-1.2e-3, 2e-4), (1.0, 0.0), (math.nan, 1.0))
    assert [numbers.with_error(*pair) for pair in pairs] == [
        *("3 ± 12", "580 ± 14", "0.500 ± 0.012", "0.095 ± 0.010"),
        *("\N{MINUS SIGN}1.2e\N{MINUS SIGN}3 ± 0.2e\N{MINUS SIGN}3", "1", "–"),
    ]


def test_value_text() -> None:
    assert [numbers.value_text(value) for value in (1.0, "ln", 6.93)] == ["1.00", "ln", "6.93"]
