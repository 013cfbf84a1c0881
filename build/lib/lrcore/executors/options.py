"""The options of the command line that choose an executor, and the executor that they choose."""

from __future__ import annotations

import argparse

from lrcore.errors import LrcoreError, shown, unknown
from lrcore.executors.local import LocalExecutor
from lrcore.executors.ray import RayExecutor, require_ray, share_of_machine
from lrcore.stages.engine import Executor, in_this_process

EXECUTORS = ("local", "ray")

MOST_WORKERS = 256
"""Processes of one machine: each holds a copy of the libraries, half a gigabyte."""


def add_options(line: argparse.ArgumentParser) -> None:
    """The options of the command line that choose an executor."""
    group = line.add_argument_group(
        "executors",
        "Any number of processes may work on one study, on one machine or on several that see the same folders: each "
        "takes the next unit that no other has, and ends when all is done. --workers starts some; --executor ray has a "
        "Ray cluster start them (pip install 'lrcore[ray]'): --data, --imgs and --runs must then be on storage that "
        "all its machines see, with locks that hold between them, as NFS 4 has.",
    )
    group.add_argument("--executor", default="local", metavar="NAME", help="local (default) or ray")
    group.add_argument("--workers", type=int, metavar="N", help="local: so many processes on this machine (default: 1)")
    group.add_argument(
        "--ray-address", metavar="ADDRESS",
        help="ray: of the cluster (default: that of this machine, or a new one on it alone)",
    )  # fmt: skip
    group.add_argument(
        "--gpus-per-run", type=float, metavar="X",
        help="ray: GPUs of a unit, 0.25 for four at once on each (default: 1 where --device is a GPU, else 0)",
    )  # fmt: skip
    group.add_argument("--cpus-per-run", type=float, metavar="X", help="ray: CPU cores of a unit (default: 1)")


def executor_of(options: argparse.Namespace) -> Executor:
    """The executor asked for.

    Raises:
        LrcoreError: unknown, not installed, or with options of another or out of range.
    """
    if options.executor not in EXECUTORS:
        raise unknown("executor", options.executor, EXECUTORS)
    _refuse_options_of_others(options)
    if options.executor == "ray":
        require_ray()
        gpus = None if options.gpus_per_run is None else share_of_machine("--gpus-per-run", options.gpus_per_run)
        if (gpus and options.device == "cpu") or (gpus == 0 and options.device == "cuda"):
            raise LrcoreError(f"--gpus-per-run {gpus:g} does not go with --device {options.device}")
        cpus = 1.0 if options.cpus_per_run is None else share_of_machine("--cpus-per-run", options.cpus_per_run)
        return RayExecutor(options.ray_address, gpus, cpus, options.device)
    workers = 1 if options.workers is None else options.workers
    if workers < 1:
        raise LrcoreError(f"--workers must be at least 1, got {workers}")
    if workers > MOST_WORKERS:
        raise LrcoreError(f"--workers must be at most {MOST_WORKERS}, got {shown(workers)}")
    return in_this_process if workers == 1 else LocalExecutor(workers)


def _refuse_options_of_others(options: argparse.Namespace) -> None:
    belongs = {"workers": "local", "ray_address": "ray", "gpus_per_run": "ray", "cpus_per_run": "ray"}
    for name, executor in belongs.items():
        if getattr(options, name) is not None and options.executor != executor:
            raise LrcoreError(f"--{name.replace('_', '-')} goes with --executor {executor}, not {options.executor}")
