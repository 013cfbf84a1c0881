"""The style sheets: what the preview shows is what Quarto shows, since all but the frame comes from one file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from contrast import blended, contrast

PROJECT = Path(__file__).parents[2]
SITE, FRAME = PROJECT / "site" / "style.css", PROJECT / "tools" / "site_preview" / "preview.css"
OF_THE_FRAME = re.compile(r"\.(navbar|brand|skip|columns|toc|copy)\b|#theme-toggle|footer|body|details\.code-fold")
FITS = re.compile(
    r"overflow|white-space|word-break|hyphens|text-wrap|(min-|max-)?(width|height)$|break-|display$|position$|float$"
)
"""Properties that decide whether text, tables and figures fit their page."""


def rules(path: Path) -> list[tuple[str, dict[str, str]]]:
    """Selectors and declarations, also those inside of media queries."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    return [
        (selector.strip(), {name.strip(): value.strip() for name, _, value in map(parted, body.split(";")) if name})
        for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", text)
    ]


def parted(declaration: str) -> tuple[str, str, str]:
    return declaration.strip().partition(":")


def test_the_preview_hides_nothing_that_does_not_fit() -> None:
    found = [
        f"{selector} {{ {name} }}"
        for selector, said in rules(FRAME)
        for name in said
        if FITS.match(name)
        for part in selector.split(",")
        if not OF_THE_FRAME.match(part.strip()) and (selector, name) != ("div.sourceCode", "position")
    ]
    assert not found, f"preview.css must leave to site/style.css, which Quarto reads too: {found}"


def test_the_check_itself_finds_such_a_rule(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text(
        "/* x { y: z } */ @media print { .csl-entry, p { overflow-wrap: anywhere; color: red } }"
    )
    [(selector, said)] = rules(tmp_path / "a.css")
    assert (selector, said) == (".csl-entry, p", {"overflow-wrap": "anywhere", "color": "red"})
    assert FITS.match("overflow-wrap") and not OF_THE_FRAME.match(".csl-entry")


@pytest.mark.parametrize(("theme", "selector"), [("light", "body"), ("dark", "body.quarto-dark")])
def test_figures_and_text_have_the_colours_of_the_theme(theme: str, selector: str) -> None:
    scss = dict(re.findall(r"^\$([\w-]+): (#\w{6});", (PROJECT / "site" / f"{theme}.scss").read_text(), re.MULTILINE))
    said = next(said for found, said in rules(SITE) if found == selector)
    pairs = {"text": "body-color", "page": "body-bg", "link": "link-color", "raised": "navbar-bg"}
    assert {name: said[f"--lrcore-{name}"] for name in pairs} == {name: scss[key] for name, key in pairs.items()}
    script = (PROJECT / "site" / "figures.js").read_text()
    palette = re.search(rf"{theme}: {{ (.*) }}", script)
    assert palette
    found = dict(re.findall(r'(\w+): "(#\w+)"', palette[1]))
    shared = {"text": "text", "grid": "edge", "page": "page"}
    assert {name: found[name] for name in shared} == {name: said[f"--lrcore-{key}"] for name, key in shared.items()}
    for ground in (found["page"], found["hover"]):
        assert contrast(found["text"], ground) >= 4.5


@pytest.mark.parametrize("theme", ["body", "body.quarto-dark"], ids=["light", "dark"])
def test_every_colour_of_text_can_be_read(theme: str) -> None:
    """4.5 : 1 at least (WCAG 2.2, 1.4.3), on the page and on what is raised from it."""
    said = next(said for found, said in rules(SITE) if found == theme)
    read = {
        (name, ground): contrast(said[f"--lrcore-{name}"], said[f"--lrcore-{ground}"])
        for name in ("text", "faint", "link")
        for ground in ("page", "raised")
    }
    assert min(read.values()) >= 4.5, read


def test_contrast_is_that_of_the_guidelines() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21) and contrast("#e69f00", "#e69f00") == 1
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)  # the lightest grey that passes on white
    assert blended("#000000", "#ffffff", 0.2) == "#cccccc"
