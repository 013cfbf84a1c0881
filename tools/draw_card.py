"""Draw `site/card.png`, the picture that is shown with a link to the site.

    python tools/draw_card.py

It is the published trade-off figure of the first page, from `data/atlas`, under the site's name and question.
Draw it anew when either changes. Needs Chromium.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import yaml
from playwright.sync_api import sync_playwright

from lrcore.figures import tradeoff
from lrcore.records import reading

WIDTH, HEIGHT = 1200, 630  # pixels, what open-graph cards are made for
PAGE = """<!DOCTYPE html>
<meta charset="utf-8">
<style>
  body {{ margin: 0; padding: 28px 48px 0; box-sizing: border-box; width: {width}px; height: {height}px;
         color: #1f2328; background: #ffffff; font-family: "Liberation Sans", Arial, sans-serif; }}
  h1 {{ margin: 0; font-size: 52px; }}
  p {{ margin: 4px 0 0; font-size: 22px; color: #59636e; }}
</style>
<h1>{title}</h1>
<p>{description}</p>
{figure}
"""


def card_html(project: Path) -> str:
    """The card as a page of its own, plotly.js inside."""
    website = yaml.safe_load((project / "_quarto.yml").read_text())["website"]
    figure = tradeoff.published_tradeoff(reading.read_published(project / "data")).figure
    figure.update_layout(
        title=None, width=WIDTH - 96, height=HEIGHT - 145, margin={"t": 40, "b": 70}, font={"size": 20}
    )
    low, high = figure.layout.yaxis.range
    figure.update_yaxes(range=[low - 0.15, high])  # room for larger names
    figure.update_traces(textfont={"size": 22}, selector={"mode": "markers+text"})
    drawn = figure.to_html(full_html=False, include_plotlyjs=True, config={"staticPlot": True})
    words = {"title": website["title"], "description": website["description"]}
    return PAGE.format(width=WIDTH, height=HEIGHT, figure=drawn, **words)


def main() -> None:
    """Draw the card of the project in the current folder."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("draw_card: no Chromium found (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.set_content(card_html(Path.cwd()))
        page.wait_for_selector(".mlayer path, .scatterlayer path.point")
        page.screenshot(path="site/card.png")
        browser.close()


if __name__ == "__main__":
    main()
