"""Errors that name the offending thing and say what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LrcoreError(Exception):
    """Something the caller can act on: command-line programs print it as one line and exit 2."""


def unknown(kind: str, value: object, allowed: Iterable[object]) -> LrcoreError:
    """An error for a `value` that is not one of `allowed`, with the nearest match.

    >>> str(unknown("study", "smok", ["smoke", "cifar10"]))
    "unknown study 'smok'; allowed: smoke, cifar10; did you mean 'smoke'?"
    """
    names = [str(name) for name in allowed]
    message = f"unknown {kind} {str(value)!r}; allowed: {', '.join(names) or '(none)'}"
    nearest = difflib.get_close_matches(str(value), names, n=1, cutoff=0.5)
    return LrcoreError(message + (f"; did you mean {nearest[0]!r}?" if nearest else ""))
