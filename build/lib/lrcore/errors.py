"""Errors that name the offending thing and say what is allowed."""

from __future__ import annotations

import contextlib
import difflib
import reprlib
from collections.abc import Iterable, Iterator

LONGEST_SHOWN = 100
"""Characters of a value in a message: more are cut, so that it stays one line that can be read."""


class LrcoreError(Exception):
    """Something the caller can act on: command-line programs print it as one line and exit 2."""


class _Short(reprlib.Repr):
    def repr_int(self, value: int, level: int) -> str:
        # Python refuses to write out numbers of thousands of digits
        return repr(value) if value.bit_length() <= 128 else f"an integer of {value.bit_length()} bits"


_SHORT = _Short()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 3, LONGEST_SHOWN, LONGEST_SHOWN


def shown(value: object) -> str:
    """A value in a message: as Python writes it, on one line, shortened where it is long or deep.

    >>> shown("a" * 1000)[:6], shown(10**5000), shown([[[[1]]]])
    ("'aaaaa", 'an integer of 16610 bits', '[[[[...]]]]')
    """
    return _SHORT.repr(value)


def reason(error: BaseException) -> str:
    """What an error of another library says, on one line of bounded length, with its class.

    >>> reason(ValueError("one\\n  two"))
    'ValueError: one two'
    """
    said = " ".join(str(error).split()) or "no reason given"
    return f"{type(error).__name__}: {said if len(said) <= 300 else said[:297] + '...'}"


@contextlib.contextmanager
def naming(key: str) -> Iterator[None]:
    """Put `key` in front of an error that is raised inside, for what does not know of which key a value is.

    Raises:
        LrcoreError: such an error, with the key.
    """
    try:
        yield
    except LrcoreError as error:
        raise LrcoreError(f"{key}: {error}") from error


def unknown(kind: str, value: object, allowed: Iterable[object]) -> LrcoreError:
    """An error for a `value` that is not one of `allowed`, with the nearest match.

    >>> str(unknown("study", "smok", ["smoke", "cifar10"]))
    "unknown study 'smok'; allowed: smoke, cifar10; did you mean 'smoke'?"
    """
    names, text = [str(name) for name in allowed], str(value)
    message = f"unknown {kind} {shown(text)}; allowed: {', '.join(names) or '(none)'}"
    if len(text) > LONGEST_SHOWN:  # a match would take long and mean nothing
        return LrcoreError(message)
    nearest = difflib.get_close_matches(text, names, n=1, cutoff=0.5)
    return LrcoreError(message + (f"; did you mean {nearest[0]!r}?" if nearest else ""))
