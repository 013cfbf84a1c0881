"""Wheels of lrcore and of what it needs, but for what a machine has already."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import lrcore
from lrcore.errors import LrcoreError


def installed_there(freeze: Path) -> dict[str, str]:
    """Names and versions of a file that `pip freeze` printed there; lines of another kind do not count.

    Raises:
        LrcoreError: it cannot be read, or names nothing.
    """
    try:
        text = freeze.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise LrcoreError(f"--wheels-beyond '{freeze}' cannot be read: {error}") from error
    # a local version ("2.9.1+cu128") is on no index; what is beside it must fit the public one
    found = dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s+;]+)", text, re.MULTILINE))
    if not found:
        raise LrcoreError(f"--wheels-beyond '{freeze}' has no line NAME==VERSION: write what `pip freeze` prints there")
    # lrcore itself goes along always, as it is here
    return {_canonical(name): version for name, version in found.items() if _canonical(name) != "lrcore"}


def download_wheels(there: dict[str, str], folder: Path) -> list[Path]:
    """Put wheels of lrcore and of its dependencies that are not `there` into `folder`; the versions there stay.

    For the Python and the platform of this process, which must be those there.

    Raises:
        LrcoreError: pip finds no versions that fit together, or cannot download them.
    """
    with tempfile.TemporaryDirectory() as scratch:
        source = _source(Path(scratch) / "lrcore")
        constraints, report = Path(scratch) / "there.txt", Path(scratch) / "report.json"
        constraints.write_text("".join(f"{name}=={version}\n" for name, version in there.items()))
        _pip("install", "--dry-run", "--ignore-installed", "--report", report, "--constraint", constraints, source)
        found = [entry["metadata"] for entry in json.loads(report.read_text())["install"]]
        missing = [
            f"{entry['name']}=={entry['version']}"
            for entry in found
            if _canonical(entry["name"]) not in {*there, "lrcore"}
        ]
        _pip("wheel", "--no-deps", "--wheel-dir", folder, source, *missing)
    return sorted(folder.glob("*.whl"))


def _source(copy: Path) -> str:
    """What pip makes lrcore from: a copy of the project where this is one, as building leaves files in it."""
    project = Path(lrcore.__file__).parents[1]
    if not (project / "pyproject.toml").is_file():
        return f"lrcore=={lrcore.__version__}"
    shutil.copytree(project / "lrcore", copy / "lrcore", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(project / name, copy / name)
    return str(copy)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise LrcoreError(f"pip {arguments[0]} failed: {lines[-1] if lines else done.returncode}")
