"""The still pictures of figures: none is out of date, and readers without scripts see them."""

from __future__ import annotations

import os
from pathlib import Path

import yaml
from browser import served
from draw_figures import _rounded
from playwright.sync_api import Browser
from sample_data import STUDIES
from still_pictures import (
    CARDS,
    DRAWN,
    card_digest,
    card_mark,
    card_words,
    digest_in,
    digest_of,
    figures_of,
    with_digest,
)

PROJECT = Path(__file__).parents[2]
PUBLISHED = "published-tradeoff"


def test_none_is_out_of_date(site: Path, pages: list[str]) -> None:
    """Of a site over made-up data, those that do not depend on a study."""
    made_up = () if os.environ.get("LRCORE_SITE") else tuple(f"{name}-" for name in STUDIES)
    figures = {one.name: one for name in pages for one in figures_of(site / name) if not one.name.startswith(made_up)}
    assert PUBLISHED in figures
    kept = {path.stem: digest_in(path.read_text()) for path in (PROJECT / DRAWN).glob("*.svg")}
    stale = [name for name, figure in figures.items() if kept.get(name) != digest_of(figure.spec)]
    stale += [] if made_up else sorted(kept.keys() - figures.keys())
    assert not stale, f"draw them anew with tools/draw_figures.py: {', '.join(stale)}"


def test_no_card_is_out_of_date(site: Path, pages: list[str]) -> None:
    """Its words are those of its figure's page, and its picture is the one that is kept; as above of made-up data."""
    made_up = () if os.environ.get("LRCORE_SITE") else tuple(f"{name}-" for name in STUDIES)
    name = yaml.safe_load((PROJECT / "_quarto.yml").read_text())["website"]["title"]
    stale, looked_at = [], 0
    for page in (page for page in pages if figures_of(site / page)):
        card, source = PROJECT / CARDS / f"{Path(page).stem}.png", (PROJECT / page).with_suffix(".qmd")
        figure, digest = card_mark(card)
        there = {one.name for one in figures_of(site / page)}
        if made_up and (figure.startswith(made_up) or (figure and figure not in there)):
            continue
        svg = PROJECT / DRAWN / f"{figure}.svg"
        if figure not in there or digest != card_digest(card_words(site / page, source, figure, name), svg.read_text()):
            stale.append(card.name)
        looked_at += 1
    assert looked_at >= (3 if not made_up else 1)
    assert not stale, f"draw them anew with tools/draw_figures.py: {', '.join(stale)}"


def test_a_mark_changes_with_what_is_drawn_and_not_with_the_last_digit() -> None:
    spec = {"data": [{"x": [1.0, 2.0], "y": [0.1 + 0.2, None], "name": "SD", "line": {"width": 2}}], "layout": {}}
    digest = digest_of(spec)
    alike = {**spec["data"][0], "y": [0.3, None]}
    assert digest == digest_of({"data": [alike], "layout": {"template": {"a": 1}}})
    assert digest != digest_of({"data": [alike], "layout": {"annotations": [{"text": "SD"}]}})
    assert digest != digest_of({"data": [{**alike, "error_y": {"array": [1, 2]}}], "layout": {}})
    assert digest != digest_of({"data": [{**spec["data"][0], "y": [0.31, None]}], "layout": {}})
    marked = with_digest('<svg width="8" style="x: y" id="defs-abcdef"><g id="abcdef"/></svg>', digest)
    assert digest_in(marked) == digest and "abcdef" not in marked and digest_in("<svg></svg>") == ""


def test_readers_without_scripts_see_them(browser: Browser, made_up_site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    with served(made_up_site) as address:
        page.goto(f"{address}/posts/representation-comparison.html")
        picture = page.locator(f"#figure-{PUBLISHED} img")
        picture.scroll_into_view_if_needed()
        assert picture.is_visible() and "FLUX.2" in (picture.get_attribute("alt") or "")
        assert picture.evaluate("image => image.complete && image.naturalWidth") == 800
        assert not page.locator(f"#figure-{PUBLISHED} .lrcore-alt").is_visible()
    context.close()


def test_coordinates_are_short_and_labels_are_whole() -> None:
    drawn = '<text x="12.34567" y="1">0.001</text><path d="M0.12345,7"/>'
    assert _rounded(drawn) == '<text x="12.35" y="1">0.001</text><path d="M0.12,7"/>'
