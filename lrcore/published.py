"""Figures from the literature, `results/published.csv`, into Parquet.

    python -m lrcore.published              # writes data/published/figures.parquet
    python -m lrcore.published --data PATH

The CSV is the source: a person reads and reviews it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lrcore.command_line import folder, print_anything
from lrcore.errors import LrcoreError
from lrcore.results.published import write


def main() -> int:
    """Run the command line; returns the exit status, 2 for an error of the user's."""
    parser = argparse.ArgumentParser(
        prog="python -m lrcore.published", description="Write the figures from the literature as Parquet."
    )
    parser.add_argument("--data", type=folder, default=Path("data"), help="data folder (default: %(default)s)")
    print_anything()
    try:
        print(f"wrote {write(parser.parse_args().data)}")
    except LrcoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
