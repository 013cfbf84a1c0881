"""The pages over made-up data: what no committed study has yet must not stop them."""

from pathlib import Path
from typing import Any

from browser import WAIT, served, visit
from playwright.sync_api import Browser
from still_pictures import figures_of

PROJECT = Path(__file__).parents[2]
MOST_FIGURES = "posts/representation-comparison.html"
"""The page whose figures are all drawn; of the others scripts draw what is in sight."""

TABLES_ARE_DRAWN = "() => !document.querySelector('.lrcore-table:has(> .lrcore-spec):not([data-drawn], [hidden] *)')"


def test_every_page_is_built(made_up_site: Path) -> None:
    sources = [*PROJECT.glob("*.qmd"), *PROJECT.glob("posts/*.qmd")]
    wanted = {page.relative_to(PROJECT).with_suffix(".html") for page in sources}
    assert {"index.html", "404.html"} <= {str(page) for page in wanted}
    assert wanted <= {page.relative_to(made_up_site) for page in made_up_site.rglob("*.html")}


def test_texts_in_figures_have_the_colour_of_the_theme(made_up_site: Path) -> None:
    """What a series is drawn in cannot always be read: no figure gives a text a colour of its own."""
    found = []
    for path in sorted(made_up_site.rglob("*.html")):
        for figure in figures_of(path):
            layout = {key: value for key, value in figure.spec["layout"].items() if key != "template"}
            found += [f"{figure.name}: {where}" for where in coloured_texts([figure.spec["data"], layout])]
    assert not found
    assert coloured_texts({"annotations": [{"font": {"color": "#000"}}], "textfont": {"size": 9}}) == ["font"]


def coloured_texts(value: Any, name: str = "") -> list[str]:
    """The names of what sets the colour of a text, in a specification of plotly.js."""
    if isinstance(value, list):
        return [found for one in value for found in coloured_texts(one, name)]
    if not isinstance(value, dict):
        return []
    own = [name] if name.endswith("font") and "color" in value else []
    return own + [found for key, one in value.items() for found in coloured_texts(one, key)]


def test_text_of_rows_stays_text_and_nothing_is_asked_of_another_host(browser: Browser, made_up_site: Path) -> None:
    """Autoencoders and protocols of the made-up rows are named by `foreign_text.FOREIGN`."""
    problems, shown = [], 0
    with served(made_up_site) as address:
        for path in sorted(made_up_site.rglob("*.html")):
            name = path.relative_to(made_up_site).as_posix()
            with visit(browser, address, name, 1440, "light") as opened:
                opened.page.wait_for_function(TABLES_ARE_DRAWN, timeout=WAIT)
                problems += opened.check() if name == MOST_FIGURES else opened.problems
                if opened.page.evaluate("window.hacked"):
                    problems.append(f"{name} runs a script of its rows")
                if opened.page.locator("img[src=x], main [onerror], main [onclick], a[href^='javascript:']").count():
                    problems.append(f"{name} holds an element of its rows")
                shown += opened.page.locator("body").inner_text().count("x<img src=x onerror=window.hacked=1>")
                if opened.page.locator("input[value=smoke], option:text-is('smoke')").count():
                    problems.append(f"{name} offers the check of the machinery beside results")
    assert not problems, "\n".join(problems)
    assert shown > 10
