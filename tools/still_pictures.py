"""The still pictures of figures that are committed, and how to tell whether one is out of date."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import http.server
import io
import json
import math
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import yaml
from bs4 import BeautifulSoup
from PIL import Image
from PIL.PngImagePlugin import PngInfo

DRAWN, CARDS = Path("site/drawn"), Path("site/cards")
CARD_MARK = "figure"
CHECK = "smoke-"
"""Names of figures of the study that checks the machinery; its rows are not committed."""
_DIGITS = 4
"""Significant digits that are compared: the last ones differ from processor to processor."""


@dataclass(frozen=True)
class Figure:
    """A figure of a built page, and what plotly.js draws of it."""

    identifier: str
    name: str
    spec: dict[str, Any]


def figures_of(path: Path) -> list[Figure]:
    """The figures of a built page, but for those of the study that checks the machinery, and those of views that no
    page without scripts shows."""
    soup = BeautifulSoup(path.read_text(), "html.parser")
    found = []
    for holder in soup.select(".lrcore-figure"):
        name = str(holder["id"]).removeprefix("figure-")
        script = holder.select_one(":scope > .lrcore-spec")
        if script is None or name.startswith(CHECK) or holder.find_parent(class_="lrcore-scripted", hidden=True):
            continue
        kept = script.get("data-from")
        text = (path.parent / str(kept)).read_text() if kept else str(script.string)
        found.append(Figure(str(holder["id"]), name, json.loads(text)))
    return found


def digest_of(spec: dict[str, Any]) -> str:
    """What a picture of this figure is marked with: 16 hexadecimal digits."""
    layout = {key: value for key, value in spec["layout"].items() if key != "template"}
    text = json.dumps(_rounded([spec["data"], layout]), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def with_digest(svg: str, digest: str) -> str:
    """The picture with its mark, a background that is light in the dark, too, and ids that are the same every time."""
    if drawn := re.search(r"defs-(\w{6})", svg):
        svg = re.sub(rf"(?<![0-9.]){drawn[1]}", f"d{digest[:5]}", svg)  # no part of a number
    for number, trace in enumerate(dict.fromkeys(re.findall(r"\btrace[0-9a-f]{6}\b", svg))):
        svg = svg.replace(trace, f"trace{number}")
    return re.sub(r"(<svg[^>]*?) style=\"[^\"]*\"", r'\1 style="background: #ffffff"', svg, count=1).replace(
        ">", f"><!-- {digest} -->", 1
    )


def digest_in(svg: str) -> str:
    """The mark of a picture; empty where it has none."""
    found = re.search(r"<!-- (\w{16}) -->", svg)
    return found[1] if found else ""


def card_words(built: Path, source: Path, figure: str, site: str) -> dict[str, str]:
    """What stands on the card of the page `source`, built as `built`, beside its `figure`: names, title, subtitle."""
    front = yaml.safe_load(source.read_text().split("\n---\n", 1)[0])
    holder = BeautifulSoup(built.read_text(), "html.parser").select_one(f"#figure-{figure}")
    assert holder is not None, f"{built} has no figure {figure}"
    found = {part: holder.select_one(f".lrcore-{part}") for part in ("title", "subtitle")}
    said = {part: one.text if one else "" for part, one in found.items()}
    return {"names": site if front["title"] == site else f"{site} · {front['title']}", **said}


def card_digest(words: Mapping[str, str], svg: str) -> str:
    """What a card is marked with: 16 hexadecimal digits of its words and of the mark of its picture."""
    return hashlib.sha256(json.dumps([dict(words), digest_in(svg)], sort_keys=True).encode()).hexdigest()[:16]


def marked_card(png: bytes, figure: str, digest: str) -> bytes:
    """The card with its figure's name and its mark in its metadata."""
    kept, written = PngInfo(), io.BytesIO()
    kept.add_text(CARD_MARK, f"{figure} {digest}")
    Image.open(io.BytesIO(png), formats=["PNG"]).save(written, "png", pnginfo=kept, optimize=True)
    return written.getvalue()


def card_mark(path: Path) -> tuple[str, str]:
    """The figure on a card, and its mark; empty where it has none."""
    with Image.open(path, formats=["PNG"]) as card:
        figure, _, digest = str(card.info.get(CARD_MARK, "")).partition(" ")
    return figure, digest


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port of this machine; yields its address."""
    handler = functools.partial(_Silent, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _rounded(value: Any) -> Any:
    if isinstance(value, dict) and "bdata" in value:  # plotly's form of a numpy array
        array = numpy.frombuffer(base64.b64decode(value["bdata"]), dtype=value["dtype"])
        return _rounded(array.tolist())
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") + 0.0 if math.isfinite(value) else None
    return value
