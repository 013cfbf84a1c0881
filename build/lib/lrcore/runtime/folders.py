"""The folders that a study's results go to, and the user's home in their names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lrcore.errors import LrcoreError


@dataclass(frozen=True)
class Folders:
    """`data` takes the Parquet, `imgs` the pictures, `runs` weights, latents and checkpoints."""

    data: Path
    imgs: Path
    runs: Path


def home_expanded(text: str, what: str) -> Path:
    """The path that `text` names, with `~` or `~user` at its beginning as that home; `what` names it in the error.

    Raises:
        LrcoreError: the home is not known.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise LrcoreError(f"{what}, {text!r}, begins with a home that is not known: write the path in full") from error
