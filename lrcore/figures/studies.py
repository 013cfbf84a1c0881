"""Any figure or table of every study behind one switch."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping

from lrcore.figures.embed import Embedded, Markup, raw_html
from lrcore.figures.switch import Switch
from lrcore.results.study_rows import StudyRows
from lrcore.results.wording import narrow_note

PUBLISHED = "published"
"""The choice of a switch that shows figures from the literature."""


def by_study(studies: Mapping[str, StudyRows], draw: Callable[[StudyRows], Embedded], **before: Embedded) -> Embedded:
    """`draw` of every study behind a switch, after what is given by name, such as `published=`; a word of none."""
    if not studies and not before:
        return Markup("<p>No study has rows for this yet.</p>")
    partial = {name: "partial" for name, study in studies.items() if study.partial}
    return Switch({**before, **{name: draw(study) for name, study in studies.items()}}, notes=partial)


def figure(label: str, caption: str, shown: Embedded) -> str:
    """A figure with its number and caption as Markdown, for a cell that has one or, for lack of rows, none.

    A cell whose options name a figure has that figure, and its number, whatever it shows. `label` begins with 'fig-'.
    """
    return f"::::: {{#{label}}}\n\n{raw_html(shown.markup)}\n{caption}\n\n:::::"


def of_transformers(
    studies: Mapping[str, StudyRows], draw: Callable[[StudyRows], Embedded], **before: Embedded
) -> Embedded:
    """As `by_study`, for what shows transformers: below it stands how much of a study is measured, where that is not
    all of it, and which transformers are narrower than a token."""

    def noted(study: StudyRows) -> Embedded:
        notes = [f"Partial: {study.partial} are measured." if study.partial else "", narrow_note(study.generation)]
        shown, note = draw(study), " ".join(filter(None, notes))
        return Markup(f'{shown.markup}<p class="lrcore-note">{html.escape(note)}</p>') if note else shown

    return by_study(studies, noted, **before)
