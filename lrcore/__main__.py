"""lrcore: how learnable, how faithful and how compact is the latent space of an image autoencoder?

    lrcore new mine             # a file and a study to begin with
    lrcore check mine.toml      # whether all is well, and what comes next
    lrcore train mine.toml      # the same as python -m lrcore.train mine.toml

Every command is a module, so `lrcore NAME` and `python -m lrcore.NAME` are the same.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import lrcore
from lrcore.command_line import print_anything
from lrcore.errors import LrcoreError, unknown

ELSEWHERE = {"migration": "records.migration"}
"""Commands that are modules inside a folder."""

FIRST = ("new", "check", "reconstruct", "train", "status", "report")
"""In the order in which one who has an autoencoder wants them; the others follow by name."""


def commands() -> dict[str, Path]:
    """Every command's name, as it is typed, and the file of its module; nothing is imported for it."""
    root = Path(__file__).parent
    files = [
        *((path.stem, path) for path in root.glob("*.py") if not path.stem.startswith("_")),
        *((path.parent.name, path) for path in root.glob("*/__main__.py")),
        *((name, root / f"{module.replace('.', '/')}.py") for name, module in ELSEWHERE.items()),
    ]
    found = {name.replace("_", "-"): path for name, path in files if "\ndef main(" in path.read_text("utf-8")}
    ranks = {name: rank for rank, name in enumerate(FIRST)}
    return dict(sorted(found.items(), key=lambda item: (ranks.get(item[0], len(FIRST)), item[0])))


def summary(path: Path) -> str:
    """The first sentence of a module, without importing it."""
    said = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n\n")[0]
    return " ".join(said.split())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command with what follows its name; returns its exit status, 2 of one that is unknown."""
    print_anything()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if given[0] in ("-V", "--version"):
        print(lrcore.__version__)
        return 0
    name, known = given[0].replace("_", "-"), commands()
    if name not in known:
        return _refused(unknown("command", given[0], [*known, "--help", "--version"]))
    module = ELSEWHERE.get(name, name.replace("-", "_"))
    if known[name].name == "__main__.py":
        module += ".__main__"
    status: int = import_module(f"lrcore.{module}").main(given[1:])
    return status


def _help() -> str:
    known = commands()
    width = max(map(len, known)) + 2
    lines = [f"  {name:<{width}}{summary(path)}" for name, path in known.items()]
    return "\n".join([__doc__ or "", "commands, each with its own --help:", *lines])


def _refused(error: LrcoreError) -> int:
    print(f"error: {error}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
