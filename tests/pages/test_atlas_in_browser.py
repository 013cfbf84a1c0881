"""The page of the atlas in a browser: what is chosen is drawn as in Python, fetched then, and can be linked to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from browser import WAIT, served, visit
from playwright.sync_api import Browser

from lrcore import read_atlas
from lrcore.figures import atlas_scatter
from lrcore.figures.atlas import read_works
from lrcore.figures.site_figure import figure_spec
from lrcore.records.atlas_sources import read_groups

PAGE = "posts/atlas.html"
DATA = Path(__file__).parents[2] / "data"
DRAWN = "title => document.querySelector('#figure-atlas-scatter .lrcore-title').textContent === title"
TRACES = """() => document.querySelector('#figure-atlas-scatter .lrcore-plot').data
    .map(({ x, y, name, text, marker }) => ({ x, y, name, text, symbol: marker.symbol, size: marker.size }))"""


def test_a_linked_group_is_drawn_as_in_python(browser: Browser, made_up_site: Path) -> None:
    groups = read_groups(DATA)
    name, x, y = "vavae-lightningdit-b", "psnr", "gfid"
    found = atlas_scatter.points(read_atlas(DATA), groups, read_works(DATA.parent / "posts/references.bib"), name)
    figure = atlas_scatter.scatter(found, groups[name], x, y)
    wanted = figure_spec(figure.figure)["data"]
    with (
        served(made_up_site) as address,
        visit(browser, address, f"{PAGE}?group={name}&x={x}&y={y}", 1440, "light") as opened,
    ):
        opened.page.wait_for_function(DRAWN, arg=figure.words.title, timeout=WAIT)
        opened.page.wait_for_selector("#figure-atlas-scatter[data-drawn]", timeout=WAIT)
        told = {trace["name"]: trace for trace in json.loads(json.dumps(opened.page.evaluate(TRACES)))}
        for trace in wanted:
            shown = told[trace["name"]]
            assert [sorted(shown[end]) for end in ("x", "y", "text")] == [
                sorted(trace[end]) for end in ("x", "y", "text")
            ]
        layout = opened.page.evaluate("document.querySelector('#figure-atlas-scatter .lrcore-plot').layout")
        for end in ("xaxis", "yaxis"):
            assert layout[end]["title"]["text"] == figure.figure.layout[end].title.text
            assert layout[end]["range"] == pytest.approx(figure.figure.layout[end].range)
        names = [[one["text"], one["xanchor"], one["yanchor"]] for one in layout["annotations"]]
        assert names == [[one.text, one.xanchor, one.yanchor] for one in figure.figure.layout.annotations]
        links = opened.page.locator("#atlas-points tbody a[href^='http']").count()
        assert links == 2 * len(figure.rows) and not opened.problems


def test_what_a_group_does_not_have_comes_back_with_the_next(browser: Browser, made_up_site: Path) -> None:
    with served(made_up_site) as address, visit(browser, address, PAGE, 1440, "light") as opened:
        page = opened.page
        group, x, y = (page.locator(f"select[data-choice={name}]") for name in ("group", "x", "y"))
        page.wait_for_selector("#figure-atlas-scatter[data-drawn]", timeout=WAIT)
        for name, ends in (
            ("diffusionbench-t2i", ("geneval", "dpgbench")),
            ("vavae-lightningdit-b", ("rfid", "gfid")),
            ("diffusionbench", ("is", "gfid")),
        ):
            group.select_option(name)
            page.wait_for_function("end => document.querySelector('select[data-choice=x]').value === end", arg=ends[0])
            assert (x.input_value(), y.input_value()) == ends
            offered = x.locator("option").evaluate_all("options => options.map(({ value }) => value)")
            assert "tokens" not in offered  # the same for all of the group
        assert not opened.problems


def test_the_table_and_a_profile_are_fetched_when_asked_for(browser: Browser, made_up_site: Path) -> None:
    with served(made_up_site) as address, visit(browser, address, PAGE, 390, "dark") as opened:
        page = opened.page
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.wait_for_selector("#atlas-table button:visible", timeout=WAIT)
        page.locator("#atlas-table button").click()
        page.wait_for_selector("#atlas-table[data-drawn] select:visible", timeout=WAIT)
        page.locator("#atlas-table select").first.select_option("iFID")
        page.wait_for_function("document.querySelector('#atlas-table .dt-info').textContent.includes('filtered')")
        assert page.locator("#atlas-table tbody td:nth-child(2)").all_inner_texts() == ["iFID"] * 15
        page.locator("#atlas-profile select").select_option("FLUX.2-VAE")
        page.wait_for_selector("#atlas-profile strong:text-is('FLUX.2-VAE')", timeout=WAIT)
        assert "autoencoder=FLUX.2-VAE" in page.url and sum("/fetched/" in url for url in asked) == 2
        wide, screen = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= screen and not opened.problems


def test_a_mark_that_is_chosen_says_where_its_figures_stand(browser: Browser, made_up_site: Path) -> None:
    with (
        served(made_up_site) as address,
        visit(browser, address, "posts/field.html#fig-scales", 390, "light") as opened,
    ):
        page = opened.page
        page.wait_for_selector("#figure-scales-used[data-drawn]", timeout=WAIT)
        chosen = page.evaluate(
            """() => {
                const plot = document.querySelector("#figure-scales-used .lrcore-plot");
                const customdata = plot.data[0].customdata[0];
                plot.emit("plotly_click", { points: [{ customdata }] });
                return customdata;
            }"""
        )
        line = page.locator(".lrcore-marks[data-figure=figure-scales-used]")
        assert chosen.split("|")[1] in line.inner_text()
        assert line.locator("a[href^='http']").count() == 1
        assert not opened.problems
