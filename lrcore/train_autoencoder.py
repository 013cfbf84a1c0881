"""Train the autoencoders of a study, on CIFAR-10 or on a folder of images at any resolution.

    python -m lrcore.train_autoencoder smoke --ae flux2
    python -m lrcore.train_autoencoder my-study.toml --export my-autoencoders
    python -m lrcore.train_autoencoder cifar10-cpu --keep     # beside the data, where every command finds them

The study's [autoencoder_training] and [autoencoders.<name>] say how (`lrcore/studies/smoke.toml` explains the keys).
Weights are kept under `runs/<study>/autoencoders` and, with `--export`, copied to `<folder>/<name>`: a folder in
diffusers' layout that `from_pretrained` reads and that another study can name as `pretrained`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from lrcore.command_line import chosen, device_of, folder, folders_of, run_command, study_parser
from lrcore.errors import LrcoreError
from lrcore.runtime.files import atomic_folder
from lrcore.runtime.interruption import StopRequest
from lrcore.stages.autoencoder import autoencoder_folder, kept_folder
from lrcore.stages.engine import Job, run_study
from lrcore.stages.precision import in_precision
from lrcore.studies.loading import load_study


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see `command_line.run_command` for the exit status."""
    line = study_parser("lrcore.train_autoencoder", __doc__)
    line.add_argument("--export", type=folder, metavar="FOLDER", help="copy the trained weights to FOLDER/<name>")
    line.add_argument(
        "--keep", action="store_true",
        help="copy them beside the data, to DATA/autoencoders: who has the data need not train them again",
    )  # fmt: skip
    return run_command(line, _run, arguments)


def _run(options: argparse.Namespace, stop: StopRequest) -> int:
    study = in_precision(load_study(options.study), options.precision)
    trained = [ae for ae, spec in study.autoencoders.items() if spec.origin == "trained"]
    if not trained:
        raise LrcoreError(f"study '{study.name}' trains no autoencoder")
    aes = [str(ae) for ae in chosen("trained autoencoder", options.ae, trained)]
    targets = {ae: options.export / ae for ae in aes} if options.export else {}
    for target in targets.values():
        if target.exists():
            raise LrcoreError(f"'{target}' is there already: name another folder, or move it away")
    folders = folders_of(options)
    as_written = options.precision == "study"
    job = Job(study, folders, device_of(options), ["autoencoders"], aes, [], as_written=as_written)
    status = run_study(job, stop)
    work = job.workspace(stop)
    for ae, target in targets.items():
        _export(autoencoder_folder(work, ae), target)
    for ae in aes if options.keep else ():
        if not kept_folder(work, ae).exists():
            _export(autoencoder_folder(work, ae), kept_folder(work, ae))
    return status


def _export(folder: Path, target: Path) -> None:
    """Copy a trained autoencoder, where it did not diverge; the folder appears whole or not at all."""
    if not folder.exists():
        return
    with atomic_folder(target) as partial:
        shutil.copytree(folder, partial, ignore=shutil.ignore_patterns(".*"))
    print(f"exported '{target}'")


if __name__ == "__main__":
    sys.exit(main())
