"""What a report is of: the rows of one study, each kind in one protocol, and what its file asks for."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas

from lrcore.errors import LrcoreError, unknown
from lrcore.records import schema
from lrcore.report_pages.beside import with_references
from lrcore.report_pages.portable import portable, portable_rows
from lrcore.results import naming
from lrcore.results.study_rows import StudyRows, load_study_rows, studies_with_rows
from lrcore.spec.study import Study
from lrcore.studies.loading import load_study, study_names

IMAGES = ("dataset", "split", "resolution", "n_images")
"""Metrics over images are comparable where these are equal."""


@dataclass(frozen=True)
class LeftOut:
    """Rows that are not shown since they were measured in another way: `columns` differ, `count` rows."""

    kind: str
    columns: tuple[str, ...]
    count: int
    kept: str


@dataclass(frozen=True)
class Subject:
    """A study and the autoencoder that its report is about.

    `name` is the study's; that of `study` is as figures are named. `ae` is "" where it is about all. `aes`: all that
    the study measures or has measured, in the order of the figures; `argument`: how commands name the study; `planned`:
    its file, where it is there; `options`: folders, as commands take them; `data` and `imgs`: where the rows and the
    pictures are; `left_out` and `differing`: what was measured in another way; `partial`: how much is measured in all,
    of a study that is not whole; `beside`: the study at whose protocol it is measured, if it is another, and `theirs`:
    the autoencoders of that one of which there are rows.
    """

    name: str
    study: StudyRows
    ae: str
    aes: tuple[str, ...]
    argument: str
    planned: Study | None
    options: str
    data: Path
    imgs: Path
    left_out: tuple[LeftOut, ...]
    differing: tuple[str, ...]
    partial: str
    beside: str = ""
    theirs: tuple[str, ...] = ()

    @property
    def own(self) -> list[str]:
        """The autoencoders that the report is about."""
        return [self.ae] if self.ae else [ae for ae in self.aes if ae not in self.theirs]

    @property
    def references(self) -> list[str]:
        """The others."""
        return [ae for ae in self.aes if ae not in self.own]

    @property
    def label(self) -> str:
        """What the report is about, by name."""
        return naming.ae_style(self.ae).label if self.ae else f"study {self.name}"

    def lacking(self, rows: pandas.DataFrame) -> list[str]:
        """The autoencoders that the report is about of which these rows say nothing."""
        return [ae for ae in self.own if ae not in set(rows["ae"])]

    def command(self, stage: str, aes: Sequence[str] = ()) -> str:
        """The command that makes the rows of a stage for `aes`, or for those that the report is about.

        `stage` is "reconstruction", "all", or one that `lrcore.train --only` takes.
        """
        wanted = list(aes) or self.own
        only = "" if set(wanted) >= set(self.aes) - set(self.theirs) and not self.ae else f" --ae {' '.join(wanted)}"
        # what is measured at another study's protocol goes on at that one, which `reconstruct` does not take
        module = "reconstruct" if stage == "reconstruction" and not self.beside else "train"
        end = "" if stage == "all" or module == "reconstruct" else f" --only {stage}"
        beside = f" --compare-with {shlex.quote(self.beside)}" if self.beside else ""
        return f"python -m lrcore.{module} {self.argument}{only}{beside}{end}{self.options}"

    @property
    def report_command(self) -> str:
        """The command that makes this report."""
        of = f" --ae {self.ae}" if self.ae else ""
        return f"python -m lrcore.report {self.argument}{of}{self.options}"


def find(argument: str, data: Path, imgs: Path, ae: str = "", options: str = "") -> Subject:
    """The subject that a command line names: a study's name or the path of its file, and an autoencoder of it.

    Raises:
        LrcoreError: a study of which there is neither a file nor a row, or an autoencoder that it does not have.
    """
    planned = _planned(argument)
    there = studies_with_rows(data)
    if planned is None and argument not in there:
        file = [f"{argument}.toml"] if _is_beside(argument) else []
        allowed = [*there, *(name for name in study_names() if name not in there), *file, "a path ending in .toml"]
        raise unknown("study", argument, allowed)
    name = planned.name if planned else argument
    rows = load_study_rows(name, data)
    measured = {str(one) for kind in schema.TABLES for one in getattr(rows, kind)["ae"].unique()}
    in_use = {cell.ae for cell in planned.cells} if planned else set()
    known = naming.in_order(measured | (set(planned.autoencoders) if planned else set()))
    if ae and ae not in known:
        raise unknown("--ae", ae, known)
    aes = naming.in_order(measured | in_use | ({ae} if ae else set()))
    if len(aes) == 1:
        ae = aes[0]
    beside = rows.planned.compared_with if rows.planned else ""
    both, theirs = with_references(rows, beside, data, aes) if beside else (rows, [])
    study, left_out = _of_one_protocol(both, ae)
    differing = _differing(study)
    return Subject(
        name,
        study,
        ae,
        tuple(naming.in_order([*aes, *theirs])),
        _as_argument(argument, planned),
        planned,
        options,
        data,
        imgs,
        tuple(left_out),
        differing,
        rows.partial,
        beside,
        tuple(theirs),
    )


def _planned(argument: str) -> Study | None:
    """The study's file: it must be right where it is named, and may be missing where its name is."""
    if argument.endswith(".toml") or argument in study_names():
        return load_study(argument)
    if _is_beside(argument):
        with contextlib.suppress(LrcoreError):
            return load_study(f"{argument}.toml")
    return None


