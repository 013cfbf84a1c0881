"""Sentences of the atlas's pages, computed from its rows."""

from __future__ import annotations

from collections.abc import Mapping

import pandas

from lrcore.figures import words
from lrcore.figures.atlas import each, quantity_label
from lrcore.figures.atlas_forest import counted, outcome
from lrcore.figures.markdown import code
from lrcore.records.atlas_sources import Group
from lrcore.results import correlations, learnability
from lrcore.results.numbers import shown
from lrcore.results.study_rows import StudyRows, results
from lrcore.results.wording import tau_text

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
        f"correlation needs at least {correlations.LEAST} latent spaces; {enough} groups have them. {secondary:,} "
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
    proposed = (best["predictor"], best["source"]) in _PROPOSED
    whose = f"{sources} sources" if sources > 1 else "Only its own authors" if proposed else "Only one source"
    return (
        f"The {words.bare(quantity_label(best['predictor']))} has the strongest correlation with the gFID in any group "
        f"that counts: {shown(best['value'])} ({best['label']}). {whose} measured it in such a group."
    )


_PROPOSED = {("ifid", "xu2026ifid_board")}
"""Predictors with the sources that proposed them."""


def _of_own(study: StudyRows) -> str:
    """What a study of our own says of reconstruction and learnability, by the distance and apart from the decoder."""
    best = study.best().set_index("ae")["distance"]
    fidelity = study.reconstruction.query("metric == 'lpips_vgg'").set_index("ae")["value"].reindex(best.index)
    shares = learnability.mean_of_trainings(learnability.learned(study)).set_index("ae")["g_kid"].reindex(best.index)
    own = pandas.DataFrame({"lpips": fidelity, "distance": best, "g": -shares})
    parts = []
    for measure, what in (("distance", f"the {study.distance} of samples"), ("g", "1 − G, apart from the decoder")):
        known = own[["lpips", measure]].dropna()
        if len(known) >= correlations.LEAST:
            lpips, other = (known[name].to_numpy(float) for name in known)
            parts.append(f"{tau_text(correlations.correlated(lpips, other, 'spearman'))} with {what}")
    if not parts:
        return f"Study {code(study.name)} has {len(best)} autoencoders, and could be a group of its own."
    return (
        f"In study {code(study.name)}, with {len(best)} autoencoders, LPIPS of reconstructions has a rank correlation "
        f"(Spearman's) of {words.joined(parts)}. Above 0, better reconstructions go with better samples."
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
            said.append(_of_own(study))
    if not said:
        said.append("No study of this site has rows yet.")
    return (
        f"{' '.join(said)} Our studies use small images and short training, so they stand apart from the groups above. "
        "[Do studies agree?](agreement.qmd) tests published findings against our measurements."
    )
