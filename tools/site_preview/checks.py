"""Checks of the finished pages: every link, anchor, image and script is there, and none is on another host."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

from site_preview.problem import PreviewError

LOADED = {
    "img": "src",
    "image": "href",
    "script": "src",
    "link": "href",
    "source": "src",
    "iframe": "src",
    "embed": "src",
}
"""What a browser fetches by itself, as against links that a reader follows."""


def local_references(html: str, root: str = "/") -> set[str]:
    """Paths, relative to the page, of the local files that it links to or loads; `root` is the path of the site."""
    soup = BeautifulSoup(html, "html.parser")
    return {path for _, path, _ in _references(soup, root) if path}


def check_page(site: Path, page: Path, anchors: dict[Path, set[str]], name: str, root: str = "/") -> None:
    """Check one page of the site in the folder `site`.

    Args:
        page: the HTML, relative to `site`.
        anchors: the ids of every page of the site.
        name: how messages call the page.
        root: the path of the site where it will be published, with which links of `404.html` begin.

    Raises:
        PreviewError: naming the page and what is missing.
    """
    soup = BeautifulSoup((site / page).read_text(), "html.parser")
    for element in soup.find_all(list(LOADED)):
        address = str(element.get(LOADED[element.name]) or "")
        if re.match(r"(\w+:)?//", address):
            raise PreviewError(f"{name}: <{element.name}> loads from another host: {address}")
    for script in soup.select("script[data-from]"):
        if not (site / page.parent / str(script["data-from"])).is_file():
            raise PreviewError(f"{name}: missing file to fetch '{script['data-from']}'")
    for kind, path, anchor in _references(soup, root):
        target = Path(posixpath.normpath(posixpath.join(page.parent.as_posix(), path))) if path else page
        if not (site / target).is_file():
            raise PreviewError(f"{name}: {'missing image' if kind == 'img' else 'dead link to'} '{path}'")
        if anchor and anchor not in anchors.get(target, {anchor}):
            raise PreviewError(f"{name}: '{path}#{anchor}' is a dead link: no such anchor")
    for image in soup.find_all("img"):
        if not image.get("alt"):
            raise PreviewError(f"{name}: image '{image.get('src')}' has no alternative text")


def page_anchors(html: str) -> set[str]:
    """The ids of a page."""
    return {str(element["id"]) for element in BeautifulSoup(html, "html.parser").find_all(id=True)}


def _references(soup: BeautifulSoup, root: str) -> list[tuple[str, str, str]]:
    found = []
    for element in soup.find_all(["a", *LOADED]):
        address = element.get(LOADED.get(element.name, "href"))
        if not isinstance(address, str) or re.match(r"\w+:|//", address):
            continue
        split = urlsplit(address)
        path = unquote(split.path).removeprefix(root)  # only `404.html`, which is at the root, has such links
        found.append(("img" if element.name == "image" else element.name, path, unquote(split.fragment)))
    return found
