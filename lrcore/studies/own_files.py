"""Which classes a file of one's own holds, told without running it."""

from __future__ import annotations

import ast
from pathlib import Path

from lrcore.errors import LrcoreError, shown


def class_in(file: Path) -> str:
    """The only class of a file that subclasses `Autoencoder`.

    Raises:
        LrcoreError: it is no Python, or has none or several such classes.
    """
    found = [
        node.name
        for node in _parsed(file).body
        if isinstance(node, ast.ClassDef) and any("Autoencoder" in ast.unparse(base) for base in node.bases)
    ]
    if len(found) != 1:
        count = f"{len(found)} classes" if found else "no class"
        raise LrcoreError(f"{file} has {count} that subclass Autoencoder; name one of it as {file}:NAME")
    return found[0]


def names_in(file: Path) -> list[str] | None:
    """The names that a file defines or imports outside of its functions and classes, classes and functions first.

    None where only a run could tell.

    Raises:
        LrcoreError: it is no Python.
    """
    found: list[str] = []
    others: list[str] = []
    for node in _parsed(file).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.append(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            others += [(name.asname or name.name).split(".")[0] for name in node.names]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            others += [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
        elif not isinstance(node, ast.Expr):
            return None  # names may be given in what runs only on some condition
    return None if "*" in others else list(dict.fromkeys(found + others))


def _parsed(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError) as error:
        raise LrcoreError(f"{shown(str(file))} cannot be read as Python: {error}") from error
