"""Sentences of the atlas's pages, computed from its rows."""

from __future__ import annotations

from collections.abc import Mapping

import pandas

from lrcore.figures import words
from lrcore.figures.atlas import each, quantity_label
from lrcore.figures.atlas_forest import counted, direction
from lrcore.records.atlas_sources import Group
from lrcore.results import correlations
from lrcore.results.naming import METRICS
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
        f"The atlas holds {len(atlas):,} figures of {atlas['source'].nunique()} sources. {len(grouped):,} of them "
        f"stand in {count} protocol groups, {enough} of which have the {correlations.LEAST} latents that "
        f"a correlation needs. {secondary:,} figures were not read at their source, and no statistic has them."
    )


def reconstruction(rows: Mapping[str, pandas.DataFrame]) -> str:
    """Whether better reconstruction goes with better generation, over measures and groups that count (`computed`)."""
    better = worse = of = 0
    for x in (x for x in RECONSTRUCTION if x in rows):
        ways = [direction(row) for row in each(counted({x: rows[x]}))]
        good = "falls" if METRICS[x].higher_is_better else "rises"  # a lower gFID is better
        better += ways.count(good)
        worse += len(ways) - ways.count(good) - ways.count("unclear")
        of += len(ways)
    if not of:
        return f"No protocol group has {correlations.LEAST} latents with both yet."
    answer = "It does not." if better == 0 else "Sometimes." if worse else "Where it is clear, it does."
    return (
        f"{answer} Of {of} pairs of a measure and a group, better reconstruction goes clearly with better generation "
        f"in {better}, clearly with worse generation in {worse}, and the rest are unclear."
    )


def strongest(rows: Mapping[str, pandas.DataFrame]) -> str:
    """The predictor of the strongest correlation, and whose groups have it."""
    if not rows:
        return ""
    found = counted(rows)
    best = found.sort_values("value", key=abs, ascending=False, kind="stable").iloc[0]
    part = found[found["predictor"] == best["predictor"]]
    sources = part["source"].nunique()
    whose = "one source alone" if sources == 1 else f"{sources} sources"
    return (
        f"The strongest correlation is that of the {words.bare(quantity_label(best['predictor']))}: "
        f"{shown(best['value'])} in {best['label']}. Groups of {whose} have measured it."
    )


def small_studies(studies: Mapping[str, StudyRows]) -> str:
    """What the studies of this site can add to the groups."""
    said = []
    for name, study in results(studies).items():
        count = study.generation["ae"].nunique()
        if count < correlations.LEAST:
            said.append(f"Study {name} has {count} autoencoders; a correlation needs {correlations.LEAST}.")
        else:
            said.append(f"Study {name} has {count} autoencoders, and could be a group of its own.")
    if not said:
        said.append("No study of this site has rows yet.")
    return (
        f"{' '.join(said)} Small images and short training stand beside the groups, not among them. "
        "[Do studies agree?](agreement.qmd) judges published findings by our rows, and says where they disagree."
    )
