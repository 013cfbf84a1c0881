"""A wheel, installed outside the repository: the package stands alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lrcore

PROJECT = Path(__file__).parents[1]
PACKED = ("lrcore", "data/atlas", "site", "posts/references.bib", "setup.py", "pyproject.toml", "MANIFEST.in")
TEXTS = ("README.md", "LICENSE")
PROGRAM = """
import sys
from pathlib import Path
import lrcore
from lrcore.__main__ import main
from lrcore.report_pages import shared
from lrcore.studies.loading import load_study

there = Path(lrcore.__file__).parents[1]
for name in (shared.STYLE, shared.FIGURES, shared.COMPARISON, shared.BIBLIOGRAPHY, shared.ATLAS):
    assert shared.shared(name).is_relative_to(there / "lrcore"), name
assert load_study("imagenet256").name == "imagenet256"
for command in (["new", "mine"], ["metrics", "cifar10-train", "cifar10-test", "--metrics", "fid"]):
    assert main(command) == 0, command
print("at", there, lrcore.__version__)
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The folder of a wheel of this checkout's source distribution; nothing of the checkout is on its path."""
    source, wheels, there = (tmp_path / name for name in ("source", "wheels", "there"))
    source.mkdir()
    for name in (*PACKED, *TEXTS):
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, target, ignore=shutil.ignore_patterns("__pycache__", "vendor", "drawn"))
        else:
            shutil.copyfile(PROJECT / name, target)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    # as releases are made: what the source distribution leaves out, the wheel lacks
    made = f"import setuptools.build_meta as backend; backend.build_sdist({str(wheels)!r})"
    wheels.mkdir()
    subprocess.run([sys.executable, "-c", made], cwd=source, check=True, stdout=subprocess.DEVNULL)
    (packed,) = wheels.glob("*.tar.gz")
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", wheels, packed], check=True)
    (wheel,) = wheels.glob("*.whl")
    assert wheel.name == f"lrcore-{lrcore.__version__}-py3-none-any.whl"
    subprocess.run([*pip, "install", "--no-deps", "--target", there, wheel], check=True)
    return there


def test_it_works_outside_the_repository(installed: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=empty, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"at {installed} {lrcore.__version__}" in done.stdout
    assert "3.15" in done.stdout and {path.name for path in empty.iterdir()} == {"mine.py", "mine.toml"}
