"""Lighthouse of pages of every kind, but for what it measures in time: that is `benchmarks/pages.py`."""

from __future__ import annotations

import pytest
from lighthouse import audited
from playwright.sync_api import Browser

LEAST = 95
"""Per cent, in each category."""


UNLIKE = ("index.html", "posts/atlas.html", "posts/your-own-autoencoder.html")
"""Pages of every kind: most text, a fetched table with controls, most code."""


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("categories", [["best-practices", "seo"], ["accessibility"]], ids=["pages", "first"])
def test_lighthouse(browser: Browser, address: str, categories: list[str]) -> None:
    """What it asks of `UNLIKE` pages, `test_page_quality` asks of every page: axe-core, the console, and the heads."""
    asked = UNLIKE if categories != ["accessibility"] else UNLIKE[:1]
    reports = audited(browser, [f"{address}/{name}" for name in asked], categories)
    assert not [report for report in reports if min(report["scores"].values()) < LEAST]
