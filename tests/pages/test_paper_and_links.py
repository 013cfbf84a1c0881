"""What readers print, share and jump to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from browser import IS_DRAWN, WAIT, visit
from playwright.sync_api import Browser, Page

ARTICLE = "posts/representation-comparison.html"
PAPER = 640
SETTLED = """() => !document.querySelector('.lrcore-table:has(> .lrcore-spec):not([data-drawn], [hidden] *)')
    && [...document.querySelectorAll('.lrcore-figure')].filter(one => one.checkVisibility())
        .every(one => one.dataset.drawn || one.getBoundingClientRect().top > innerHeight + 300
            || one.getBoundingClientRect().bottom < -300)"""
FIGURES = """() => [...document.querySelectorAll('.lrcore-figure')].filter(one => one.checkVisibility())
    .map(one => [one.id, one.dataset.drawn, one.querySelector('.main-svg')?.getBoundingClientRect().width])"""


CAN_PRINT = """() => window.Plotly && [...document.querySelectorAll('.lrcore-figure')]
    .every(one => 'loaded' in one.dataset || !one.checkVisibility())"""


def ready_to_print(page: Page) -> None:
    page.wait_for_function(CAN_PRINT, timeout=WAIT)


def test_paper_has_every_figure_in_its_own_width_and_colours(browser: Browser, made_up_address: str) -> None:
    with visit(browser, made_up_address, ARTICLE, 1440, "dark") as opened:
        page = opened.page
        ready_to_print(page)
        page.locator(".lrcore-switch > fieldset input[value=narrow]").first.check()
        ready_to_print(page)
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        printed = page.evaluate(FIGURES)
        assert len(printed) > 5 and all(theme == "light" and width == PAPER for _, theme, width in printed), printed
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        page.wait_for_function(IS_DRAWN, arg="dark", timeout=WAIT)
        assert not opened.problems


def test_on_paper_tables_repeat_their_header_and_short_ones_stay_whole(browser: Browser, made_up_address: str) -> None:
    look = """name => {
        const table = document.querySelector(name), style = getComputedStyle(table);
        const head = getComputedStyle(table.tHead).display, row = getComputedStyle(table.rows[1]).breakInside;
        return [table.rows.length > 9, style.display, style.breakInside, head, row];
    }"""
    with visit(browser, made_up_address, "posts/data.html", 820, "light") as opened:
        opened.page.emulate_media(media="print")
        long = opened.page.evaluate(look, "#generation table")
        assert long == [True, "table", "auto", "table-header-group", "avoid"]
    with visit(browser, made_up_address, ARTICLE, 820, "light") as opened:
        opened.page.emulate_media(media="print")
        short = opened.page.evaluate(look, ":is(table#tbl-families, #tbl-families table)")
        assert short == [False, "table", "avoid", "table-header-group", "avoid"]


def test_paper_has_no_controls(browser: Browser, made_up_address: str) -> None:
    with visit(browser, made_up_address, ARTICLE, 820, "light") as opened:
        ready_to_print(opened.page)
        opened.page.emulate_media(media="print")
        controls = "nav, .navbar, .lrcore-download, fieldset, input, select, button, .lrcore-anchor, .code-fold"
        assert not opened.page.locator(f":is({controls}):visible").count()
        assert opened.page.pdf(format="A4").startswith(b"%PDF")
        assert not opened.problems


@pytest.mark.parametrize("width", [390, 1440])
def test_a_link_to_a_figure_leads_there(browser: Browser, made_up_address: str, made_up_site: Path, width: int) -> None:
    """To the last figure or table of each page: what is drawn above it must not move it."""
    missed = []
    for path in sorted(made_up_site.glob("posts/*.html")):
        anchors = re.findall(r'id="((?:fig|tbl)-[a-z-]+)"', path.read_text())
        if not anchors:
            continue
        name = f"{path.relative_to(made_up_site)}#{anchors[-1]}"
        with visit(browser, made_up_address, name, width, "light") as opened:
            opened.page.wait_for_function(SETTLED, timeout=WAIT)
            top, low = opened.page.evaluate(
                """id => [document.getElementById(id).getBoundingClientRect().top,
                    document.documentElement.scrollHeight - innerHeight - scrollY]""",
                anchors[-1],
            )
            if not (abs(top) <= 24 or (low < 2 and top > 0)):  # near the end of the page it cannot come to the top
                missed.append(f"{name}: {top:.0f} px")
    assert not missed, missed


def test_a_caption_has_a_link_that_copies_its_address_and_the_study(browser: Browser, made_up_address: str) -> None:
    with visit(browser, made_up_address, f"{ARTICLE}?study=narrow", 1440, "light") as opened:
        page = opened.page
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        link = page.locator("#tbl-best figcaption .lrcore-anchor").first
        box = link.bounding_box()
        assert box and min(box["width"], box["height"]) >= 24  # WCAG 2.2, 2.5.8
        link.click()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == page.url and copied.endswith(f"{ARTICLE}?study=narrow#tbl-best")


def test_what_another_study_shows_is_fetched_when_it_is_chosen(browser: Browser, made_up_address: str) -> None:
    with visit(browser, made_up_address, ARTICLE, 1440, "light") as opened:
        page, asked = opened.page, []
        page.on("request", lambda request: asked.append(request.url))
        page.wait_for_load_state("networkidle")
        assert not [url for url in asked if "/fetched/" in url]
        page.locator(".lrcore-switch > fieldset input[value=narrow]").first.check()
        figure = page.locator(".lrcore-figure[id=figure-narrow-sensitivity]")
        figure.scroll_into_view_if_needed()
        page.wait_for_selector("#figure-narrow-sensitivity[data-drawn]", timeout=WAIT)
        assert [url for url in asked if url.endswith(".json") and "/fetched/" in url]
        assert not opened.problems


@pytest.mark.parametrize(
    ("study", "scrolls"), [("narrow", ".lrcore-table-scroll"), ("cifar10-cpu", ".dt-layout-full")], ids=["few", "many"]
)
def test_a_wide_table_scrolls_under_its_first_column_on_a_phone(
    browser: Browser, made_up_address: str, study: str, scrolls: str
) -> None:
    with visit(browser, made_up_address, f"{ARTICLE}?study={study}", 390, "light") as opened:
        holder = opened.page.locator("#tbl-diagnostics .lrcore-table:visible")
        first = holder.locator("tbody td").first
        first.wait_for()  # a table of many rows is drawn by its script, which hides it for a moment
        before = first.bounding_box()
        assert before
        moved = holder.locator(scrolls).evaluate("scroll => { scroll.scrollLeft = 40; return scroll.scrollLeft; }")
        after = first.bounding_box()
        assert moved == 40 and after and after["x"] == pytest.approx(before["x"], abs=1)


def test_a_table_of_the_text_scrolls_as_computed_ones_do_and_code_says_that_it_scrolls(
    browser: Browser, made_up_address: str
) -> None:
    with visit(browser, made_up_address, ARTICLE, 390, "light") as opened:
        families = ":is(table#tbl-families, #tbl-families table)"
        table = opened.page.locator(families)
        first = table.locator("tbody td").first
        before = first.bounding_box()
        moved = table.evaluate("table => { table.scrollLeft = 40; return table.scrollLeft; }")
        after = first.bounding_box()
        assert moved == 40 and before and after and after["x"] == pytest.approx(before["x"], abs=1)
        grounds = [
            opened.page.locator(name).first.evaluate("element => getComputedStyle(element).backgroundAttachment")
            for name in (families, "#tbl-best .lrcore-table-scroll", "main pre")
        ]
        assert all(ground.startswith("local, scroll") for ground in grounds), grounds


def test_tables_use_the_room_that_there_is(browser: Browser, made_up_address: str) -> None:
    """None that has room beside the list of contents is cut off."""
    with visit(browser, made_up_address, f"{ARTICLE}?study=narrow", 1440, "light") as opened:
        opened.page.wait_for_load_state("networkidle")
        cut = opened.page.evaluate(
            """[...document.querySelectorAll(".lrcore-table-scroll")].filter(one => one.checkVisibility())
                .filter(one => one.scrollWidth > one.clientWidth).map(one => one.closest("[id^=tbl]").id)"""
        )
        assert not cut


def test_all_text_has_one_measure(browser: Browser, made_up_address: str) -> None:
    with visit(browser, made_up_address, ARTICLE, 1440, "light") as opened:
        widths = opened.page.evaluate(
            """["main section > p", "main section > ul", "main .callout", "main figcaption", ".csl-entry"].map(name =>
                Math.max(...[...document.querySelectorAll(name)].map(one => one.getBoundingClientRect().width)))"""
        )
        assert max(widths) - min(widths) < 1, widths


def test_few_rows_need_no_search_and_no_script(browser: Browser, made_up_address: str) -> None:
    with visit(browser, made_up_address, "posts/latent-diagnostics.html?study=narrow", 820, "light") as opened:
        asked: list[str] = []
        opened.page.on("request", lambda request: asked.append(request.url))
        opened.page.reload()
        opened.page.wait_for_load_state("networkidle")
        assert opened.page.locator(".lrcore-table:visible tbody tr").count()
        assert not opened.page.locator("input[type=search]:visible").count()
        assert not [url for url in asked if "dt_bundle" in url]
