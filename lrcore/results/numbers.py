"""Numbers as a reader wants them: one rule for digits, and a real minus."""

from __future__ import annotations

import math

_MINUS = "\N{MINUS SIGN}"
_SMALL = 1e-3
"""Below this a number is written with its power of ten."""
_MOST_PRINTED = 4
"""Decimals that published tables have at most."""


def percent(share: float, signed: bool = True) -> str:
    """A share as text: -0.521 is '−52 %', 0.05 is '+5 %', NaN is 'n/a'; unsigned for spreads."""
    if math.isnan(share):
        return "n/a"
    return _with_minus(f"{100 * share:+.0f} %" if signed else f"{100 * share:.0f} %")


def shown(value: float) -> str:
    """A measured number whose error is not known: three significant digits and no more than two decimals.

    Below 0.1, where two decimals would leave less, two significant digits; whole numbers above a thousand; '–' for NaN.

    >>> [shown(x) for x in (1.783, 0.4286, 72.561, 0.00571, -25.0, 123456.7, 0.00012, float("nan"))]
    ['1.78', '0.43', '72.6', '0.0057', '−25', '123,457', '1.2e−4', '–']
    """
    if math.isnan(value):
        return "–"
    if not math.isfinite(value) or value == 0:
        return _with_minus(f"{value + 0.0:g}")  # + 0.0: no minus before a zero
    if abs(value) >= 1000:
        return _with_minus(f"{value:,.0f}")
    digits = 3 if abs(value) >= 1 else 2
    return _with_minus(_plain(value, digits - 1 - _magnitude(value), trailing_zeros=False))


def with_error(value: float, error: float) -> str:
    """A mean and its standard error, to one digit of the error (two where that is a 1); the mean alone without error.

    >>> with_error(25.052, 0.0673), with_error(0.001026, 0.0000063), with_error(0.6451, float("nan"))
    ('25.05 ± 0.07', '1.026e−3 ± 0.006e−3', '0.65')
    """
    if math.isnan(value) or math.isnan(error) or error <= 0:
        return shown(value)
    leading = int(f"{error:.0e}"[0])
    decimals = (1 if leading == 1 else 0) - int(f"{error:.0e}".partition("e")[2])
    if 0 < abs(value) < 10 * _SMALL and error < _SMALL:
        power = _magnitude(value)
        both = (f"{part / 10.0**power:.{max(0, decimals + power)}f}e{power}" for part in (value, error))
    else:
        both = (_plain(part, max(0, decimals), trailing_zeros=True) for part in (value, error))
    return _with_minus(" ± ".join(both))


def as_printed(value: float, error: float = math.nan) -> str:
    """A published number with the digits that its source prints, as stored; an error gets as many decimals.

    What was read from the data behind a chart has more digits than anybody prints: two decimals are left.

    >>> as_printed(7.27), as_printed(25.5, 0.05), as_printed(3.103955), as_printed(float("nan"))
    ('7.27', '25.50 ± 0.05', '3.10', '–')
    """
    if math.isnan(value):
        return "–"
    if math.isnan(error):
        return _with_minus(_shortest(value))
    decimals = max(len(_shortest(part).partition(".")[2]) for part in (value, error))
    return _with_minus(f"{value:.{decimals}f} ± {error:.{decimals}f}")


def value_text(value: object) -> str:
    """A parameter's value as the site writes it: shifts with two decimals, names as they are."""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _magnitude(value: float) -> int:
    """The power of ten of the first digit, once rounded to three digits."""
    return int(f"{value:.2e}".partition("e")[2])


def _plain(value: float, decimals: int, trailing_zeros: bool) -> str:
    """With so many decimals, or the power of ten where the number is small."""
    if abs(value) < _SMALL and not trailing_zeros:
        mantissa, _, power = f"{value:.1e}".partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(power)}"
    text = f"{value:.{max(0, decimals)}f}"
    return text if trailing_zeros or "." not in text else text.rstrip("0").rstrip(".")


def _shortest(value: float) -> str:
    text = f"{value:.0f}" if value == int(value) else repr(float(value))
    return text if len(text.partition(".")[2]) <= _MOST_PRINTED else f"{value:.2f}"


def _with_minus(text: str) -> str:
    return text.replace("-", _MINUS)
