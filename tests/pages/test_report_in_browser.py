"""A report opened by a double click: whole, quiet, within a phone's width, on paper."""

from __future__ import annotations

from pathlib import Path

import pytest
import report_rows
from browser import IS_DRAWN, MARKS, WAIT
from playwright.sync_api import Browser

from lrcore import report
from tests.pages.test_page_quality import FIND_VIOLATIONS, axe_core


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a study of which everything is measured."""
    folder = tmp_path_factory.mktemp("report")
    report_rows.write(folder)
    out = folder / "made.html"
    folders = [f"--{name}={folder / name}" for name in ("data", "imgs")]
    assert report.main(["made", "--ae", "flux2", f"--out={out}", *folders]) == 0
    return out


@pytest.mark.parametrize(("width", "theme"), [(390, "dark"), (1440, "light")])
def test_a_report_needs_nothing_but_its_file(browser: Browser, written: Path, width: int, theme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)  # type: ignore[arg-type]
    page, asked, wrong = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    try:
        page.goto(written.as_uri())
        for height in range(0, page.evaluate("document.documentElement.scrollHeight"), 500):
            page.evaluate("height => scrollTo({ top: height, behavior: 'instant' })", height)
            page.wait_for_timeout(30)
        page.wait_for_function(IS_DRAWN, arg=theme, timeout=WAIT)
        figures = page.locator(".lrcore-figure")
        assert figures.count() == 8
        assert all(plot.evaluate(MARKS) for plot in figures.locator(".lrcore-plot").all())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        links = "images => images.map(image => image.getAttribute('href').slice(0, 10))"
        assert set(page.locator(".lrcore-comparison image").evaluate_all(links)) == {"data:image"}
        if axe := axe_core():
            page.add_script_tag(path=axe)
            assert page.evaluate(FIND_VIOLATIONS, [True, True]) == []
        assert [url for url in asked if not url.startswith("data:")] == [written.as_uri()]
        assert not wrong
    finally:
        context.close()


def test_a_report_on_paper_has_every_figure_within_its_page(browser: Browser, written: Path) -> None:
    page = browser.new_page(viewport={"width": 1000, "height": 900}, color_scheme="dark")
    try:
        page.goto(written.as_uri())
        page.wait_for_function("window.Plotly !== undefined", timeout=WAIT)
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        wide = "plots => plots.map(plot => plot.querySelector('svg').getBoundingClientRect().width)"
        assert all(0 < width < 690 for width in page.locator(".lrcore-plot").evaluate_all(wide))
        assert page.locator("details:not([open], .lrcore-on-screen)").count() == 0
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator(".lrcore-comparison").first.is_visible()
    finally:
        page.close()
