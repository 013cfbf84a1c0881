"""Running Pandoc, whose warnings are errors here."""

from __future__ import annotations

import re
import subprocess

import pypandoc
from bs4 import BeautifulSoup

from site_preview.problem import PreviewError
from site_preview.settings import Page


def pandoc(page: Page, options: list[str], text: str) -> str:
    """What Pandoc makes of `text`.

    Raises:
        PreviewError: naming the page and what Pandoc warned of.
    """
    done = subprocess.run(
        [pypandoc.get_pandoc_path(), *options, "--fail-if-warnings"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = re.sub(r"\[WARNING\] |^Failing because there were warnings\.$", "", done.stderr, flags=re.M).strip()
        missing = re.findall(r"citation (\S+) not found", said)
        raise PreviewError(f"{page.path}: unknown citation @{missing[0]}" if missing else f"{page.path}: {said}")
    return done.stdout


def inline(page: Page, text: str) -> str:
    """The HTML of a line of Markdown, without a paragraph around it."""
    shown = pandoc(page, ["--from", "markdown", "--to", "html5", "--mathml", "--wrap", "none"], text).strip()
    single = re.fullmatch(r"<p>(.*)</p>", shown, flags=re.S)
    return single[1] if single and "<p>" not in single[1] else shown


def words(page: Page, text: str) -> str:
    """The words of a line of Markdown, without markup."""
    return BeautifulSoup(inline(page, text), "html.parser").get_text()
