"""Regenerate a study: assets, autoencoders, reconstruction, latents, training, sampling, metrics, Parquet.

    python -m lrcore.train                        # the study `smoke`
    python -m lrcore.train smoke --ae sd flux2    # part of it
    python -m lrcore.train smoke --budget 25m     # stop cleanly within 25 minutes; call again to go on
    python -m lrcore.train smoke --workers 2      # two processes on this machine share the work
    python -m lrcore.train cifar10 --trainp ln --sampleshift 1    # one density, one sampling shift; the rest later
    python -m lrcore.train cifar10 --stack 15     # 15 trainings of one latent space at a time, as one
    python -m lrcore.train cifar10-cpu --plan     # what is done, what is left, what it costs; does nothing
    python -m lrcore.train mine.toml --compare-with cifar10    # yours alone, as that study's, and a table of both

Starting and resuming are the same command: whatever is on disk is kept, whatever is missing is made. Killed
at any moment and started again, a study ends with the same rows as one that was left alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from lrcore.command_line import Parser, as_given, chosen, device_of, folders_of, run_command, study_parser
from lrcore.errors import LrcoreError
from lrcore.executors.options import add_options, executor_of
from lrcore.executors.torchrun import run_together
from lrcore.fast.capabilities import capabilities
from lrcore.plan.report import plan
from lrcore.results.comparison import compared, comparison_table
from lrcore.runtime.distributed import joined, started_by_torchrun
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.spec.study import Cell, Study
from lrcore.stages import choice
from lrcore.stages.comparing import Comparison, comparison, described, own_rows, their_rows
from lrcore.stages.engine import STAGES, Job, in_this_process, run_study
from lrcore.stages.precision import in_precision
from lrcore.stages.tables import tables
from lrcore.stages.workspace import Workspace
from lrcore.studies.checks import require_measurable
from lrcore.studies.comparing import OPTION
from lrcore.studies.loading import load_study


def parser() -> Parser:
    """The command line."""
    line = study_parser("lrcore.train", __doc__)
    line.add_argument("--trainp", nargs="+", default=[], metavar="P", help="only these training densities: ts, ln, pln")
    line.add_argument("--trainshift", nargs="+", default=[], metavar="A", type=float, help="only these training shifts")
    line.add_argument(
        "--sampleshift", nargs="+", default=[], metavar="A", type=float,
        help="only these sampling shifts; later calls add the others to the same trainings",
    )  # fmt: skip
    line.add_argument(
        "--repa", nargs="+", default=[], metavar="E", help="only with REPA towards these encoders, or `none`"
    )
    line.add_argument(
        "--train-seed", nargs="+", default=[], metavar="N", type=int, help="only trainings with these seeds"
    )
    line.add_argument("--only", nargs="+", default=[], metavar="STAGE", help=f"only these stages: {', '.join(STAGES)}")
    add_options(line)
    line.add_argument(
        "--stack", type=int, metavar="N",
        help="train up to N runs of a latent space together, as one; same results to rounding (default: what the "
        "self-check of this device found fastest, else 1)",
    )  # fmt: skip
    line.add_argument(
        "--compile", action="store_true", help="compile the transformers' blocks; same results to rounding"
    )
    line.add_argument(
        "--shard", action="store_true", help="with torchrun: divide weights and moments among its processes (FSDP2)"
    )
    line.add_argument(
        OPTION, metavar="STUDY", default=None,
        help="train and measure your autoencoders alone, at the protocol of this study (a name, or the path of a TOML "
        "file), and compare them with its rows",
    )  # fmt: skip
    line.add_argument("--plan", action="store_true", help="print the grid, what is done and left, and its cost; stop")
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see `command_line.run_command` for the exit status."""
    return run_command(parser(), _run, arguments)


def _run(options: argparse.Namespace, stop: StopRequest) -> int:
    folders = folders_of(options)
    found = _comparison(options, folders)
    study = load_study(options.study) if found is None else found.study
    planned = choice.planned(study)
    if found is not None:  # a path of this machine says nothing on another
        named = Path(options.compare_with)
        planned = dataclasses.replace(planned, compared_with=named.name if named.is_absolute() else str(named))
    study = _at_shifts(in_precision(study, options.precision), options.sampleshift)
    cells = _narrowed(study.cells, options)
    aes = [ae for ae in study.autoencoders if any(cell.ae == ae for cell in cells)]
    stages = chosen("value of --only", options.only, STAGES)
    require_measurable(study, stages)
    if options.stack is not None and options.stack < 1:
        raise LrcoreError(f"--stack must be at least 1, got {options.stack}")
    execute = executor_of(options)
    as_written = options.precision == "study"
    device = device_of(options)
    elsewhere = started_by_torchrun() or getattr(execute, "picks_device", False)
    stack = options.stack or (1 if elsewhere else capabilities(device).stack_of(study.training.model))
    job = Job(study, folders, device, stages, aes, cells, stack, options.compile, as_written, planned)
    if found is not None:
        print(described(dataclasses.replace(found, study=study), options.study) + "\n", flush=True)
    if options.plan:
        print(plan(job.workspace(stop), stages, aes, cells))
        return 0
    with joined(job.device, options.shard) as (world, device):
        if world.size > 1 and execute is not in_this_process:
            raise LrcoreError("--workers and --executor ray start processes themselves: start them without torchrun")
        if world.size > 1:
            status = run_together(world, dataclasses.replace(job, device=device), stop)
        else:
            status = run_study(job, stop, execute)
        # beside theirs your bests stand in one table with them
        if world.first and (measured := tables(job.folders.data, study.name, aes, bests=found is None)):
            print(f"\n{measured}")
        if world.first and found is not None:
            print(f"\n{_compared(job.workspace(stop), found)}")
        if world.first and status == 0:
            print(f"\nnext  python -m lrcore.report {as_given(options)}   # all of this as one file to send")
        return status


def _comparison(options: argparse.Namespace, folders: Folders) -> Comparison | None:
    """What is compared with, if anything is."""
    if options.compare_with is None:
        return None
    return comparison(options.study, options.compare_with, folders, runs_code=not options.plan)


def _compared(work: Workspace, found: Comparison) -> str:
    """The table of yours beside theirs."""
    study = compared(own_rows(work), their_rows(found))
    aes = dict.fromkeys(cell.ae for cell in found.theirs.cells)
    if study is None or found.rows.empty:
        return f"nothing to compare with yet: study '{found.theirs.name}' has no generation rows in '{found.data}'" + (
            "" if study is None else "; yours so far:\n" + comparison_table(study, work.study.autoencoders)
        )
    return f"compared with study '{found.theirs.name}'; " + comparison_table(study, [*work.study.autoencoders, *aes])


def _at_shifts(study: Study, wanted: Sequence[float]) -> Study:
    """The study with these of its sampling shifts."""
    evaluation = study.evaluation
    shifts = tuple(chosen("value of --sampleshift", wanted, evaluation.sampleshifts))
    return dataclasses.replace(study, evaluation=dataclasses.replace(evaluation, sampleshifts=shifts))


def _narrowed(cells: list[Cell], options: argparse.Namespace) -> list[Cell]:
    left = cells
    for name in ("ae", "trainp", "trainshift", "repa", "train_seed"):
        option, allowed = f"--{name.replace('_', '-')}", sorted({getattr(cell, name) for cell in cells})
        wanted = chosen(f"value of {option}", getattr(options, name), allowed)
        left = [cell for cell in left if getattr(cell, name) in wanted]
    if not left:
        raise LrcoreError("no training of the study has all the values asked for")
    return left


if __name__ == "__main__":
    sys.exit(main())
