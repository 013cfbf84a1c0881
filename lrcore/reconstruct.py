"""How faithful the autoencoders of a study are: PSNR, SSIM, LPIPS and the Frechet distance of reconstructions.

    python -m lrcore.reconstruct smoke             # all autoencoders of the study
    python -m lrcore.reconstruct mine.toml --ae mine

Trains what the study trains and has not yet, measures on its validation images, writes `data/reconstruction` and the
crops, and prints the table. `python -m lrcore.train` does the same as one of its stages.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lrcore.command_line import as_given, chosen, device_of, folders_of, run_command, study_parser
from lrcore.records.reading import read_reconstruction
from lrcore.runtime.interruption import StopRequest
from lrcore.stages.engine import Job, run_study
from lrcore.stages.precision import in_precision
from lrcore.stages.tables import reconstruction_table
from lrcore.studies.checks import require_measurable
from lrcore.studies.loading import load_study


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see `command_line.run_command` for the exit status."""
    return run_command(study_parser("lrcore.reconstruct", __doc__), _run, arguments)


def _run(options: argparse.Namespace, stop: StopRequest) -> int:
    study = in_precision(load_study(options.study), options.precision)
    require_measurable(study, ["reconstruction"])
    aes = [str(ae) for ae in chosen("autoencoder", options.ae, list(study.autoencoders))]
    as_written = options.precision == "study"
    job = Job(study, folders_of(options), device_of(options), ["reconstruction"], aes, [], as_written=as_written)
    status = run_study(job, stop)
    rows = read_reconstruction(options.data)
    rows = rows[(rows.study == study.name) & rows.ae.isin(aes)]
    if not rows.empty:
        print(reconstruction_table(rows))
    if status == 0:
        print(f"\nnext  python -m lrcore.train {as_given(options)}   # how learnable; --plan tells the cost")
    return status


if __name__ == "__main__":
    sys.exit(main())
