"""How far two means over a few trainings each may be apart by chance, where each has a variance of its own.

Welch 1947, "The generalization of 'Student's' problem when several different population variances are involved".
"""

from __future__ import annotations

import math
from collections.abc import Iterable

CONFIDENCE = 0.95


def reach(means: Iterable[tuple[float, float]]) -> float:
    """Half of the interval of `CONFIDENCE` for a difference, from the standard error and degrees of freedom of each.

    Infinite where an error is not known; 0 where there is none.

    >>> f"{reach([(0.03, 2), (0.03, 2)]):.3f}", f"{reach([(0.03, 2), (0.0, 2)]):.3f}", reach([(math.nan, 0), (0.1, 2)])
    ('0.118', '0.129', inf)
    """
    parts = [(error**2, freedom) for error, freedom in means]
    variance = sum(part for part, _ in parts)
    if math.isnan(variance):
        return math.inf
    if not variance:
        return 0.0
    from scipy.special import stdtrit  # it takes a while, which whoever has one training of each need not wait for

    freedom = variance**2 / sum(part**2 / own for part, own in parts if part)
    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * math.sqrt(variance)
