"""The plotly.js of the site: the bundle with the traces that its figures use, or else the whole of it.

The basic bundle (scatter, bar, pie) is a quarter of the whole, and runs in well under half of its time. npm has it; the
whole comes with plotly's Python package, and does where there is no npm, or it reaches no registry.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import plotly.offline

PATIENCE = 60
"""Seconds that npm may take."""

_VERSION = re.compile(r"plotly\.js (?P<basic>\(basic - minified\) )?v(?P<number>\S+)")


def plotly_script(kept: Path) -> bytes:
    """The bundle of the version that the installed plotly draws for; `kept` is used again where it is that one."""
    whole = plotly.offline.get_plotlyjs().encode()
    head = _VERSION.search(whole[:500].decode())
    if head is None:
        return whole
    number = head["number"]
    if kept.exists() and _is_basic(kept.read_bytes(), number):
        return kept.read_bytes()
    try:
        return _basic(number)
    except (OSError, ValueError, KeyError, subprocess.SubprocessError, tarfile.TarError) as error:
        print(f"prepare_site: the whole plotly.js, not its basic bundle: {_why(error)}", file=sys.stderr)
        return whole


def _basic(number: str) -> bytes:
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed")
    with tempfile.TemporaryDirectory() as folder:
        command = [
            npm,
            "pack",
            "--silent",
            "--ignore-scripts",
            "--fetch-retries=0",
            f"plotly.js-basic-dist-min@{number}",
        ]
        subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=PATIENCE)
        with tarfile.open(next(Path(folder).glob("*.tgz"), Path(folder) / "nothing.tgz")) as archive:
            member = archive.extractfile("package/plotly-basic.min.js")
            script = member.read() if member else b""
    if not _is_basic(script, number):
        raise ValueError(f"npm's package is not the basic bundle of plotly.js {number}")
    return script


def _is_basic(script: bytes, number: str) -> bool:
    head = _VERSION.search(script[:500].decode(errors="replace"))
    return head is not None and bool(head["basic"]) and head["number"] == number


def _why(error: Exception) -> str:
    said = str(getattr(error, "stderr", "") or error).strip()
    return said.splitlines()[-1] if said else type(error).__name__