def _is_beside(name: str) -> bool:
    """Whether the file of a study lies in the working folder."""
    try:
        return Path(f"{name}.toml").is_file()
    except (OSError, ValueError):  # no name of a file, such as one that is too long
        return False


def _as_argument(argument: str, planned: Study | None) -> str:
    if argument.endswith(".toml"):
        return shlex.quote(portable(str(Path(argument))))
    return argument if argument in study_names() else f"{argument}.toml"


def _of_one_protocol(rows: StudyRows, ae: str) -> tuple[StudyRows, list[LeftOut]]:
    """The study with rows of one protocol in each table, and what is left out for it."""
    left_out = []
    slug = re.sub("-+", "-", rows.name).strip("-")  # as figures are named
    found = {
        kind: portable_rows(getattr(rows, kind)).assign(study=slug) for kind in (*schema.TABLES, "confirmed", "widths")
    }
    for kind, keys, group in (
        ("reconstruction", [*IMAGES], ["ae", "metric"]),
        ("generation", [*schema.DISTANCE_PROTOCOL], []),
    ):
        table = found[kind]
        if not group or table.duplicated(group).any():
            kept, other = _kept(table, keys, ae, group)
            if len(other):
                columns = tuple(key for key in keys if table[key].nunique(dropna=False) > 1)
                said = ", ".join(f"{column} {kept[column].iloc[0]}" for column in columns)
                left_out.append(LeftOut(kind, columns, len(other), said))
            found[kind] = kept
    return StudyRows(slug, **found, planned=rows.planned), left_out


def _kept(
    rows: pandas.DataFrame, keys: list[str], ae: str, group: list[str]
) -> tuple[pandas.DataFrame, pandas.DataFrame]:
    """The rows of one protocol, with those of `ae` where it has any, the most of them; and the others.

    With a `group` that names a row, each autoencoder has a protocol of its own.
    """
    if rows.empty:
        return rows, rows
    parts = [part for _, part in rows.groupby(["ae"])] if group else [rows]
    kept = []
    for part in parts:
        candidates = [found for _, found in part.groupby(keys, dropna=False)]
        kept.append(max(candidates, key=lambda found: ((found["ae"] == ae).sum(), found["ae"].nunique(), len(found))))
    chosen = pandas.concat(kept)
    chosen = chosen.drop_duplicates(group, keep="last") if group else chosen
    return rows.loc[rows.index.isin(chosen.index)], rows.loc[~rows.index.isin(chosen.index)]


def _differing(study: StudyRows) -> tuple[str, ...]:
    """What differs between the images that one metric of several autoencoders was measured on, a text each."""
    said = []
    for kind in ("reconstruction", "latents"):
        groups = getattr(study, kind).groupby("metric")
        for column in IMAGES:
            values = [list(dict.fromkeys(own[column])) for _, own in groups]
            if several := max((found for found in values if len(found) > 1), key=len, default=None):
                said.append(f"{column} of {kind}: {', '.join(map(str, several))}")
    return tuple(said)
