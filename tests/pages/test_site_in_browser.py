"""What readers do on the pages of the built site: phone, tablet, desktop, light and dark, with and without scripts."""

from __future__ import annotations

import csv
import io
import urllib.request
from pathlib import Path

import pytest
from browser import TOGGLE, WAIT, served, visit
from playwright.sync_api import Browser

LONG_TABLES = "posts/representation-comparison.html"
"""A page with tables of more rows than can be read at one glance."""

EVERY_WAY = pytest.mark.parametrize(("width", "theme"), [(390, "dark"), (1440, "light")])


def first_page_with(site: Path, pages: list[str], element: str) -> str:
    holding = [name for name in pages if f'class="{element}"' in (site / name).read_text()]
    assert holding, f"no page of the site has a .{element}"
    return holding[0]


def test_the_switch_changes_figures_and_tables(browser: Browser, address: str, site: Path, pages: list[str]) -> None:
    name = first_page_with(site, pages, "lrcore-figure")
    with visit(browser, address, name, 1440, "light") as opened:
        page = opened.page
        ink = "() => getComputedStyle(document.querySelector('.lrcore-figure[data-drawn] .infolayer text')).fill"
        page.locator(".lrcore-figure").first.scroll_into_view_if_needed()
        page.wait_for_selector(".lrcore-figure[data-drawn=light]", timeout=WAIT)
        light = page.evaluate(ink)
        page.locator(TOGGLE).first.click()
        page.wait_for_selector("body.quarto-dark", timeout=WAIT)
        page.wait_for_selector(".lrcore-figure[data-drawn=dark]", timeout=WAIT)
        assert page.evaluate(ink) != light
        page.locator(TOGGLE).first.click()
        page.wait_for_selector(".lrcore-figure[data-drawn=light]", timeout=WAIT)
        assert page.evaluate(ink) == light
        assert not opened.problems


@EVERY_WAY
def test_one_choice_of_study_sets_every_switch(browser: Browser, made_up_address: str, width: int, theme: str) -> None:
    with visit(browser, made_up_address, "posts/representation-comparison.html", width, theme) as opened:
        switches = opened.page.locator(".lrcore-switch:has(> fieldset input[value=narrow])")
        switches.last.locator("> fieldset input[value=narrow]").check()
        shown = switches.evaluate_all(
            """all => all.map(one => [...one.children].filter(part => part.matches('.lrcore-choice:not([hidden])'))
                .map(part => part.dataset.choice))"""
        )
        assert len(shown) > 3 and all(choices == ["narrow"] for choices in shown)
        assert not opened.problems


def test_a_view_that_two_figures_call_the_same_is_chosen_for_each(browser: Browser, made_up_address: str) -> None:
    chosen = """label => [...document.querySelectorAll(".lrcore-switch > fieldset")]
        .filter(one => one.querySelector("legend").textContent === label)
        .map(one => one.querySelector("input:checked").value)"""
    with visit(browser, made_up_address, "posts/representation-comparison.html", 1440, "light") as opened:
        page = opened.page
        before = page.evaluate(chosen, "Shown")
        page.evaluate(
            """() => [...document.querySelectorAll(".lrcore-switch > fieldset")]
                .find(one => one.querySelector("legend").textContent === "Measured by")
                .querySelector("input[value='share learned']").click()"""
        )
        assert set(page.evaluate(chosen, "Measured by")) == {"share learned"}  # that of each study
        assert set(before) == {"distances"} and page.evaluate(chosen, "Shown") == before


def test_the_chosen_study_stands_in_the_address_and_survives_a_reload(browser: Browser, made_up_address: str) -> None:
    chosen = "document.querySelector('.lrcore-switch > fieldset input[value=narrow]').checked"
    with visit(browser, made_up_address, "posts/representation-comparison.html", 1440, "light") as opened:
        page = opened.page
        assert not page.evaluate(chosen)
        page.locator(".lrcore-switch > fieldset input[value=narrow]").first.check()
        page.locator(".lrcore-switch > fieldset input[value='training compute']:visible").first.check()
        assert page.url.endswith("?study=narrow")  # a view of it is no study
        page.reload()
        page.wait_for_function(chosen, timeout=WAIT)
        assert not opened.problems


