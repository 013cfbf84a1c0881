"""How to cite a page: the box that `citation: true` puts at its end, made by Pandoc from CSL JSON, as Quarto does."""

from __future__ import annotations

import html
import json
from typing import Any

from bs4 import BeautifulSoup

from site_preview.pandoc import pandoc, words
from site_preview.problem import PreviewError
from site_preview.settings import Page, Project

Name = dict[str, str]


def authors(page: Page) -> list[str]:
    """The names of the authors of a page, as they are shown."""
    return [name.get("literal") or f"{name.get('given', '')} {name.get('family', '')}".strip() for name in _names(page)]


def cite_box(project: Project, page: Page) -> str:
    """BibTeX and a formatted reference; nothing where the page does not ask for it.

    Raises:
        PreviewError: the page has no author or no date.
    """
    if not page.settings.get("citation"):
        return ""
    item = json.dumps([_item(project, page)])
    bibtex = pandoc(page, ["--from", "csljson", "--to", "biblatex", "--citeproc"], item).strip()
    listed = pandoc(page, ["--from", "csljson", "--to", "html5", "--citeproc", "--wrap", "none"], item)
    entry = BeautifulSoup(listed, "html.parser").select_one(".csl-entry")
    return (
        '<section class="cite"><h2>Citation</h2><p>BibLaTeX citation:</p>'
        f"<pre><code>{html.escape(bibtex)}</code></pre>"
        f"<p>For attribution, please cite this work as:</p><p>{entry.decode_contents() if entry else ''}</p></section>"
    )


def _item(project: Project, page: Page) -> dict[str, Any]:
    """The page as an item of CSL JSON."""
    for key in ("author", "date"):
        if key not in page.settings:
            raise PreviewError(f"{page.path}: front matter: 'citation' needs '{key}' too")
    names, date = _names(page), page.settings["date"]
    item = {
        "id": page.settings["citation"]["id"],
        "type": "webpage",
        "title": words(page, page.settings["title"]),
        "author": names,
        "issued": {"date-parts": [[date.year, date.month, date.day]]},
        "language": project.option("lang", default="en"),
    }
    if project.site_url:
        item["URL"] = f"{project.site_url}/{page.target.as_posix()}"
    return item


def _names(page: Page) -> list[Name]:
    """The authors as names of CSL: a plain name is split after its first word, one that says its parts is kept."""
    listed = page.settings.get("author", [])
    names: list[Name] = []
    for author in [listed] if isinstance(listed, str) else listed:
        name = author if isinstance(author, str) else author.get("name")
        if isinstance(name, str):
            given, _, family = name.partition(" ")
            names.append({"given": given, "family": family} if family else {"family": given})
        elif isinstance(name, dict) and name and set(name) <= {"given", "family", "literal"}:
            names.append(name)
        else:
            raise PreviewError(f"{page.path}: front matter: an author has no name: {author!r}")
    return names
