"""The order of the tests, what workers share, and fixtures of the page tests: a built site, a browser to look at it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import lrcore  # noqa: F401  sets how torch's threads wait, which must come before torch itself
from lrcore.runtime.files import exclusive

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from xdist.scheduler import LoadFileScheduling

PROJECT = Path(__file__).parent.parent
PROJECT_FILES = (
    *("_quarto.yml", "_environment", "index.qmd", "404.qmd", "posts", "llms.txt", "site", "tools"),
    *("data/atlas", "data/README.md"),
)

sys.path.insert(0, str(PROJECT / "tools"))
os.environ["OMP_NUM_THREADS"] = "1"  # workers of pytest-xdist divide the cores; before torch is imported
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  Ray's processes would wait until all others are done

pytest_plugins = ["progress_lines"]

SLOWEST = (
    *("executors", "made_up_site", "distributed", "torture", "train_autoencoder", "train", "shipped_statistics"),
    *("stacking", "full_disk", "sampling", "reconstruction_metrics", "preview", "autoencoders", "metrics_command"),
    *(
        "encoders",
        "paper_and_links",
        "page_quality",
        "site_in_browser",
        "lighthouse",
        "comparison_in_browser",
        "picker_in_browser",
    ),
    "llms_txt",
)
"""The longest files, longest first: were one begun last, its core would be busy long after the others. Two that ask for
the same thing (`undisturbed`, the site) do not begin at once, as one would wait for the other. Those that look at the
site come after the others, since CI builds it meanwhile."""

OF_ONE_SERVER = {"executors", "torture", "train"}
"""Files that one worker takes as if they were one: most of their processes come from a server that has imported
everything (`helpers/processes.py`), and one such server is enough."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """File by file, but for `OF_ONE_SERVER`."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Files(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return "of one server" if Path(file).stem.removeprefix("test_") in OF_ONE_SERVER else file

    return Files(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest files first; workers of pytest-xdist take files in this order."""
    places = {name: place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: places.get(item.path.stem.removeprefix("test_"), len(places)))


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A folder that all workers of pytest-xdist have; what takes long is made there once, under `exclusive`."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if hasattr(request.config, "workerinput") else own


@pytest.fixture(scope="session")
def undisturbed(shared: Path) -> Path:
    """`data`, `imgs` and `runs` of the study `tiny.toml`, made by the command without a pause. To be read only."""
    import killed_train
    from tiny_study import arguments

    folder = shared / "undisturbed"
    with exclusive(folder):
        if not (folder / "whole").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            process = killed_train.start(arguments(folder), folder / "printed.txt")
            process.join()
            assert process.exitcode == 0, (folder / "printed.txt").read_text()
            (folder / "whole").touch()
    return folder


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest) -> Path:
    """The folder of a built site: `LRCORE_SITE` if that is set, else the project's pages over made-up data.

    A site that is being built has `LRCORE_SITE_WITHIN` seconds to appear.
    """
    given = os.environ.get("LRCORE_SITE")
    if not given:
        made_up: Path = request.getfixturevalue("made_up_site")
        return made_up
    folder = Path(given).resolve()
    deadline = time.monotonic() + float(os.environ.get("LRCORE_SITE_WITHIN", "0"))
    while not (folder / "index.html").is_file() and time.monotonic() < deadline:
        time.sleep(1)
    assert (folder / "index.html").is_file(), f"LRCORE_SITE={given} holds no index.html"
    return folder


@pytest.fixture(scope="session")
def made_up_site(shared: Path) -> Path:
    """The folder of the project's pages over made-up data, which has all that a study can ask for."""
    project = shared / "project"
    with exclusive(project):
        if not (project / "_site").exists():
            _build(project)
    return project / "_site"


def _build(project: Path) -> None:
    import sample_data

    for name in PROJECT_FILES:
        source, target = PROJECT / name, project / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, target)
    sample_data.fill(project / "data", project / "imgs")
    command = [sys.executable, "tools/preview.py", "--no-prepare-data"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


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


@pytest.fixture(scope="session")
def made_up_address(made_up_site: Path) -> Iterator[str]:
    """Where the project's pages over made-up data are served."""
    from browser import served

    with served(made_up_site) as url:
        yield url


@pytest.fixture(scope="session")
def tools() -> Path:
    """The folder that npm installs axe-core and Lighthouse into; its absence fails in CI and skips elsewhere."""
    from browser import cannot_test

    modules = PROJECT / "tests" / "page_tools" / "node_modules"
    if not (modules / "axe-core").is_dir() or shutil.which("node") is None:
        cannot_test("axe-core and Lighthouse are not installed: the quality of the pages is NOT tested (needs npm)")
    return modules


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
