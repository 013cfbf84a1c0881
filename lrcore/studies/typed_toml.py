"""From the tables of a TOML file to frozen dataclasses, refusing what does not fit by name."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from lrcore.errors import LrcoreError, unknown


def build(kind: Any, value: Any, where: str) -> Any:
    """`value` (parsed TOML) as `kind`: a dataclass, tuple[X, ...], dict[str, X], str, int, float or bool.

    `where` names the place in messages. Integers are taken for floats, nothing else is converted.

    Raises:
        LrcoreError: unknown key (with the nearest match), missing key, wrong type.
    """
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        _expect(isinstance(value, list), "a list", value, where)
        return tuple(build(arguments[0], item, f"{where}[{number}]") for number, item in enumerate(value))
    if origin is dict:
        _expect(isinstance(value, Mapping), "a table", value, where)
        return {key: build(arguments[1], item, _under(where, key)) for key, item in value.items()}
    if kind is float:
        _expect(isinstance(value, int | float) and not isinstance(value, bool), "a number", value, where)
        return float(value)
    _expect(type(value) is kind, {int: "an integer", str: "a string", bool: "true or false"}[kind], value, where)
    return value


def _build_dataclass(kind: Any, value: Any, where: str) -> Any:
    _expect(isinstance(value, Mapping), "a table", value, where)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    for key in value:
        if key not in fields:
            raise unknown(f"key in [{where}]" if where else "key", key, fields)
    missing = [n for n, f in fields.items() if n not in value and f.default is dataclasses.MISSING]
    if missing:
        raise LrcoreError("missing: " + ", ".join(_under(where, name) for name in missing))
    return kind(**{key: build(hints[key], item, _under(where, key)) for key, item in value.items()})


def _under(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _expect(fits: bool, wanted: str, value: Any, where: str) -> None:
    if not fits:
        raise LrcoreError(f"{where} must be {wanted}, got {value!r}")
