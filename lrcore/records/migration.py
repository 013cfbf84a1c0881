"""Bring Parquet of the schema before this one up to date, in place.

    python -m lrcore.records.migration                 # everything under data/
    python -m lrcore.records.migration --data elsewhere

A column that is new is added where its schema has it, as NaN or "" (nothing is known of it); no other value changes but
`schema_version`. Files of this schema are left as they are, so that it can be stopped and run again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from lrcore.command_line import Parser, run_command
from lrcore.errors import LrcoreError
from lrcore.records import reading, schema
from lrcore.runtime.files import atomic_path, exclusive
from lrcore.runtime.interruption import StopRequest

TABLES = {
    "generation": schema.GenerationRow,
    "reconstruction": schema.ReconstructionRow,
    "latents": schema.LatentRow,
    "losses": schema.LossRow,
    "anchors": schema.AnchorRow,
    "published": schema.PublishedRow,
}
"""Row class of each folder under `data/`."""

UNKNOWN = {pa.float64(): float("nan"), pa.string(): ""}
"""What a new column holds in old rows, by its type."""


def migrate(path: Path, row: type) -> bool:
    """Bring one file of rows of class `row` up to date; returns whether it was of the schema before.

    Raises:
        LrcoreError: the file cannot be read, or is of a schema from before that one.
    """
    with exclusive(path.parent):
        version = reading.stored_version(path)
        if version == schema.SCHEMA_VERSION:
            return False
        if version != schema.SCHEMA_VERSION - 1:
            raise LrcoreError(
                f"'{path}' has schema version {version or 'unknown'}; only {schema.SCHEMA_VERSION - 1} can be brought "
                f"up to {schema.SCHEMA_VERSION}"
            )
        wanted = schema.arrow_schema(row)
        # ParquetFile reads the one file: read_table would add the partition column of its folder
        with pa.parquet.ParquetFile(path) as stored:
            old = stored.read()
        columns = [_column(old, field) for field in wanted]
        with atomic_path(path) as temporary:
            pa.parquet.write_table(pa.Table.from_arrays(columns, schema=wanted), temporary)
    return True


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
    line.add_argument("--data", type=Path, default=Path("data"), help="folder of the Parquet (default: data)")
    line.set_defaults(budget=None)
    return run_command(line, _run, arguments)


def _run(options: argparse.Namespace, stop: StopRequest) -> int:
    changed = 0
    for folder, row in TABLES.items():
        for path in sorted((options.data / folder).rglob("*.parquet")):
            stop.check()
            changed += migrate(path, row) if not path.name.startswith(".") else 0
    print(f"brought {changed} files up to schema version {schema.SCHEMA_VERSION}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
