"""A report as one HTML file, which asks no host for anything: style, scripts and pictures stand in it."""

from __future__ import annotations

import base64
import gzip
import html
import re
from pathlib import Path
from string import Template

import plotly.offline

import lrcore
from lrcore.report_pages.blocks import copied
from lrcore.report_pages.report import Report
from lrcore.report_pages.shared import CHECKOUT, COMPARISON, FIGURES, STYLE, VENDOR, shared

_HERE = Path(__file__).parent
_VERSION = re.compile(r"plotly\.js (?:\(basic - minified\) )?v(\S+)")


def page(report: Report) -> str:
    """The whole file."""
    template = Template((_HERE / "page.html").read_text("utf-8"))
    return template.substitute(
        version=lrcore.__version__,
        title=html.escape(report.title),
        subtitle=html.escape(report.subtitle),
        style=style(),
        body=_body(report),
        footer=html.escape(f"Made by lrcore {lrcore.__version__}: {report.made_by}"),
        plotly=packed_plotly(),
        scripts=scripts(),
    )


def _body(report: Report) -> str:
    links = "".join(f'<li><a href="#{one.key}">{html.escape(one.title)}</a></li>' for one in report.sections)
    said = "".join(f"<p>{html.escape(text.text)}</p>" for text in report.verdict)
    return (
        f"{_caveats(report)}"
        f'<section id="verdict" class="lrcore-verdict"><h2>In short</h2>{said}</section>'
        f'<nav class="lrcore-contents" aria-label="Sections"><ul>{links}</ul></nav>'
        f"{''.join(one.markup for one in report.sections)}"
        '<section id="reproduce"><h2>Make these numbers again</h2>'
        f"{copied(chr(10).join(report.commands))}{_file_elsewhere(report)}</section>"
    )


def _file_elsewhere(report: Report) -> str:
    """What is to be known of commands where the study's file was not at hand."""
    if report.subject.planned:
        return ""
    return f"<p>{html.escape(report.subject.argument)} is the study's file: put its folder before it.</p>"


def _caveats(report: Report) -> str:
    if not report.caveats and not report.missing:
        return ""
    lines = [f"<li>{html.escape(one.text)}</li>" for one in report.caveats]
    if report.missing:
        links = ", ".join(f'<a href="#{one.key}">{html.escape(one.title)}</a>' for one in report.missing)
        said = f"Not or not wholly measured: {links}. Each says which command measures it."
        lines.append(f"<li>{said if report.begun else _FIRST}</li>")
    return (
        '<section id="caveats" class="lrcore-caveats"><h2>Before you read the numbers</h2>'
        f"<ul>{''.join(lines)}</ul></section>"
    )


_FIRST = "Nothing is measured yet. What follows says, in this order, which commands measure it."


def style() -> str:
    """The site's style, dark where the system is also without scripts, and the frame's."""
    text = shared(STYLE).read_text("utf-8")
    text = re.sub(r"@font-face\s*\{[^}]*\}", "", text)  # of formulas, which a report has none of
    dark = re.search(r"^body\.quarto-dark \{([^}]*)\}", text, re.MULTILINE)
    without_scripts = (
        f"@media screen and (scripting: none) and (prefers-color-scheme: dark) {{ body {{{dark[1]}}} }}" if dark else ""
    )
    return "\n".join([text, (_HERE / "page.css").read_text("utf-8"), without_scripts])


def scripts() -> str:
    """The report's own script and those of the site that draw figures and move handles."""
    files = [_HERE / "page.js", shared(FIGURES), shared(COMPARISON)]
    text = "\n".join(path.read_text("utf-8").replace('"use strict";', "", 1) for path in files)
    return text.replace("</script", "<\\/script")


def packed_plotly() -> str:
    """plotly.js of the installed plotly, compressed: its basic bundle where the site was built with that, else all."""
    whole = plotly.offline.get_plotlyjs().encode()
    built = CHECKOUT / VENDOR
    script = built.read_bytes() if built.is_file() and _version(built.read_bytes()) == _version(whole) else whole
    return base64.b64encode(gzip.compress(script, 9, mtime=0)).decode()


def _version(script: bytes) -> str:
    found = _VERSION.search(script[:500].decode(errors="replace"))
    return found[1] if found else ""
