"""Text of rows as part of Markdown: names, protocols and references stand in somebody's Parquet, and are only text.

Prose of the pages is Markdown of our own with such text inside, which goes through `escaped` or `code`. (HTML goes
through `html.escape`, figures through `lrcore.figures.site_figure.figure_spec`.)
"""

from __future__ import annotations

import re

from lrcore.results import naming

_MEANT = re.compile(r"""[\\`*_{}\[\]<>#|~^$@&!"']|:(?=\S)""")
"""What Markdown, citations, addresses, attributes or Quarto's shortcodes give a meaning to wherever it stands."""

_MEANT_FIRST = re.compile(r"^(?=[-+=%.:])|^(\d+)(?=[.)])")
"""What opens a list or a heading at the beginning of a line."""

_PLAIN_CODE = re.compile(r"[\w.,:/()\[\]+ -]+")


def escaped(text: object) -> str:
    r"""The text on one line, so that Pandoc and Quarto show it as it is.

    >>> escaped("PCA 4 (width 64)"), escaped("x<b> [a](b)"), escaped("1. x")
    ('PCA 4 (width 64)', 'x\\<b\\> \\[a\\](b)', '1\\. x')
    """
    line = _MEANT.sub(r"\\\g<0>", " ".join(str(text).split()))
    return _MEANT_FIRST.sub(lambda found: f"{found[0]}\\", line)


def code(text: object) -> str:
    """The text in the type of code; as `escaped` where it holds what Quarto reads even there, such as a shortcode."""
    return f"`{text}`" if _PLAIN_CODE.fullmatch(str(text)) else escaped(text)


def ae_name(ae: str) -> str:
    """How an autoencoder is called, escaped."""
    return escaped(naming.ae_style(ae).label)
