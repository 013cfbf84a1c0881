"""Files that reports share with the site: its style and scripts, the atlas, the bibliography.

In a checkout they lie where the site has them. A wheel brings copies of them, which `setup.py` puts into `PACKED`.
"""

from __future__ import annotations

from pathlib import Path

from lrcore.errors import LrcoreError

PACKED = Path(__file__).parent / "files"
CHECKOUT = Path(__file__).parents[2]

STYLE = "site/style.css"
FIGURES, COMPARISON = "site/figures.js", "site/comparison.js"
VENDOR = "site/vendor/plotly.min.js"
"""Made when the site is built; a wheel has none."""

ATLAS, BIBLIOGRAPHY = "data/atlas", "posts/references.bib"


def shared(name: str) -> Path:
    """Where a file or a folder of the project is.

    Raises:
        LrcoreError: it is neither in the wheel nor in a checkout.
    """
    for folder in (PACKED, CHECKOUT):
        if (folder / name).exists():
            return folder / name
    raise LrcoreError(f"'{name}' is missing beside the package: install lrcore anew")
