"""Stage: pictures of samples, with and without REPA from the same seeds, in `imgs/<study>/samples/<ae>-<repa>.png`.

Both come from the same setting, so that REPA is all that differs: of the settings that were measured with every kind of
REPA, the one of lowest distance without it, at the last step. What the samples are stands in the file itself, as text
of the PNG.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas
import torch

from lrcore.datasets.images import png_text, save_png
from lrcore.records.paired import ranking
from lrcore.runtime.files import exclusive, sweep_leftovers
from lrcore.spec.study import NO_REPA, NO_SKIP, Cell
from lrcore.stages.anchors import sample_seed
from lrcore.stages.evaluations import evaluations_done, evaluations_missing, grid_rows, row_recipe
from lrcore.stages.generation import sample
from lrcore.stages.training import ensure_trained, load_snapshot, state_path
from lrcore.stages.workspace import Workspace, recipe

COLUMNS, ROWS = 8, 2
"""Samples of a picture: the first ones that the evaluations draw, row after row."""

SHARED = ["trainp", "trainshift", "sampleshift"]


@dataclass(frozen=True)
class Shown:
    """A training whose samples are shown, and the sampling shift that they are drawn with."""

    cell: Cell
    sampleshift: float


def group_cells(work: Workspace, ae: str) -> list[Cell]:
    """The trainings that are chosen from: those with the study's own seed."""
    return [
        cell
        for cell in work.study.cells
        if (cell.ae, cell.train_seed, cell.width, cell.skip) == (ae, work.study.seed, 0, NO_SKIP)
    ]


def shown_settings(work: Workspace, ae: str) -> list[Shown]:
    """What to show of an autoencoder of which all is measured, one for each kind of REPA; none where no setting has all
    kinds of it.
    """
    cells = group_cells(work, ae)
    rows = grid_rows(work, cells)
    rows = rows[rows.step == work.study.training.evaluate_at[-1]]
    kinds = sorted({cell.repa for cell in cells}, key=lambda repa: (repa != NO_REPA, repa))
    settings = (
        rows.pivot(index=SHARED, columns="repa", values=work.study.evaluation.score)
        .reindex(columns=kinds)
        .dropna()
        .reset_index()
    )
    if settings.empty:
        return []
    distances = settings[kinds[0]]
    if "whole" in rows:
        whole = rows[rows.repa == kinds[0]].set_index(SHARED)["whole"]
        distances = ranking(
            distances, whole.reindex(pandas.MultiIndex.from_frame(settings[SHARED])).set_axis(settings.index)
        )
    best = settings.assign(distance=distances).sort_values("distance").iloc[0]
    wanted = [cell for cell in cells if (cell.trainp, cell.trainshift) == (best.trainp, best.trainshift)]
    wanted.sort(key=lambda cell: kinds.index(cell.repa))
    return [Shown(cell, float(best.sampleshift)) for cell in wanted]


def samples_possible(work: Workspace, ae: str, coming: set[Cell]) -> bool:
    """Whether all trainings of the autoencoder are measured, or among those that are `coming`."""
    done = evaluations_done(work)
    return all(cell in coming or not evaluations_missing(work, cell, done) for cell in group_cells(work, ae))


def samples_shown(work: Workspace, ae: str) -> bool:
    """Whether all is measured and every picture there is to make of it is there."""
    if not samples_possible(work, ae, set()):
        return False
    return all(png_text(picture_path(work, shown)) == _said(work, shown) for shown in shown_settings(work, ae))


def show_samples(work: Workspace, ae: str) -> None:
    """Draw the samples and write their pictures; all trainings of the autoencoder must have been measured."""
    from torchvision.utils import make_grid  # here, since it takes seconds, which those who draw nothing would wait for

    step = work.study.training.evaluate_at[-1]
    for shown in shown_settings(work, ae):
        with exclusive(state_path(work, shown.cell), work.check):
            ensure_trained(work, [shown.cell], step)  # runs/ may have been deleted since
            state_path(work, shown.cell).unlink(missing_ok=True)
        model = load_snapshot(work, shown.cell, step)
        numbers = range(min(COLUMNS * ROWS, work.study.evaluation.n_samples))
        per_batch = work.study.evaluation.batch_size
        batches = [numbers[at : at + per_batch] for at in range(0, len(numbers), per_batch)]
        images = torch.cat([sample(work, shown.cell, model, shown.sampleshift, batch)[0] for batch in batches])
        path = picture_path(work, shown)
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep_leftovers(path)
        save_png(path, make_grid(images, nrow=COLUMNS, padding=0), _said(work, shown))


def picture_path(work: Workspace, shown: Shown) -> Path:
    """Where the picture of these samples is."""
    return work.folders.imgs / work.study.name / "samples" / f"{shown.cell.ae}-{shown.cell.repa}.png"


def _said(work: Workspace, shown: Shown) -> dict[str, str]:
    """What the picture says of itself."""
    cell, study = shown.cell, work.study
    return {
        "ae": cell.ae,
        "repa": cell.repa,
        "trainp": cell.trainp,
        "trainshift": f"{cell.trainshift:.2f}",
        "sampleshift": f"{shown.sampleshift:.2f}",
        "step": str(study.training.evaluate_at[-1]),
        "train_seed": str(cell.train_seed),
        "sample_seed": str(sample_seed(work)),
        "columns": str(COLUMNS),
        "resolution": str(study.data.resolution),
        "recipe": recipe(row_recipe(work, cell), COLUMNS, ROWS),
    }
