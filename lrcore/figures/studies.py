"""Any figure or table of every study behind one switch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lrcore.figures.embed import Embedded, Switch
from lrcore.study_rows import StudyRows

PUBLISHED = "published"
"""The choice of a switch that shows figures from the literature."""


def by_study(studies: Mapping[str, StudyRows], draw: Callable[[StudyRows], Embedded], **before: Embedded) -> Switch:
    """`draw` of every study behind a switch, after what is given by name, such as `published=`."""
    return Switch({**before, **{name: draw(study) for name, study in studies.items()}})
