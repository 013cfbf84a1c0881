"""Pretrained weights and data sets: what the cache holds, and fetching what it lacks.

    python -m lrcore.assets                    what is present, missing, how large, under which licence
    python -m lrcore.assets fetch              fetch everything
    python -m lrcore.assets fetch cifar10      fetch one

A file put into the cache by hand is used as well: `lrcore.assets.cache`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lrcore.assets import table
from lrcore.assets.cache import fetch, is_present
from lrcore.assets.table import asset, cache_folder, megabytes
from lrcore.command_line import print_anything
from lrcore.errors import LrcoreError


def _print_table() -> None:
    print(f"cache: {cache_folder()}")
    for entry in table.ASSETS.values():
        state = "present" if is_present(entry.name) else "missing"
        print(f"{entry.name:<20}{state:<9}{megabytes(entry.size):>7}  {entry.path}  [{entry.licence}]")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status, 2 for an error of the user's."""
    parser = argparse.ArgumentParser(prog="python -m lrcore.assets", description="Pretrained weights and data sets.")
    commands = parser.add_subparsers(dest="command")
    fetching = commands.add_parser("fetch", help="fetch what is missing")
    fetching.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(table.ASSETS)}; all without one")
    options = parser.parse_args(arguments)
    print_anything()
    try:
        if options.command == "fetch":
            for entry in [asset(name) for name in options.names or table.ASSETS]:
                fetch(entry.name)
        _print_table()
    except LrcoreError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
