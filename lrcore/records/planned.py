"""How much a study is to hold, beside its rows: who has only these can tell that they are a part of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lrcore.errors import LrcoreError
from lrcore.records.paths import planned_path
from lrcore.runtime.files import write_json


@dataclass(frozen=True)
class Planned:
    """`trainings` of the grid, by the study's own transformer; `evaluations`, rows of `generation` in all.

    `compared_with`: the study at whose protocol all is measured, "" where that is its own.
    """

    trainings: int
    evaluations: int
    compared_with: str = ""


def write_planned(data: Path, study: str, planned: Planned) -> None:
    """Store it, if it is not there already: whoever has nothing to say leaves the file as it is."""
    path = planned_path(data, study)
    if not path.exists() or read_planned(data, study) != planned:
        write_json(path, asdict(planned))


def read_planned(data: Path | str, study: str) -> Planned | None:
    """What the study is to hold; None where nobody has stored it.

    Raises:
        LrcoreError: the file is damaged.
    """
    path = planned_path(Path(data), study)
    try:
        found = json.loads(path.read_text())
        return Planned(int(found["trainings"]), int(found["evaluations"]), str(found.get("compared_with", "")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LrcoreError(
            f"'{path}' is damaged ({error}): remove it, and the study's next run writes it anew"
        ) from error
