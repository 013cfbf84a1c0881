"""The rows of the study at whose protocol another one was measured: its autoencoders are the references of a report."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from lrcore.errors import LrcoreError
from lrcore.records.reading import read_tables
from lrcore.results.comparison import joined
from lrcore.results.study_rows import StudyRows, study_of
from lrcore.studies.loading import load_study


def with_references(mine: StudyRows, reference: str, data: Path, taken: Collection[str]) -> tuple[StudyRows, list[str]]:
    """One's own rows with those of the study `reference`, in `data` or in the repository, and whose these are.

    One's own alone, and no names, where its file or its rows are not here, or were measured in another way since.
    `taken`: names of one's own autoencoders, of which theirs are left out.
    """
    from lrcore.stages.comparing import places_of_rows, rows_of  # seconds, which most reports need not wait for

    try:
        theirs = load_study(reference)
        place, generation = rows_of(theirs, places_of_rows(data))
        tables = read_tables(place, theirs.name) | {"generation": generation}
        tables = {name: rows[~rows["ae"].isin(list(taken))] for name, rows in tables.items()}
        both = joined(mine, study_of(theirs.name, tables))
    except LrcoreError:
        return mine, []
    return both, [str(ae) for ae in tables["generation"]["ae"].unique()]
