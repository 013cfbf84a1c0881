"""Figures from the literature: check what people wrote, and make Parquet of it.

    python -m lrcore.atlas check     # every problem a line; exit status 1 where there is one
    python -m lrcore.atlas build     # data/atlas/sources/*.csv into data/atlas/*.parquet

A paper is one CSV in `data/atlas/sources` and one entry of its name in `posts/references.bib`;
`data/atlas/README.md` says how.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lrcore.command_line import Parser, folder, run_command
from lrcore.records import atlas_sources
from lrcore.records.atlas_second_reading import read_second_reading
from lrcore.records.reading import read_atlas
from lrcore.results import atlas_verification
from lrcore.runtime.interruption import StopRequest

WORK = ("check", "build")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see `command_line.run_command` for the exit status, 1 where `check` found something."""
    line = Parser("python -m lrcore.atlas", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    line.add_argument("work", choices=WORK, help="check the CSV and the Parquet, or build the Parquet")
    line.add_argument("--data", type=folder, default=Path("data"), help="data folder (default: %(default)s)")
    line.add_argument(
        "--bib", type=folder, default=Path("posts/references.bib"), help="the bibliography (default: %(default)s)"
    )
    line.set_defaults(budget=None)
    return run_command(line, _run, arguments)


def _run(options: argparse.Namespace, stop: StopRequest) -> int:
    if options.work == "build":
        written = atlas_sources.build(options.data, options.bib)
        print(f"wrote {len(written)} sources, {len(read_atlas(options.data)):,} rows, to '{options.data / 'atlas'}'")
        return 0
    found = atlas_sources.problems(options.data, options.bib)
    if not found:
        found = atlas_verification.problems(read_second_reading(options.data), _readme(options.data))
    for problem in found:
        print(problem)
    if found:
        print(f"{len(found)} to mend", file=sys.stderr)
        return 1
    rows = read_atlas(options.data)
    print(f"{rows['source'].nunique()} sources, {len(rows):,} rows: nothing to mend")
    return 0


def _readme(data: Path) -> str:
    """What stands beside the atlas for people; "" where nothing does."""
    path = Path(data) / "atlas" / "README.md"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


if __name__ == "__main__":
    sys.exit(main())
