"""Where the rows of a study lie under `data/`."""

from __future__ import annotations

import re
from pathlib import Path

from lrcore.errors import LrcoreError


def generation_folder(data: Path, study: str) -> Path:
    """`<data>/generation/study=<study>`."""
    return Path(data) / "generation" / f"study={_checked_name(study)}"


def reconstruction_folder(data: Path, study: str) -> Path:
    """`<data>/reconstruction/study=<study>`."""
    return Path(data) / "reconstruction" / f"study={_checked_name(study)}"


def latents_folder(data: Path, study: str) -> Path:
    """`<data>/latents/study=<study>`."""
    return Path(data) / "latents" / f"study={_checked_name(study)}"


def anchors_folder(data: Path, study: str) -> Path:
    """`<data>/anchors/study=<study>`."""
    return Path(data) / "anchors" / f"study={_checked_name(study)}"


def losses_folder(data: Path, study: str) -> Path:
    """`<data>/losses/study=<study>`."""
    return Path(data) / "losses" / f"study={_checked_name(study)}"


def paired_folder(data: Path, study: str) -> Path:
    """`<data>/paired/study=<study>`."""
    return Path(data) / "paired" / f"study={_checked_name(study)}"


def planned_path(data: Path, study: str) -> Path:
    """`<data>/planned/study=<study>/planned.json`."""
    return Path(data) / "planned" / f"study={_checked_name(study)}" / "planned.json"


def _checked_name(study: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]*", study):
        raise LrcoreError(f"study name {study!r} must be lower-case letters, digits and '-', starting with a letter")
    return study
