"""What a page fetches when the reader asks for it: figures and tables of the studies that are not shown at first.

A page of several studies would otherwise carry them all. Where cells run, `LRCORE_FETCHED` names the folder of such
files (`_environment` sets it); it lies beside the pages, whose front matter lists it among their resources. Without
it, as in a notebook, everything stays in the markup. What is fetched needs a server: a page that is opened as a file
shows the first study only.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from pathlib import Path

from lrcore.runtime.files import atomic_path

FOLDER = "LRCORE_FETCHED"
SMALL = 2_000
"""Characters that are not worth a request of their own."""

_SPEC = re.compile(r'(<script type="application/json" class="lrcore-spec")>([^<]*)(</script>)')
_ROWS = re.compile(r'href="data:text/csv;charset=utf-8;base64,([^"]*)"')


def apart(markup: str) -> str:
    """The markup of figures and tables with their specs and rows in files, which it names instead."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return markup

    def spec(found: re.Match[str]) -> str:
        if len(found[2]) < SMALL:
            return found[0]
        return f'{found[1]} data-from="{_kept(Path(folder), found[2].encode(), ".json")}">{found[3]}'

    def rows(found: re.Match[str]) -> str:
        if len(found[1]) < SMALL:
            return found[0]
        return f'href="{_kept(Path(folder), base64.b64decode(found[1]), ".csv")}"'

    return _ROWS.sub(rows, _SPEC.sub(spec, markup))


def _kept(folder: Path, content: bytes, suffix: str) -> str:
    """Put `content` into a file named by its digest; returns the link of a page beside the folder to it."""
    path = folder / f"{hashlib.sha256(content).hexdigest()[:16]}{suffix}"
    if not path.is_file():
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)
    return f"{folder.name}/{path.name}"
