"""Rows out of the Parquet files under `data/`, each table as one frame; pandas alone reads them, too.

    >>> import pandas
    >>> pandas.read_parquet("data/generation")   # doctest: +SKIP

What reads here refuses files that are damaged or of another schema.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import pandas
import pyarrow as pa

from lrcore.errors import LrcoreError
from lrcore.records.digests import UnreadableError, has_digest, is_sealed, read_table, require_digest
from lrcore.records.schema import (
    SCHEMA_VERSION,
    TABLES,
    AnchorRow,
    AtlasRow,
    GenerationRow,
    LatentRow,
    LossRow,
    ReconstructionRow,
    arrow_schema,
)
from lrcore.runtime.files import NO_DIGEST, removal

SETTLED = 2.0
"""Seconds after which a change of a file shows in its times, on any file system."""

_read_before: dict[tuple[Path, type], tuple[tuple[int, ...], pa.Table]] = {}
"""Rows of files, with what the files were like when they were read."""


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


def read_paired(data: Path | str = "data") -> pandas.DataFrame:
    """Evaluations of samples both in half precision and in float32, see `records.paired`; with the column `study`."""
    return _read(Path(data) / "paired", GenerationRow, partitioned=True)


def read_losses(data: Path | str = "data") -> pandas.DataFrame:
    """The training losses of every study, with the column `study`."""
    return _read(Path(data) / "losses", LossRow, partitioned=True)


def read_tables(data: Path | str = "data", study: str | None = None) -> dict[str, pandas.DataFrame]:
    """The rows of every table of `schema.TABLES`, of every study or of one, with the column `study`."""
    found = {name: _read(Path(data) / name, row, partitioned=True) for name, (row, _) in TABLES.items()}
    return found if study is None else {name: rows[rows["study"] == study] for name, rows in found.items()}


def read_atlas(data: Path | str = "data") -> pandas.DataFrame:
    """Every figure taken from the literature, in the order of the sources and of their CSV."""
    return _read(Path(data) / "atlas", AtlasRow, partitioned=False)


def read_published(data: Path | str = "data") -> pandas.DataFrame:
    """The figures of the atlas that pages compare with the studies of this project: those with a `table`.

    Columns source, table, dataset (with its resolution), ae, setting, quantity, value, standard_error, unit, note, and
    of the training behind a figure `training` ('DiT-XL with REPA, 700k steps'), density, trainshift and sampleshift, ""
    or NaN where not stated. A setting says of REPA what the atlas says in the column of the generator.
    """
    atlas = read_atlas(data)
    rows = atlas[atlas["table"] != ""].rename(columns={"error": "standard_error"})
    size = rows["resolution"].astype(str).where(rows["resolution"] > 0, "")
    training = [_training(*told) for told in zip(rows["generator"], rows["budget"], strict=True)]
    rows = rows.assign(dataset=rows["dataset"] + size, training=pandas.Series(training, rows.index, dtype=object))
    setting = [_with_repa(*told) for told in zip(rows["setting"], rows["training"], strict=True)]
    rows = rows.assign(setting=pandas.Series(setting, rows.index, dtype=object))
    return rows.sort_values(list(_PUBLISHED_KEY), ignore_index=True)[[*_PUBLISHED]]


_PUBLISHED_KEY = ("source", "table", "ae", "setting", "quantity")
_PUBLISHED = (
    "source", "table", "dataset", "ae", "setting", "quantity", "value", "standard_error", "unit", "note", "training",
    "density", "trainshift", "sampleshift",
)  # fmt: skip


def _training(generator: str, budget: str) -> str:
    """Model and length of a training in words: 'DiT-XL with REPA, 700k steps'."""
    model = generator.split(" ", 1)[0] + (" with REPA" if generator.endswith("+ REPA") else "")
    steps = re.match(r"(\d+)000 steps", budget)
    return ", ".join(filter(None, [model, f"{steps[1]}k steps" if steps else budget]))


def _with_repa(setting: str, training: str) -> str:
    """A setting that names the model, with what `_training` knows of it where that is REPA."""
    model, *rest = setting.split(", ")
    if not model or "REPA" in setting or not training.startswith(f"{model} with REPA"):
        return setting
    return ", ".join([training, *rest])


def _read(folder: Path, row: type, partitioned: bool) -> pandas.DataFrame:
    schema = arrow_schema(row)
    if partitioned:
        schema = schema.append(pa.field("study", pa.string()))
    tables = [schema.empty_table()]
    for path in row_files(folder):
        table = _read_once(path, row)
        if partitioned:
            table = table.append_column(schema.field("study"), pa.array([_study_of(path, folder)] * len(table)))
        tables.append(table)
    frame: pandas.DataFrame = pa.concat_tables([table.replace_schema_metadata() for table in tables]).to_pandas()
    return frame


def _read_once(path: Path, row: type) -> pa.Table:
    """What `read_rows` gives, read again where the file is another than before or was written a moment ago.

    A study looks at its rows before and after every unit of work, and they are in as many files.
    """
    try:
        found = path.stat()
    except OSError:
        return read_rows(path, row)
    # looked at before reading: a file that is replaced meanwhile is read again
    version = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    before, table = _read_before.get((path, row), (None, None))
    if before == version:
        return table
    table = read_rows(path, row)
    if time.time() - max(found.st_mtime, found.st_ctime) > SETTLED:
        _read_before[path, row] = version, table
    return table


def row_files(folder: Path) -> list[Path]:
    """The files of rows under a folder, in order; what a killed writer left is passed over."""
    return sorted(path for path in folder.rglob("*.parquet") if not path.name.startswith("."))


def _study_of(path: Path, folder: Path) -> str:
    name = path.parent.name.removeprefix("study=")
    if path.parent.parent != folder or path.parent.name == name:
        raise LrcoreError(f"'{path}' lies in no folder '{folder}/study=<name>': move it away, or there")
    return name


def read_rows(path: Path, row: type) -> pa.Table:
    """The rows of class `row` in a file, checked: its columns, without a null, as they were written.

    Raises:
        LrcoreError: the file is damaged, without digest, of another schema, or lacks something; says how to mend it.
    """
    try:
        table = read_table(path)
        _require_version(path, version_of(table))
        found = _of_schema(table, arrow_schema(row))
        if not (has_digest(table) and is_sealed(path)):
            raise LrcoreError(NO_DIGEST.format(path))
        require_digest(table)
    except UnreadableError as error:
        raise LrcoreError(f"'{path}' is damaged, or no file of rows ({error}): {mending(path)}") from error
    return found


def version_of(table: pa.Table) -> int:
    """The schema version of a table that was read; 0 where it says none."""
    try:
        return int((table.schema.metadata or {}).get(b"lrcore_schema_version", b"0"))
    except ValueError:
        return 0


def mending(path: Path) -> str:
    """What makes a damaged file of rows again."""
    folder = path.parent.name
    command = "lrcore.atlas build" if folder == "atlas" else f"lrcore.train {folder.removeprefix('study=')}"
    return f"`{removal(path)}`, then `python -m {command}` makes it again"


def _of_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The columns of `schema`; others, which nothing of here wrote, are left out.

    Raises:
        UnreadableError: one is not there, is there twice, is of another type, or holds a null.
    """
    for field in schema:
        places = table.schema.get_all_field_indices(field.name)
        if len(places) != 1:
            raise UnreadableError(f"it has {len(places) or 'no'} column{'s' if places else ''} '{field.name}'")
        column = table.column(places[0])
        if column.type != field.type:
            raise UnreadableError(f"column '{field.name}' is of type {column.type}, not {field.type}")
        if column.null_count:
            raise UnreadableError(f"column '{field.name}' is null in {column.null_count} of {len(column)} rows")
    return pa.Table.from_arrays([table[field.name] for field in schema], schema=schema)


def _require_version(path: Path, version: int) -> None:
    if version == SCHEMA_VERSION:
        return
    mend = "use the lrcore that wrote it, or move the file away and run the study again"
    if version == SCHEMA_VERSION - 1:
        mend = "`python -m lrcore.records.migration` brings it up to date"
    raise LrcoreError(
        f"'{path}' has schema version {version or 'unknown'}; this lrcore reads version {SCHEMA_VERSION}: {mend}"
    )
