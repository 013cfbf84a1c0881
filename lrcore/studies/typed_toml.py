"""From the tables of a TOML file to frozen dataclasses, refusing what does not fit by name."""

from __future__ import annotations

import dataclasses
import math
import re
import typing
import unicodedata
from collections.abc import Mapping
from typing import Any

from lrcore.errors import LrcoreError, shown, unknown
from lrcore.spec.study import Options

LONGEST_TEXT = 4096
"""Characters of a string: the longest path of Linux."""

MOST_ENTRIES = 10_000
"""Of any list or table; `lrcore.studies.limits` has fewer for most."""


def build(kind: Any, value: Any, where: str) -> Any:
    """`value` (parsed TOML) as `kind`: a dataclass, tuple[X, ...], dict[str, X], str, int, float or bool.

    `where` names the place in messages. Integers are taken for floats, nothing else is converted.

    Raises:
        LrcoreError: unknown key (with the nearest match), missing key, wrong type, an integer beyond 64 bits, a string
            that is over-long or holds control characters, a list or table of too many entries.
    """
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value, where)
    if kind is Options:
        return _build_options(value, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        _expect(isinstance(value, list), "a list", value, where)
        _expect_few(value, where)
        return tuple(build(arguments[0], item, f"{where}[{number}]") for number, item in enumerate(value))
    if origin is dict:
        _expect(isinstance(value, Mapping), "a table", value, where)
        _expect_few(value, where)
        return {key: build(arguments[1], item, under(where, key)) for key, item in value.items()}
    if kind is float:
        _expect(isinstance(value, int | float) and not isinstance(value, bool), "a number", value, where)
        _expect_64_bits(value, where)
        return float(value)
    # a path that is known to be relative to a file is a string of its own kind
    fits = isinstance(value, str) if kind is str else type(value) is kind
    _expect(fits, {int: "an integer", str: "a string", bool: "true or false"}[kind], value, where)
    if kind is str:
        _expect_text(value, where)
    elif kind is int:
        _expect_64_bits(value, where)
    return value


def _build_options(value: Any, where: str) -> Options:
    _expect(isinstance(value, Mapping), "a table", value, where)
    _expect_few(value, where)
    found = []
    for key, item in value.items():
        _expect(key.isidentifier(), "a name that Python takes as an argument's", key, under(where, key))
        items = item if isinstance(item, list) else [item]
        _expect_few(items, under(where, key))
        for one in items:
            _build_scalar(one, under(where, key))
        found.append((key, tuple(item) if isinstance(item, list) else item))
    return Options(sorted(found))


def _build_scalar(value: Any, where: str) -> None:
    fits = isinstance(value, str | int | float | bool)
    _expect(fits, "a string, a number, true, false or a list of these", value, where)
    if isinstance(value, str):
        _expect_text(value, where)
    elif not isinstance(value, bool):
        _expect(math.isfinite(value), "a finite number", value, where)
        _expect_64_bits(value, where)


def _build_dataclass(kind: Any, value: Any, where: str) -> Any:
    _expect(isinstance(value, Mapping), "a table", value, where)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    for key in value:
        if key not in fields:
            raise unknown(f"key in [{where}]" if where else "key", key, fields)
    missing = [n for n, f in fields.items() if n not in value and f.default is dataclasses.MISSING]
    if missing:
        raise LrcoreError("missing: " + ", ".join(under(where, name) for name in missing))
    return kind(**{key: build(hints[key], item, under(where, key)) for key, item in value.items()})


def under(where: str, key: str) -> str:
    """The dotted name of `key` in the table `where`; quoted where TOML has to quote it."""
    name = key if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", key) else shown(key)
    return f"{where}.{name}" if where else name


def _expect(fits: bool, wanted: str, value: Any, where: str) -> None:
    if not fits:
        raise LrcoreError(f"{where} must be {wanted}, got {shown(value)}")


def _expect_few(value: Any, where: str) -> None:
    if len(value) > MOST_ENTRIES:
        raise LrcoreError(f"{where} must have at most {MOST_ENTRIES:,} entries, got {len(value):,}")


def _expect_64_bits(value: int | float, where: str) -> None:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise LrcoreError(f"{where} must be a number that fits 64 bits, got {shown(value)}")


def _expect_text(value: str, where: str) -> None:
    if len(value) > LONGEST_TEXT:
        raise LrcoreError(f"{where} must be at most {LONGEST_TEXT} characters, got {len(value):,}")
    odd = next((char for char in value if unicodedata.category(char) == "Cc" and char not in "\t\r\n"), None)
    if odd is not None:
        raise LrcoreError(f"{where} must be without control characters, got {odd!r} in {shown(value)}")
