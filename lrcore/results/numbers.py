"""Numbers as a reader wants them: one rule for digits, and a real minus."""

from __future__ import annotations

import math
from collections.abc import Iterable

_MINUS = "\N{MINUS SIGN}"
_SMALL = 1e-3
"""Below this a number is written with its power of ten."""
_LARGE = 1e15
"""And from here on."""
_ROUNDING = 1e-9
"""An error that is a smaller share of its mean comes from rounding."""
_MOST_PRINTED = 4
"""Decimals that published tables have at most."""


def percent(share: float, signed: bool = True) -> str:
    """A share as text: -0.521 is '−52 %', 0.05 is '+5 %', NaN is 'n/a'; unsigned for spreads."""
    if math.isnan(share):
        return "n/a"
    return _with_minus(f"{_rounded(100 * share, 0):{'+' if signed else ''}.0f} %")


def small_percent(share: float) -> str:
    """A share with two digits, for noise and recall, which are often below one percent.

    >>> [small_percent(share) for share in (0.0093, 0.065, 0.218, 1.234)]
    ['0.93 %', '6.5 %', '22 %', '120 %']
    """
    return f"{float(f'{100 * share:.2g}'):g} %"


def part(count: int, of: int, noun: str, plural: str = "") -> str:
    """So many of so many, as a sentence has it.

    >>> [part(*some, "group") for some in ((0, 3), (1, 3), (2, 2), (3, 3), (1, 1), (0, 1))]
    ['none of 3 groups', '1 of 3 groups', 'both groups', 'all 3 groups', 'the one group', 'none of 1 group']
    """
    many = plural or f"{noun}s"
    if count == of:
        return f"the one {noun}" if of == 1 else f"both {many}" if of == 2 else f"all {of:,} {many}"
    return f"{f'{count:,}' if count else 'none'} of {of:,} {noun if of == 1 else many}"


def aligned(value: float) -> str:
    """`shown` for columns and lists of numbers of one kind: zeros at the end stay, so that all have as many digits.

    >>> [aligned(x) for x in (33.0, 32.7, 0.08, 0.095, 1.0, 6.93, 118.4, 0.0)]
    ['33.0', '32.7', '0.080', '0.095', '1.00', '6.93', '118', '0']
    """
    if not math.isfinite(value) or value == 0 or not _SMALL <= abs(value) < _LARGE:
        return shown(value)
    return _three_digits(value)


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
    if not _SMALL <= abs(value) < _LARGE:
        return _with_power(value, f"{value:.1e}")
    return _without_zeros(_three_digits(value))


def with_error(value: float, error: float) -> str:
    """A mean and its standard error, to one digit of the error (two where that is a 1).

    The mean alone where the error is not known: NaN, infinite, or no more than rounding makes of equal values.

    >>> with_error(25.052, 0.0673), with_error(0.001026, 0.0000063), with_error(5.1, float("nan"))
    ('25.05 ± 0.07', '(1.026 ± 0.006)e−3', '5.10')
    """
    if not _has_error(value, error):
        return aligned(value)
    largest = max(abs(value), error)
    return _at_scale(value, error, _magnitude(largest) if largest < 10 * _SMALL else 0)


def with_errors(values: Iterable[float], errors: Iterable[float]) -> list[str]:
    """`with_error` of a column: all in decimals, or, where all are small, all with the power of ten of the largest.

    >>> with_errors([0.1571, 0.00041], [0.0009, 0.000003]), with_errors([0.0041, 0.00041], [0.0001, 0.00003])
    (['0.1571 ± 0.0009', '0.000410 ± 0.000003'], ['(4.10 ± 0.10)e−3', '(0.41 ± 0.03)e−3'])
    """
    pairs = list(zip(values, errors, strict=True))
    known = [max(abs(value), error) for value, error in pairs if _has_error(value, error)]
    scale = _magnitude(max(known)) if known and max(known) < 10 * _SMALL else 0
    return [_at_scale(*pair, scale) if _has_error(*pair) else aligned(pair[0]) for pair in pairs]


