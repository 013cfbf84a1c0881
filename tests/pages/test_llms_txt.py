"""llms.txt names every page of the site, and nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def test_every_page_is_named_and_every_name_is_a_page(site: Path, pages: list[str]) -> None:
    text = (site / "llms.txt").read_text()
    assert text.startswith("# lrcore\n\n> ")
    linked = re.findall(r"^- \[.+\]\((\S+)\): \S", text, flags=re.M)
    assert sorted(linked) == [name for name in pages if name != "404.html"]


def test_what_is_named_of_the_repository_is_there(site: Path) -> None:
    named = re.findall(r"^- `(\S+)`: \S", (site / "llms.txt").read_text(), flags=re.M)
    assert "data/README.md" in named
    assert not [path for path in named if not (PROJECT / path).exists()]
