"""Texts without the paths of one machine, since reports are sent to others."""

from __future__ import annotations

import re
from typing import Any

import pandas

_ABSOLUTE = re.compile(
    r"""(?<![^\s"'`(\[=,;:])(?:[A-Za-z]:[\\/]|~?/)(?:[^\s"'`()\[\]/\\]+[\\/]+)*(?=[^\s"'`()\[\]/\\])"""
)
"""The folders of an absolute path: what stands before its last name."""


def portable(text: str) -> str:
    r"""The text with absolute paths cut to their last name.

    >>> portable("weights in /home/me/vae.pt, cifar10/train[:10], https://a.example/b")
    'weights in vae.pt, cifar10/train[:10], https://a.example/b'
    """
    return _ABSOLUTE.sub("", text)


def portable_rows(rows: pandas.DataFrame) -> pandas.DataFrame:
    """The rows with such texts in every column of text."""
    texts = [name for name in rows.columns if not pandas.api.types.is_numeric_dtype(rows[name])]
    changed = {}
    for name in texts:
        values = {value: portable(value) for value in rows[name].unique() if isinstance(value, str)}
        if any(value != short for value, short in values.items()):
            changed[name] = rows[name].map(lambda value, known=values: known.get(value, value))
    return rows.assign(**changed)


def portable_values(value: Any) -> Any:
    """JSON values with such texts wherever a text stands."""
    if isinstance(value, str):
        return portable(value)
    if isinstance(value, list):
        return [portable_values(one) for one in value]
    if isinstance(value, dict):
        return {key: portable_values(one) for key, one in value.items()}
    return value
