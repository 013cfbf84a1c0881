"""Lighthouse's performance of the built pages beside the same figures as plotly's own `to_html` writes them.

    make site && python benchmarks/pages.py

Both kinds of page are served compressed from this machine and audited in turns, `--rounds` times, in the distribution's
Chromium with Lighthouse's desktop preset; medians are reported. The peer's page holds the figures of ours and nothing
else: no text, no tables; plotly.js once, from the same server, as `include_plotlyjs="directory"` has it. `blocked` is
the total blocking time. Scores depend on the machine: Lighthouse's index of it stands in the last column, 1,000 being a
slow desktop. Needs Chromium, and npm's Lighthouse, which `make test` installs.
"""

from __future__ import annotations

import argparse
import html.parser
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import plotly.io
from playwright.sync_api import sync_playwright
from plotly.offline import get_plotlyjs

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "tests" / "helpers"))  # the tests look through pages in the same way

from browser import chromium, served  # noqa: E402
from lighthouse import audited  # noqa: E402


class Figures(html.parser.HTMLParser):
    """The figures that a page of ours holds, as plotly's JSON."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, Any]] = []
        self._classes: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._classes.append(dict(attributes).get("class") or "")

    def handle_data(self, data: str) -> None:
        if self._classes and self._classes[-1] == "lrcore-spec":
            spec = json.loads(data)
            figure = spec["frames"][0] if "frames" in spec else spec
            if "data" in figure and "layout" in figure:
                self.found.append({"data": figure["data"], "layout": figure["layout"]})

    def handle_endtag(self, tag: str) -> None:
        self._classes.append("")


def peer_page(page: Path) -> str:
    """The figures of one of our pages, one below the other, as plotly writes them; "" where it has none."""
    reader = Figures()
    reader.feed(page.read_text())
    parts = [plotly.io.to_html(figure, full_html=False, include_plotlyjs=False) for figure in reader.found]
    if not parts:
        return ""
    start = (
        '<!doctype html><html lang="en"><head><title>Figures</title><script src="plotly.min.js"></script></head><body>'
    )
    return start + "".join(parts) + "</body></html>"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--site", type=Path, default=PROJECT / "_site", help="the built site")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        peers = Path(folder)
        (peers / "plotly.min.js").write_text(get_plotlyjs())
        names = []
        for page in sorted(args.site.rglob("*.html")):
            if text := peer_page(page):
                (peers / page.name).write_text(text)
                names.append(page.relative_to(args.site).as_posix())
        browser = playwright.chromium.launch(executable_path=chromium())
        with served(args.site) as ours, served(peers) as theirs:
            addresses = [side for name in names for side in (f"{ours}/{name}", f"{theirs}/{Path(name).name}")]
            rounds = [audited(browser, addresses, ["performance"]) for _ in range(args.rounds)]
        browser.close()
    print(f"{args.rounds} rounds\n{'page':38}{'plotly':>16}{'lrcore':>16}{'index':>8}")
    for place, name in enumerate(names):
        cells = []
        for side in (2 * place + 1, 2 * place):
            score = statistics.median(reports[side]["scores"]["performance"] for reports in rounds)
            blocked = statistics.median(reports[side]["milliseconds"] for reports in rounds)
            cells.append(f"{score:.0f}, {blocked:.0f} ms")
        index = statistics.median(reports[2 * place]["speed"] for reports in rounds)
        print(f"{name:38}{cells[0]:>16}{cells[1]:>16}{index:>8.0f}")


if __name__ == "__main__":
    main()
