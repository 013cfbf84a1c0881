"""The whole report: one computation, which `page` writes as HTML and `record` as JSON.

report = make(find("cifar10", Path("data"), Path("imgs"), ae="flux2"))
page(report), record(report)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lrcore
from lrcore.report_pages import provenance
from lrcore.report_pages.blocks import Section, Text, plain
from lrcore.report_pages.caveats import Caveat, caveats
from lrcore.report_pages.portable import portable_values
from lrcore.report_pages.sections import sections
from lrcore.report_pages.subject import Subject
from lrcore.report_pages.verdict import verdict

FORMAT = 1
"""Raised by one at every change of what a key of the record means."""


@dataclass(frozen=True)
class Report:
    """All that a report says."""

    subject: Subject
    caveats: tuple[Caveat, ...]
    verdict: tuple[Text, ...]
    sections: tuple[Section, ...]

    @property
    def title(self) -> str:
        """Its heading."""
        subject = self.subject
        return f"{subject.label}: latent space report" if subject.ae else f"Latent spaces of study {subject.name}"

    @property
    def subtitle(self) -> str:
        """Of what, when, by what."""
        subject, date = self.subject, provenance.rows_date(self.subject)
        versions = provenance.row_versions(subject)
        parts = [
            f"study {subject.name}",
            f"rows of {date}" if date else "no rows yet",
            *([f"measured by lrcore {', '.join(versions)}"] if versions else []),
            f"report by lrcore {lrcore.__version__}",
        ]
        return " · ".join(parts)

    @property
    def commands(self) -> tuple[str, ...]:
        """What makes its numbers, and itself."""
        return tuple(provenance.commands(self.subject))

    @property
    def made_by(self) -> str:
        """The command that made it."""
        return self.subject.report_command

    @property
    def begun(self) -> bool:
        """Whether anything is measured."""
        return any(section.state != "missing" for section in self.sections if section.key not in _OF_NO_ROWS)

    @property
    def missing(self) -> list[Section]:
        """The sections that lack something."""
        return [section for section in self.sections if section.missing]


_OF_NO_ROWS = ("timesteps", "cite")
"""Sections that say something without rows."""


def make(subject: Subject) -> Report:
    """Compute everything that the report of a subject says."""
    return Report(subject, tuple(caveats(subject)), tuple(verdict(subject)), tuple(sections(subject)))


def record(report: Report) -> dict[str, Any]:
    """The report as JSON values; `lrcore.report` says what each key is."""
    subject = report.subject
    found = {
        "format": FORMAT,
        "lrcore_version": lrcore.__version__,
        "study": subject.name,
        "ae": subject.ae or None,
        "label": subject.label,
        "autoencoders": list(subject.aes),
        "rows_date": provenance.rows_date(subject) or None,
        "rows_lrcore_versions": provenance.row_versions(subject),
        "commands": list(report.commands),
        "caveats": [
            {"key": one.key, "ae": one.ae or None, "text": one.text, "values": _plain(one.values)}
            for one in report.caveats
        ],
        "verdict": [{"text": text.text, "values": _plain(text.values)} for text in report.verdict],
        "sections": {section.key: _plain(section.record()) for section in report.sections},
    }
    return dict(portable_values(found))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return plain(value)
