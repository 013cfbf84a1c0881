"""Sentences of the atlas's pages, computed from its rows."""

from __future__ import annotations

from collections.abc import Mapping

import pandas

from lrcore.figures import words
from lrcore.figures.atlas import each, quantity_label
from lrcore.figures.atlas_forest import counted, outcome
from lrcore.records.atlas_sources import Group
from lrcore.results import correlations
from lrcore.results.numbers import shown
from lrcore.results.study_rows import StudyRows, results

RECONSTRUCTION = ("rfid", "psnr", "ssim", "lpips")


def what_there_is(atlas: pandas.DataFrame, groups: Mapping[str, Group]) -> str:
    """How much the atlas holds, and how much of it a statistic may use."""
    grouped = atlas[atlas["group"].isin(list(groups))]
    latents = grouped.groupby("group")["canonical"].nunique()
    enough = int((latents >= correlations.LEAST).sum())
    secondary = int(atlas["secondary"].sum())
    count = grouped["group"].nunique()
    return (
        f"The atlas holds {len(atlas):,} published values from {atlas['source'].nunique()} sources. Values measured "
        f"in the same way form a *protocol group*: {len(grouped):,} values belong to one of {count} groups. A "
        f"correlation needs {correlations.LEAST} latent spaces, and {enough} groups have as many. {secondary:,} "
        "values were not read at their source, so no statistic uses them."
    )


def reconstruction(rows: Mapping[str, pandas.DataFrame]) -> str:
    """Whether better reconstruction goes with better generation, over measures and groups that count (`computed`)."""
    well, badly, of = ways_of_reconstruction(rows)
    if not of:
        return f"No protocol group has {correlations.LEAST} latent spaces with both yet."
    rest = of - well - badly
    where = f"of {of} correlation{'' if of == 1 else 's'} (one for each measure and group)"
    unclear = "" if not rest else "; the other is unclear" if rest == 1 else f"; the other {rest} are unclear"
    if well and badly:
        return (
            f"Sometimes. Better reconstruction clearly goes with better generation in {well} and with worse generation "
            f"in {badly} {where}{unclear}."
        )
    if not well and not badly:
        return f"It is unclear. Of {of} correlation{'' if of == 1 else 's'}, none is clear in either direction."
    answer = "Yes" if well else "Yes, but the wrong way"
    answer = answer if 2 * (well + badly) >= of else f"{'In part' if well else 'In part, and the wrong way'}"
    return (
        f"{answer}: better reconstruction clearly goes with {'better' if well else 'worse'} generation in "
        f"{well + badly} {where}{unclear}."
    )


def ways_of_reconstruction(rows: Mapping[str, pandas.DataFrame]) -> tuple[int, int, int]:
    """In how many pairs of a measure and a group that counts better reconstruction goes clearly with better
    generation, in how many with worse, and how many pairs there are."""
    ways: list[str] = []
    for x in (x for x in RECONSTRUCTION if x in rows):
        ways += [outcome(row, x, "gfid") for row in each(counted({x: rows[x]}))]
    return ways.count("better"), ways.count("worse"), len(ways)


def strongest(rows: Mapping[str, pandas.DataFrame]) -> str:
    """The predictor of the strongest correlation, and whose groups have it."""
    if not rows:
        return ""
    found = counted(rows)
    best = found.sort_values("value", key=abs, ascending=False, kind="stable").iloc[0]
    part = found[found["predictor"] == best["predictor"]]
    sources = part["source"].nunique()
    whose = "Only one source" if sources == 1 else f"{sources} sources"
    return (
        f"The {words.bare(quantity_label(best['predictor']))} has the strongest correlation with the gFID in any group "
        f"that counts: {shown(best['value'])} ({best['label']}). {whose} measured it in such a group."
    )


def small_studies(studies: Mapping[str, StudyRows]) -> str:
    """What the studies of this site can add to the groups."""
    said = []
    for name, study in results(studies).items():
        count = study.generation["ae"].nunique()
        if count < correlations.LEAST:
            said.append(
                f"Study {name} has {count} autoencoders, too few for a correlation: {correlations.LEAST} are needed."
            )
        else:
            said.append(f"Study {name} has {count} autoencoders, and could be a group of its own.")
    if not said:
        said.append("No study of this site has rows yet.")
    return (
        f"{' '.join(said)} Our studies use small images and short training, so they stand apart from the groups above. "
        "[Do studies agree?](agreement.qmd) tests published findings against our measurements."
    )
