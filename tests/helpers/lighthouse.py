"""Lighthouse's scores of pages, for the tests and for `benchmarks/pages.py`.

Lighthouse comes from npm (`tests/page_tools`, version pinned; `make test` installs it).
"""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

from browser import FLAGS, chromium
from playwright.sync_api import Browser

PROGRAM = Path(__file__).parents[1] / "page_tools" / "lighthouse.mjs"


def audited(browser: Browser, addresses: list[str], categories: list[str]) -> list[dict[str, Any]]:
    """What `lighthouse.mjs` says of each address, in a Chromium of its own, in Lighthouse's desktop preset.

    Args:
        browser: says which kind of browser.
        addresses: of the pages.
        categories: of Lighthouse: "accessibility", "best-practices", "seo", "performance".

    Returns:
        Of each address: `scores` in per cent, `lost` (audits that cost points), `milliseconds` (total blocking time),
        `speed` (Lighthouse's index of the machine meanwhile; 1,000 is a slow desktop).
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    opened = browser.browser_type.launch(executable_path=chromium(), args=[*FLAGS, f"--remote-debugging-port={port}"])
    try:
        command = ["node", str(PROGRAM), port, ",".join(categories), *addresses]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        opened.close()
    assert done.returncode == 0, done.stderr
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert [report["address"] for report in reports] == addresses
    return reports
