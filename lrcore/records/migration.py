"""Bring files of the version before this one up to date, in place.

    python -m lrcore.records.migration                      # everything under data/ and runs/
    python -m lrcore.records.migration --data elsewhere --runs there
    python -m lrcore.records.migration FILE.parquet FILE.safetensors      # these alone

Rows of the schema before get its new columns, as NaN or "" (nothing is known of them); no other value changes but
`schema_version`. Files that have no digest get one: rows, and weights, latents and checkpoints of safetensors, whose
tensors stay as they are. What is up to date is left alone, so that it can be stopped and run again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from lrcore.command_line import Parser, folder, run_command
from lrcore.errors import LrcoreError, unknown
from lrcore.records import digests, schema
from lrcore.records.reading import mending, row_files, version_of
from lrcore.runtime.files import exclusive
from lrcore.runtime.interruption import StopRequest
from lrcore.runtime.tensor_files import add_digests, has_digests, tensor_files

TABLES = {**{name: row for name, (row, _) in schema.TABLES.items()}, "atlas": schema.AtlasRow}
"""Row class of each folder under `data/`."""

UNKNOWN = {pa.float64(): float("nan"), pa.string(): ""}
"""What a new column holds in old rows, by its type."""

MIGRATED, STAMPED = "migrated", "stamped"
"""What was done to a file: its schema brought up to date, or a digest added."""


def migrate(path: Path, row: type, waiting: Callable[[], None] = lambda: None) -> str:
    """Bring one file of rows of class `row` up to date; returns what was done, "" for nothing.

    `waiting` is called every second that another process writes there, and may raise to give up.

    Raises:
        LrcoreError: the file cannot be read, or is of a schema from before that one.
    """
    with exclusive(path.parent, waiting):
        try:
            # ParquetFile reads the one file: read_table would add the partition column of its folder
            old = digests.read_table(path)
        except digests.UnreadableError as error:
            raise LrcoreError(f"'{path}' is damaged ({error}): {mending(path)}") from error
        version = version_of(old)
        if version not in (schema.SCHEMA_VERSION, schema.SCHEMA_VERSION - 1):
            raise LrcoreError(
                f"'{path}' has schema version {version or 'unknown'}; only {schema.SCHEMA_VERSION - 1} can be brought "
                f"up to {schema.SCHEMA_VERSION}"
            )
        if version == schema.SCHEMA_VERSION:
            if digests.has_digest(old) and digests.is_sealed(path):
                return ""
            digests.write_table(old, path)
            return STAMPED
        wanted = schema.arrow_schema(row)
        columns = [_column(old, field) for field in wanted]
        digests.write_table(pa.Table.from_arrays(columns, schema=wanted), path)
    return MIGRATED


def stamp(path: Path, waiting: Callable[[], None] = lambda: None) -> str:
    """Add digests to a file of safetensors that has none; otherwise as `migrate`."""
    with exclusive(path.parent if path.with_name("config.json").exists() else path, waiting):
        if has_digests(path):
            return ""
        add_digests(path)
    return STAMPED


def _column(old: pa.Table, field: pa.Field) -> pa.Array | pa.ChunkedArray:
    if field.name == "schema_version":
        return pa.array([schema.SCHEMA_VERSION] * len(old), field.type)
    if field.name in old.column_names:
        return old[field.name]
    return pa.array([UNKNOWN[field.type]] * len(old), field.type)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see `command_line.run_command` for the exit status."""
    line = Parser(
        "python -m lrcore.records.migration", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    line.add_argument("files", nargs="*", type=Path, metavar="FILE", help="only these files, wherever they are")
    line.add_argument("--data", type=folder, default=Path("data"), help="folder of the Parquet (default: data)")
    line.add_argument("--runs", type=folder, default=Path("runs"), help="folder of weights and latents (default: runs)")
    line.set_defaults(budget=None)
    return run_command(line, _run, arguments)


def _run(options: argparse.Namespace, stop: StopRequest) -> int:
    done = []
    for path in options.files or _files(options.data, options.runs):
        stop.check()
        done.append(_brought_up(path, stop.check))
    print(
        f"brought {done.count(MIGRATED)} files up to schema version {schema.SCHEMA_VERSION}, gave a digest to "
        f"{done.count(STAMPED)} that had none"
    )
    return 0


def _files(data: Path, runs: Path) -> list[Path]:
    """All that may have to be brought up to date."""
    rows = [path for table in TABLES for at in (data, data / "replaced") for path in row_files(at / table)]
    return [*rows, *tensor_files(data), *tensor_files(runs)]


def _brought_up(path: Path, waiting: Callable[[], None]) -> str:
    if path.suffix == ".safetensors":
        return stamp(path, waiting)
    # <table>/study=<name>/<file>, or atlas/<file>
    for table in (path.resolve().parent.name, path.resolve().parent.parent.name):
        if table in TABLES:
            return migrate(path, TABLES[table], waiting)
    raise unknown("folder of rows", path.resolve().parent, [f"data/{table}" for table in TABLES])


if __name__ == "__main__":
    sys.exit(main())
