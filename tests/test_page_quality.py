"""Accessibility and weight of every page: axe-core, Lighthouse, layout shifts, bytes.

axe-core and Lighthouse come from npm (`tests/page_tools`, versions pinned; `make test` installs them).
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from browser import FLAGS, IS_DRAWN, WAIT, cannot_test, chromium, visit
from playwright.sync_api import Browser, Page

TOOLS = Path(__file__).parent / "page_tools"
LEAST = {"performance": 90, "accessibility": 95, "best-practices": 95, "seo": 95}
DESKTOP = 1000
"""Lighthouse's index of a machine's speed, from which on its score of performance says something of the page: its
thresholds are those of a desktop, and half of one takes twice as long for the same script."""
MOST_BYTES = 1_500_000
MOST_SHIFT = 0.1

NOTE_SHIFTS = """
    window.shifts = 0;
    new PerformanceObserver(list => list.getEntries().forEach(({ value }) => { window.shifts += value; }))
        .observe({ type: "layout-shift", buffered: true });
"""
# Rules that do not depend on colours are run once a width.
FIND_VIOLATIONS = """async rules => {
    const chosen = rules.length ? { runOnly: { type: "rule", values: rules } } : {};
    const { violations } = await axe.run(document, { resultTypes: ["violations"], ...chosen });
    return violations.filter(({ impact }) => impact === "serious" || impact === "critical")
        .flatMap(({ id, impact, nodes }) => nodes.map(({ target, html }) =>
            `${id} (${impact}): ${target.join(" ")}: ${html.slice(0, 120)}`));
}"""


@pytest.fixture(scope="module")
def tools() -> Path:
    """The folder that npm installs into; its absence fails in CI and skips elsewhere."""
    modules = TOOLS / "node_modules"
    if not (modules / "axe-core").is_dir() or shutil.which("node") is None:
        cannot_test("axe-core and Lighthouse are not installed: the quality of the pages is NOT tested (needs npm)")
    return modules


def test_versions_are_pinned_and_no_registry_is_named() -> None:
    wanted = json.loads((TOOLS / "package.json").read_text())["devDependencies"]
    locked = json.loads((TOOLS / "package-lock.json").read_text())["packages"]
    assert {name: locked[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert not [name for name, package in locked.items() if "resolved" in package]


def scroll_through(page: Page, theme: str) -> None:
    """Scroll to the end, so that every figure is drawn."""
    for height in range(0, page.evaluate("document.documentElement.scrollHeight"), 500):
        page.evaluate("height => scrollTo({ top: height, behavior: 'instant' })", height)
        page.wait_for_timeout(30)
    page.wait_for_function(IS_DRAWN, arg=theme, timeout=WAIT)


def violations(page: Page, theme: str, rules: list[str]) -> list[str]:
    """What axe finds on a page that is to be shown in `theme`; no rules are all rules."""
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    page.wait_for_selector(f"body.quarto-{theme}", timeout=WAIT)
    page.wait_for_function(IS_DRAWN, arg=theme, timeout=WAIT)
    return [f"{theme}: {found}" for found in page.evaluate(FIND_VIOLATIONS, rules)]


@pytest.mark.parametrize("width", [390, 820, 1440])
def test_nothing_stands_in_a_reader_s_way(
    browser: Browser, address: str, pages: list[str], tools: Path, width: int
) -> None:
    """axe-core finds nothing serious or critical, with every figure drawn; on the way nothing moves by itself."""
    problems = []
    for name in pages:
        with visit(browser, address, name, width, "light", NOTE_SHIFTS) as opened:
            page = opened.page
            scroll_through(page, "light")
            shifts = page.evaluate("shifts")
            if shifts >= MOST_SHIFT:
                problems.append(f"{name} at {width} px: things move by {shifts:.3f} while it is read")
            page.add_script_tag(path=tools / "axe-core" / "axe.min.js")
            found = violations(page, "light", [])
            found += violations(page, "dark", ["color-contrast"]) if width == 1440 else []
            problems += [f"{name} at {width} px, {what}" for what in found]
    assert not problems, "\n".join(problems)


def test_the_first_page_is_light(browser: Browser, address: str) -> None:
    """All that it loads when it is read to the end, beside plotly.js, which all pages share."""
    with visit(browser, address, "index.html", 1440, "light") as opened:
        scroll_through(opened.page, "light")
        loaded = opened.page.evaluate(
            """["navigation", "resource"].flatMap(kind => performance.getEntriesByType(kind))
                .map(({ name, transferSize }) => [name, transferSize])"""
        )
        sizes = {name: size for name, size in loaded if not name.endswith("/plotly.min.js")}
        assert 0 < sum(sizes.values()) < MOST_BYTES, sizes


@pytest.mark.timeout(900)
def test_lighthouse(browser: Browser, address: str, pages: list[str], tools: Path) -> None:
    """Lighthouse's scores in per cent are at least `LEAST`, in its desktop preset.

    What other programs do meanwhile counts as the page's, so a page that is too slow is looked at once more.
    """
    reports = audited(browser, [f"{address}/{name}" for name in pages], tools)
    slow = [report["address"] for report in reports if "performance" in too_low(report)]
    again = {report["address"]: report for report in (audited(browser, slow, tools) if slow else [])}
    assert not [found for report in reports if too_low(found := again.get(report["address"], report))]


def too_low(report: dict[str, Any]) -> dict[str, int]:
    """The scores of a report that are below `LEAST`; of performance on a machine of `DESKTOP` speed alone."""
    told = {name: score for name, score in report["scores"].items() if score < LEAST[name]}
    if report["speed"] < DESKTOP:
        told.pop("performance", None)
    return told


def audited(browser: Browser, addresses: list[str], tools: Path) -> list[dict[str, Any]]:
    """What `lighthouse.mjs` says of each address, in a Chromium of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    opened = browser.browser_type.launch(executable_path=chromium(), args=[*FLAGS, f"--remote-debugging-port={port}"])
    try:
        command = ["node", str(tools.parent / "lighthouse.mjs"), port, *addresses]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        opened.close()
    assert done.returncode == 0, done.stderr
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert [report["address"] for report in reports] == addresses
    return reports
