"""Opening the pages of a built site in headless Chromium, and what must hold of each."""

from __future__ import annotations

import contextlib
import functools
import gzip
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
WAIT = 90_000
"""Milliseconds until something on a page counts as missing."""

COMPRESSED = {".html", ".js", ".css", ".json", ".svg", ".txt", ".xml"}
"""What a host of static sites sends compressed."""

# Marks of the data: traces lie in Plotly's `mlayer` groups, grid lines, axes and legends do not.
MARKS = """plot => [...plot.querySelectorAll('.mlayer path, .mlayer image, .imagelayer image')]
    .filter(mark => { const box = mark.getBoundingClientRect(); return box.width + box.height > 1; }).length"""

TOGGLE = "#theme-toggle, .quarto-color-scheme-toggle"
IS_DRAWN = """theme => [...document.querySelectorAll(".lrcore-figure")].filter(figure => figure.checkVisibility())
    .every(({ dataset }) => dataset.drawn === theme)"""

BUTTONS = """[...document.querySelectorAll(".lrcore-switch > fieldset input")]
    .map(input => ({ input, label: input.closest("fieldset").querySelector("legend").textContent }))"""
# What switches offer beside what is shown at first, with their labels, each once; one choice sets all of its label.
CHOICES = f"""() => {{
    const offered = {BUTTONS}.filter(({{ input }}) => !input.checked).map(({{ input, label }}) => [label, input.value]);
    return [...new Map(offered.map(one => [one.join(": "), one])).values()];
}}"""
CHOOSE_INNERMOST = f"""(wanted) => {{
    const depth = (node) => (node ? 1 + depth(node.parentElement) : 0);
    const shown = {BUTTONS}.filter(({{ input, label }}) =>
        input.checkVisibility() && wanted.some(([of, choice]) => of === label && choice === input.value));
    const found = shown.sort((one, other) => depth(other.input) - depth(one.input))[0];
    found?.input.click();
    return found ? [found.label, found.input.value] : null;
}}"""
"""Clicks one of the choices wanted that is shown, of a switch within others first: the choices of these hide it."""


def cannot_test(message: str) -> NoReturn:
    """Skip with `message`, but fail where nothing may be skipped: in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def chromium() -> str:
    """The Chromium of the distribution."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next((found for name in names if (found := shutil.which(name))), None)
    if program is None:
        cannot_test("no Chromium found: the pages are NOT tested in a browser (Debian: apt-get install chromium)")
    return program


@functools.lru_cache(maxsize=64)
def _gzipped(path: Path, modified: int) -> bytes:
    return gzip.compress(path.read_bytes(), 6)


