"""Rows into the Parquet files under `data/`.

Each file belongs to one unit of work (a training run, an autoencoder), so processes that work on different units never
touch the same file; `upsert` locks the folder, merges by key and replaces the file in one step, so a re-run never
doubles a row and a reader never sees half a file.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from lrcore.records.paths import (
    anchors_folder,
    generation_folder,
    latents_folder,
    losses_folder,
    reconstruction_folder,
)
from lrcore.records.reading import check_version
from lrcore.records.schema import (
    ANCHORS_KEY,
    GENERATION_KEY,
    LATENTS_KEY,
    LOSSES_KEY,
    PUBLISHED_KEY,
    RECONSTRUCTION_KEY,
    AnchorRow,
    GenerationRow,
    LatentRow,
    LossRow,
    PublishedRow,
    ReconstructionRow,
    arrow_schema,
)
from lrcore.runtime.files import atomic_path, exclusive, sweep_leftovers


def upsert(path: Path, rows: Sequence[Any], key: Sequence[str]) -> None:
    """Put `rows` (all of one row class) into the Parquet file `path`; a row replaces one of the same key.

    Stored rows of another recipe go: the file belongs to one unit of work, whose study has changed since.
    Rows are stored sorted by key, so the bytes do not depend on the order of the writes.
    """
    schema = arrow_schema(type(rows[0]))
    # one lock a folder, so that the data folder is not strewn with them; each write is short
    with exclusive(path.parent):
        sweep_leftovers(path)
        merged: dict[tuple[Any, ...], Mapping[str, Any]] = {}
        new = [dataclasses.asdict(row) for row in rows]
        for row in [*_of_same_recipe(_stored_rows(path, schema), new), *new]:
            merged[tuple(_comparable(row[name]) for name in key)] = row
        ordered = [merged[k] for k in sorted(merged)]
        with atomic_path(path) as temporary:
            pa.parquet.write_table(pa.Table.from_pylist(ordered, schema), temporary)


def _comparable(value: Any) -> Any:
    """A part of a key: NaN, which a migration leaves where nothing is known, equals nothing and has no order."""
    return -1.0 if isinstance(value, float) and math.isnan(value) else value


def write_generation(data: Path, study: str, run: str, rows: Sequence[GenerationRow]) -> None:
    """Add the rows of training run `run` (a file name without its ending)."""
    upsert(generation_folder(data, study) / f"{run}.parquet", rows, GENERATION_KEY)


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


def write_published(data: Path, rows: Sequence[PublishedRow]) -> None:
    """Add figures from the literature."""
    upsert(Path(data) / "published" / "figures.parquet", rows, PUBLISHED_KEY)


def _stored_rows(path: Path, schema: pa.Schema) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    check_version(path)
    # ParquetFile reads the one file: read_table would add the partition column of its folder.
    with pa.parquet.ParquetFile(path) as stored:
        return list(stored.read().select(schema.names).to_pylist())


def _of_same_recipe(stored: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in stored if row.get("recipe") == new[0].get("recipe")]
