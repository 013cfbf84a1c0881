"""Which plotly.js the site loads, with an npm that is played by a script."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import plotly.offline
import pytest
from plotly_bundle import plotly_script

WHOLE = plotly.offline.get_plotlyjs().encode()
VERSION = WHOLE[:500].decode().split("plotly.js v")[1].split()[0]


def put_npm(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """An npm that runs `script`, alone on the path beside the shell's own tools; returns the log of its calls."""
    log = folder / "calls.txt"
    program = folder / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho \"$@\" >> '{log}'\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return log


def package(folder: Path, version: str) -> Path:
    """A package as npm packs it."""
    content = f"/**\n* plotly.js (basic - minified) v{version}\n*/\n".encode()
    info = tarfile.TarInfo("package/plotly-basic.min.js")
    info.size = len(content)
    path = folder / "package.tgz"
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(info, io.BytesIO(content))
    return path


def test_the_basic_bundle_of_the_same_version_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = put_npm(tmp_path, monkeypatch, f"cp '{package(tmp_path, VERSION)}' .")
    kept = tmp_path / "plotly.min.js"
    script = plotly_script(kept)
    assert script.startswith(b"/**\n* plotly.js (basic") and f"plotly.js-basic-dist-min@{VERSION}" in log.read_text()
    kept.write_bytes(script)
    assert plotly_script(kept) == script and len(log.read_text().splitlines()) == 1
    kept.write_bytes(script.replace(VERSION.encode(), b"0.0.1"))
    assert plotly_script(kept) == script and len(log.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo 'npm error code ENOTFOUND' >&2; exit 1", "npm error code ENOTFOUND"),
        ("true", "nothing.tgz"),
        ("cp '{other}' .", "not the basic bundle"),
    ],
)
def test_else_the_whole_of_it_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], script: str, why: str
) -> None:
    put_npm(tmp_path, monkeypatch, script.format(other=package(tmp_path, "0.0.1")))
    assert plotly_script(tmp_path / "plotly.min.js") == WHOLE
    assert why in capsys.readouterr().err


def test_without_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert plotly_script(tmp_path / "plotly.min.js") == WHOLE
    assert "npm is not installed" in capsys.readouterr().err
