"""Look at your own autoencoder before anything is measured: about 30 seconds on a CPU, nothing is trained.

    python -m lrcore.check mine.toml          # the autoencoders of a study that come from elsewhere, in that study
    python -m lrcore.check mine.toml --ae mine
    python -m lrcore.check mine.toml --compare-with cifar10   # as it would be beside that study's
    python -m lrcore.check mine.py            # a class in a file, on photographs at 256 px
    python -m lrcore.check mine.py:Mine --resolution 64

A few images are encoded and decoded: shapes, range, order of tokens and channels, whether the same image has the same
latent, PSNR, scale of the latents. Of a study also the width rule, what each next step costs, and its command. A line
that fails says what to change; the exit status is then 2.

The file is Python that runs with your rights: do not check one that you would not run.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lrcore.command_line import Parser, chosen, device_of, folder, run_command
from lrcore.errors import LrcoreError, reason, shown
from lrcore.runtime.interruption import StopRequest
from lrcore.runtime.progress import duration

# all else is imported where it is used: --help and mistakes would wait for it
if TYPE_CHECKING:
    from lrcore.datasets.loading import Splits
    from lrcore.stages.inspection import Finding
    from lrcore.stages.workspace import Workspace

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee")
"""Of scikit-image, which has them in its package."""

CROPS = 16
"""Of each photograph."""

RESOLUTION = 256
"""Pixels of the photographs, unless asked for otherwise: those of the field's benchmarks."""


