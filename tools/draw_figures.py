"""Draw the figures of the built site as still pictures: `site/drawn/`, and the cards that links to pages show.

    python tools/draw_figures.py [SITE]

SITE is the folder of a site that was built from the committed data (default: `_site`). Each figure becomes an SVG,
which the page shows to readers without scripts, and the first one of a page that is on no other card goes onto its
card, a PNG. Run it, and build the site again, whenever figures change: a test names those that are out of date. Needs
Chromium.
"""

from __future__ import annotations

import html
import re
import shutil
import sys
from pathlib import Path

import yaml
from playwright.sync_api import Page, sync_playwright
from still_pictures import (
    CARDS,
    DRAWN,
    card_digest,
    card_words,
    digest_of,
    figures_of,
    marked_card,
    served,
    with_digest,
)

from lrcore.runtime.files import atomic_path

WIDTH = 800  # pixels, about what a figure has on a page
CARD = (1200, 630)  # pixels, what open-graph cards are made for
CHOOSE = """name => {
    for (let part; (part = document.getElementById(name).closest(".lrcore-choice[hidden]")); ) {
        part.parentElement.querySelector(`:scope > fieldset input[value="${CSS.escape(part.dataset.choice)}"]`).click();
    }
}"""
AS_SVG = """async ([name, width]) => {
    const plot = document.getElementById(name).querySelector(".lrcore-plot");
    const address = await Plotly.toImage(plot, { format: "svg", width, height: plot._fullLayout.height });
    return decodeURIComponent(address.slice(address.indexOf(",") + 1));
}"""
CARD_PAGE = """<!DOCTYPE html>
<meta charset="utf-8">
<style>
  body {{ display: flex; flex-direction: column; box-sizing: border-box; width: {width}px; height: {height}px;
         margin: 0; padding: 28px 48px 20px; color: #1f2328; background: #ffffff;
         font-family: "Liberation Sans", Arial, sans-serif; }}
  p {{ margin: 0; font-size: 20px; color: #59636e; }}
  h1 {{ margin: 2px 0; font-size: 38px; line-height: 1.15; }}
  div {{ flex: 1; min-height: 0; text-align: center; }}
  svg {{ width: 100%; height: 100%; }}
</style>
<p>{names}</p>
<h1>{title}</h1>
<p>{subtitle}</p>
<div>{svg}</div>
"""


def draw_page(page: Page, path: Path, folder: Path) -> list[str]:
    """Draw the figures of the page that is open, which was built as `path`; returns the names of all it has."""
    names = []
    for figure in figures_of(path):
        page.evaluate(CHOOSE, figure.identifier)
        page.locator(f"#{figure.identifier}").scroll_into_view_if_needed()
        page.wait_for_selector(f"#{figure.identifier}[data-drawn]")
        svg = _rounded(page.evaluate(AS_SVG, [figure.identifier, WIDTH]))
        with atomic_path(folder / f"{figure.name}.svg") as temporary:
            temporary.write_text(with_digest(svg, digest_of(figure.spec)))
        names.append(figure.name)
    return names


def draw_card(page: Page, built: Path, source: Path, figure: str, site: str) -> None:
    """Draw the card of the page `source`, with the figure's title and picture, in the blank page that is open."""
    words = card_words(built, source, figure, site)
    svg = (DRAWN / f"{figure}.svg").read_text()
    page.set_viewport_size({"width": CARD[0], "height": CARD[1]})
    page.set_content(
        CARD_PAGE.format(width=CARD[0], height=CARD[1], svg=svg, **{k: html.escape(v) for k, v in words.items()})
    )
    with atomic_path(CARDS / f"{source.stem}.png") as temporary:
        temporary.write_bytes(marked_card(page.screenshot(), figure, card_digest(words, svg)))


def _rounded(svg: str) -> str:
    """The picture without the digits of coordinates that no screen shows, a third of its size; texts stay."""

    def short(tag: re.Match[str]) -> str:
        return re.sub(r"\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}", tag[0])

    return re.sub(r"<[^>]*>", short, svg)


def main() -> None:
    """Draw for the project in the current folder."""
    site = Path(sys.argv[1] if len(sys.argv) > 1 else "_site")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("draw_figures: no Chromium found (Debian: apt-get install chromium)")
    if not (site / "index.html").is_file():
        sys.exit(f"draw_figures: '{site}' is no built site: run `make site` first")
    DRAWN.mkdir(parents=True, exist_ok=True)
    CARDS.mkdir(exist_ok=True)
    name = yaml.safe_load(Path("_quarto.yml").read_text())["website"]["title"]
    drawn: list[str] = []
    carded: set[str] = set()
    with served(site) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for path in sorted(site.rglob("*.html")):
            page = browser.new_page(viewport={"width": 1440, "height": 1000}, color_scheme="light")
            page.goto(f"{address}/{path.relative_to(site)}")
            names = draw_page(page, path, DRAWN)
            source = path.relative_to(site).with_suffix(".qmd")
            if names:
                card = next((figure for figure in names if figure not in carded), names[0])
                draw_card(page, path, source, card, name)
                carded.add(card)
            page.close()
            drawn += names
        browser.close()
    if not drawn:
        sys.exit(f"draw_figures: no page in '{site}' has a figure; the pictures are left as they are")
    for old in DRAWN.glob("*.svg"):
        if old.stem not in drawn:
            old.unlink()
    print(f"draw_figures: {len(set(drawn))} figures in {DRAWN}")


if __name__ == "__main__":
    main()