def test_a_finger_scrolls_past_a_figure(browser: Browser, address: str, site: Path, pages: list[str]) -> None:
    """On a touch screen nothing is zoomed by a swipe, and no bar of buttons covers the title anywhere."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(f"{address}/{first_page_with(site, pages, 'lrcore-figure')}")
    figure = page.locator(".lrcore-figure:visible").first
    figure.scroll_into_view_if_needed()
    page.wait_for_selector(".lrcore-figure[data-drawn]", timeout=WAIT)
    drawn = page.locator(".lrcore-figure[data-drawn] .lrcore-plot").first
    layout = "plot => [plot._fullLayout.dragmode, plot._fullLayout.xaxis.fixedrange, plot._fullLayout.yaxis.fixedrange]"
    assert drawn.evaluate(layout) == [False, True, True]
    assert drawn.locator(".modebar-btn").count() == 0
    context.close()


def test_a_figure_shown_again_fits_the_window_and_the_theme(browser: Browser, made_up_address: str) -> None:
    with visit(browser, made_up_address, "posts/representation-comparison.html", 1440, "light") as opened:
        page = opened.page
        switch = page.locator(".lrcore-switch:has(> fieldset input[value=narrow])").first
        first, *_, last = switch.locator("> fieldset input").all()
        figure = switch.locator(".lrcore-figure:visible").first
        name = figure.get_attribute("id")
        figure.scroll_into_view_if_needed()
        page.wait_for_selector(f"#{name}[data-drawn=light]", timeout=WAIT)
        last.check()
        page.set_viewport_size({"width": 390, "height": 900})
        page.locator(TOGGLE).first.dispatch_event("click")
        page.wait_for_selector("body.quarto-dark", timeout=WAIT)
        first.check()
        page.wait_for_selector(f"#{name}[data-drawn=dark]", timeout=WAIT)
        drawn = page.locator(f"#{name} .main-svg").first.evaluate("svg => svg.getBoundingClientRect().width")
        assert drawn == pytest.approx(page.locator(f"#{name}").evaluate("figure => figure.clientWidth"), abs=1)
        assert not opened.problems


@EVERY_WAY
def test_a_slider_redraws_its_figure(browser: Browser, address: str, width: int, theme: str) -> None:
    with visit(browser, address, "posts/timestep-explorer.html", width, theme) as opened:
        figure = opened.page.locator("#figure-timestep-explorer")
        figure.scroll_into_view_if_needed()
        opened.page.wait_for_selector("#figure-timestep-explorer[data-drawn]", timeout=WAIT)
        title = figure.locator(".annotation-text").first  # of the upper panel
        before = title.text_content()
        slider = figure.locator("input[type=range]")
        slider.press("End")
        said = slider.get_attribute("aria-valuetext")
        assert figure.locator("output").text_content() == said
        opened.page.wait_for_function(
            "text => document.querySelector('.annotation-text').textContent.includes(text)", arg=said
        )
        assert title.text_content() != before
        assert not opened.problems


# Of the settings in a figure's first panel, the one furthest from all other marks: its name and place.
LONELY = """plot => {
    const places = [...plot.querySelector(".mlayer").querySelectorAll(".point")].map(mark => {
        const { x, y, width, height } = mark.getBoundingClientRect();
        return [x + width / 2, y + height / 2];
    });
    const room = places.map(([x, y], number) => Math.min(
        ...places.map(([a, b], other) => other === number ? Infinity : Math.hypot(a - x, b - y))));
    const settings = plot.data[0].customdata;
    const best = room.indexOf(Math.max(...room.slice(0, settings.length)));
    return [settings[best], ...places[best]];
}"""
MARKED = """id => document.getElementById(id).querySelector(".lrcore-plot").data
    .map(({ customdata, selectedpoints }) => (selectedpoints ?? []).map(at => customdata[at]))
    .filter(marked => marked.length)"""


HAVING = """([id, setting]) => document.getElementById(id).querySelector(".lrcore-plot").data
    .filter(({ customdata }) => customdata?.includes(setting)).length"""


@EVERY_WAY
def test_pointing_at_a_setting_marks_it_in_every_panel(browser: Browser, address: str, width: int, theme: str) -> None:
    with visit(browser, address, "posts/representation-comparison.html", width, theme) as opened:
        page = opened.page
        figure = page.locator(".lrcore-figure[id$=-sensitivity]:visible")
        name = figure.get_attribute("id")
        figure.scroll_into_view_if_needed()
        page.wait_for_selector(f"#{name}[data-drawn]", timeout=WAIT)
        figure.locator(".mlayer .point").first.scroll_into_view_if_needed()  # the figure may be higher than the window
        setting, x, y = figure.locator(".lrcore-plot").evaluate(LONELY)
        page.mouse.move(x, y)
        page.wait_for_function(f"id => ({MARKED})(id).length", arg=name, timeout=WAIT)
        panels = page.evaluate(HAVING, [name, setting])
        assert panels >= 2  # one for each timestep choice that was varied
        assert page.evaluate(MARKED, name) == [[setting]] * panels
        page.mouse.move(0, 0)
        page.wait_for_function(f"id => !({MARKED})(id).length", arg=name, timeout=WAIT)
        assert not opened.problems


@EVERY_WAY
def test_the_legend_hides_and_shows(browser: Browser, address: str, width: int, theme: str) -> None:
    with visit(browser, address, "posts/latent-diagnostics.html", width, theme) as opened:
        figure = opened.page.locator(".lrcore-figure[id$=-channels]:visible")
        name = figure.get_attribute("id")
        figure.scroll_into_view_if_needed()
        opened.page.wait_for_selector(f"#{name}[data-drawn]", timeout=WAIT)
        lines = figure.locator(".scatterlayer .trace")
        every = lines.count()
        for left in (every - 2, every):  # an autoencoder has a line in each of two panels
            figure.locator(".legendtoggle").first.click()
            opened.page.wait_for_function(
                "([id, left]) => document.getElementById(id).querySelectorAll('.scatterlayer .trace').length === left",
                arg=[name, left],
                timeout=WAIT,
            )
        assert every > 2 and not opened.problems


def test_a_table_is_dark_where_the_page_is(browser: Browser, address: str) -> None:
    with visit(browser, address, LONG_TABLES, 1440, "light") as opened:
        opened.page.wait_for_selector(".lrcore-table[data-drawn]", timeout=WAIT)
        assert not opened.page.evaluate("document.documentElement.classList.contains('dark')")
        opened.page.locator(TOGGLE).first.click()
        opened.page.wait_for_selector("html.dark", timeout=WAIT, state="attached")


@EVERY_WAY
def test_tables_search_and_sort(browser: Browser, address: str, width: int, theme: str) -> None:
    with visit(browser, address, LONG_TABLES, width, theme) as opened:
        opened.page.wait_for_selector(".lrcore-table[data-drawn]", timeout=WAIT)
        table = opened.page.locator(".lrcore-table[data-drawn]").first
        every = table.locator("tbody tr").count()
        search = table.locator("input[type=search]")
        search.fill("no row holds these words")
        assert table.locator("tbody td.dt-empty").count() == 1
        search.fill("")
        assert table.locator("tbody tr").count() == every
        table.locator("thead th").first.click()
        opened.page.wait_for_selector(".lrcore-table thead th[aria-sort=ascending]", timeout=WAIT)
        assert not opened.problems


@EVERY_WAY
@pytest.mark.parametrize("kind", ["lrcore-figure", "lrcore-table"])
def test_rows_can_be_downloaded(
    browser: Browser, address: str, site: Path, pages: list[str], kind: str, width: int, theme: str
) -> None:
    with visit(browser, address, first_page_with(site, pages, kind), width, theme) as opened:
        link = opened.page.locator(f".{kind} a.lrcore-download").first
        with opened.page.expect_download() as started:
            link.click()
        download = started.value
        assert download.suggested_filename == link.get_attribute("download")
        rows = list(csv.reader(io.StringIO(Path(download.path()).read_text())))
        assert len(rows) > 1 and all(len(row) == len(rows[0]) for row in rows)


def test_pages_can_be_read_without_scripts(browser: Browser, address: str, site: Path, pages: list[str]) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/{first_page_with(site, pages, 'lrcore-figure')}")
    assert page.locator(".lrcore-figure :is(.lrcore-still, .lrcore-alt)").first.is_visible()
    page.goto(f"{address}/{first_page_with(site, pages, 'lrcore-table')}")
    assert page.locator(".lrcore-table tbody tr").first.is_visible()
    context.close()


@pytest.mark.parametrize(
    ("name", "said"),
    [("posts/timestep-explorer.html", 1), ("posts/representation-comparison.html", 2), ("posts/atlas.html", 3)],
)
def test_what_only_scripts_can_do_is_said_and_not_offered_without_them(
    browser: Browser, made_up_address: str, name: str, said: int
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{made_up_address}/{name}")
    assert not page.locator(":is(main input, main select, main button, .lrcore-answer):visible").count()
    assert page.locator("noscript:visible p", has_text="With scripts").count() >= said
    context.close()


@pytest.mark.parametrize("missing", ["none.html", "posts/none.html", "no/such/folder/"])
def test_what_is_missing_leads_back_to_the_pages(
    browser: Browser, address: str, pages: list[str], missing: str
) -> None:
    with visit(browser, address, missing, 820, "light") as opened:
        assert opened.problems.pop(0).endswith(f"/{missing} answers 404")
        assert any("404" in problem for problem in opened.problems[:1])  # the browser's own word on it
        assert not opened.problems[1:], "what the page itself loads is missing"
        links = opened.page.locator("main li a").evaluate_all("links => links.map(link => link.href)")
        assert sorted(links) == sorted(f"{address}/{name}" for name in pages if name != "404.html")


def test_a_site_that_was_built_for_a_path_is_served_below_it(tmp_path: Path) -> None:
    (tmp_path / "robots.txt").write_text("Sitemap: https://example.org/sub/sitemap.xml\n")
    (tmp_path / "index.html").write_text("the site")
    with served(tmp_path) as url:
        assert url.endswith("/sub")
        with urllib.request.urlopen(f"{url}/index.html") as answer:
            assert answer.read() == b"the site"


def test_a_broken_figure_is_reported(browser: Browser, address: str, site: Path, pages: list[str]) -> None:
    """The tests above rely on it: what cannot be drawn must not be silent."""
    name = first_page_with(site, pages, "lrcore-figure")
    context = browser.new_context()
    page = context.new_page()
    page.route("**/plotly.min.js", lambda route: route.abort())
    with page.expect_console_message(
        lambda said: said.type == "error" and "cannot draw figure-" in said.text, timeout=WAIT
    ):
        page.goto(f"{address}/{name}")
        page.locator(".lrcore-figure").first.scroll_into_view_if_needed()
    assert page.locator(".lrcore-alt").first.is_visible()
    context.close()
