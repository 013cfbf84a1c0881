"""What of a study goes to a machine without a network, and what comes back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from lrcore.assets import cache
from lrcore.assets.table import cache_folder
from lrcore.runtime.folders import Folders
from lrcore.spec.study import Study, written
from lrcore.studies.loading import study_files

CACHE, DATA, IMGS, RUNS, WHEELS, STUDIES, LOGS = "cache", "data", "imgs", "runs", "wheels", "studies", "logs"
BENCHMARKS = "benchmarks"
"""Folders in the archive: `LRCORE_CACHE`, those of the commands, Python packages, study files, what was printed, and
the self-check of a GPU."""

REMADE = ("latents", "units", "heartbeats")
"""Folders of a study's work that are large and quick to make, or that only running processes need."""


def of_assets(names: list[str]) -> Iterator[tuple[str, Path]]:
    """Files of the cache, fetched where they are missing.

    Raises:
        LrcoreError: one cannot be had.
    """
    for name in names:
        path = cache.fetch(name)
        yield f"{CACHE}/{path.relative_to(cache_folder()).as_posix()}", path


def of_results(study: str, folders: Folders) -> Iterator[tuple[str, Path]]:
    """Rows, weights of autoencoders that are kept beside them, and pictures."""
    for table in sorted(path for path in folders.data.glob("**/study=" + study) if path.is_dir()):
        yield from _files(table, f"{DATA}/{table.relative_to(folders.data).as_posix()}")
    yield from _files(folders.imgs / study, f"{IMGS}/{study}")


def of_work(study: str, folders: Folders, latents: bool) -> Iterator[tuple[str, Path]]:
    """Autoencoders, statistics, features and checkpoints; `latents`: those, too."""
    left_out = {*REMADE} - ({"latents"} if latents else set())
    for folder in sorted(folders.runs.joinpath(study).glob("*")):
        if folder.is_dir() and folder.name not in left_out:
            yield from _files(folder, f"{RUNS}/{study}/{folder.name}")


def of_study_file(name_or_path: str) -> Iterator[tuple[str, Path]]:
    """The study's own file and those that it extends, as they lie to one another; none that ship with the package."""
    shipped = Path(__file__).parents[1] / "studies"
    own = [path.resolve() for path in study_files(name_or_path) if path.resolve().parent != shipped]
    if own:
        common = Path(os.path.commonpath([path.parent for path in own]))
        yield from ((f"{STUDIES}/{path.relative_to(common).as_posix()}", path) for path in own)


def of_self_check() -> Iterator[tuple[str, Path]]:
    """The script that switches the fast path on; a package without its repository has none."""
    path = Path(__file__).parents[2] / BENCHMARKS / "gpu_selfcheck.py"
    if path.is_file():
        yield f"{BENCHMARKS}/{path.name}", path


def not_packed(study: Study) -> list[str]:
    """What the study reads that is no file of lrcore's, by its key: to be copied by hand."""
    found = {
        "data.path": study.data.path,
        "data.validation_path": study.data.validation_path,
        "encoder.weights": study.encoder.weights,
        "evaluation.reference": study.evaluation.reference,
        "evaluation.feature_weights": study.evaluation.feature_weights,
        **{f"autoencoders.{ae}.pretrained": spec.pretrained for ae, spec in study.autoencoders.items()},
        **{f"autoencoders.{ae}.family": spec.family for ae, spec in study.autoencoders.items() if ".py" in spec.family},
    }
    for ae, spec in study.autoencoders.items():
        files = {key: value for key, value in spec.options if _is_file(value, spec.family)}
        found |= {f"autoencoders.{ae}.options.{key}": value for key, value in files.items()}
    return [f"{key} {written(value)!r}" for key, value in found.items() if value]


def _is_file(option: object, family: str) -> bool:
    """Whether an option names what is there, from here or beside the class that gets it."""
    beside = Path(family.rpartition(":")[0]).parent
    return isinstance(option, str) and bool(option) and (Path(option).exists() or (beside / option).exists())


def _files(folder: Path, inside: str) -> Iterator[tuple[str, Path]]:
    """Regular files below `folder` but hidden ones: locks and what killed writers left."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith(".") for part in parts):
            yield f"{inside}/{'/'.join(parts)}", path
