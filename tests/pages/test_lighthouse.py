"""Lighthouse of every page, but for what it measures in time: that is `benchmarks/pages.py`."""

from __future__ import annotations

import pytest
from lighthouse import audited
from playwright.sync_api import Browser

LEAST = 95
"""Per cent, in each category."""


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("categories", [["best-practices", "seo"], ["accessibility"]], ids=["pages", "first"])
def test_lighthouse(browser: Browser, address: str, pages: list[str], categories: list[str]) -> None:
    """Its accessibility, on the first page, is rules of axe-core, which `test_page_quality` asks of every page."""
    asked = ["index.html"] if categories == ["accessibility"] else pages
    reports = audited(browser, [f"{address}/{name}" for name in asked], categories)
    assert not [report for report in reports if min(report["scores"].values()) < LEAST]
