"""The pages over made-up data: what no committed study has yet must not stop them."""

from pathlib import Path

PROJECT = Path(__file__).parents[2]


def test_every_page_is_built(made_up_site: Path) -> None:
    sources = [*PROJECT.glob("*.qmd"), *PROJECT.glob("posts/*.qmd")]
    wanted = {page.relative_to(PROJECT).with_suffix(".html") for page in sources}
    assert {"index.html", "404.html"} <= {str(page) for page in wanted}
    assert wanted <= {page.relative_to(made_up_site) for page in made_up_site.rglob("*.html")}
