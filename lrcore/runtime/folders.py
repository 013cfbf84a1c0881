"""The folders that a study's results go to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Folders:
    """`data` takes the Parquet, `imgs` the pictures, `runs` weights, latents and checkpoints."""

    data: Path
    imgs: Path
    runs: Path
