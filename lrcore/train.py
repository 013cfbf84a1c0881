"""Regenerate a study: assets, autoencoders, reconstruction, latents, training, sampling, metrics, Parquet.

    python -m lrcore.train                        # the study `smoke`
    python -m lrcore.train smoke --ae sd flux2    # part of it
    python -m lrcore.train smoke --budget 25m     # stop cleanly after 25 minutes; call again to go on
    python -m lrcore.train smoke --workers 2      # two processes on this machine share the work
    python -m lrcore.train cifar10-cpu --plan     # what is done, what is left, what it costs; does nothing

Starting and resuming are the same command: whatever is on disk is kept, whatever is missing is made. Killed
at any moment and started again, a study ends with the same rows as one that was left alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lrcore.command_line import Parser, chosen, device_of, folders_of, run_command, study_parser
from lrcore.engine import STAGES, run_study
from lrcore.errors import LrcoreError
from lrcore.executors import add_options, executor_of
from lrcore.interruption import StopRequest
from lrcore.plan import plan
from lrcore.stages.workspace import Workspace
from lrcore.studies import Cell, load_study


def parser() -> Parser:
    """The command line."""
    line = study_parser("lrcore.train", __doc__)
    line.add_argument("--trainp", nargs="+", default=[], metavar="P", help="only these training densities: ts, ln, pln")
    line.add_argument("--trainshift", nargs="+", default=[], metavar="A", type=float, help="only these training shifts")
    line.add_argument(
        "--repa", nargs="+", default=[], metavar="E", help="only with REPA towards these encoders, or `none`"
    )
    line.add_argument("--only", nargs="+", default=[], metavar="STAGE", help=f"only these stages: {', '.join(STAGES)}")
    add_options(line)
    line.add_argument("--plan", action="store_true", help="print the grid, what is done and left, and its cost; stop")
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see `command_line.run_command` for the exit status."""
    return run_command(parser(), _run, arguments)


def _run(options: argparse.Namespace, stop: StopRequest) -> int:
    study = load_study(options.study)
    cells = _narrowed(study.cells, options)
    aes = [ae for ae in study.autoencoders if any(cell.ae == ae for cell in cells)]
    stages = chosen("stage", options.only, STAGES)
    execute = executor_of(options)
    if options.plan:
        work = Workspace(study, folders_of(options), stop, lambda steps: None, device_of(options))
        print(plan(work, stages, aes, cells))
        return 0
    return run_study(study, folders_of(options), stop, device_of(options), stages, aes, cells, execute)


def _narrowed(cells: list[Cell], options: argparse.Namespace) -> list[Cell]:
    left = cells
    for name in ("ae", "trainp", "trainshift", "repa"):
        wanted = chosen(f"value of --{name}", getattr(options, name), sorted({getattr(cell, name) for cell in cells}))
        left = [cell for cell in left if getattr(cell, name) in wanted]
    if not left:
        raise LrcoreError("no training of the study has all the values asked for")
    return left


if __name__ == "__main__":
    sys.exit(main())
