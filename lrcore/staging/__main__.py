"""Take a study to a machine without a network, and bring what it found back.

    python -m lrcore.staging pack cifar10 --to there --wheels-beyond freeze.txt    # parts of at most 60 MiB
    python -m lrcore.staging unpack there                                          # on that machine
    python -m lrcore.staging results cifar10 --to back                             # there; parts of at most 16 MiB
    python -m lrcore.staging unpack back                                           # here: rows are merged

`pack` takes data sets and weights of the cache, the study's own files, its rows, its autoencoders, statistics and
checkpoints, and the self-check, without which no GPU takes the fast path: `python benchmarks/gpu_selfcheck.py` there.

Where lrcore is not installed yet: `sha256sum --check STUDY.sha256 && cat STUDY.[0-9]* | tar --extract`, then
`pip install --no-index --find-links wheels lrcore`, and `LRCORE_CACHE=cache` for the commands.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from lrcore.assets.table import cache_folder
from lrcore.command_line import Parser, folder, folders_of, run_command
from lrcore.errors import LrcoreError
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.spec.study import Study
from lrcore.staging import contents
from lrcore.staging.contents import BENCHMARKS, CACHE, DATA, IMGS, LOGS, RUNS, STUDIES, WHEELS
from lrcore.staging.parts import write_parts
from lrcore.staging.unpacking import unpack
from lrcore.staging.wheels import download_wheels, installed_there

MIB = 2**20


def parser() -> Parser:
    """The command line."""
    line = Parser(
        prog="python -m lrcore.staging", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = line.add_subparsers(dest="command", required=True, parser_class=Parser)
    packing = _command(commands, "pack", _pack, "what a study needs, into parts")
    _add_parts(packing, 60)
    packing.add_argument(
        "--wheels-beyond", type=folder, metavar="FILE",
        help="wheels of lrcore and its dependencies, too, but for what this output of `pip freeze` there names",
    )  # fmt: skip
    packing.add_argument("--latents", action="store_true", help="latents, too: large, and quickly made there")
    results = _command(commands, "results", _results, "a study's rows and pictures, into parts")
    _add_parts(results, 16)
    results.add_argument("--log", nargs="+", default=[], type=folder, metavar="FILE", help="files to take along")
    results.add_argument(
        "--checkpoints", action="store_true", help="autoencoders and checkpoints, too, for another machine to go on"
    )
    unpacking = _command(commands, "unpack", _unpack, "put what was packed where it belongs")
    unpacking.add_argument("parts", type=folder, metavar="FOLDER", help="where the parts are")
    unpacking.add_argument("--replace", action="store_true", help="take the archive's file where another is here")
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see `command_line.run_command` for the exit status."""
    return run_command(parser(), lambda options, stop: options.run(options, stop), arguments)


def _command(
    commands: argparse._SubParsersAction[Parser],
    name: str,
    run: Callable[[argparse.Namespace, StopRequest], int],
    text: str,
) -> Parser:
    line = commands.add_parser(name, help=text, description=text)
    line.set_defaults(run=run, budget=None)
    for kind in ("data", "imgs", "runs"):
        line.add_argument(f"--{kind}", type=folder, default=Path(kind), help=f"folder (default: {kind})")
    return line


def _add_parts(line: Parser, mebibytes: int) -> None:
    line.add_argument("study", help="a study's name, or the path of a TOML file")
    line.add_argument("--to", type=folder, required=True, metavar="FOLDER", help="where the parts go")
    line.add_argument(
        "--part-mib",
        type=_mebibytes,
        default=mebibytes,
        metavar="N",
        help=f"largest part, in MiB (default: {mebibytes})",
    )


def _mebibytes(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise LrcoreError(f"--part-mib must be a whole number of at least 1, got {text!r}")
    return int(text)


def _pack(options: argparse.Namespace, stop: StopRequest) -> int:
    from lrcore.studies.loading import load_study

    study, folders = load_study(options.study), folders_of(options)
    with tempfile.TemporaryDirectory() as scratch:
        wheels: list[Path] = []
        if options.wheels_beyond:
            wheels = download_wheels(installed_there(options.wheels_beyond), Path(scratch))
        packed = chain(
            ((f"{WHEELS}/{path.name}", path) for path in wheels),
            contents.of_study_file(options.study),
            contents.of_self_check(),
            contents.of_assets(_assets(study, folders, stop)),
            contents.of_results(study.name, folders),
            contents.of_work(study.name, folders, options.latents),
        )
        _write(options, study.name, packed)
    for what in contents.not_packed(study):
        print(f"not packed, to be copied by hand: {what}")
    return 0


def _assets(study: Study, folders: Folders, stop: StopRequest) -> list[str]:
    """What the whole study reads of the cache."""
    from lrcore.plan.report import everything  # imports torch, which --help need not wait for
    from lrcore.stages.beforehand import assets_of
    from lrcore.stages.engine import STAGES
    from lrcore.stages.workspace import Workspace

    work = Workspace(study, folders, stop, lambda steps: None)
    return assets_of(study, everything(work, STAGES, [*study.autoencoders], study.cells))


def _results(options: argparse.Namespace, stop: StopRequest) -> int:
    from lrcore.studies.loading import load_study

    study, folders = load_study(options.study).name, folders_of(options)
    packed = chain(
        contents.of_results(study, folders),
        contents.of_work(study, folders, latents=False) if options.checkpoints else (),
        ((f"{LOGS}/{path.name}", path) for path in options.log),
    )
    _write(options, f"{study}-results", packed)
    return 0


def _write(options: argparse.Namespace, name: str, packed: Iterator[tuple[str, Path]]) -> None:
    parts = write_parts(options.to, name, packed, options.part_mib * MIB)
    size = sum(part.stat().st_size for part in parts) / 1e6
    print(f"{len(parts)} parts, {size:.0f} MB, and '{options.to / name}.sha256'")


def _unpack(options: argparse.Namespace, stop: StopRequest) -> int:
    found = sorted(options.parts.glob("*.sha256"))
    if not found:
        raise LrcoreError(f"'{options.parts}' holds no file ending in .sha256: copy it with the parts")
    folders = folders_of(options)
    roots = {CACHE: cache_folder(), DATA: folders.data, IMGS: folders.imgs, RUNS: folders.runs}
    roots |= {name: Path(name) for name in (WHEELS, STUDIES, LOGS, BENCHMARKS)}
    for sums in found:
        done = unpack(sums, roots, options.replace)
        print(f"{sums.stem}: {done}")
        if any(path.suffix == ".whl" for path in (*done.new, *done.same)):
            print("next: pip install --no-index --find-links wheels lrcore")
    return 0


if __name__ == "__main__":
    sys.exit(main())
