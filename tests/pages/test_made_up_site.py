"""The pages over made-up data: what no committed study has yet must not stop them."""

from pathlib import Path

from browser import WAIT, served, visit
from playwright.sync_api import Browser

PROJECT = Path(__file__).parents[2]
MOST_FIGURES = "posts/representation-comparison.html"
"""The page whose figures are all drawn; of the others scripts draw what is in sight."""

TABLES_ARE_DRAWN = "() => !document.querySelector('.lrcore-table:has(> .lrcore-spec):not([data-drawn], [hidden] *)')"


def test_every_page_is_built(made_up_site: Path) -> None:
    sources = [*PROJECT.glob("*.qmd"), *PROJECT.glob("posts/*.qmd")]
    wanted = {page.relative_to(PROJECT).with_suffix(".html") for page in sources}
    assert {"index.html", "404.html"} <= {str(page) for page in wanted}
    assert wanted <= {page.relative_to(made_up_site) for page in made_up_site.rglob("*.html")}


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
