"""Your autoencoders beside those of another study, measured at one protocol: a table for the terminal.

Whatever is said of autoencoders of one study is said here of those of two: their rows are put together and taken for
those of one (`results.study_rows`), so that best settings, anchors, what was learned and what is no better than noise
are found as everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import pandas

from lrcore.results import above_noise, findings, learnability, naming
from lrcore.results.numbers import aligned, with_error
from lrcore.results.study_rows import StudyRows, study_of
from lrcore.results.wording import best_of, narrow_note
from lrcore.spec.study import NO_REPA

TABLES = ("generation", "reconstruction", "latents", "losses", "anchors")
"""Of rows, as `study_of` takes them."""

NOT_CLEAR = "~"
"""Marks a best that is not clearly better than noise or than decoded Gaussian latents: `results.above_noise`."""


def compared(mine: Mapping[str, pandas.DataFrame], theirs: Mapping[str, pandas.DataFrame]) -> StudyRows | None:
    """The rows of your study and of another, by `TABLES`, as those of one; None where neither has generation rows.

    An autoencoder of yours that has the name of one of theirs is called `name (study)`.

    Raises:
        LrcoreError: rows of two protocols: names the column and both values.
    """
    taken = set(theirs["generation"]["ae"]) | set(theirs["anchors"]["ae"])

    def renamed(rows: pandas.DataFrame) -> pandas.DataFrame:
        if rows.empty:
            return rows
        called = rows["ae"] + " (" + rows["study"] + ")"
        return rows.assign(ae=rows["ae"].where(~rows["ae"].isin(taken), called))

    both = [_joined(renamed(mine[name]), theirs[name]) for name in TABLES]
    found = None if both[0].empty else study_of(str(both[0]["study"].iloc[0]), *both)
    if found is not None:
        findings.require_one_protocol(found.generation)
    return found


def _joined(mine: pandas.DataFrame, theirs: pandas.DataFrame) -> pandas.DataFrame:
    # columns of frames without rows are of no type, and would take that of the others away
    parts = [rows for rows in (mine, theirs) if len(rows)]
    return pandas.concat(parts, ignore_index=True) if parts else mine


def comparison_table(study: StudyRows, wanted: Iterable[str] = ()) -> str:
    """The best of each autoencoder beside the others, with its anchors and what was learned; and what the table lacks.

    `wanted`: autoencoders that should be in it. Distances are the deciding one, lower is better; anchors are the same
    distance of as many images.

    Raises:
        LrcoreError: as `StudyRows.best`.
    """
    settings = findings.mean_over_seeds(study.compared)
    standings = above_noise.above_noise(study).sort_values("distance")
    lines = [f"best of each by {study.distance}, lower is better: {_of_what(study, settings)}"]
    if len(standings):
        table = _table(study, standings)
        lines += [str(table.to_string(index=False)), ""]
    lines += _said(study, standings, settings, set(wanted))
    return "\n".join(lines)


def _table(study: StudyRows, standings: pandas.DataFrame) -> pandas.DataFrame:
    best = study.best().set_index("ae").loc[standings["ae"]].reset_index()
    own = study.compared.groupby("ae")["study"].first()
    clear = above_noise.is_clear(standings)
    trainings = study.compared.merge(best[[*findings.SETTING, "step"]])
    spread = findings.deciding(trainings).groupby(trainings["ae"]).sem()
    shares = learnability.learned(study)
    learned = learnability.mean_of_trainings(shares).set_index("ae") if len(shares) else pandas.DataFrame()
    columns: dict[str, list[str]] = {
        "": ["" if fine else NOT_CLEAR for fine in clear],
        "ae": [str(ae) for ae in best["ae"]],
        "study": [str(own[ae]) for ae in best["ae"]],
        "distance": [
            with_error(float(distance), float(spread[str(ae)]))
            for ae, distance in zip(best["ae"], best["distance"], strict=True)
        ],
        "trainings": [str(count) for count in best["seeds"]],
        **{name: _anchor(standings[name]) for name in above_noise.ANCHORS},
        "G": [_share(learned, str(ae)) for ae in best["ae"]],
        "density": [str(value) for value in best["trainp"]],
        "train shift": [f"{value:g}" for value in best["trainshift"]],
        "sample shift": [f"{value:g}" for value in best["sampleshift"]],
    }
    if set(best["repa"]) != {NO_REPA}:
        columns["REPA"] = [str(value) for value in best["repa"]]
    return pandas.DataFrame(columns)


def _anchor(values: pandas.Series) -> list[str]:
    return [aligned(float(value)) for value in values]


def _share(learned: pandas.DataFrame, ae: str) -> str:
    if ae not in learned.index:
        return "–"
    error = float(learned["deviation"][ae]) / math.sqrt(int(learned["trainings"][ae]))
    return with_error(float(learned["g_kid"][ae]), error)


def _of_what(study: StudyRows, settings: pandas.DataFrame) -> str:
    """Which rows the table is of."""
    row = study.compared.iloc[0]
    step = int(findings.pool(settings)["step"].max()) if len(findings.pool(settings)) else int(settings["step"].max())
    chosen = "chosen settings, measured anew" if study.anew else f"of {best_of(settings)}"
    return f"{chosen}, at step {step:,}; {row['n_samples']:,} samples against {row['reference']}"


def _said(study: StudyRows, standings: pandas.DataFrame, settings: pandas.DataFrame, wanted: set[str]) -> list[str]:
    """What stands under the table."""
    lines = []
    if not above_noise.is_clear(standings).all():
        lines.append(f"{NOT_CLEAR} a best that is not clearly better than what takes no learning.")
    lines += above_noise.sentences(standings, study.distance)
    without = [ae for ae in standings["ae"] if ae not in set(learnability.learned(study)["ae"])]
    if without:
        lines.append(f"No G of {', '.join(without)}: no distance of samples to reconstructions in these rows.")
    if not study.anew and len(standings):
        lines.append("The samples that chose the settings measure them, too: the lowest of many flatters a little.")
    if standings.empty:
        lines.append("No setting was measured of all of these, so no best can be compared.")
    lost = [str(ae) for ae, part in settings.groupby("ae") if part["distance"].isna().all()]
    if lost:
        lines.append(f"Every training diverged: {', '.join(naming.in_order(lost))}.")
    if absent := naming.in_order(wanted - set(study.generation["ae"])):
        lines.append(f"No rows yet of {', '.join(absent)}.")
    if note := narrow_note(study.compared):
        lines.append(note)
    return lines
