"""Fixtures of the page tests: a built site, and a browser to look at it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import lrcore  # noqa: F401  sets how torch's threads wait, which must come before torch itself

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROJECT = Path(__file__).parent.parent
PROJECT_FILES = (
    *("_quarto.yml", "index.qmd", "404.qmd", "posts", "llms.txt", "site", "tools"),
    *("data/published", "data/README.md"),
)

sys.path.insert(0, str(PROJECT / "tools"))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a built site: `LRCORE_SITE` if that is set, else the project's pages over made-up data."""
    given = os.environ.get("LRCORE_SITE")
    if given:
        folder = Path(given).resolve()
        assert (folder / "index.html").is_file(), f"LRCORE_SITE={given} holds no index.html"
        return folder
    import sample_data

    project = tmp_path_factory.mktemp("project")
    for name in PROJECT_FILES:
        source, target = PROJECT / name, project / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
    sample_data.fill(project / "data", project / "imgs")
    command = [sys.executable, "tools/preview.py", "--no-prepare-data"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return project / "_site"


@pytest.fixture(scope="session")
def pages(site: Path) -> list[str]:
    """Pages of the site, relative to its folder."""
    return sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    """Where the site is served."""
    from browser import served

    with served(site) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium of the distribution; its absence fails in CI and skips elsewhere.

    Of a module, not of the session: while Playwright is open an event loop runs here, and `asyncio.run` refuses.
    """
    from browser import FLAGS, chromium
    from playwright.sync_api import sync_playwright

    program = chromium()
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield opened
        opened.close()
