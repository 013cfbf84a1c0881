"""What one study's numbers say of a published finding, the training seed considered: one rule for all findings.

A finding rests on relative differences between distances, and each of these on two trainings, which differ a little
where nothing but their seed does. So each is compared with `findings.noise_of_difference`, two standard
deviations of the relative difference of two seeds. A finding

- *holds* where every difference that it rests on points its way by more than the noise,
- *does not hold* where one of them points against it by more than the noise,
- is *within noise* else: another seed could turn it round,
- is *not measured* where a difference that it rests on is unknown.

Two deviations: of differences that are nothing but seeds one in twenty passes, where one deviation lets a third pass.
This is no test at a level: a finding that rests on many differences is easier to refute by chance than one that rests
on one. Noise that nobody measured (no setting with two seeds) is NaN, and counts as none.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable

import pandas

from lrcore.errors import unknown

HOLDS, NOISE, FAILS, MISSING = VERDICTS = ("holds", "within noise", "does not hold", "not measured")


def verdict_on(difference: float, noise: float) -> str:
    """The verdict on one relative difference, positive where it points the way of the claim.

    >>> verdict_on(0.2, 0.1), verdict_on(-0.05, 0.1), verdict_on(-0.2, 0.1), verdict_on(math.nan, 0.1)
    ('holds', 'within noise', 'does not hold', 'not measured')
    """
    if math.isnan(difference):
        return MISSING
    if abs(difference) <= known(noise):
        return NOISE
    return HOLDS if difference > 0 else FAILS


def overall(verdicts: Iterable[str]) -> str:
    """The verdict on a claim that needs several things to be so: that of the weakest.

    >>> overall(["holds", "within noise"]), overall(["within noise", "does not hold"]), overall([])
    ('within noise', 'does not hold', 'not measured')
    """
    found = set(verdicts)
    for verdict in found - set(VERDICTS):
        raise unknown("verdict", verdict, VERDICTS)
    return next((verdict for verdict in (MISSING, FAILS, NOISE) if verdict in found), HOLDS if found else MISSING)


def verdict_on_choices(choices: Iterable[list[float]], is_so: Callable[[tuple[float, ...]], bool]) -> str:
    """The verdict on a statement about best values, each of which is any one of several that noise does not tell apart.

    It holds where `is_so` is true of every choice, and does not hold where it is of none.

    >>> grows = lambda values: values[1] > values[0]
    >>> [verdict_on_choices(choices, grows) for choices in ([[1], [2, 3]], [[1, 2], [2]], [[2], [1, 2]])]
    ['holds', 'within noise', 'does not hold']
    """
    answers = {is_so(values) for values in itertools.product(*choices)}
    if answers == {True}:
        return HOLDS
    return FAILS if answers == {False} else NOISE


def lead(first: float, second: float) -> float:
    """By how much the worse of two distances is worse, relative to the better one; negative where the first is worse.

    >>> lead(10, 15), lead(15, 10)
    (0.5, -0.5)
    """
    better, worse = sorted((first, second))
    return (worse / better - 1) * (1 if first <= second else -1)


def within(differences: pandas.Series, noise: float) -> pandas.Series:
    """Which relative differences, from 0 upwards, the noise may have made."""
    return differences <= known(noise)


def known(noise: float) -> float:
    """The noise, or 0 where it is NaN: not known."""
    return 0.0 if math.isnan(noise) else noise
