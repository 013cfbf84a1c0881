"""Several of the same thing on a page, of which the reader sees one at a time."""

from __future__ import annotations

import html
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from lrcore.errors import LrcoreError
from lrcore.figures.embed import Embedded
from lrcore.figures.fetched import apart


@dataclass(frozen=True)
class Switch(Embedded):
    """Several of the same thing, such as one figure of each study, of which the reader sees one at a time.

    `choices`: by the text of the choice; the first is shown first, without scripts all are, unless they are `scripted`:
    views of the same, of which a page without scripts has the first alone. Where a page has several switches of one
    label, one choice sets all that offer it. `notes`: a word after the text of a choice.

    Raises:
        LrcoreError: no choices.
    """

    choices: Mapping[str, Embedded]
    label: str = "Study"
    notes: Mapping[str, str] = field(default_factory=dict)
    scripted: bool = False

    def __post_init__(self) -> None:
        if not self.choices:
            raise LrcoreError("no rows: a switch needs at least one choice")

    def _named(self, choice: str) -> str:
        return f"{choice} ({self.notes[choice]})" if choice in self.notes else choice

    @property
    def markup(self) -> str:
        """The choices as HTML, under radio buttons where there are several."""
        if len(self.choices) == 1:
            return next(iter(self.choices.values())).markup
        first = next(iter(self.choices))
        # a name that no other switch of the page has: buttons of one name switch one another off
        group = f"choice-{zlib.crc32(''.join(shown.markup for shown in self.choices.values()).encode()):08x}"
        buttons = "".join(
            f'<label><input type="radio" name="{group}" value="{html.escape(choice)}"'
            f"{' checked' if choice == first else ''}> {html.escape(self._named(choice))}</label>"
            for choice in self.choices
        )
        kind = "lrcore-choice lrcore-scripted" if self.scripted else "lrcore-choice"
        parts = "".join(
            f'<div class="{kind}" data-choice="{html.escape(choice)}" '
            f'data-said="{html.escape(f"{self.label}: {self._named(choice)}")}"{"" if choice == first else " hidden"}>'
            f"{shown.markup if choice == first else apart(shown.markup)}</div>"
            for choice, shown in self.choices.items()
        )
        legend = f"<legend>{html.escape(self.label)}</legend>"
        return f'<div class="lrcore-switch"><fieldset>{legend}{buttons}</fieldset>{parts}</div>'
