"""Your autoencoders beside those of another study, measured at one protocol: a table for the terminal.

Whatever is said of autoencoders of one study is said here of those of two: their rows are put together and taken for
those of one (`results.study_rows`), so that best settings, anchors, what was learned and what is no better than noise
are found as everywhere.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping

import pandas

from lrcore.results import above_noise, findings, learnability, naming
from lrcore.results.numbers import aligned, with_error
from lrcore.results.study_rows import StudyRows, study_of
from lrcore.results.wording import compared_at, narrow_note
from lrcore.spec.study import NO_REPA

NOT_CLEAR = "~"
"""Marks a best that is not clearly better than noise or than decoded Gaussian latents: `results.above_noise`."""


def compared(mine: Mapping[str, pandas.DataFrame], theirs: Mapping[str, pandas.DataFrame]) -> StudyRows | None:
    """The rows of your study and of another, by table, as those of one; None where neither has generation rows.

    Raises:
        LrcoreError: rows of two protocols: names the column and both values.
    """
    studies = [
        study_of(str(tables["generation"]["study"].iloc[0]), tables)
        for tables in (mine, theirs)
        if len(tables["generation"])
    ]
    found = [study for study in studies if len(study.generation)]
    if len(found) < 2:
        return found[0] if found else None
    return joined(*found)


def joined(mine: StudyRows, theirs: StudyRows) -> StudyRows:
    """The rows of both, by field; the name is yours, and how much is planned is not known of both.

    Raises:
        LrcoreError: generation rows of two protocols: names the column and both values.
    """
    kinds = [field.name for field in dataclasses.fields(StudyRows) if field.name not in ("name", "planned")]
    frames = {kind: [getattr(study, kind) for study in (mine, theirs)] for kind in kinds}
    # columns of frames without rows are of no type, and would take that of the others away
    filled = {kind: [rows for rows in both if len(rows)] or both[:1] for kind, both in frames.items()}
    both = StudyRows(mine.name, **{kind: pandas.concat(rows, ignore_index=True) for kind, rows in filled.items()})
    if len(both.generation):
        findings.require_one_protocol(both.generation)
    return both


def comparison_table(study: StudyRows, wanted: Iterable[str] = ()) -> str:
    """The best of each autoencoder beside the others, with its anchors and what was learned; and what the table lacks.

    `wanted`: autoencoders that should be in it. Distances are the deciding one, lower is better; anchors are the same
    distance of as many images.

    Raises:
        LrcoreError: as `StudyRows.best`.
    """
    rows = study.compared
    settings, learned = findings.mean_over_seeds(rows), learnability.learned(study)
    standings = above_noise.above_noise(study).sort_values("distance")
    anew = rows is not study.generation
    lines = [f"by {study.distance}, lower is better: {_of_what(rows, settings, anew)}"]
    if len(standings):
        lines += [str(_table(rows, standings, learned).to_string(index=False)), ""]
    lines += _said(standings, study.distance, learned, anew)
    lost = [str(ae) for ae, part in settings.groupby("ae") if part["distance"].isna().all()]
    if lost:
        lines.append(f"Every training diverged: {', '.join(naming.in_order(lost))}.")
    if absent := naming.in_order(set(wanted) - set(study.generation["ae"])):
        lines.append(f"No rows yet of {', '.join(absent)}.")
    if note := narrow_note(rows):
        lines.append(note)
    return "\n".join(lines)


def _table(rows: pandas.DataFrame, standings: pandas.DataFrame, learned: pandas.DataFrame) -> pandas.DataFrame:
    own = rows.groupby("ae")["study"].first()
    trainings = rows.merge(standings[[*findings.SETTING, "step"]])
    spread = findings.deciding(trainings).groupby(trainings["ae"]).sem()
    means = learnability.mean_of_trainings(learned).set_index("ae") if len(learned) else learned
    columns: dict[str, list[str]] = {
        "": ["" if fine else NOT_CLEAR for fine in above_noise.is_clear(standings)],
        "ae": [str(ae) for ae in standings["ae"]],
        "study": [str(own[ae]) for ae in standings["ae"]],
        "distance": [
            with_error(float(distance), float(spread[str(ae)]))
            for ae, distance in zip(standings["ae"], standings["distance"], strict=True)
        ],
        "trainings": [str(count) for count in standings["seeds"]],
        **{name: [aligned(float(value)) for value in standings[name]] for name in above_noise.ANCHORS},
        "G": [_share(means, str(ae)) for ae in standings["ae"]],
        "density": [str(value) for value in standings["trainp"]],
        "train shift": [f"{value:g}" for value in standings["trainshift"]],
        "sample shift": [f"{value:g}" for value in standings["sampleshift"]],
    }
    if set(standings["repa"]) != {NO_REPA}:
        columns["REPA"] = [str(value) for value in standings["repa"]]
    return pandas.DataFrame(columns)


def _share(means: pandas.DataFrame, ae: str) -> str:
    """G, with the standard error of the mean over trainings."""
    if ae not in means.index:
        return "–"
    error = float(means["deviation"][ae]) / math.sqrt(int(means["trainings"][ae]))
    return with_error(float(means["g_kid"][ae]), error)


def _of_what(rows: pandas.DataFrame, settings: pandas.DataFrame, anew: bool) -> str:
    """Which rows the table is of."""
    row, pool = rows.iloc[0], findings.pool(settings)
    step = int((pool if len(pool) else settings)["step"].max())
    chosen = "chosen settings, measured anew" if anew else compared_at(settings)
    return f"{chosen}, at step {step:,}; {row['n_samples']:,} samples against {row['reference']}"


def _said(standings: pandas.DataFrame, label: str, learned: pandas.DataFrame, anew: bool) -> list[str]:
    """What is to be said of the table."""
    if standings.empty:
        return ["No setting was measured of all of these, so no best can be compared."]
    lines = []
    if not above_noise.is_clear(standings).all():
        lines.append(f"{NOT_CLEAR} a best that is not clearly better than what takes no learning.")
    lines += above_noise.sentences(standings, label)
    if without := [str(ae) for ae in standings["ae"] if ae not in set(learned["ae"])]:
        lines.append(f"No G of {', '.join(without)}: no distance of samples to reconstructions in these rows.")
    if len(learned) and (note := learnability.not_told_in_words(learnability.mean_of_trainings(learned))):
        lines.append(note)
    if not anew and standings["tried"].max() > 1:
        lines.append("The samples that chose the settings measure them, too: the lowest of many flatters a little.")
    return lines