def span(low: float, high: float) -> str:
    """A range, both ends with the decimals of the upper one, or more where the lower one would be 0.

    >>> span(0.96, 1.052), span(0.9996, 1.0004), span(0.0042, 1.05)
    ('0.96 – 1.05', '1.00 – 1.00', '0.004 – 1.050')
    """
    if not (math.isfinite(low) and math.isfinite(high)) or max(abs(low), abs(high)) >= _LARGE:
        return f"{aligned(low)} – {aligned(high)}"
    decimals = len(_three_digits(high).partition(".")[2])
    if low:
        decimals = max(decimals, -_magnitude(low))
    return _with_minus(" – ".join(f"{_rounded(end, decimals):,.{decimals}f}" for end in (low, high)))


def _has_error(value: float, error: float) -> bool:
    return math.isfinite(value) and math.isfinite(error) and error > _ROUNDING * abs(value)


def _at_scale(value: float, error: float, scale: int) -> str:
    """Both in units of 10^scale, to one digit of the error (two where that is a 1)."""
    leading, _, power = f"{error:.0e}".partition("e")
    decimals = (1 if leading == "1" else 0) - int(power)
    if scale:
        both = (
            f"{_rounded(part / 10.0**scale, decimals + scale):.{max(0, decimals + scale)}f}" for part in (value, error)
        )
        return _with_minus(f"({' ± '.join(both)})e{scale}")
    both = (f"{_rounded(part, decimals):,.{max(0, decimals)}f}" for part in (value, error))
    return _with_minus(" ± ".join(both))


def as_printed(value: float, error: float = math.nan) -> str:
    """A published number with the digits that its source prints, as stored; an error gets as many decimals.

    What was read from the data behind a chart has more digits than anybody prints: two decimals are left.

    >>> as_printed(7.27), as_printed(25.5, 0.05), as_printed(3.103955), as_printed(float("nan"))
    ('7.27', '25.50 ± 0.05', '3.10', '–')
    """
    if math.isnan(value):
        return "–"
    both = [value] if math.isnan(error) else [value, error]
    if all(math.isfinite(part) and (part == 0 or abs(part) >= _SMALL) for part in both):
        texts = [_shortest(part) for part in both]
        decimals = max(len(text.partition(".")[2]) for text in texts)
        return _with_minus(" ± ".join(f"{part + 0.0:.{decimals}f}" for part in both))
    return " ± ".join(_with_power(part, f"{part!r}" if "e" in repr(part) else f"{part:e}") if math.isfinite(part)
                      and part else shown(part) for part in both)  # fmt: skip


def value_text(value: object) -> str:
    """A parameter's value as the site writes it: shifts with two decimals, names as they are."""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _three_digits(value: float) -> str:
    """A finite number with its digits and the zeros at their end, see `shown`."""
    digits = 3 if abs(float(f"{value:.2g}")) >= 1 else 2  # 0.999 is 1.00 as 1.001 is
    rounded = value if abs(value) >= 1000 else float(f"{value:.{digits}g}")
    if abs(rounded) >= 1000:
        return _with_minus(f"{rounded:,.0f}")
    return _with_minus(f"{rounded:.{max(0, digits - 1 - _magnitude(rounded))}f}")


def _magnitude(value: float) -> int:
    """The power of ten of the first digit, once rounded to three digits."""
    return int(f"{value:.2e}".partition("e")[2])


def _rounded(value: float, decimals: int) -> float:
    """To so many decimals, to tens and hundreds where they are negative; a zero has no sign."""
    return round(value, decimals) + 0.0 if math.isfinite(value) else value


def _with_power(value: float, text: str) -> str:
    """Text such as '1.20e-04' without what says nothing: '1.2e−4'; zero is 0."""
    mantissa, _, power = text.partition("e")
    return _with_minus(f"{_without_zeros(mantissa)}e{int(power)}") if value else "0"


def _without_zeros(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def _shortest(value: float) -> str:
    text = f"{value:.0f}" if value == int(value) else repr(float(value))
    charted = abs(value) >= 0.1 and len(text.partition(".")[2]) > _MOST_PRINTED
    return f"{value:.2f}" if charted else text


def _with_minus(text: str) -> str:
    return text.replace("-", _MINUS)


def factor(ratio: float) -> str:
    """A ratio as a reader says it: '1.4', '11'."""
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"
