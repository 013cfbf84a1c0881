"""What the commands that work on a study share: options, stopping, errors and exit status."""

from __future__ import annotations

import argparse
import io
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lrcore.errors import LrcoreError, unknown
from lrcore.runtime.folders import Folders, home_expanded
from lrcore.runtime.interruption import StopRequest, StudyInterrupted, parse_duration

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

DEVICES = ("auto", "cpu", "cuda")

STOPPED = 75
"""Exit status of what stopped as asked before it was done: EX_TEMPFAIL of sysexits.h, call it again."""


class Parser(argparse.ArgumentParser):
    """Errors of the command line are errors like any other."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise LrcoreError(f"{message}; `{self.prog} --help` lists what is allowed")


def study_parser(module: str, description: str | None) -> Parser:
    """A parser with the study, its autoencoders, budget, device and folders."""
    line = Parser(
        prog=f"python -m {module}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    line.add_argument(
        "study", nargs="?", default="smoke", help="a study's name, or the path of a TOML file (default: smoke)"
    )
    line.add_argument("--ae", nargs="+", default=[], metavar="NAME", help="only these autoencoders")
    line.add_argument(
        "--budget", metavar="TIME",
        help="stop cleanly before this long is over: 90s, 25m, 1.5h; 20 seconds of it, of less than 200 a tenth, are "
        "kept for writing what there is",
    )  # fmt: skip
    line.add_argument(
        "--device", default="auto", metavar="DEVICE",
        help="where networks run: auto (a CUDA device where there is one), cpu, cuda",
    )  # fmt: skip
    line.add_argument(
        "--precision", choices=("float32", "study"),
        help="float32: all networks in float32, another recipe than a study in bfloat16; study: as the study says, "
        "even where this device is slow at it (default: as the study says, unless it is)",
    )  # fmt: skip
    line.add_argument("--data", type=folder, default=Path("data"), help="folder of the Parquet (default: data)")
    line.add_argument("--imgs", type=folder, default=Path("imgs"), help="folder of the crops (default: imgs)")
    line.add_argument("--runs", type=folder, default=Path("runs"), help="folder of weights and latents (default: runs)")
    return line


def folder(text: str) -> Path:
    """A path of the command line, `~` being the user's home: a shell leaves it in `--data=~/data`.

    Raises:
        LrcoreError: the home is not known.
    """
    return home_expanded(text, "a path of the command line")


def folders_of(options: argparse.Namespace) -> Folders:
    """The folders asked for."""
    return Folders(*(folder(str(path)) for path in (options.data, options.imgs, options.runs)))


def as_given(options: argparse.Namespace) -> str:
    """The study and the folders that are not the usual ones, for the command that comes next."""
    said = [shlex.quote(options.study)]
    for name in ("data", "imgs", "runs"):
        path = getattr(options, name)
        said += [] if str(path) == name else [f"--{name} {shlex.quote(str(path))}"]
    return " ".join(said)


def device_of(options: argparse.Namespace) -> torch.device:
    """The device asked for.

    Raises:
        LrcoreError: unknown, or not on this machine.
    """
    import torch  # here, since it takes seconds, which --help and mistakes would wait for

    if options.device not in DEVICES:
        raise unknown("device", options.device, DEVICES)
    elsewhere = getattr(options, "executor", "local") == "ray"  # the cluster may have what this machine has not
    if options.device == "cuda" and not elsewhere and not torch.cuda.is_available():
        raise LrcoreError("device 'cuda' is not available here; allowed: auto, cpu")
    if options.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(options.device)


def chosen(kind: str, wanted: Sequence[T], allowed: Sequence[T]) -> Sequence[T]:
    """`wanted`, or all that is allowed where nothing is.

    Raises:
        LrcoreError: a value is not allowed.
    """
    for value in wanted:
        if value not in allowed:
            raise unknown(kind, value, allowed)
    return wanted or allowed


def print_anything() -> None:
    """Have what is printed escape what the terminal cannot show, such as "×" where it is not UTF-8; not raise."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def run_command(
    parser: Parser, work: Callable[[argparse.Namespace, StopRequest], int], arguments: Sequence[str] | None
) -> int:
    """Parse and work; returns the exit status: 0 done, `STOPPED` stopped as asked, 2 the caller can mend it."""
    print_anything()
    try:
        options = parser.parse_args(arguments)
        return work(options, StopRequest(parse_duration(options.budget) if options.budget else None))
    except StudyInterrupted as interrupted:
        print(f"stopped: {interrupted}. The same command goes on from here.", file=sys.stderr)
        return STOPPED
    except KeyboardInterrupt:  # outside the work, where nothing is half done
        print("stopped", file=sys.stderr)
        return 130
    except LrcoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
