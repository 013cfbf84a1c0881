"""Numbers and cross-references, on Pandoc's document tree (its JSON form), as Quarto gives them.

Figures, tables, listings of a page are labelled `fig-`, `tbl-`; sections `sec-`; equations `eq-`. `@fig-x` becomes
a link that reads "Figure 1"; `[-@fig-x]` only "1"; other `@keys` are citations and are left to citeproc.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from site_preview.problem import PreviewError

Node = dict[str, Any]

KINDS = {"fig": "Figure", "tbl": "Table", "sec": "Section", "eq": "Equation"}
CALLOUTS = {"note": "Note", "tip": "Tip", "warning": "Warning", "important": "Important", "caution": "Caution"}
NBSP = "\N{NO-BREAK SPACE}"
_EQUATION = re.compile(r"\{#(eq-[\w-]+)\}")
_REFERENCE = re.compile(rf"({'|'.join(KINDS)})-")


@dataclass(frozen=True)
class Heading:
    """An entry of the table of contents."""

    level: int
    identifier: str
    number: str
    text: str


@dataclass
class Numbered:
    """The tree of a page with its numbers in place, its headings, and the number of each label."""

    page: str
    number_sections: bool
    numbers: dict[str, str] = field(default_factory=dict)
    headings: list[Heading] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    sections: list[int] = field(default_factory=list)

    top: int = 1

    def number_page(self, blocks: list[Node]) -> list[Node]:
        """Number everything on the page; the highest heading there is counts as the first level."""
        self.top = min((block["c"][0] for block in blocks if block["t"] == "Header"), default=1)
        return self.number(blocks)

    def number(self, blocks: list[Node]) -> list[Node]:
        """Number everything in `blocks`, top to bottom."""
        return [new for block in blocks for new in self._block(block)]

    def link(self, node: Any) -> Any:
        """Replace every cross-reference below `node` by a link to what it names."""
        if isinstance(node, list):
            return [self.link(item) for item in node]
        if not isinstance(node, dict):
            return node
        if node.get("t") == "Cite":
            return self._cite(node)
        return {key: self.link(value) for key, value in node.items()}

    def _block(self, block: Node) -> list[Node]:
        kind = block["t"]
        if kind == "Header":
            return [self._header(block)]
        if kind == "Div":
            return self._div(block)
        if kind == "Figure":
            self._prefix_caption(block["c"][0][0], block["c"][1][1])
        if kind == "Table":
            self._prefix_caption(block["c"][0][0], block["c"][1][1])
            block["c"][0][1].append("table")  # as Quarto marks every table
        if kind in ("Para", "Plain"):
            block["c"] = self._equations(block["c"])
        if kind == "BlockQuote":
            block["c"] = self.number(block["c"])
        if kind == "BulletList":
            block["c"] = [self.number(item) for item in block["c"]]
        if kind == "OrderedList":
            block["c"][1] = [self.number(item) for item in block["c"][1]]
        if kind == "RawBlock" and block["c"][0] != "html":
            raise PreviewError(f"{self.page}: the preview does not understand raw {block['c'][0]}")
        return [block]

    def _header(self, block: Node) -> Node:
        level, (identifier, classes, _), inlines = block["c"]
        number = ""
        if self.number_sections and "unnumbered" not in classes:
            number = self._section_number(level)
            block["c"][2] = [_span("header-section-number", [_str(number)]), _str(" "), *inlines]
        if identifier.startswith("sec-"):
            self._keep(identifier, number)
        self.headings.append(Heading(level, identifier, number, plain_text(inlines)))
        return block

    def _section_number(self, level: int) -> str:
        depth = level - self.top + 1
        self.sections = [*self.sections[:depth], *[0] * (depth - len(self.sections))]
        self.sections[depth - 1] += 1
        return ".".join(str(count) for count in self.sections)

    def _div(self, block: Node) -> list[Node]:
        (identifier, classes, pairs), content = block["c"]
        attributes = dict(pairs)
        callout = next((name for name in CALLOUTS if f"callout-{name}" in classes), None)
        if callout:
            return self._callout(callout, identifier, attributes, content)
        if classes or attributes:
            raise PreviewError(
                f"{self.page}: the preview does not understand the block ::: {{{_attributes(identifier, block)}}}"
            )
        if identifier.startswith(("fig-", "tbl-")):
            return self._captioned_div(identifier, content)
        block["c"][1] = self.number(content)
        return [block]

    def _captioned_div(self, identifier: str, content: list[Node]) -> list[Node]:
        if len(content) < 2 or content[-1]["t"] != "Para":
            raise PreviewError(f"{self.page}: '{identifier}' needs content, and a caption as its last paragraph")
        caption = [content[-1]]
        self._prefix_caption(identifier, caption)
        inside = self.number(content[:-1])
        words = [_raw("<figcaption>"), {"t": "Plain", "c": caption[0]["c"]}, _raw("</figcaption>")]
        inner = [*words, *inside] if identifier.startswith("tbl-") else [*inside, *words]
        return [_raw(f'<figure id="{identifier}" class="captioned">'), *inner, _raw("</figure>")]

    def _callout(self, name: str, identifier: str, attributes: dict[str, str], content: list[Node]) -> list[Node]:
        unknown = set(attributes) - {"title", "collapse", "appearance", "icon"}
        if unknown:
            raise PreviewError(f"{self.page}: the preview does not understand a callout's {', '.join(sorted(unknown))}")
        title: list[Node] = [_str(attributes.get("title", CALLOUTS[name]))]
        if content and content[0]["t"] == "Header":
            title, content = content[0]["c"][2], content[1:]
        folds = attributes.get("collapse") in ("true", "false")
        outer, head = ("details", "summary") if folds else ("div", "div")
        opened = " open" if attributes.get("collapse") == "false" else ""
        start = f'<{outer} class="callout callout-{name}"{f" id={identifier!r}" if identifier else ""}{opened}>'
        return [
            _raw(f'{start}<{head} class="callout-title">'),
            {"t": "Plain", "c": title},
            _raw(f"</{head}>"),
            *self.number(content),
            _raw(f"</{outer}>"),
        ]

    def _equations(self, inlines: list[Node]) -> list[Node]:
        result: list[Node] = []
        for node in inlines:
            label = _EQUATION.fullmatch(node["c"]) if node["t"] == "Str" else None
            if not label:
                result.append(node)
                continue
            if result and result[-1]["t"] in ("Space", "SoftBreak"):
                result.pop()
            if not result or result[-1]["t"] != "Math":
                raise PreviewError(f"{self.page}: '{label[1]}' does not follow an equation")
            number = self._count(label[1])
            kind, text = result[-1]["c"]
            result[-1] = {"t": "Span", "c": [[label[1], [], []], [_math(kind, f"{text}\\qquad({number})")]]}
        return result

    def _prefix_caption(self, identifier: str, caption: list[Node]) -> None:
        kind = identifier.partition("-")[0]
        if kind not in ("fig", "tbl"):
            return
        if not caption:
            raise PreviewError(f"{self.page}: '{identifier}' has no caption")
        number = self._count(identifier)
        caption[0]["c"] = [_str(f"{KINDS[kind]}{NBSP}{number}: "), *caption[0]["c"]]

    def _count(self, identifier: str) -> str:
        kind = identifier.partition("-")[0]
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self._keep(identifier, str(self.counts[kind]))
        return str(self.counts[kind])

    def _keep(self, identifier: str, number: str) -> None:
        if identifier in self.numbers:
            raise PreviewError(f"{self.page}: the label '{identifier}' is used twice")
        self.numbers[identifier] = number

    def _cite(self, node: Node) -> Node:
        citations = node["c"][0]
        ours = [bool(_REFERENCE.match(citation["citationId"])) for citation in citations]
        if not any(ours):
            return node
        if not all(ours):
            raise PreviewError(
                f"{self.page}: citations and cross-references in one bracket: {plain_text(node['c'][1])}"
            )
        links: list[Node] = []
        for citation in citations:
            links += ([_str(", ")] if links else []) + [self._reference(citation)]
        return {"t": "Span", "c": [["", [], []], links]}

    def _reference(self, citation: Node) -> Node:
        label = citation["citationId"]
        if label not in self.numbers:
            raise PreviewError(f"{self.page}: unresolved reference @{label}")
        number = self.numbers[label]
        if not number:
            raise PreviewError(f"{self.page}: @{label} names a section, but sections are not numbered here")
        name = KINDS[label.partition("-")[0]]
        if citation["citationPrefix"]:
            text = f"{plain_text(citation['citationPrefix'])}{NBSP}{number}"
        elif citation["citationMode"]["t"] == "SuppressAuthor":
            text = number
        else:
            text = f"{name}{NBSP}{number}"
        return {"t": "Link", "c": [["", [], []], [_str(text)], [f"#{label}", ""]]}


def plain_text(node: Any) -> str:
    """The words of a tree, without markup."""
    if isinstance(node, list):
        return "".join(plain_text(item) for item in node)
    kind, content = node.get("t"), node.get("c")
    if kind == "Str":
        return str(content)
    if kind in ("Space", "SoftBreak", "LineBreak"):
        return " "
    if kind in ("Code", "Math"):
        return str(content[1])
    if kind == "Quoted":
        return f"“{plain_text(content[1])}”"
    if kind in ("Span", "Link", "Cite"):
        return plain_text(content[1])
    return plain_text(content) if isinstance(content, list) else ""


def _attributes(identifier: str, block: Node) -> str:
    (_, classes, pairs), _ = block["c"]
    words = [f"#{identifier}"] * bool(identifier) + [f".{name}" for name in classes]
    return " ".join([*words, *(f'{key}="{value}"' for key, value in pairs)])


def _str(text: str) -> Node:
    return {"t": "Str", "c": text}


def _raw(text: str) -> Node:
    return {"t": "RawBlock", "c": ["html", text]}


def _math(kind: Node, text: str) -> Node:
    return {"t": "Math", "c": [kind, text]}


def _span(name: str, inlines: list[Node]) -> Node:
    return {"t": "Span", "c": [["", [name], []], inlines]}
