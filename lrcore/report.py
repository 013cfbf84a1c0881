"""What is known of your autoencoder, or of a whole study, as one file that you can send: HTML, and the same as JSON.

    python -m lrcore.report mine.toml --ae mine --open
    python -m lrcore.report cifar10                        # all autoencoders of a study
    python -m lrcore.report cifar10 --ae flux2 --out flux2.html

It draws what there are rows of, at any time, also while a study runs, and says of the rest which command measures it.
Nothing is measured and no code of the study is run. The file asks no host for anything: a double click opens it.

The JSON beside it, of the same name, has these keys:

    format                  version of these keys
    lrcore_version          that made the report; rows_lrcore_versions: that wrote the rows
    rows_date               the day on which the youngest file of rows was written here
    study, ae, label        what it is of; ae is null where it is of all autoencoders, which autoencoders lists
    commands                what makes the rows and the report
    caveats                 a list: key, ae (null: of the study), text, values (the numbers in the text)
    verdict                 a list: text, values
    sections                by key: title, state (measured, partly, missing), missing (a list: what, command),
                            facts (values by key), figures (by name: title, subtitle, notes, alt, rows) and tables
                            (by name: caption, shown, as they are printed, and rows, with all digits)

null is what is not known.

`data/README.md` says what the columns of rows mean.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shlex
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from lrcore.command_line import Parser, folder, run_command
from lrcore.errors import LrcoreError
from lrcore.runtime.files import atomic_path
from lrcore.runtime.interruption import StopRequest

FOLDERS = {"data": "Parquet", "imgs": "crops and samples", "runs": "weights and latents"}


def parser() -> Parser:
    """The command line."""
    line = Parser(
        prog="python -m lrcore.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    line.add_argument("study", help="a study's name, or the path of its file, ending in .toml")
    line.add_argument("--ae", metavar="NAME", help="the autoencoder that it is about; others are references")
    line.add_argument(
        "--out", type=folder, metavar="FILE", help="the file, ending in .html (default: reports/STUDY-AE.html)"
    )
    line.add_argument("--open", action="store_true", help="show it in the browser")
    for name, what in FOLDERS.items():
        line.add_argument(f"--{name}", type=folder, help=f"folder of {what} (default: {name})")
    line.set_defaults(budget=None)
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see `command_line.run_command` for the exit status."""
    return run_command(parser(), _run, arguments)


def _run(options: argparse.Namespace, stop: StopRequest) -> int:
    if options.out is not None and options.out.suffix != ".html":
        raise LrcoreError(f"--out must end in .html, got '{options.out}'")
    if options.ae == "":
        raise LrcoreError("--ae must be the name of an autoencoder, got ''")
    for name in FOLDERS:
        given = getattr(options, name)
        if given is not None and not given.is_dir():
            raise LrcoreError(f"--{name}: '{given}' is not a folder")
        setattr(options, name, given or Path(name))
    from lrcore.report_pages.page import page
    from lrcore.report_pages.report import make, record
    from lrcore.report_pages.subject import find

    subject = find(options.study, options.data, options.imgs, options.ae or "", _folders(options))
    report = make(subject)
    name = re.sub(r"[^\w.-]+", "-", "-".join(filter(None, [subject.name, options.ae])))
    out = options.out or Path("reports") / f"{name}.html"
    _require_own(out.with_suffix(".json"))
    content = {
        out.with_suffix(".json"): json.dumps(record(report), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        out: page(report),
    }
    for path, text in content.items():
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    for said in report.verdict:
        print(said.text)
    for section in report.missing:
        print(f"not measured  {section.title}: {next((one.command for one in section.missing if one.command), '')}")
    print(f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB) and {out.with_suffix('.json').name}")
    if options.open:
        webbrowser.open(out.resolve().as_uri())
    return 0


def _require_own(path: Path) -> None:
    """Refuse to replace a file of JSON that is no report: nobody named it.

    Raises:
        LrcoreError: it is there.
    """
    if not path.exists():
        return
    found = None
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(path.read_text("utf-8"))
    if not (isinstance(found, dict) and "sections" in found):
        raise LrcoreError(f"--out would replace '{path}', which is no report: move it away, or name another file")


def _folders(options: argparse.Namespace) -> str:
    """The folders that are not the usual ones, as commands take them; an absolute one by its place in the command."""
    said = []
    for name in FOLDERS:
        path: Path = getattr(options, name)
        if path != Path(name):
            said.append(f" --{name} {name.upper() if path.is_absolute() else shlex.quote(str(path))}")
    return "".join(said)


if __name__ == "__main__":
    sys.exit(main())