def parser() -> Parser:
    """The command line."""
    line = Parser(
        prog="python -m lrcore.check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    line.add_argument("what", help="a study (its name, or a path ending in .toml), or FILE.py, or FILE.py:NAME")
    line.add_argument("--ae", nargs="+", default=[], metavar="NAME", help="of a study: only these autoencoders")
    line.add_argument(
        "--resolution", type=int, metavar="PX", help=f"of a file: pixels of the photographs (default: {RESOLUTION})"
    )
    line.add_argument(
        "--compare-with", metavar="STUDY", help="of a study: as it would be at this study's protocol, see lrcore.train"
    )
    line.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu or cuda")
    line.add_argument("--runs", type=folder, default=Path("runs"), help="folder of weights and latents (default: runs)")
    line.set_defaults(budget=None)
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see `command_line.run_command` for the exit status."""
    return run_command(parser(), _run, arguments)


def _run(options: argparse.Namespace, stop: StopRequest) -> int:
    if not (options.what.endswith(".py") or ".py:" in options.what):
        if options.resolution is not None:
            raise LrcoreError("--resolution goes with a file of Python; a study's is data.resolution")
        return _check_study(options, stop)
    if options.compare_with is not None:
        raise LrcoreError(
            "--compare-with goes with a study; `python -m lrcore.new NAME --file FILE.py:NAME` writes one"
        )
    if options.ae:
        raise LrcoreError("--ae goes with a study; of a file of Python name the class: FILE.py:NAME")
    return _check_file(options, stop)


def _check_study(options: argparse.Namespace, stop: StopRequest) -> int:
    from lrcore.runtime.folders import Folders
    from lrcore.stages.workspace import Workspace
    from lrcore.studies.loading import load_study

    # nothing is written to data or imgs
    folders, beside = Folders(Path("data"), Path("imgs"), options.runs), ""
    if options.compare_with is None:
        study = load_study(options.what)
    else:
        from lrcore.stages.comparing import comparison, described

        found = comparison(options.what, options.compare_with, folders, runs_code=True)
        study, beside = found.study, f" --compare-with {options.compare_with}"
        print(described(found, options.what) + "\n", flush=True)
    aes = [str(ae) for ae in chosen("autoencoder", options.ae, list(study.autoencoders))]
    here = [ae for ae in aes if study.autoencoders[ae].origin != "trained"]
    if trained := [ae for ae in aes if ae not in here]:
        print(f"trained by the study, so there is nothing to check yet: {', '.join(trained)}")
    work = Workspace(study, folders, stop, lambda steps: None, device_of(options))
    failed = [ae for ae in here if _failures(work, ae, f"in {options.what}")]
    for ae in here if not failed else ():
        _tell_costs(work, ae, options.what, beside)
    return _end(failed)


def _check_file(options: argparse.Namespace, stop: StopRequest) -> int:
    """A class by itself: as the only autoencoder of a study whose images are photographs."""
    from lrcore.runtime.folders import Folders
    from lrcore.spec.study import AutoencoderSpec, Grid, StudyPath
    from lrcore.stages.workspace import Workspace
    from lrcore.studies.limits import NUMBERS
    from lrcore.studies.loading import load_study

    resolution = RESOLUTION if options.resolution is None else options.resolution
    if not NUMBERS["data.resolution"].holds(resolution):
        raise LrcoreError(f"--resolution must be {NUMBERS['data.resolution'].told(True)}, got {shown(resolution)}")
    file, name = _class_in(options.what)
    ae = name.lower()
    study = load_study("smoke")
    study = dataclasses.replace(
        study,
        autoencoders={ae: AutoencoderSpec(StudyPath(f"{file.resolve()}:{name}", f"{file}:{name}"))},
        data=dataclasses.replace(study.data, resolution=resolution),
        grid=(Grid((ae,), ("ln",), (1.0,), ("none",)),),
    )
    with tempfile.TemporaryDirectory() as temporary:
        folders = Folders(*(Path(temporary) / kind for kind in ("data", "imgs", "runs")))
        work = Workspace(study, folders, stop, lambda steps: None, device_of(options))
        work.images = _photographs(resolution)
        failed = _failures(work, ae, f"in {file}", in_study=False)
    if not failed:
        print(f"next  python -m lrcore.new {_study_name(file)} --file {file}:{name}   # writes the study")
    return _end([ae] if failed else [])


def _class_in(what: str) -> tuple[Path, str]:
    """The file and the name in `FILE.py:NAME`; of `FILE.py` alone, the only class in it that subclasses Autoencoder."""
    named, _, name = what.rpartition(":") if ".py:" in what else (what, "", "")
    file = folder(named)
    if not file.is_file():
        raise LrcoreError(f"autoencoder file {shown(str(file))} does not exist; python -m lrcore.new NAME writes one")
    if name:
        return file, name
    from lrcore.studies.own_files import class_in

    return file, class_in(file)


def _study_name(file: Path) -> str:
    return file.stem.lower().replace("_", "-") + "-study"


def _photographs(resolution: int) -> Splits:
    """Square crops of `PHOTOGRAPHS`, the same every time, as both splits of a data set."""
    import torch
    from PIL import Image
    from skimage import data

    from lrcore.datasets.loading import ImageSet, Splits

    randomness, found = torch.Generator().manual_seed(0), []
    for name in PHOTOGRAPHS:
        photograph = Image.fromarray(getattr(data, name)())
        side = min(photograph.size)
        for _ in range(CROPS):
            share, left, top = torch.rand(3, generator=randomness).tolist()
            size = round(side * (0.5 + 0.5 * share))
            left, top = int(left * (photograph.width - size)), int(top * (photograph.height - size))
            crop = photograph.crop((left, top, left + size, top + size)).resize((resolution, resolution))
            pixels = torch.frombuffer(bytearray(crop.tobytes()), dtype=torch.uint8)
            found.append(pixels.view(resolution, resolution, 3).permute(2, 0, 1))
    pixels = torch.stack(found)
    images = ImageSet(pixels, torch.zeros(len(pixels), dtype=torch.int64), 1, "photographs")
    return Splits(images, images)


def _failures(work: Workspace, ae: str, where: str, in_study: bool = True) -> int:
    """Look at `ae`, a line for each thing; returns how many failed."""
    from lrcore.stages.inspection import FAILURE

    print(f"'{ae}' {where}, images of {work.study.data.resolution} px of {work.images.train.name}, on {work.device}")
    failed = 0
    for finding in _findings(work, ae, in_study):
        print(f"{finding.level:<8}{finding.what:<9}{finding.text}", flush=True)
        failed += finding.level == FAILURE
    return failed


def _findings(work: Workspace, ae: str, in_study: bool) -> Iterator[Finding]:
    from lrcore.autoencoders.normalised import Normalised, tried
    from lrcore.stages.autoencoder import as_it_comes, require_pretrained
    from lrcore.stages.engine import STAGES
    from lrcore.stages.inspection import FAILURE, OK, WARNING, Finding, inspect
    from lrcore.studies.checks import require_measurable
    from lrcore.studies.widths import check_widths

    study = work.study
    try:
        require_pretrained(work, ae)
        autoencoder = as_it_comes(work, ae)
    except LrcoreError as error:
        yield Finding(FAILURE, "made", str(error))
        return
    if by := study.autoencoders[ae].normalise:
        autoencoder = Normalised(tried(autoencoder), by).to(work.device)
    try:
        yield from inspect(autoencoder, work.images.train.images, work.images.validation.images, ae, in_study)
    except LrcoreError as error:
        yield Finding(FAILURE, "images", str(error))
    except Exception as error:  # of code that is not ours
        yield Finding(FAILURE, "images", f"encode_batch or decode_batch failed: {reason(error)}")
    channels = autoencoder.shape.channels_per_token
    if not in_study:
        yield Finding(OK, "width", f"a transformer must be at least {channels} wide, as a token has channels")
        return
    try:
        check_widths(study, {ae: channels})
        yield Finding(OK, "width", f"the transformer is at least as wide as the {channels} channels of a token")
    except LrcoreError as error:
        yield Finding(FAILURE, "width", str(error))
    try:
        require_measurable(study, STAGES)
    except LrcoreError as error:
        yield Finding(FAILURE, "study", str(error))
    if not any(cell.ae == ae for cell in study.cells):
        yield Finding(WARNING, "study", f"no [[grid]] names '{ae}': nothing would be trained in its latent space")


def _tell_costs(work: Workspace, ae: str, what: str, beside: str) -> None:
    """What each next step costs, and its command; `beside`: its option where the study is compared with another."""
    from lrcore.plan.steps import seconds_by_stage

    commands = {
        "reconstruction": f"python -m lrcore.train {what} --ae {ae} --only reconstruction{beside}" if beside
                          else f"python -m lrcore.reconstruct {what} --ae {ae}",
        "diagnostics": f"python -m lrcore.train {what} --ae {ae} --only diagnostics{beside}",
        "the rest": f"python -m lrcore.train {what} --ae {ae}{beside}",
    }  # fmt: skip
    cells = [cell for cell in work.study.cells if cell.ae == ae]
    stages = ("reconstruction", "diagnostics", *(("anchors", "generation", "choice", "samples") if cells else ()))
    found = seconds_by_stage(work, stages, ae, cells)
    rest = [found[stage] for stage in stages[2:]]
    if rest:
        reasons = [seconds for seconds in rest if isinstance(seconds, str)]
        found["the rest"] = reasons[0] if reasons else sum(seconds for seconds in rest if not isinstance(seconds, str))
    unit = "of one core" if work.device.type == "cpu" else "of the device"
    for name, command in commands.items():
        if name in found:
            seconds = found[name]
            cost = f"unknown: {seconds}" if isinstance(seconds, str) else f"about {duration(seconds)} {unit}"
            print(f"next    {name:<16}{cost:<28}{command}")


def _end(failed: list[str]) -> int:
    if failed:
        print(f"mend what FAILED, then check again: {', '.join(failed)}", file=sys.stderr)
    return 2 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
