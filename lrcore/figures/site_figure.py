"""Plotly figures as a page of the site embeds them, with their rows and what they show in words."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas
import plotly.graph_objects

from lrcore.errors import LrcoreError, unknown
from lrcore.figures.embed import Embedded, check, holder, without_scripts

DRAWN = Path("site/drawn")
"""Still pictures of figures, for readers without scripts, where cells run in the root of the project."""


DEFAULT_HEIGHT = 450
"""Height in pixels of a figure whose layout names none."""


_OUR_TAGS = ("<br>", "<b>", "</b>", "<extra>", "</extra>")
"""What our figures write of the HTML that plotly.js understands."""


_ANOTHER_TAG = re.compile(rf"<(?!{'|'.join(tag[1:] for tag in _OUR_TAGS)})")


@dataclass(frozen=True)
class Words:
    """What stands around a figure: over it `title`, which says what it shows, and `subtitle`, which says what was
    measured, on which images and in whose features; under it `notes`, where it has any, such as its source.
    """

    title: str
    subtitle: str
    notes: str = ""


@dataclass(frozen=True)
class SiteFigure(Embedded):
    """A Plotly figure, the rows it was drawn from, and what it shows in words.

    `name` is the figure's file name for downloads (lower-case letters, digits, '-'), unique on its page. `alt` is
    read by screen readers, and shown where scripts do not run. `min_width` is the width in pixels below which the
    figure scrolls sideways instead of shrinking: leave 0 for a single panel, set it for a grid of panels.

    Raises:
        LrcoreError: the name is no slug, or the alternative text is empty.
    """

    figure: plotly.graph_objects.Figure
    rows: pandas.DataFrame
    name: str
    alt: str
    words: Words
    min_width: int = 0

    def __post_init__(self) -> None:
        check("figure", self.name, "alt", self.alt)

    @property
    def markup(self) -> str:
        """The figure as HTML."""
        plot = _plot(self.name, self.figure, self.alt, self.min_width)
        return _figure(self.name, self.words, plot, figure_spec(self.figure), self.rows)


@dataclass(frozen=True)
class SteppedFigure(Embedded):
    """Figures of one layout that a slider goes through, for what depends on one more number.

    `frames`: the figures by the text of their step, in order; `start` is the text of the one shown first (and the only
    one that a page without scripts describes); `label` says what the slider sets. The rest is as in `SiteFigure`.

    Raises:
        LrcoreError: fewer than two frames, an unknown `start`, or as `SiteFigure`.
    """

    frames: Mapping[str, plotly.graph_objects.Figure]
    start: str
    label: str
    rows: pandas.DataFrame
    name: str
    alt: str
    words: Words
    min_width: int = 0

    def __post_init__(self) -> None:
        check("figure", self.name, "alt", self.alt)
        if len(self.frames) < 2:
            raise LrcoreError(f"figure '{self.name}' needs at least two frames for its slider, got {len(self.frames)}")
        if self.start not in self.frames:
            raise unknown("frame", self.start, list(self.frames))

    @property
    def markup(self) -> str:
        """The figure and its slider as HTML."""
        steps = list(self.frames)
        specs = [figure_spec(figure) for figure in self.frames.values()]
        at = steps.index(self.start)
        spec = {**specs[at], "frames": [{"label": step, **frame} for step, frame in zip(steps, specs, strict=True)]}
        slider = (
            f'<label class="lrcore-stepper">{html.escape(self.label)} <input type="range" min="0" '
            f'max="{len(steps) - 1}" step="1" value="{at}" data-steps="{html.escape(json.dumps(steps))}" '
            f'aria-valuetext="{html.escape(self.start)}"> '
            f"<output>{html.escape(self.start)}</output></label>"
        )
        without = without_scripts(f"With scripts, a slider sets this: {self.label}. Shown here: {self.start}.")
        plot = _plot(self.name, self.frames[self.start], self.alt, self.min_width)
        return _figure(self.name, self.words, slider + without + plot, spec, self.rows)


def figure_spec(figure: plotly.graph_objects.Figure) -> dict[str, Any]:
    """The figure as plain JSON values for plotly.js, with null for every NaN and infinity.

    Of what plotly.js reads as HTML in texts, names and values, only what our figures use is left: `_OUR_TAGS`.
    """
    spec = json.loads(figure.to_json(), parse_constant=lambda _: None)
    return {"data": _without_html(spec["data"]), "layout": _without_html(spec["layout"])}


def titled(title: str, subtitle: str) -> str:
    """What stands over a figure as HTML."""
    return f'<p class="lrcore-title">{_typeset(title)}</p><p class="lrcore-subtitle">{_typeset(subtitle)}</p>'


def _figure(name: str, words: Words, inside: str, spec: dict[str, Any], rows: pandas.DataFrame) -> str:
    """A figure between its words."""
    over = titled(words.title, words.subtitle)
    under = f'<p class="lrcore-note">{_typeset(words.notes)}</p>' if words.notes else ""
    return holder("figure", name, over + inside + under, spec, rows)


def _typeset(text: str) -> str:
    """Text as HTML whose numbers stay on one line with their per cent signs, and ranges with their ends."""
    text = re.sub(r"(?<=\d)–(?=\d)", "\N{WORD JOINER}–\N{WORD JOINER}", text.replace(" %", "\N{NO-BREAK SPACE}%"))
    return html.escape(text)


def _plot(name: str, figure: plotly.graph_objects.Figure, alt: str, min_width: int) -> str:
    """Where a script draws the figure; its height is known before, so that nothing moves when it does."""
    height = int(figure.layout.height or DEFAULT_HEIGHT)
    style = f"min-height:{height}px" + (f";min-width:{min_width}px" if min_width else "")
    said = html.escape(alt)
    still = DRAWN / f"{name}.svg"
    picture = f'<img class="lrcore-still" src="/{still}" alt="{said}" loading="lazy">' if still.is_file() else ""
    return (
        f'<div class="lrcore-figure-scroll" tabindex="0" role="group" aria-label="Figure">'
        f'<div class="lrcore-plot" role="img" aria-label="{said}" style="{style}">'
        f'{picture}<p class="lrcore-alt" style="max-height:{height}px">{said}</p></div></div>'
    )


def _without_html(value: Any) -> Any:
    """JSON values whose strings plotly.js shows as they are, but for `_OUR_TAGS`."""
    if isinstance(value, str):
        return _ANOTHER_TAG.sub("&lt;", value.replace("&", "&amp;"))
    if isinstance(value, list):
        return [_without_html(one) for one in value]
    if isinstance(value, dict):
        return {key: _without_html(one) for key, one in value.items()}
    return value
