"""Numbers as a reader wants them."""

from __future__ import annotations

import math


def percent(share: float, signed: bool = True) -> str:
    """A share as text: -0.521 is '−52 %', 0.05 is '+5 %', NaN is 'n/a'; unsigned for spreads."""
    if math.isnan(share):
        return "n/a"
    text = f"{100 * share:+.0f} %" if signed else f"{100 * share:.0f} %"
    return text.replace("-", "\N{MINUS SIGN}")


def shown(value: float) -> str:
    """A measured number as a reader wants it: four significant digits, whole numbers above a thousand, '–' for NaN.

    >>> [shown(x) for x in (1.78, 3.103955, 0.00571, 25.0, 123456.7, float("nan"))]
    ['1.78', '3.104', '0.00571', '25', '123,457', '–']
    """
    if math.isnan(value):
        return "–"
    if math.isfinite(value) and abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value + 0.0:.4g}"  # + 0.0: no minus before a zero


def value_text(value: object) -> str:
    """A parameter's value as the site writes it: shifts with two decimals, names as they are."""
    return f"{value:.2f}" if isinstance(value, float) else str(value)
