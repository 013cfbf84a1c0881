"""Throughput of a study: its trainings in one latent space one by one, as a stack, and by several processes.

    python benchmarks/study.py --study smoke --trainings 4
    python benchmarks/study.py --study cifar10 --trainings 15 --steps 200 --samples 500     # on a GPU
    python benchmarks/study.py --trainings 8 --steps 400 --ways "one thread" workers    # what a second core adds

Autoencoder, features and references are made first and shared; then the same trainings, with their samples and
distances, are done by `python -m lrcore.train` in each of the ways, one way after the other, each in a process of its
own whose start counts. `one thread` is one process that may use one core. The last column scales the trainings of the
way to the whole grid of the study.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from lrcore.studies.loading import load_study

WAYS = ("one thread", "one by one", "stack", "workers")


def study_file(folder: Path, name: str, trainings: int, steps: int, samples: int) -> Path:
    """A study of so many trainings in the first latent space of another one."""
    found = load_study(name)
    cell = found.cells[0]
    path = folder / "throughput.toml"
    path.write_text(
        f"""
        extends = "{name}"
        [training]
        evaluate_at = [{steps}]
        [evaluation]
        n_samples = {samples}
        sampleshifts = [{cell.trainshift}]
        [[grid]]
        ae = ["{cell.ae}"]
        trainp = ["ln"]
        trainshift = [{", ".join(str(1 + number / 4) for number in range(trainings))}]
        repa = ["none"]
        """
    )
    return path


def train(study: Path, folder: Path, *options: str, threads: int = 0) -> float:
    """Seconds of the command; `threads` of torch, as many as it likes if 0."""
    places = [f"--{name}={folder / name}" for name in ("data", "imgs", "runs")]
    start = time.perf_counter()
    command = [sys.executable, "-m", "lrcore.train", str(study), *places, *options]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)} if threads else None
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", default="smoke")
    parser.add_argument("--trainings", type=int, default=4)
    parser.add_argument("--steps", type=int, default=60, help="of each training")
    parser.add_argument("--samples", type=int, default=64, help="of each training")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="each with its share of the threads")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS[1:], metavar="WAY", help=", ".join(WAYS))
    args = parser.parse_args()

    whole = len(load_study(args.study).cells)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    print(f"{args.trainings} trainings of {args.steps} steps and {args.samples} samples, study {args.study}; {device}")
    print(f"Python {platform.python_version()}, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        study = study_file(folder, args.study, args.trainings, args.steps, args.samples)
        # makes everything that the trainings share
        train(study, folder / "shared", "--trainshift", "1.0")
        shutil.rmtree(folder / "shared" / "runs" / study.stem / "transformers")
        print(f"{'way':<24}{'s':>8}{'ratio':>8}{'trainings/h':>14}   the {whole} trainings of the study, so cut (h)")
        first = 0.0
        for way in args.ways:
            count = {"stack": args.trainings, "workers": args.workers}.get(way)
            options = (f"--{way}", str(count)) if count else ()
            name = {"stack": f"stack of {count}", "workers": f"{count} workers"}.get(way, way)
            place = folder / way
            shutil.copytree(folder / "shared" / "runs", place / "runs")
            seconds = train(study, place, "--only", "generation", *options, threads=int(way == "one thread"))
            first = first or seconds
            rate = 3600 * args.trainings / seconds
            print(f"{name:<24}{seconds:>8.1f}{first / seconds:>8.2f}{rate:>14.1f}   {whole / rate:.2f}", flush=True)


if __name__ == "__main__":
    main()
