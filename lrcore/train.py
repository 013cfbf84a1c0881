"""Regenerate a study: assets, autoencoders, reconstruction, latents, training, sampling, metrics, Parquet.

    python -m lrcore.train                        # the study `smoke`
    python -m lrcore.train smoke --ae sd flux2    # part of it
    python -m lrcore.train smoke --budget 25m     # stop cleanly after 25 minutes; call again to go on

Starting and resuming are the same command: whatever is on disk is kept, whatever is missing is made. Killed
at any moment and started again, a study ends with the same rows as one that was left alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lrcore import assets
from lrcore.errors import LrcoreError, unknown
from lrcore.files import require_writable
from lrcore.interruption import StopRequest, StudyInterrupted, parse_duration
from lrcore.progress import Progress
from lrcore.stages.autoencoder import autoencoder_folder, ensure_autoencoder
from lrcore.stages.generation import evaluations_missing, run_cell
from lrcore.stages.reconstruction import measure_reconstruction, reconstruction_done
from lrcore.stages.workspace import Folders, Workspace
from lrcore.studies import Cell, Study, load_study

STAGES = ("autoencoders", "reconstruction", "generation")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise LrcoreError(f"{message}; `python -m lrcore.train --help` lists what is allowed")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    line = _Parser(
        prog="python -m lrcore.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    line.add_argument(
        "study", nargs="?", default="smoke", help="a study's name, or the path of a TOML file (default: smoke)"
    )
    line.add_argument("--ae", nargs="+", default=[], metavar="NAME", help="only these autoencoders")
    line.add_argument("--trainp", nargs="+", default=[], metavar="P", help="only these training densities: ts, ln, pln")
    line.add_argument("--trainshift", nargs="+", default=[], metavar="A", type=float, help="only these training shifts")
    line.add_argument(
        "--repa", nargs="+", default=[], metavar="E", help="only with REPA towards these encoders, or `none`"
    )
    line.add_argument("--only", nargs="+", default=[], metavar="STAGE", help=f"only these stages: {', '.join(STAGES)}")
    line.add_argument("--budget", metavar="TIME", help="stop cleanly after this long: 90s, 25m, 1.5h")
    line.add_argument("--data", type=Path, default=Path("data"), help="folder of the Parquet (default: data)")
    line.add_argument("--imgs", type=Path, default=Path("imgs"), help="folder of the crops (default: imgs)")
    line.add_argument("--runs", type=Path, default=Path("runs"), help="folder of weights and latents (default: runs)")
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0 done or stopped as asked, 2 the caller can mend it."""
    try:
        options = parser().parse_args(arguments)
        stop = StopRequest(parse_duration(options.budget) if options.budget else None)
        return _run(options, stop)
    except StudyInterrupted as interrupted:
        print(f"stopped: {interrupted}. The same command goes on from here.", file=sys.stderr)
        return 0
    except KeyboardInterrupt:  # outside the work, where nothing is half done
        print("stopped", file=sys.stderr)
        return 130
    except LrcoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace, stop: StopRequest) -> int:
    study = load_study(options.study)
    cells = _narrowed(study.cells, options)
    aes = [ae for ae in study.autoencoders if any(cell.ae == ae for cell in cells)]
    stages = _chosen("stage", options.only, STAGES)
    folders = Folders(options.data, options.imgs, options.runs)
    for folder in (folders.data, folders.imgs, folders.runs):
        require_writable(folder)
    progress: list[Progress] = []
    work = Workspace(study, folders, stop, lambda steps: progress[0].advance(steps))

    to_train = [ae for ae in aes if not autoencoder_folder(work, ae).exists()]
    to_reconstruct = [ae for ae in aes if "reconstruction" in stages and not reconstruction_done(work, ae)]
    to_generate = [cell for cell in cells if "generation" in stages and evaluations_missing(work, cell)]
    if "autoencoders" not in options.only:  # else only those that a missing row needs: runs/ may have been deleted
        to_train = [ae for ae in to_train if ae in to_reconstruct or any(cell.ae == ae for cell in to_generate)]
    if not (to_train or to_reconstruct or to_generate):
        print(f"study '{study.name}': nothing to do, all {len(cells)} trainings and {len(aes)} autoencoders are done")
        return 0

    print(f"study '{study.name}': {study.summary}", file=sys.stderr)
    print(
        f"to do: {len(to_train)} autoencoders, {len(to_reconstruct)} reconstructions, "
        f"{len(to_generate)} of {len(cells)} trainings",
        file=sys.stderr,
    )
    for asset in _assets(study):
        assets.fetch(asset)
    stop.listen()
    began = time.monotonic()
    steps = len(to_train) * study.autoencoder_training.steps + len(to_generate) * study.training.evaluate_at[-1]
    progress.append(Progress(steps))
    try:
        for ae in to_train:
            progress[0].unit(f"autoencoder {ae}")
            ensure_autoencoder(work, ae)
        for ae in to_reconstruct:
            progress[0].unit(f"reconstruction {ae}")
            measure_reconstruction(work, ae)
            stop.check()
        for cell in to_generate:
            progress[0].unit(cell.name)
            run_cell(work, cell)
    finally:
        progress[0].close()
    seconds = time.monotonic() - began
    print(f"study '{study.name}': done in {seconds:.0f} s; rows in '{folders.data}', crops in '{folders.imgs}'")
    return 0


def _assets(study: Study) -> list[str]:
    """What the study reads from outside, all of it fetched before any work."""
    named = [study.encoder.name, study.evaluation.feature_network, "lpips_vgg16", "lpips_alexnet"]
    return list(dict.fromkeys([*(["cifar10"] if study.data.dataset == "cifar10" else []), *named]))


def _narrowed(cells: list[Cell], options: argparse.Namespace) -> list[Cell]:
    chosen = cells
    for name in ("ae", "trainp", "trainshift", "repa"):
        wanted = _chosen(f"value of --{name}", getattr(options, name), sorted({getattr(cell, name) for cell in cells}))
        chosen = [cell for cell in chosen if getattr(cell, name) in wanted]
    if not chosen:
        raise LrcoreError("no training of the study has all the values asked for")
    return chosen


def _chosen(kind: str, wanted: Sequence[object], allowed: Sequence[object]) -> Sequence[object]:
    for value in wanted:
        if value not in allowed:
            raise unknown(kind, value, allowed)
    return wanted or allowed


if __name__ == "__main__":
    sys.exit(main())