class _Static(http.server.SimpleHTTPRequestHandler):
    """What a host of static sites does: files below `root`, compressed, and the site's own page for what is missing."""

    def __init__(self, *request: Any, root: str, directory: str) -> None:
        self.root = root
        super().__init__(*request, directory=directory)

    def translate_path(self, path: str) -> str:
        return super().translate_path(path.removeprefix(self.root))

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if path.is_dir():
            path /= "index.html"
        compressed = path.suffix in COMPRESSED and "gzip" in self.headers.get("Accept-Encoding", "")
        if not (compressed and path.is_file()):
            return super().do_GET()
        body = _gzipped(path, path.stat().st_mtime_ns)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        page = Path(self.directory) / "404.html"
        if code != 404 or not page.is_file():
            return super().send_error(code, message, explain)
        self.send_response(404)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(page.read_bytes())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the site in `folder` on a free port of this machine; yields its address.

    A site that was built for an address with a path (`robots.txt` names it) is served below that path.
    """
    robots = folder / "robots.txt"
    address = robots.read_text().removeprefix("Sitemap: ").strip() if robots.is_file() else "/sitemap.xml"
    root = urlsplit(address).path.removesuffix("/sitemap.xml")
    handler = functools.partial(_Static, root=root, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{root}"
        server.shutdown()


@dataclass
class Visit:
    """A page open in the browser, and everything that went wrong on it so far."""

    page: Page
    name: str
    problems: list[str] = field(default_factory=list)
    checked: set[str] = field(default_factory=set)

    def check(self, choices: bool = True) -> list[str]:
        """Scroll through the page, with every choice of its switches; returns what is wrong on it."""
        self._check_what_is_shown()
        left = self.page.evaluate(CHOICES) if choices else []
        while left:
            chosen = self.page.evaluate(CHOOSE_INNERMOST, left)
            if chosen is None:
                self.problems += [f"nothing that is shown offers {label}: {choice}" for label, choice in left]
                break
            left.remove(chosen)
            self._check_what_is_shown()
        return [f"{self.name}: {problem}" for problem in self.problems]

    def check_turned(self, theme: str) -> list[str]:
        """Turn the page light or dark and scroll through it again; returns what is wrong on it by now."""
        self.page.locator(TOGGLE).first.dispatch_event("click")  # on a phone a menu may hide the button
        self.page.wait_for_function(IS_DRAWN, arg=theme, timeout=WAIT)
        self.checked.clear()
        self._check_what_is_shown()
        return [f"{self.name}, turned {theme}: {problem}" for problem in self.problems]

    def _check_what_is_shown(self) -> None:
        self._check_figures()
        self._check_tables()
        wide, screen = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        if wide > screen:
            self.problems.append(f"the page is {wide} px wide on a screen of {screen} px")

    def _check_figures(self) -> None:
        for identifier in self._unchecked(".lrcore-figure"):
            figure = self.page.locator(f"#{identifier}")
            before = self._height(identifier)
            figure.scroll_into_view_if_needed()
            try:
                self.page.wait_for_selector(f"#{identifier}[data-drawn]", timeout=WAIT)
            except Exception:  # the browser's timeout: go on with the other figures
                self.problems.append(f"{identifier} is not drawn")
                continue
            if not figure.locator(".lrcore-plot").evaluate(MARKS):
                self.problems.append(f"{identifier} is empty")
            if abs(self._height(identifier) - before) > 2:
                self.problems.append(f"{identifier} moves the page by {self._height(identifier) - before:.0f} px")

    def _unchecked(self, kind: str) -> list[str]:
        """The ids of what is visible of a kind and has not been looked at yet."""
        every = self.page.locator(f"{kind}:visible").evaluate_all("shown => shown.map(element => element.id)")
        found = [identifier for identifier in every if identifier not in self.checked]
        self.checked.update(found)
        return found

    def _height(self, identifier: str) -> float:
        return float(self.page.evaluate("id => document.getElementById(id).getBoundingClientRect().height", identifier))

    def _check_tables(self) -> None:
        for identifier in self._unchecked(".lrcore-table"):
            table = self.page.locator(f"#{identifier}")
            try:
                self.page.wait_for_selector(f"#{identifier}:is([data-drawn], :not(:has(> .lrcore-spec)))", timeout=WAIT)
            except Exception:  # the browser's timeout
                self.problems.append(f"{identifier} stays plain")
                continue
            if not table.locator("tbody tr td:not(.dt-empty)").count():
                self.problems.append(f"{identifier} has no rows")


@contextlib.contextmanager
def visit(
    browser: Browser, address: str, name: str, width: int, theme: str, script: str | None = None
) -> Iterator[Visit]:
    """Open page `name` in a window of `width` pixels, in the `theme` (light or dark) of the system.

    `script` is run before those of the page.
    """
    host = urlsplit(address).netloc
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)  # type: ignore[arg-type]
    page = context.new_page()
    if script:
        page.add_init_script(script)
    opened = Visit(page, f"{name} at {width} px, {theme}")

    def note_request(url: str) -> None:
        if not url.startswith(("data:", "blob:")) and urlsplit(url).netloc != host:
            opened.problems.append(f"asks another host: {url}")

    def note_answer(url: str, status: int) -> None:
        if status >= 400:
            opened.problems.append(f"{url} answers {status}")

    page.on("request", lambda request: note_request(request.url))
    page.on("response", lambda response: note_answer(response.url, response.status))
    page.on("pageerror", lambda error: opened.problems.append(f"script error: {error}"))
    page.on(
        "console",
        lambda said: opened.problems.append(f"console {said.type}: {said.text}") if said.type == "error" else None,
    )
    try:
        page.goto(f"{address}/{name}")
        yield opened
    finally:
        context.close()
