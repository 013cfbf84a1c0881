"""The data dictionary on a page: the same text that stands beside the data, and what is there of every study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas

from lrcore.errors import LrcoreError
from lrcore.figures.site_table import SiteTable
from lrcore.results import findings
from lrcore.results.study_rows import StudyRows


def data_dictionary(readme: Path | str = "data/README.md") -> str:
    """The Markdown of the data's own README without its title, so that page and folder cannot disagree.

    Raises:
        LrcoreError: there is no such file, or it does not begin with a title.
    """
    path = Path(readme)
    if not path.is_file():
        raise LrcoreError(f"missing '{path}': the data dictionary stands beside the data")
    title, _, text = path.read_text().partition("\n")
    if not title.startswith("# "):
        raise LrcoreError(f"'{path}' must begin with a title '# ...', not {title!r}")
    return text.strip()


def rows_of_studies(studies: Mapping[str, StudyRows]) -> SiteTable:
    """One row per study: what is in its files, and by which protocol."""
    table = pandas.DataFrame([_summary(study) for study in studies.values()])
    return SiteTable(
        table, "rows-of-studies", "Number of trainings and rows of every study, and how they were measured"
    )


def _summary(study: StudyRows) -> dict[str, object]:
    rows = study.generation
    first = rows.iloc[0]
    return {
        "study": study.name,
        "images": f"{first['dataset']}, {first['resolution']} px",
        "model": first["model"],
        "trainings": len(rows.groupby(["ae", "repa", "trainp", "trainshift", "train_seed"])),
        "steps": int(rows["step"].max()),
        "evaluations": len(rows),
        "diverged": int(findings.deciding(rows).isna().sum()),
        "distance": findings.label(rows),
        "samples": int(first["n_samples"]),
        "at the choice": len(study.confirmed),
        "other widths": len(study.widths),
        "reconstruction rows": len(study.reconstruction),
        "latent rows": len(study.latents),
    }
