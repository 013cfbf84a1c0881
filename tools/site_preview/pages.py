"""From the Markdown of a page to its HTML: Pandoc, numbers, citations, and the frame around it."""

from __future__ import annotations

import html
import json
import posixpath
import re
from pathlib import Path
from string import Template

from bs4 import BeautifulSoup

from site_preview.citation import authors, cite_box
from site_preview.pandoc import inline, pandoc, words
from site_preview.references import Numbered
from site_preview.settings import Page, Project
from site_preview.social import social_tags

TEMPLATE = Template((Path(__file__).parent / "page.html").read_text())


def page_html(project: Project, page: Page, markdown: str) -> str:
    """The whole page.

    Raises:
        PreviewError: an unresolved reference, an unknown citation, or something Pandoc warns of.
    """
    tree = json.loads(pandoc(page, ["--from", "markdown", "--to", "json"], markdown))
    numbered = Numbered(str(page.path), page.says(project, "number-sections", False))
    tree["blocks"] = numbered.link(numbered.number_page(tree["blocks"]))
    options = ["--from", "json", "--to", "html5", "--mathml", "--section-divs", "--wrap", "none"]
    for bibliography in project.listed("bibliography"):
        options += ["--citeproc", "--bibliography", str(project.folder / bibliography)]
    options += ["--metadata", f"link-citations={str(project.option('link-citations', default=True)).lower()}"]
    options += ["--metadata", "reference-section-title=References"]
    body = pandoc(page, options, json.dumps(tree))
    title = f"{words(page, page.settings['title'])} – {project.option('website', 'title', default='')}"
    text = TEMPLATE.substitute(
        lang=project.option("lang", default="en"),
        pagetitle=html.escape(title),
        description=html.escape(page.description(project)),
        social=social_tags(project, page, title),
        favicon=f"/{project.option('website', 'favicon')}" if project.option("website", "favicon") else "data:,",
        css=f"/{project.html('css')}" if project.html("css") else "/preview.css",
        header="\n".join(item["text"] for item in project.html("include-in-header", [])),
        brand=html.escape(project.option("website", "title", default="")),
        navbar=_navbar(project, page),
        title_block=_title_block(project, page),
        toc=_toc(numbered, project.html("toc-depth", 3)) if page.says(project, "toc", False) else "",
        body=body,
        citation=cite_box(project, page),
        copies="yes" if project.html("code-copy", True) else "no",
        follows="yes" if project.html("respect-user-color-scheme", False) else "no",
    )
    return _localised(text, project, page)


def _localised(text: str, project: Project, page: Page) -> str:
    """Links between pages point at their HTML, links from the root of the site become relative.

    A server sends `404.html` for any address, so that its links must all be from the root.
    """
    soup = BeautifulSoup(text, "html.parser")
    root = project.site_path if page.is_not_found else posixpath.relpath(".", page.path.parent.as_posix())
    for element in soup.find_all(True):
        for attribute in ("href", "src"):
            value = element.get(attribute)
            if not isinstance(value, str) or re.match(r"\w+:|#|//", value):
                continue
            if value.startswith("/") or page.is_not_found:
                value = posixpath.join(root, value.removeprefix("/"))
            element[attribute] = re.sub(r"\.qmd(?=$|#)", ".html", value)
    return str(soup)


def _navbar(project: Project, page: Page) -> str:
    links = []
    for item in [*project.option("website", "navbar", "left", default=[])]:
        active = item["href"] == page.path.as_posix()
        here = 'class="nav-link active" aria-current="page"' if active else 'class="nav-link"'
        target = item["href"] if "://" in item["href"] else f"/{item['href']}"
        links.append(f'<a href="{html.escape(target)}" {here}>{html.escape(item["text"])}</a>')
    return "\n".join(links)


def _title_block(project: Project, page: Page) -> str:
    settings = page.settings
    parts = [f'<h1 class="title">{inline(page, settings["title"])}</h1>']
    if "subtitle" in settings:
        parts.append(f'<p class="subtitle">{inline(page, settings["subtitle"])}</p>')
    if "description" in settings:
        parts.append(f'<p class="description">{inline(page, settings["description"])}</p>')
    byline = [html.escape(name) for name in authors(page)]
    if "date" in settings:
        byline.append(f"<time>{html.escape(str(settings['date']))}</time>")
    if byline:
        parts.append(f'<p class="byline">{" · ".join(byline)}</p>')
    if "abstract" in settings:
        parts.append(f'<div class="abstract"><strong>Abstract</strong> {inline(page, settings["abstract"])}</div>')
    return "\n".join(parts)


def _toc(numbered: Numbered, depth: int) -> str:
    entries = [
        f'<li class="toc-{heading.level - numbered.top}"><a href="#{html.escape(heading.identifier)}">'
        f"{heading.number} {html.escape(heading.text)}</a></li>"
        for heading in numbered.headings
        if heading.level <= depth
    ]
    return f'<details class="toc"><summary>On this page</summary><ul>{"".join(entries)}</ul></details>'
