"""Rows into the Parquet files under `data/`.

Each file belongs to one unit of work (a training run, an autoencoder), so processes that work on different units never
touch the same file; `upsert` locks the folder, merges by key and replaces the file in one step, so a re-run never
doubles a row and a reader never sees half a file.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from lrcore.records.digests import write_table
from lrcore.records.paths import (
    anchors_folder,
    generation_folder,
    latents_folder,
    losses_folder,
    paired_folder,
    reconstruction_folder,
)
from lrcore.records.reading import read_rows
from lrcore.records.schema import (
    ANCHORS_KEY,
    GENERATION_KEY,
    LATENTS_KEY,
    LOSSES_KEY,
    RECONSTRUCTION_KEY,
    AnchorRow,
    AtlasRow,
    GenerationRow,
    LatentRow,
    LossRow,
    ReconstructionRow,
    arrow_schema,
)
from lrcore.runtime.files import exclusive, sweep_leftovers


def upsert(path: Path, rows: Sequence[Any], key: Sequence[str]) -> None:
    """Put `rows` (all of one row class) into the Parquet file `path`; a row replaces one of the same key.

    Stored rows of another recipe go: the file belongs to one unit of work, whose study has changed since. They are kept
    under `replaced_path`, and a line on stderr says so beforehand. Rows are stored sorted by key, so the bytes do not
    depend on the order of the writes.
    """
    # one lock a folder, so that the data folder is not strewn with them; each write is short
    with exclusive(path.parent):
        sweep_leftovers(path)
        new = [dataclasses.asdict(row) for row in rows]
        stored = _stored_rows(path, type(rows[0]))
        recipe = new[0]["recipe"]
        outdated = [row for row in stored if row["recipe"] != recipe]
        if outdated:
            _keep(path, outdated, type(rows[0]), key, str(recipe))
        current = [row for row in stored if row["recipe"] == recipe]
        _write(path, [*current, *new], type(rows[0]), key)


def replaced_path(path: Path, recipe: str) -> Path:
    """Where rows of `recipe` are kept that were in `path`: `<data>/replaced/<table>/study=<name>/<file>-<recipe>`."""
    data, table, study = path.parents[2], path.parents[1].name, path.parent.name
    return data / "replaced" / table / study / f"{path.stem}-{recipe}.parquet"


def outdated_rows(path: Path, row: type, recipe: str) -> int:
    """How many rows of the file are of another recipe, and so are replaced when rows of `recipe` are written.

    Raises:
        LrcoreError: the file is damaged.
    """
    return sum(found["recipe"] != recipe for found in _stored_rows(path, row))


def _keep(path: Path, rows: Sequence[Mapping[str, Any]], kind: type, key: Sequence[str], recipe: str) -> None:
    """Put rows that `recipe` replaces where `replaced_path` says, beside what is there."""
    for old in sorted({row["recipe"] for row in rows}):
        kept, own = replaced_path(path, old), [row for row in rows if row["recipe"] == old]
        print(
            f"{path.parents[1].name}/{path.parent.name}/{path.name}: {len(own)} rows of recipe {old} make way for "
            f"those of recipe {recipe}, since what they depend on has changed; kept in '{kept}'",
            file=sys.stderr,
            flush=True,
        )
        with exclusive(kept.parent):
            sweep_leftovers(kept)
            _write(kept, [*_stored_rows(kept, kind), *own], kind, key)


def _write(path: Path, rows: Sequence[Mapping[str, Any]], kind: type, key: Sequence[str]) -> None:
    merged = {tuple(_comparable(row[name]) for name in key): row for row in rows}
    ordered = [merged[k] for k in sorted(merged)]
    write_table(pa.Table.from_pylist(ordered, arrow_schema(kind)), path)


def _comparable(value: Any) -> Any:
    """A part of a key: NaN, which a migration leaves where nothing is known, equals nothing and has no order."""
    return -1.0 if isinstance(value, float) and math.isnan(value) else value


def write_generation(data: Path, study: str, run: str, rows: Sequence[GenerationRow]) -> None:
    """Add the rows of training run `run` (a file name without its ending)."""
    upsert(generation_folder(data, study) / f"{run}.parquet", rows, GENERATION_KEY)


def write_paired(data: Path, study: str, run: str, rows: Sequence[GenerationRow]) -> None:
    """Add rows of pairs of training run `run`, all in one precision: a file is of one recipe."""
    upsert(paired_folder(data, study) / f"{run}.parquet", rows, GENERATION_KEY)


def write_reconstruction(data: Path, study: str, ae: str, rows: Sequence[ReconstructionRow]) -> None:
    """Add the rows of autoencoder `ae`."""
    upsert(reconstruction_folder(data, study) / f"{ae}.parquet", rows, RECONSTRUCTION_KEY)


def write_latents(data: Path, study: str, ae: str, rows: Sequence[LatentRow]) -> None:
    """Add the latent metrics of autoencoder `ae`."""
    upsert(latents_folder(data, study) / f"{ae}.parquet", rows, LATENTS_KEY)


def write_anchors(data: Path, study: str, ae: str, rows: Sequence[AnchorRow]) -> None:
    """Add the anchors of autoencoder `ae`."""
    upsert(anchors_folder(data, study) / f"{ae}.parquet", rows, ANCHORS_KEY)


def write_losses(data: Path, study: str, run: str, rows: Sequence[LossRow]) -> None:
    """Add the losses of training run `run` (a file name without its ending)."""
    upsert(losses_folder(data, study) / f"{run}.parquet", rows, LOSSES_KEY)


def write_atlas(data: Path, source: str, rows: Sequence[AtlasRow]) -> Path:
    """Replace the rows of `source` by these, in their order; returns the file."""
    path = Path(data) / "atlas" / f"{source}.parquet"
    with exclusive(path.parent):
        sweep_leftovers(path)
        write_table(pa.Table.from_pylist([dataclasses.asdict(row) for row in rows], arrow_schema(AtlasRow)), path)
    return path


def _stored_rows(path: Path, kind: type) -> list[dict[str, Any]]:
    return list(read_rows(path, kind).to_pylist()) if path.exists() else []
