"""Pictures inside the page: each once, as the data of its file, however often the page shows it."""

from __future__ import annotations

import base64
import html
import io
import re
import zlib
from pathlib import Path
from urllib.parse import unquote

from lrcore.datasets.images import open_image

LARGEST = 400_000
"""Bytes of a picture that stands in the page as its file has it; of a larger one, a reduced copy does."""

_LOWEST_QUALITY = 40
_COMPARISON = re.compile(r'<div class="lrcore-comparison".*?</script></div>', re.DOTALL)
_IMAGE = re.compile(r'<image href="([^"]+)"([^>]*)/>')
_IMG = re.compile(r'<img src="([^"]+)"')
_LINK = re.compile(r'"link":"([^"]+)"')


def inlined(markup: str, links: str, folder: Path) -> str:
    """The markup with the pictures that lie in `folder`, which its links call `links`, inside.

    The first place that shows a picture holds it and has the id `picture-...`; others refer to it. In a comparison of
    two pictures, which needs scripts, the page's script puts them in.
    """
    seen: set[str] = set()

    def file(link: str) -> Path:
        return folder / unquote(html.unescape(link).removeprefix(links))

    def image(found: re.Match[str]) -> str:
        name = key(found[1])
        if name in seen:
            return f'<use href="#{name}"/>'
        seen.add(name)
        return f'<image id="{name}" href="{data_uri(file(found[1]))}"{found[2]}/>'

    def img(found: re.Match[str]) -> str:
        name = key(found[1])
        seen.add(name)
        return f'<img id="{name}" src="{data_uri(file(found[1]))}"'

    def compared(found: re.Match[str]) -> str:
        waiting = _IMAGE.sub(lambda image: f"<image{image[2]}/>", found[0])
        return _LINK.sub(lambda link: f'"link":"#{key(link[1])}"', waiting)

    parts, end = [], 0
    for found in _COMPARISON.finditer(markup):
        parts += [_IMG.sub(img, _IMAGE.sub(image, markup[end : found.start()])), compared(found)]
        end = found.end()
    return "".join([*parts, _IMG.sub(img, _IMAGE.sub(image, markup[end:]))])


def key(link: str) -> str:
    """The id of the picture behind a link."""
    return f"picture-{zlib.crc32(unquote(html.unescape(link)).encode()):08x}"


def size(path: Path) -> int:
    """Bytes that the picture takes in the page, before they are written as text."""
    return min(path.stat().st_size, LARGEST)


def is_reduced(path: Path) -> bool:
    """Whether the page has a reduced copy of it."""
    return path.stat().st_size > LARGEST


def data_uri(path: Path) -> str:
    """The picture as an address that holds it."""
    content, kind = path.read_bytes(), "png"
    if len(content) > LARGEST:
        content, kind = _reduced(path), "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _reduced(path: Path) -> bytes:
    """The picture as JPEG of at most `LARGEST` bytes: at lower quality, then at half the size."""
    with open_image(path) as opened:
        picture = opened.convert("RGB")
    while True:
        for quality in range(90, _LOWEST_QUALITY - 1, -10):
            written = io.BytesIO()
            picture.save(written, "JPEG", quality=quality)
            if written.tell() <= LARGEST or max(picture.size) < 64:
                return written.getvalue()
        picture = picture.resize((max(1, picture.width // 2), max(1, picture.height // 2)))
