"""The picker in a browser: what it says is what the Python functions say, whichever way the number is put in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas
import pytest
import single_page
from browser import Visit, served, visit
from figure_rows import generation_rows, published_rows
from playwright.sync_api import Browser, Locator

from lrcore.figures import picker_settings
from lrcore.figures.atlas import each, read_works
from lrcore.figures.picker import picker
from lrcore.figures.recommendation import answer, published_evidence, rule, study_evidence
from lrcore.records.reading import read_atlas
from lrcore.results.atlas_settings import alike, settings

DATA = Path(__file__).parents[2] / "data"
WORKS = read_works(DATA.parent / "posts/references.bib")
CHANNELS = {"sd": 4, "flux1": 16, "flux2": 32, "rae": 112}


def study() -> pandas.DataFrame:
    rows = generation_rows()
    return rows.assign(channels_per_token=rows["ae"].map(CHANNELS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with two pickers."""
    made = tmp_path_factory.mktemp("picker")
    shown = picker(published_rows(), {"toy": study()}, read_atlas(DATA), WORKS), picker(published_rows(), {})
    single_page.write_page(made, "".join(one.markup for one in shown), "picker.js")
    return made


@pytest.fixture(params=[390, 1440])
def opened(browser: Browser, folder: Path, request: pytest.FixtureRequest) -> Iterator[Visit]:
    with served(folder) as address, visit(browser, address, "page.html", request.param, "light") as page:
        yield page
        assert not page.problems
        wide, screen = page.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= screen


def said(picker: Locator) -> dict[str, str]:
    fields = picker.locator("[data-said]").all()
    return {str(field.get_attribute("data-said")): str(field.text_content()) for field in fields}


def test_every_width_is_answered_as_in_python(opened: Visit) -> None:
    first = opened.page.locator(".lrcore-picker").first
    found = {"published": published_evidence(published_rows()), "toy": study_evidence("toy", study())}
    number = first.get_by_label("Channels per token", exact=True)
    for name, evidence in found.items():
        first.get_by_role("combobox", name="Evidence").select_option(name)
        for channels in (1, 3, 4, 16, 45, 64, 100, 128, 313, 314, 768, 4096):
            number.fill(str(channels))
            shown = said(first)
            for field, text in vars(answer(evidence, channels)).items():
                assert shown[field] == text
            assert float(shown["shift"]) == pytest.approx(rule(channels, evidence.least), abs=0.0051)
            assert (shown["channels"], shown["least"]) == (str(channels), str(evidence.least))


def test_an_invalid_width_says_nothing_of_the_literature(opened: Visit) -> None:
    first = opened.page.locator(".lrcore-picker").first
    number, literature = first.get_by_label("Channels per token", exact=True), first.locator("[data-literature]")
    for text in ("0", "", "5000"):
        number.fill(text)
        assert not literature.is_visible() and first.get_by_role("alert").is_visible()
    number.fill("16")
    assert literature.is_visible() and not first.get_by_role("alert").is_visible()


def test_the_literature_is_that_of_latents_as_wide(opened: Visit) -> None:
    first = opened.page.locator(".lrcore-picker").first
    number, beside = first.get_by_label("Channels per token", exact=True), first.locator(".lrcore-literature")
    found = settings(read_atlas(DATA))
    asked = [(64, {}), (16, {"downsampling": 8}), (768, {"family": "frozen-encoder"}), (32, {"tokens": 64}), (5, {})]
    for channels, filters in asked:
        number.fill(str(channels))
        for name in picker_settings.FILTERS:
            beside.locator(f"select[data-filter={name}]").select_option(str(filters.get(name, "")))
        wanted = alike(found, channels, **filters)
        assert beside.locator("[data-literature]").text_content() == picker_settings.said(wanted)
        assert beside.locator("table").is_visible() == bool(len(wanted))
        values = [row.autoencoders for row in each(wanted)]
        shown = beside.locator("tbody td:nth-child(4)").all_text_contents()
        assert [text.split(" (blip3o)")[0] for text in shown] == values
    number.fill("128")
    for name in picker_settings.FILTERS:
        beside.locator(f"select[data-filter={name}]").select_option("")
    links = beside.locator("tbody a").evaluate_all("links => links.map(link => link.href)")
    assert len(links) == len(alike(found, 128)) and all(link.startswith("https://") for link in links)
    assert opened.page.locator(".lrcore-picker").nth(1).locator(".lrcore-literature").count() == 0


def test_number_and_slider_move_together(opened: Visit) -> None:
    first, second = opened.page.locator(".lrcore-picker").all()
    number, slider = first.locator("input[type=number]"), first.locator("input[type=range]")
    number.fill("256")
    assert slider.input_value() == "8"
    assert slider.get_attribute("aria-valuetext") == "256 channels"
    slider.focus()
    opened.page.keyboard.press("End")
    assert number.input_value() == "4096" == said(first)["channels"]
    opened.page.keyboard.press("Home")
    assert number.input_value() == "1" == said(first)["channels"]
    assert second.locator("input[type=number]").input_value() == "64" == said(second)["channels"]


@pytest.mark.parametrize("text", ["", "0", "4097", "2.5"])
def test_what_is_no_number_of_channels_is_refused(opened: Visit, text: str) -> None:
    first = opened.page.locator(".lrcore-picker").first
    height = opened.page.evaluate("document.querySelector('dl').offsetHeight")
    first.locator("input[type=number]").fill(text)
    assert first.get_by_role("alert").text_content() == "A whole number from 1 to 4096, please."
    assert not first.locator("dl").is_visible() and not first.locator(".lrcore-answer").is_visible()
    assert opened.page.evaluate("document.querySelector('dl').offsetHeight") == height
    first.locator("input[type=number]").fill("16")
    assert first.locator("dl").is_visible() and first.locator(".lrcore-answer").is_visible()
    assert not first.get_by_role("alert").is_visible()


def test_the_script_starts_where_the_markup_is_and_the_table_needs_none(browser: Browser, folder: Path) -> None:
    shown = []
    with served(folder) as address:
        for scripts in (True, False):
            context = browser.new_context(java_script_enabled=scripts)
            page = context.new_page()
            page.goto(f"{address}/page.html")
            shown.append([said(picker) for picker in page.locator(".lrcore-picker").all()])
            assert page.locator(".lrcore-picker").first.is_visible() == scripts
            assert page.locator(".lrcore-table tbody tr").first.is_visible()
            context.close()
    assert shown[0] == shown[1]
