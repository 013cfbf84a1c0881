"""lrcore.results.numbers: honest number formats."""

from __future__ import annotations

import doctest
import math

import pytest

from lrcore.results import numbers


def test_percent() -> None:
    assert [numbers.percent(x) for x in (-0.521, 0.05, math.nan)] == ["\N{MINUS SIGN}52 %", "+5 %", "n/a"]
    assert numbers.percent(0.615, signed=False) == "62 %"


def test_shown_as_its_example_says() -> None:
    assert doctest.testmod(numbers) == doctest.TestResults(failed=0, attempted=8)


def test_digits_at_the_edges_of_the_rule() -> None:
    values = (999.96, 1000.0, 12.34, 0.0999, 0.09996, 0.00099, -0.0, -0.0123, 1e-9)
    texts = ("1,000", "1,000", "12.3", "0.1", "0.1", "9.9e-4", "0", "-0.012", "1e-9")
    assert [numbers.shown(value) for value in values] == [text.replace("-", "\N{MINUS SIGN}") for text in texts]
    pairs = ((3.2, 12.0), (580.3, 14.2), (0.5, 0.012), (0.0953, 0.0096), (-1.2e-3, 2e-4), (1.0, 0.0), (math.nan, 1.0))
    assert [numbers.with_error(*pair) for pair in pairs] == [
        *("3 ± 12", "580 ± 14", "0.500 ± 0.012", "0.095 ± 0.010"),
        *("(\N{MINUS SIGN}1.2 ± 0.2)e\N{MINUS SIGN}3", "1.00", "–"),
    ]


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.0, math.inf, "1.00"),
        (0.6, 1e-17, "0.60"),
        (1e-9, 9e-4, "(0 ± 9)e-4"),
        (6e-5, 5e-4, "(1 ± 5)e-4"),
        (-0.001, 0.3, "0.0 ± 0.3"),
        (1234567.0, 1234.0, "1,234,600 ± 1,200"),
        (0.0, 0.003, "(0 ± 3)e-3"),
        (math.inf, 1.0, "inf"),
    ],
)
def test_errors_larger_than_their_mean_or_than_sense(value: float, error: float, text: str) -> None:
    assert numbers.with_error(value, error) in (text.replace("-", "\N{MINUS SIGN}"), text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (1.5e-7, "1.5e-7"),
        (0.00012345, "1.2345e-4"),
        (1e-5, "1e-5"),
        (-0.0, "0"),
        (0.012345, "0.012345"),
        (-7.5, "-7.5"),
        (2445.0, "2445"),
    ],
)
def test_published_numbers_keep_their_digits(value: float, text: str) -> None:
    assert numbers.as_printed(value) == text.replace("-", "\N{MINUS SIGN}")


def test_a_zero_has_no_sign() -> None:
    assert [numbers.percent(-0.001), numbers.shown(-0.0)] == ["+0 %", "0"] and numbers.shown(1e308) == "1e308"
    assert numbers.as_printed(1e-7, 1e-8) == "1e\N{MINUS SIGN}7 ± 1e\N{MINUS SIGN}8"


def test_value_text() -> None:
    assert [numbers.value_text(value) for value in (1.0, "ln", 6.93)] == ["1.00", "ln", "6.93"]
