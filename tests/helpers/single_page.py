"""A page that holds nothing but given markup, with the site's own style and scripts: quicker than to build the site."""

from __future__ import annotations

import shutil
from pathlib import Path

SITE = Path(__file__).parents[2] / "site"


def write_page(folder: Path, markup: str, *scripts: str) -> str:
    """Write `page.html` into `folder`, with `scripts` of the folder `site/`; returns its name."""
    for name in ("style.css", *scripts):
        shutil.copyfile(SITE / name, folder / name)
    loaded = "".join(f'<script src="{name}" defer></script>' for name in scripts)
    head = f'<meta charset="utf-8"><link rel="icon" href="data:,"><link rel="stylesheet" href="style.css">{loaded}'
    (folder / "page.html").write_text(
        f'<!DOCTYPE html><html lang="en"><head>{head}<meta name="viewport" content="width=device-width">'
        f'<title>Page</title></head><body class="quarto-light"><main>{markup}</main></body></html>'
    )
    return "page.html"
