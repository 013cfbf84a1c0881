"""Every page as a whole: what it draws, accessibility by axe-core, layout shifts, bytes.

axe-core comes from npm (`tests/page_tools`, versions pinned; `make test` installs it).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from browser import IS_DRAWN, WAIT, cannot_test, visit
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Page

TOOLS = Path(__file__).parents[1] / "page_tools"
MOST_BYTES = 1_500_000
MOST_SHIFT = 0.1

NOTE_SHIFTS = """
    window.shifts = 0;
    new PerformanceObserver(list => list.getEntries().forEach(({ value }) => { window.shifts += value; }))
        .observe({ type: "layout-shift", buffered: true });
"""
# Everything in one run, since axe reads the whole page for each. The colours of a figure's own drawing it cannot tell.
FIND_VIOLATIONS = """async ([colours, others]) => {
    const rule = "color-contrast", drawing = ".main-svg";
    axe.configure({ rules: [{ id: rule, selector: `:not(${drawing}, ${drawing} *)` }] });
    const chosen = others ? { rules: { [rule]: { enabled: colours } } } : { runOnly: { type: "rule", values: [rule] } };
    const where = colours && others ? document : { exclude: [drawing] };
    const { violations } = await axe.run(where, { resultTypes: ["violations"], ...chosen });
    return violations.flatMap(({ id, impact, nodes }) => nodes.map(({ target, html }) =>
        `${id} (${impact}): ${target.join(" ")}: ${html.slice(0, 120)}`));
}"""


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


def violations(page: Page, theme: str, colours: bool = False, others: bool = False) -> list[str]:
    """What axe finds on a page that is to be shown in `theme`: wrong with its colours, or with all else, or both.

    Asked for one of both, it leaves out the insides of figures.
    """
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    page.wait_for_selector(f"body.quarto-{theme}", timeout=WAIT)
    page.wait_for_function(IS_DRAWN, arg=theme, timeout=WAIT)
    return [f"{theme}: {found}" for found in page.evaluate(FIND_VIOLATIONS, [colours, others])]


BETWEEN = 820
"""A width at which things are as on a phone or as on a desktop: neither axe nor other choices of switches again."""


def axe_core() -> Path | None:
    """The script of axe-core, where npm installed it."""
    script = TOOLS / "node_modules" / "axe-core" / "axe.min.js"
    return script if script.is_file() else None


@pytest.mark.parametrize(("width", "theme"), [(390, "light"), (BETWEEN, "dark"), (1440, "light")])
def test_pages_are_whole_and_nothing_stands_in_a_reader_s_way(
    browser: Browser, address: str, pages: list[str], width: int, theme: str
) -> None:
    """Every figure and table of every choice is drawn, nothing moves by itself, axe-core finds nothing.

    Colours and the insides of figures are the same at every width; so is what turning a page dark does.
    """
    problems, axe = [], None if width == BETWEEN else axe_core()
    for name in pages:
        with visit(browser, address, name, width, theme, NOTE_SHIFTS) as opened:
            page, found = opened.page, []
            scroll_through(page, theme)
            shifts = page.evaluate("shifts")
            if shifts >= MOST_SHIFT:
                found.append(f"things move by {shifts:.3f} while it is read")
            if axe:
                page.add_script_tag(path=axe)
                found += violations(page, theme, colours=width == 1440, others=True)
            found += opened.check(choices=width != BETWEEN)
            if width == 1440 and not found:
                found += opened.check_turned("dark")
                found += violations(page, "dark", colours=True) if axe else []
            problems += [f"{name} at {width} px: {what}" for what in found]
    assert not problems, "\n".join(problems)
    if width != BETWEEN and axe is None:
        cannot_test("axe-core is not installed: the accessibility of the pages is NOT tested (needs npm)")


def test_heads_and_links_say_what_a_page_is(site: Path, pages: list[str]) -> None:
    """What search engines and shared links show of it, and what a link leads to."""
    problems, titles = [], []
    for name in (name for name in pages if name != "404.html"):
        text = (site / name).read_text()
        page = BeautifulSoup(text, "html.parser")
        titles.append(page.title.text.strip() if page.title else "")
        lacking = {
            "doctype": text.lstrip()[:15].lower() == "<!doctype html>",
            "language": page.html is not None and page.html.get("lang"),
            "character set": page.select_one("meta[charset]"),
            "viewport": page.select_one("meta[name=viewport][content*='width=device-width']"),
            "description": page.select_one("meta[name=description][content]:not([content=''])"),
            "text of every picture": not page.select("img:not([alt])"),
            "links that say where they lead": not [
                link for link in page.select("main a[href]") if link.text.strip().lower() in SAYS_NOTHING
            ],
        }
        problems += [f"{name}: {what}" for what, there in lacking.items() if not there]
    assert not problems, "\n".join(problems)
    assert all(titles) and len({*titles}) == len(titles)


SAYS_NOTHING = {"here", "click here", "this", "go", "more", "learn more", "read more", "link", "start", "right here"}


def test_axe_finds_what_is_wrong(browser: Browser, address: str) -> None:
    """The test above relies on it: faults outside of figures and, but for colours, inside."""
    if (axe := axe_core()) is None:
        cannot_test("axe-core is not installed: the accessibility of the pages is NOT tested (needs npm)")
    with visit(browser, address, "404.html", 1440, "light") as opened:
        page = opened.page
        page.add_script_tag(path=axe)
        assert not violations(page, "light", colours=True, others=True)
        page.evaluate(
            """() => document.querySelector("main").insertAdjacentHTML("beforeend",
                `<p id=faint style="color: #ddd">faint</p><h6>too deep</h6>
                <svg class=main-svg><text fill="#ddd">faint</text><a href="#" id=unnamed><rect/></a></svg>`)"""
        )
        everything = violations(page, "light", colours=True, others=True)
        assert [rule.split()[1] for rule in everything] == ["color-contrast", "heading-order", "link-name"]
        assert [rule.split()[1] for rule in violations(page, "light", colours=True)] == ["color-contrast"]
        assert [rule.split()[1] for rule in violations(page, "light", others=True)] == ["heading-order"]


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
