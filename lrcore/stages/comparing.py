"""What is compared with: the rows of another study and its autoencoders, found where they are, and what makes yours
comparable with them."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas

import lrcore
from lrcore.errors import LrcoreError, shown, unknown
from lrcore.records.reading import read_generation, read_reconstruction, read_tables
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.spec.study import Study, written
from lrcore.stages import choice
from lrcore.stages.anchors import anchors_recipe
from lrcore.stages.evaluations import counted, row_recipe
from lrcore.stages.latent_shape import latent_shape
from lrcore.stages.matched_tokens import matched
from lrcore.stages.workspace import Workspace
from lrcore.studies.comparing import OPTION, agreeing, as_far_as_measured, compared
from lrcore.studies.loading import study_names

CHECKOUT = Path(lrcore.__file__).parents[1]
"""Where the repository is, if lrcore is used from one: its `data` has the rows of studies that ship."""


@dataclass(frozen=True)
class Comparison:
    """`study`: your own at the protocol of `theirs`. `rows`: generation rows of `theirs` that agree with its file, in
    the folder `data`; `weights`: folders of its autoencoders. `notes`: a line on the tokens of each of your own."""

    study: Study
    theirs: Study
    data: Path
    rows: pandas.DataFrame
    weights: list[str]
    notes: dict[str, str]


def comparison(name_or_path: str, reference: str, folders: Folders, runs_code: bool) -> Comparison:
    """Your study and the one that it is compared with.

    `runs_code`: whether autoencoders of your own may be imported to find out their number of tokens.

    Raises:
        LrcoreError: as `studies.comparing.compared` and `matched_tokens.matched`; or rows of another state of theirs.
    """
    places = places_of_rows(folders.data)
    _require_file(reference, places)
    study, theirs = compared(name_or_path, reference)
    data, rows = rows_of(theirs, places)
    study = as_far_as_measured(study, theirs, rows)

    def workspace(of: Study) -> Workspace:
        return Workspace(of, folders, StopRequest(), lambda steps: None)

    work = workspace(study)
    work.runs_code = runs_code
    found = matched(work, _tokens(workspace(theirs), data, rows))
    return Comparison(found.study, theirs, data, rows, _weights(theirs, folders, places), found.notes)


def _require_file(reference: str, places: list[Path]) -> None:
    """Refuse what is no study, or one of which there are rows alone: its protocol stands in its file.

    Raises:
        LrcoreError: it is no path and no study that ships; with those there are.
    """
    if reference.endswith(".toml") or reference in study_names():
        return
    there = {str(name): data for data in reversed(places) for name in read_generation(data)["study"].unique()}
    if reference in there:
        raise LrcoreError(
            f"{OPTION} {shown(reference)}: its rows are in '{there[reference]}', but what it measures stands in its "
            f"file: give the path of that, such as {reference}.toml"
        )
    others = ", ".join(f"{name}.toml" for name in sorted(set(there) - set(study_names())))
    more = f"; of these there are rows, too, where their file is given: {others}" if others else ""
    raise LrcoreError(f"{OPTION}: {unknown('study', reference, [*study_names(), 'a path ending in .toml'])}{more}")


def places_of_rows(data: Path) -> list[Path]:
    """The folders that may have the rows of another study: `data`, and that of the repository, if there is one."""
    return [data, *([CHECKOUT / "data"] if (CHECKOUT / "pyproject.toml").is_file() else [])]


def rows_of(theirs: Study, places: list[Path]) -> tuple[Path, pandas.DataFrame]:
    """The first of the folders that has rows of the study, and these; the first of all, and none, where none has."""
    for data in places:
        rows = read_generation(data)
        own = rows[rows["study"] == theirs.name]
        if len(own):
            return data, agreeing(own, theirs, str(data))
    return places[0], read_generation(places[0]).head(0)


def _tokens(work: Workspace, data: Path, rows: pandas.DataFrame) -> Counter[int]:
    """How many of the study's autoencoders have how many tokens: by rows, else by what its file says.

    Raises:
        LrcoreError: neither tells.
    """
    reconstruction = read_reconstruction(data)
    for found in (rows, reconstruction[reconstruction["study"] == work.study.name]):
        if len(found):
            return Counter(found.groupby("ae")["tokens"].first().astype(int).tolist())
    work = copy.copy(work)
    work.runs_code = False
    counted: Counter[int] = Counter()
    reason = ""
    aes = list(dict.fromkeys(cell.ae for cell in work.study.cells))
    # whose encoder takes a while, and may not be there, is asked last
    for ae in sorted(aes, key=lambda ae: work.study.autoencoders[ae].family == "rae"):
        if counted and work.study.autoencoders[ae].family == "rae":
            continue
        try:
            counted[latent_shape(work, ae).tokens] += 1
        except LrcoreError as error:
            reason = str(error)
    if not counted:
        raise LrcoreError(f"{OPTION} '{work.study.name}': how many tokens its autoencoders have is not known: {reason}")
    return counted


def described(found: Comparison, file: str) -> str:
    """What is compared with, and what makes yours comparable, a line each. `file`: that of your study."""
    study, theirs = found.study, found.theirs
    data, training, evaluation = study.data, study.training, study.evaluation
    aes = list(dict.fromkeys(cell.ae for cell in theirs.cells))
    measured = [ae for ae in aes if ae in set(found.rows["ae"])]
    rows = (
        f"{len(found.rows)} generation rows in '{found.data}'"
        if measured
        else f"no generation rows in '{found.data}' yet: `python -m lrcore.train {theirs.name}` makes them"
    )
    absent = (
        f"; none yet of {', '.join(ae for ae in aes if ae not in measured)}" if 0 < len(measured) < len(aes) else ""
    )
    axes = {
        name: ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)
        for name in ("trainp", "trainshift", "repa")
        if (values := list(dict.fromkeys(getattr(cell, name) for cell in study.cells)))
    }
    count = len(study.cells) // len(study.autoencoders)
    which = "that their rows have" if measured else "that all of theirs have"
    steps = " and ".join(f"{step:,}" for step in training.evaluate_at)
    shifts = ", ".join(f"{shift:g}" for shift in evaluation.sampleshifts)
    reference = written(evaluation.reference) or f"the first {evaluation.n_reference:,} training images"
    guidance = f", guidance {evaluation.guidance:g}" if evaluation.guidance != 1 else ""
    decides = "KID" if evaluation.score == "kid" else "Frechet distance"
    lines = [
        ("theirs", f"{', '.join(aes)}: {rows}{absent}; nothing of theirs is trained or measured"),
        ("weights", _of_weights(found.weights)),
        ("images", f"{data.dataset} at {data.resolution} px, {data.train_images:,} to train on"),
        *found.notes.items(),
        ("transformer", f"{training.model}, {training.precision}, batches of {training.batch_size}, learning rate "
                        f"{training.learning_rate:g}, measured at step {steps}"),
        ("trainings", f"of each of yours {count}, those {which}, whatever [[grid]] of '{file}' says: density "
                      f"{axes['trainp']}; train shift {axes['trainshift']}; REPA {axes['repa']}"),
        ("samples", f"{evaluation.n_samples:,} by {evaluation.sampling_steps} steps of {evaluation.sampler}{guidance}, "
                    f"sample shift {shifts}"),
        ("network", f"{evaluation.feature_network}; the {decides} to {reference} decides"),
    ]  # fmt: skip
    if study.choice:
        counts = sorted({count for choice in study.choice for count in choice.n_samples})
        told = " or ".join(f"{count:,}" for count in counts)
        lines.append(("measured anew", f"the best setting of the trainings, by {told} samples that did not choose it"))
    if training.precision != theirs.training.precision:
        lines.append(("precision", f"yours {training.precision}, as asked for; theirs {theirs.training.precision}"))
    return "\n".join([f"compared with study '{theirs.name}'", *(f"  {name:<15}{said}" for name, said in lines)])


def _of_weights(folders: Sequence[str]) -> str:
    """Where weights are, by the folder that they are in."""
    if not folders:
        return "of theirs none are here, and none are needed"
    by_place: dict[str, list[str]] = {}
    for folder in map(Path, folders):
        by_place.setdefault(str(folder.parent), []).append(folder.name)
    return "of theirs in " + "; ".join(f"'{place}': {', '.join(names)}" for place, names in by_place.items())


def own_rows(work: Workspace) -> dict[str, pandas.DataFrame]:
    """Rows of the study of `work` as it is now, by table; those that an earlier state of it left are not among them."""
    study = work.study
    grid = counted(work)
    current = {row_recipe(grid, cell) for cell in study.cells}
    for task in choice.tasks(work, list(study.autoencoders)):
        if choice.choosable(work, task.ae, set()) and (best := choice.best_setting(work, task.ae)) is not None:
            cell = choice.cell_of(task, best)
            current |= {row_recipe(choice.measuring(work, task, best, count), cell) for count in task.n_samples}
    own = {anchors_recipe(way, ae) for way in (work, grid) for ae in study.autoencoders}
    rows = read_tables(work.folders.data, study.name)
    return rows | {
        "generation": rows["generation"][rows["generation"]["recipe"].isin(current)],
        "anchors": rows["anchors"][rows["anchors"]["recipe"].isin(own)],
    }


def their_rows(found: Comparison) -> dict[str, pandas.DataFrame]:
    """Rows of the study that is compared with, by table."""
    return read_tables(found.data, found.theirs.name) | {"generation": found.rows}


def _weights(theirs: Study, folders: Folders, places: Sequence[Path]) -> list[str]:
    """Folders with the weights of the autoencoders that a study has trained: kept beside rows, or among its work."""
    kept = [place / "autoencoders" / f"study={theirs.name}" for place in places]
    found = [
        path for folder in (*kept, folders.runs / theirs.name / "autoencoders") for path in sorted(folder.glob("*"))
    ]
    return [str(path) for path in found if (path / "config.json").is_file()]
