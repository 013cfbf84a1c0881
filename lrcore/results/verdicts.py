"""What one study's numbers say of a published finding, the training seed considered: one rule for all findings.

A finding rests on relative differences between distances, and each of these on trainings, which differ a little where
nothing but their seed does. So each is compared with `seed_noise.noise_of_difference`. A finding

- *holds* where every difference that it rests on points its way by more than the noise,
- *does not hold* where one of them points against it by more than the noise,
- is *within noise* else: another seed could turn it round,
- *points the same way* or *the other way* where nothing was trained with two seeds, so that the sign alone is known,
- is *confounded* where a transformer narrower than its tokens, or a feature network that an autoencoder is made of,
  stands in the way,
- is *incomplete* where some of what it rests on has no rows,
- has *no rows yet* where nothing has.

This is no test at a level: a finding that rests on many differences is easier to refute by chance than one that rests
on one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable

import pandas

from lrcore.errors import unknown

HOLDS, SAME_WAY, NOISE, OTHER_WAY, FAILS, CONFOUNDED, INCOMPLETE, MISSING = VERDICTS = (
    "holds", "points the same way", "within noise", "points the other way", "does not hold", "confounded", "incomplete",
    "no rows yet",
)  # fmt: skip

_WEAKEST_FIRST = (MISSING, INCOMPLETE, CONFOUNDED, FAILS, OTHER_WAY, NOISE, SAME_WAY, HOLDS)


def verdict_on(difference: float, noise: float) -> str:
    """The verdict on one relative difference, positive where it points the way of the claim.

    Both are compared as logarithms: half and double are equally far from one another.

    >>> verdict_on(0.2, 0.1), verdict_on(-0.05, 0.1), verdict_on(-0.2, 0.1), verdict_on(math.nan, 0.1)
    ('holds', 'within noise', 'does not hold', 'no rows yet')
    >>> verdict_on(0.2, math.nan), verdict_on(-0.2, math.nan), verdict_on(0.2, math.inf)
    ('points the same way', 'points the other way', 'within noise')
    """
    if math.isnan(difference):
        return MISSING
    if difference == 0 or abs(_log(difference)) <= _log(known(noise)):
        return NOISE
    return _of_sign(difference > 0, noise)


def _log(difference: float) -> float:
    """log(1 + difference); minus infinity where nothing, or less, is left, as of unbiased distances."""
    return math.log1p(difference) if difference > -1 else -math.inf


def _of_sign(agrees: bool, noise: float) -> str:
    if math.isnan(noise):
        return SAME_WAY if agrees else OTHER_WAY
    return HOLDS if agrees else FAILS


def overall(verdicts: Iterable[str]) -> str:
    """The verdict on a claim that needs several things to be so: that of the weakest.

    >>> overall(["holds", "within noise"]), overall(["within noise", "does not hold"]), overall([])
    ('within noise', 'does not hold', 'no rows yet')
    >>> overall(["holds", "no rows yet"])
    'incomplete'
    """
    found = set(verdicts)
    for verdict in found - set(VERDICTS):
        raise unknown("verdict", verdict, VERDICTS)
    if MISSING in found and len(found) > 1:
        return INCOMPLETE
    return next((verdict for verdict in _WEAKEST_FIRST if verdict in found), MISSING)


_MOST_CHOICES = 100_000


def verdict_on_choices(
    choices: Iterable[list[float]], is_so: Callable[[tuple[float, ...]], bool], noise: float = 0.0
) -> str:
    """The verdict on a statement about best values, each of which is any one of several that noise does not tell apart.

    It holds where `is_so` is true of every choice, and does not hold where it is of none; with NaN for `noise`, it
    points that way.

    >>> grows = lambda values: values[1] > values[0]
    >>> [verdict_on_choices(choices, grows) for choices in ([[1], [2, 3]], [[1, 2], [2]], [[2], [1, 2]])]
    ['holds', 'within noise', 'does not hold']
    """
    lists = list(choices)
    if math.prod(map(len, lists)) > _MOST_CHOICES:
        return NOISE  # so many that noise does not tell apart: nothing is known
    answers = {is_so(values) for values in itertools.product(*lists)}
    return _of_sign(answers == {True}, noise) if len(answers) == 1 else NOISE


def lead(first: float, second: float) -> float:
    """By how much the worse of two distances is worse, relative to the better one; negative where the first is worse.

    Infinite where the better one is 0 or less, as an unbiased distance may be, and the worse one is not; of two such
    there is no lead.

    >>> lead(10, 15), lead(15, 10)
    (0.5, -0.5)
    """
    better, worse = sorted((first, second))
    if better <= 0:
        return 0.0 if worse <= 0 else math.copysign(math.inf, second - first)
    return (worse / better - 1) * (1 if first <= second else -1)


def verdict_on_lead(ahead: float, noise: float) -> str:
    """`verdict_on` of a `lead`, whose sign says who is ahead and whose size is relative to the better one.

    >>> verdict_on_lead(0.5, 0.4), verdict_on_lead(-0.5, 0.4)
    ('holds', 'does not hold')
    """
    found = verdict_on(abs(ahead), noise)
    return found if ahead > 0 or found in (NOISE, MISSING) else _of_sign(False, noise)


def within(differences: pandas.Series, noise: float) -> pandas.Series:
    """Which relative differences, from 0 upwards, the noise may have made."""
    return differences <= known(noise)


def known(noise: float) -> float:
    """The noise, or 0 where it is NaN: not known."""
    return 0.0 if math.isnan(noise) else noise
