"""From the Markdown of a page to its HTML: Pandoc, numbers, citations, and the frame around it."""

from __future__ import annotations

import html
import json
import posixpath
import re
import subprocess
from pathlib import Path
from string import Template

import pypandoc
from bs4 import BeautifulSoup

from site_preview.problem import PreviewError
from site_preview.references import Numbered
from site_preview.settings import Page, Project

TEMPLATE = Template((Path(__file__).parent / "page.html").read_text())


def page_html(project: Project, page: Page, markdown: str) -> str:
    """The whole page.

    Raises:
        PreviewError: an unresolved reference, an unknown citation, or something Pandoc warns of.
    """
    tree = json.loads(_pandoc(page, ["--from", "markdown", "--to", "json"], markdown))
    numbered = Numbered(str(page.path), page.says(project, "number-sections", False))
    tree["blocks"] = numbered.link(numbered.number_page(tree["blocks"]))
    options = ["--from", "json", "--to", "html5", "--mathml", "--section-divs", "--wrap", "none"]
    for bibliography in project.listed("bibliography"):
        options += ["--citeproc", "--bibliography", str(project.folder / bibliography)]
    options += ["--metadata", f"link-citations={str(project.option('link-citations', default=True)).lower()}"]
    options += ["--metadata", "reference-section-title=References"]
    body = _pandoc(page, options, json.dumps(tree))
    text = TEMPLATE.substitute(
        lang=project.option("lang", default="en"),
        pagetitle=html.escape(
            f"{_words(page, page.settings['title'])} – {project.option('website', 'title', default='')}"
        ),
        description=html.escape(page.settings.get("description", project.option("website", "description", default=""))),
        css=f"/{project.html('css')}" if project.html("css") else "/preview.css",
        header="\n".join(item["text"] for item in project.html("include-in-header", [])),
        brand=html.escape(project.option("website", "title", default="")),
        navbar=_navbar(project, page),
        title_block=_title_block(project, page),
        toc=_toc(numbered, project.html("toc-depth", 3)) if page.says(project, "toc", False) else "",
        body=body,
        citation=_cite_box(project, page),
        footer=project.option("website", "page-footer", default=""),
        copies="yes" if project.html("code-copy", True) else "no",
        follows="yes" if project.html("respect-user-color-scheme", False) else "no",
    )
    return _localised(text, page)


def _pandoc(page: Page, options: list[str], text: str) -> str:
    done = subprocess.run(
        [pypandoc.get_pandoc_path(), *options, "--fail-if-warnings"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = re.sub(r"\[WARNING\] |^Failing because there were warnings\.$", "", done.stderr, flags=re.M).strip()
        missing = re.findall(r"citation (\S+) not found", said)
        raise PreviewError(f"{page.path}: unknown citation @{missing[0]}" if missing else f"{page.path}: {said}")
    return done.stdout


def _localised(text: str, page: Page) -> str:
    """Links between pages point at their HTML, links from the root of the site become relative."""
    soup = BeautifulSoup(text, "html.parser")
    root = posixpath.relpath(".", page.path.parent.as_posix())
    for element in soup.find_all(True):
        for attribute in ("href", "src"):
            value = element.get(attribute)
            if not isinstance(value, str) or re.match(r"\w+:|#|//", value):
                continue
            if value.startswith("/"):
                value = posixpath.join(root, value[1:])
            element[attribute] = re.sub(r"\.qmd(?=$|#)", ".html", value)
    return str(soup)


def _navbar(project: Project, page: Page) -> str:
    links = []
    for item in [*project.option("website", "navbar", "left", default=[])]:
        here = ' aria-current="page"' if item["href"] == page.path.as_posix() else ""
        target = item["href"] if "://" in item["href"] else f"/{item['href']}"
        links.append(f'<a href="{html.escape(target)}"{here}>{html.escape(item["text"])}</a>')
    return "\n".join(links)


def _title_block(project: Project, page: Page) -> str:
    settings = page.settings
    parts = [f"<h1>{_inline(page, settings['title'])}</h1>"]
    if "subtitle" in settings:
        parts.append(f'<p class="subtitle">{_inline(page, settings["subtitle"])}</p>')
    if "description" in settings:
        parts.append(f'<p class="description">{_inline(page, settings["description"])}</p>')
    byline = [html.escape(name) for name in _authors(project, page)]
    if "date" in settings:
        byline.append(f"<time>{html.escape(str(settings['date']))}</time>")
    if byline:
        parts.append(f'<p class="byline">{" · ".join(byline)}</p>')
    if "abstract" in settings:
        parts.append(f'<div class="abstract"><strong>Abstract</strong> {_inline(page, settings["abstract"])}</div>')
    return "\n".join(parts)


def _inline(page: Page, text: str) -> str:
    shown = _pandoc(page, ["--from", "markdown", "--to", "html5", "--mathml", "--wrap", "none"], text).strip()
    single = re.fullmatch(r"<p>(.*)</p>", shown, flags=re.S)
    return single[1] if single and "<p>" not in single[1] else shown


def _words(page: Page, text: str) -> str:
    return BeautifulSoup(_inline(page, text), "html.parser").get_text()


def _authors(project: Project, page: Page) -> list[str]:
    listed = page.settings.get("author", project.option("author", default=[]))
    listed = [listed] if isinstance(listed, str) else listed
    names = [author if isinstance(author, str) else author.get("name") for author in listed]
    if None in names:
        raise PreviewError(f"{page.path}: an author has no name")
    return names


def _toc(numbered: Numbered, depth: int) -> str:
    entries = [
        f'<li class="toc-{heading.level - numbered.top}"><a href="#{html.escape(heading.identifier)}">'
        f"{heading.number} {html.escape(heading.text)}</a></li>"
        for heading in numbered.headings
        if heading.level <= depth
    ]
    return f'<details class="toc" open><summary>On this page</summary><ul>{"".join(entries)}</ul></details>'


def _cite_box(project: Project, page: Page) -> str:
    if not page.settings.get("citation"):
        return ""
    year = str(page.settings.get("date", ""))[:4]
    fields = {
        "title": _words(page, page.settings["title"]),
        "author": " and ".join(_authors(project, page)),
        "year": year,
    }
    lines = [f"  {key} = {{{value}}}" for key, value in fields.items() if value]
    entry = ",\n".join([f"@online{{{page.path.stem}{year}", *lines]) + "\n}"
    return f'<section class="cite"><h2>Citation</h2><pre><code>{html.escape(entry)}</code></pre></section>'
