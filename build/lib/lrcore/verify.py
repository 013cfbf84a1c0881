"""Whether files are what was written: everything under data/ and runs/, the cache, and the statistics that ship.

    python -m lrcore.verify                                # data/, runs/ and the cache; exit status 1 on damage
    python -m lrcore.verify --data elsewhere --runs there
    python -m lrcore.verify mine.toml                      # the images of that study, too

Every byte is read: rows against their digest, weights, latents and checkpoints against theirs, what is in the cache
against the pinned sha256, images of the studies named against what they were when they were first used, all of it
whatever size and time say. Prints a table, and names each damaged file with the command that
repairs it. It may run beside a study: of all that it looks at it changes nothing.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

from lrcore.assets import cache, table
from lrcore.command_line import Parser, folder, run_command
from lrcore.datasets.loading import contents
from lrcore.errors import LrcoreError, shown
from lrcore.metrics.reference_files import read_statistics
from lrcore.metrics.shipped import NAMES, shipped_path
from lrcore.records.migration import TABLES
from lrcore.records.reading import read_rows, row_files
from lrcore.runtime.interruption import StopRequest
from lrcore.runtime.tensor_files import require_whole, tensor_files
from lrcore.spec.study import Data
from lrcore.studies.loading import load_study


@dataclass(frozen=True)
class Checked:
    """A kind of files: how many there are, and what is wrong with each that is damaged."""

    what: str
    files: int
    damage: list[str]


def verify(data: Path, runs: Path, stop: Callable[[], None] = lambda: None) -> list[Checked]:
    """Check all files; `stop` is called before each and may raise."""
    kinds: list[tuple[str, Iterable[Path], Callable[[Path], object]]] = []
    for at in (data, data / "replaced"):
        kinds += [(f"{at / name}", row_files(at / name), partial(read_rows, row=row)) for name, row in TABLES.items()]
    kinds.append((f"{data / 'autoencoders'}", tensor_files(data / "autoencoders"), partial(_kept, data=data)))
    for study, made in groupby(tensor_files(runs), lambda path: path.relative_to(runs).parts[0]):
        kinds.append((f"{runs / study}", list(made), partial(_made, study=study)))
    assets = {asset.path: name for name, asset in table.ASSETS.items() if asset.path.exists()}
    kinds.append((f"cache {table.cache_folder()}", assets, lambda path: cache.require_pinned(assets[path])))
    kinds.append(("statistics that ship", map(shipped_path, NAMES), _shipped))
    return [_checked(what, paths, check, stop) for what, paths, check in kinds]


def verify_images(data: Data, study: str, stop: Callable[[], None] = lambda: None) -> Checked:
    """Read all image files of `study` anew, and find those that are not what is known of them.

    What is known is in the record of `datasets.contents`, which small sets do not need: they are read at every start.
    """
    known, found = (dict(contents(data, stop, reread)) for reread in (False, True))
    damage = [
        f"image file {shown(name)} of study '{study}' holds other bytes than it did, at the same size and times: put "
        f"back what it was, or `python -m lrcore.train {study}` measures anew with what it is"
        for name, sha256 in found.items()
        if known.get(name, sha256) != sha256
    ]
    return Checked(f"images of {study}", len(found), damage)


def _checked(what: str, paths: Iterable[Path], check: Callable[[Path], object], stop: Callable[[], None]) -> Checked:
    found, damage = 0, []
    for path in paths:
        stop()
        try:
            check(path)
        except LrcoreError as error:
            if not path.exists() and not path.is_symlink():
                continue  # a study that runs beside has done with it
            damage.append(str(error))
        found += 1
    return Checked(what, found, damage)


def _kept(path: Path, data: Path) -> None:
    model = shlex.quote(str(path.parent))
    study = path.relative_to(data).parts[1].removeprefix("study=")
    again = f"`rm -r {model}`, then `python -m lrcore.train_autoencoder {study} --keep` trains it again"
    require_whole(path, f"`git checkout -- {model}` where it is committed, else {again}")


def _made(path: Path, study: str) -> None:
    # weights in diffusers' layout are a folder
    made = path.parent if path.with_name("config.json").exists() else path
    require_whole(path, f"`rm -r {shlex.quote(str(made))}`, then `python -m lrcore.train {study}` makes it again")


def _shipped(path: Path) -> None:
    try:
        read_statistics(path)
    except LrcoreError as error:
        raise LrcoreError(f"{error}: `pip install --force-reinstall --no-deps lrcore` brings it again") from error


def report(checked: Sequence[Checked]) -> str:
    """What was found, as a table; kinds of which there are no files are left out."""
    shown = [kind for kind in checked if kind.files]
    width = max([len(kind.what) for kind in shown] + [4])
    lines = [f"{'what':{width}}{'files':>8}{'damaged':>9}"]
    lines += [f"{kind.what:{width}}{kind.files:>8}{len(kind.damage):>9}" for kind in shown]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line: 0 all is whole, 1 something is damaged; else as `command_line.run_command`."""
    line = Parser("python -m lrcore.verify", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    line.add_argument("studies", nargs="*", metavar="STUDY", help="the images of these studies, too")
    line.add_argument("--data", type=folder, default=Path("data"), help="folder of the Parquet (default: data)")
    line.add_argument("--runs", type=folder, default=Path("runs"), help="folder of weights and latents (default: runs)")
    line.set_defaults(budget=None)
    return run_command(line, _run, arguments)


def _run(options: argparse.Namespace, stop: StopRequest) -> int:
    for name in ("data", "runs"):
        asked: Path = getattr(options, name)
        if not asked.is_dir() and asked != Path(name):
            raise LrcoreError(f"--{name} '{asked}' is no folder")
    studies = {named: load_study(named) for named in options.studies}
    checked = verify(options.data, options.runs, stop.check)
    checked += [verify_images(study.data, named, stop.check) for named, study in studies.items()]
    print(report(checked))
    damage = [message for kind in checked for message in kind.damage]
    for message in damage:
        print(message, file=sys.stderr)
    return 1 if damage else 0


if __name__ == "__main__":
    sys.exit(main())
