"""Rows out of the Parquet files under `data/`, each table as one frame; pandas alone reads them, too.

    >>> import pandas
    >>> pandas.read_parquet("data/generation")   # doctest: +SKIP

What reads here refuses files of another schema.
"""

from __future__ import annotations

from pathlib import Path

import pandas
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet

from lrcore.errors import LrcoreError
from lrcore.records.schema import (
    SCHEMA_VERSION,
    AnchorRow,
    GenerationRow,
    LatentRow,
    LossRow,
    PublishedRow,
    ReconstructionRow,
    arrow_schema,
)


def read_generation(data: Path | str = "data") -> pandas.DataFrame:
    """Every evaluation of every study, with the column `study`; no rows where nothing has been measured."""
    return _read(Path(data) / "generation", GenerationRow, partitioned=True)


def read_reconstruction(data: Path | str = "data") -> pandas.DataFrame:
    """Every reconstruction metric of every study, with the column `study`."""
    return _read(Path(data) / "reconstruction", ReconstructionRow, partitioned=True)


def read_latents(data: Path | str = "data") -> pandas.DataFrame:
    """Every latent metric of every study, with the column `study`."""
    return _read(Path(data) / "latents", LatentRow, partitioned=True)


def read_anchors(data: Path | str = "data") -> pandas.DataFrame:
    """Every anchor of every study, with the column `study`."""
    return _read(Path(data) / "anchors", AnchorRow, partitioned=True)


def read_losses(data: Path | str = "data") -> pandas.DataFrame:
    """The training losses of every study, with the column `study`."""
    return _read(Path(data) / "losses", LossRow, partitioned=True)


def read_published(data: Path | str = "data") -> pandas.DataFrame:
    """Every figure taken from the literature."""
    return _read(Path(data) / "published", PublishedRow, partitioned=False)


def _read(folder: Path, row: type, partitioned: bool) -> pandas.DataFrame:
    schema = arrow_schema(row)
    partitioning = None
    if partitioned:
        partition = pa.schema([pa.field("study", pa.string())])
        partitioning = pa.dataset.partitioning(partition, flavor="hive")
        schema = schema.append(partition.field("study"))
    paths = sorted(p for p in folder.rglob("*.parquet") if not p.name.startswith("."))
    for path in paths:
        check_version(path)
    if not paths:
        empty: pandas.DataFrame = schema.empty_table().to_pandas()
        return empty
    found = pa.dataset.dataset(
        [str(p) for p in paths],
        schema=schema,
        format="parquet",
        partitioning=partitioning,
        partition_base_dir=str(folder),
    )
    table: pandas.DataFrame = found.to_table().to_pandas()
    return table


def stored_version(path: Path) -> int:
    """The schema version of a file of rows; 0 where it says none.

    Raises:
        LrcoreError: it is no readable Parquet file.
    """
    try:
        schema = pa.parquet.read_schema(path)
    except pa.ArrowInvalid as error:
        message = f"'{path}' is no readable Parquet file ({error}): delete it and run the study again"
        raise LrcoreError(message) from error
    return int((schema.metadata or {}).get(b"lrcore_schema_version", b"0"))


def check_version(path: Path) -> None:
    """Check that a file of rows is of this schema.

    Raises:
        LrcoreError: it is not; says how to mend it.
    """
    version = stored_version(path)
    if version == SCHEMA_VERSION:
        return
    mend = "use the lrcore that wrote it, or move the file away and run the study again"
    if version == SCHEMA_VERSION - 1:
        mend = "`python -m lrcore.records.migration` brings it up to date"
    raise LrcoreError(
        f"'{path}' has schema version {version or 'unknown'}; this lrcore reads version {SCHEMA_VERSION}: {mend}"
    )
