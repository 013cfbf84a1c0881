"""What a report is built of: each block is one computation with two sides, HTML for people and values for programs."""

from __future__ import annotations

import dataclasses
import html
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas

from lrcore.figures.site_figure import SiteFigure
from lrcore.figures.site_table import SiteTable

FAINT = 0.55
"""Opacity of what figures draw of references."""


class Block(ABC):
    """A part of a section."""

    @property
    @abstractmethod
    def markup(self) -> str:
        """HTML."""

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """By the names of a section's record (`record`): 'facts', 'figures' and 'tables', each by key."""


@dataclass(frozen=True)
class Fact:
    """A thing that is known: `label` and `text` as they are read, `value` for programs."""

    key: str
    label: str
    text: str
    value: Any


@dataclass(frozen=True)
class Facts(Block):
    """A list of them."""

    facts: tuple[Fact, ...]

    @property
    def markup(self) -> str:
        lines = "".join(
            f"<div><dt>{html.escape(fact.label)}</dt><dd>{html.escape(fact.text)}</dd></div>" for fact in self.facts
        )
        return f'<dl class="lrcore-facts">{lines}</dl>'

    def record(self) -> dict[str, Any]:
        return {"facts": {fact.key: fact.value for fact in self.facts}}


@dataclass(frozen=True)
class Text(Block):
    """A paragraph. `values`: the numbers in it, by key."""

    text: str
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def markup(self) -> str:
        return f"<p>{html.escape(self.text)}</p>"

    def record(self) -> dict[str, Any]:
        return {"facts": self.values}


@dataclass(frozen=True)
class Command(Block):
    """Commands, or what is to be copied as it stands."""

    text: str
    key: str

    @property
    def markup(self) -> str:
        return copied(self.text)

    def record(self) -> dict[str, Any]:
        return {"facts": {self.key: self.text}}


@dataclass(frozen=True)
class Table(Block):
    """A table, with the row of the report's autoencoder (by its `label`) in bold type."""

    table: SiteTable
    label: str = ""

    @property
    def markup(self) -> str:
        text = dataclasses.replace(self.table, plain=True).markup
        # who has no pointer scrolls it by keys
        scrolling = f'<div class="lrcore-table-scroll" tabindex="0" role="group" aria-label="Table {self.table.name}">'
        text = text.replace('<div class="lrcore-table-scroll">', scrolling, 1)
        own = f"<td>{html.escape(self.label)}</td>"
        return text.replace(own, f"<td><strong>{html.escape(self.label)}</strong></td>") if self.label else text

    def record(self) -> dict[str, Any]:
        rows = self.table.frame if self.table.rows is None else self.table.rows
        shown = {"caption": self.table.caption, "shown": rows_of(self.table.frame), "rows": rows_of(rows)}
        return {"tables": {self.table.name: shown}}


@dataclass(frozen=True)
class Figure(Block):
    """A figure in which what has the names `faint` stands back."""

    figure: SiteFigure
    faint: Sequence[str] = ()

    @property
    def markup(self) -> str:
        return dataclasses.replace(self.figure, figure=self._drawn()).markup

    def _drawn(self) -> Any:
        figure = type(self.figure.figure)(self.figure.figure)
        back = [trace for trace in figure.data if trace.name in self.faint]
        for trace in back:
            trace.opacity = FAINT
        # what is drawn last lies above the rest
        figure.data = [*back, *(trace for trace in figure.data if trace.name not in self.faint)]
        return figure

    def record(self) -> dict[str, Any]:
        words = self.figure.words
        told = {"title": words.title, "subtitle": words.subtitle, "notes": words.notes, "alt": self.figure.alt}
        return {"figures": {self.figure.name: {**told, "rows": rows_of(self.figure.rows)}}}


@dataclass(frozen=True)
class Html(Block):
    """HTML that another module wrote, and what it shows as rows: `name` is their key."""

    text: str
    name: str
    rows: pandas.DataFrame

    @property
    def markup(self) -> str:
        return self.text

    def record(self) -> dict[str, Any]:
        return {"tables": {self.name: {"rows": rows_of(self.rows)}}}


@dataclass(frozen=True)
class Folded(Block):
    """What is looked up rather than read: shown when asked for, and on paper, unless it is not for that."""

    summary: str
    block: Block
    on_paper: bool = True

    @property
    def markup(self) -> str:
        kind = "lrcore-more" if self.on_paper else "lrcore-more lrcore-on-screen"
        return f'<details class="{kind}"><summary>{html.escape(self.summary)}</summary>{self.block.markup}</details>'

    def record(self) -> dict[str, Any]:
        return self.block.record()


@dataclass(frozen=True)
class Missing(Block):
    """What was not measured, and the command that measures it ("" where there is none)."""

    text: str
    command: str = ""

    @property
    def markup(self) -> str:
        run = copied(self.command) if self.command else ""
        return f'<div class="lrcore-missing"><p>{html.escape(self.text)}</p>{run}</div>'

    def record(self) -> dict[str, Any]:
        return {"missing": {self.text: self.command}}


@dataclass(frozen=True)
class Section:
    """A part of the report: `key` names it in the record and in the page's addresses."""

    key: str
    title: str
    blocks: tuple[Block, ...]

    @property
    def missing(self) -> list[Missing]:
        """What was not measured."""
        return [block for block in self.blocks if isinstance(block, Missing)]

    @property
    def state(self) -> str:
        """`measured`, `partly` or `missing`."""
        if not self.missing:
            return "measured"
        return "partly" if len(self.missing) < len(self.blocks) else "missing"

    @property
    def markup(self) -> str:
        """The section as HTML."""
        inside = "".join(block.markup for block in self.blocks)
        return f'<section id="{self.key}"><h2>{html.escape(self.title)}</h2>{inside}</section>'

    def record(self) -> dict[str, Any]:
        """The section for programs."""
        found: dict[str, Any] = {"title": self.title, "state": self.state, "facts": {}, "figures": {}, "tables": {}}
        found["missing"] = [{"what": one.text, "command": one.command} for one in self.missing]
        for block in self.blocks:
            for kind, values in block.record().items():
                if kind != "missing":
                    found[kind].update(values)
        return found


def copied(text: str) -> str:
    """HTML of what is copied as it stands: lines break between its words alone."""
    words = re.sub(r"\S+", lambda word: f'<span class="lrcore-word">{html.escape(word[0])}</span>', text)
    return f'<pre tabindex="0"><code>{words}</code></pre>'


def rows_of(frame: pandas.DataFrame) -> list[dict[str, Any]]:
    """The rows as JSON values: None for what is not known."""
    names = [str(name) for name in frame.columns]
    return [dict(zip(names, map(plain, row), strict=True)) for row in frame.itertuples(index=False, name=None)]


def plain(value: Any) -> Any:
    """One value as JSON has it."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    return value if value is None or isinstance(value, str | int | bool) else str(value)
