"""Putting what was packed where it belongs, beside what is there: rows are merged, nothing is lost."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from lrcore.errors import LrcoreError
from lrcore.records.reading import read_rows
from lrcore.records.schema import TABLES
from lrcore.records.writing import upsert
from lrcore.runtime.files import atomic_path, sha256_of
from lrcore.staging.contents import DATA
from lrcore.staging.parts import checked_parts, members


@dataclass
class Unpacked:
    """Files by what became of them: `new`, the `same` as here, rows `merged`, and `replaced` as was asked for."""

    new: list[Path] = field(default_factory=list)
    same: list[Path] = field(default_factory=list)
    merged: list[Path] = field(default_factory=list)
    replaced: list[Path] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{len(self.new)} new files, {len(self.same)} as they were, {len(self.merged)} files of rows merged, "
            f"{len(self.replaced)} replaced"
        )


def unpack(sums: Path, roots: Mapping[str, Path], replace: bool = False) -> Unpacked:
    """Put the files of an archive where `roots` (first folder in the archive to folder here) says.

    All parts are checked, and all files compared with those that are here, before any is written. Rows are merged by
    key: those of the archive count, where both have one; those of another recipe are kept in `data/replaced`.

    Raises:
        LrcoreError: a part is missing or damaged; a file that is no table of rows differs from the one here and
            `replace` is false; a folder cannot be written to.
    """
    parts = checked_parts(sums)
    differing = set[Path]()
    for name, content in members(parts):
        target = _target(name, roots)
        if target.exists() and _digest(content) != sha256_of(target):
            differing.add(target)
    refused = sorted(path for path in differing if _table(path, roots) is None)
    if refused and not replace:
        raise LrcoreError(
            f"{len(refused)} files here differ from those packed, '{refused[0]}' first, and nothing was unpacked: "
            "--replace takes those of the archive"
        )
    done = Unpacked()
    for name, content in members(parts):
        target = _target(name, roots)
        table = _table(target, roots)
        if not target.exists():
            _write(content, target)
            done.new.append(target)
        elif target not in differing:
            done.same.append(target)
        elif table is not None:
            _merge(content, target, *table)
            done.merged.append(target)
        else:
            _write(content, target)
            done.replaced.append(target)
    return done


def _target(name: str, roots: Mapping[str, Path]) -> Path:
    root, _, rest = name.partition("/")
    if root not in roots or not rest:
        raise LrcoreError(f"the archive holds {name!r}; its folders must be {', '.join(roots)}")
    return roots[root] / rest


def _table(path: Path, roots: Mapping[str, Path]) -> tuple[type, Sequence[str]] | None:
    """Row and key of a file of rows, `<table>/study=<name>/<file>.parquet` in `data` or in what was replaced there."""
    data = roots.get(DATA)
    if data is None or path.suffix != ".parquet" or len(path.parents) < 3:
        return None
    return TABLES.get(path.parents[1].name) if path.parents[2] in (data, data / "replaced") else None


def _merge(content: IO[bytes], target: Path, row: type, key: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / target.name
        with packed.open("wb") as file:
            shutil.copyfileobj(content, file)
        rows: list[dict[str, Any]] = read_rows(packed, row).to_pylist()
    by_recipe: dict[str, list[Any]] = {}
    for values in rows:
        by_recipe.setdefault(values["recipe"], []).append(row(**values))
    for found in by_recipe.values():
        upsert(target, found, key)


def _write(content: IO[bytes], target: Path) -> None:
    with atomic_path(target) as temporary, temporary.open("wb") as file:
        shutil.copyfileobj(content, file)


def _digest(content: IO[bytes]) -> str:
    found = hashlib.sha256()
    while block := content.read(1 << 20):
        found.update(block)
    return found.hexdigest()
