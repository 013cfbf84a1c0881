"""Lighthouse of every page, but for what it measures in time: that is `benchmarks/pages.py`."""

from __future__ import annotations

import pytest
from lighthouse import audited
from playwright.sync_api import Browser

LEAST = 95
"""Per cent, in each category."""


@pytest.mark.usefixtures("tools")
def test_lighthouse(browser: Browser, address: str, pages: list[str]) -> None:
    reports = audited(browser, [f"{address}/{name}" for name in pages], ["accessibility", "best-practices", "seo"])
    assert not [report for report in reports if min(report["scores"].values()) < LEAST]
