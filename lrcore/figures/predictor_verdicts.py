"""Which predictors of learnability are excluded, over protocol groups of the atlas and in a study of one's own."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping

import pandas

from lrcore.figures import words
from lrcore.figures.atlas import each, linked, quantity_label
from lrcore.figures.atlas_forest import counted, group_link, table_of
from lrcore.figures.embed import Embedded
from lrcore.figures.markdown import code
from lrcore.figures.predictors import bare_name
from lrcore.records.atlas_sources import Group
from lrcore.results import agreement, learnability
from lrcore.results.atlas_predictors import judged_in
from lrcore.results.correlations import BEYOND, CHANCE, EXCLUDED, LEAST, LEVEL, REVERSED, USEFUL, correlated
from lrcore.results.numbers import aligned, part, shown
from lrcore.results.study_rows import StudyRows
from lrcore.results.wording import tau_text

_HEADS = {
    REVERSED: "the other way round in",
    EXCLUDED: "excluded in",
    CHANCE: "no better than chance in",
    BEYOND: "better than chance in",
}


def of_groups(
    atlas: pandas.DataFrame, groups: Mapping[str, Group], told: Mapping[str, pandas.DataFrame]
) -> pandas.DataFrame:
    """`atlas_predictors.judged_in` of every predictor in every group that counts for it, of `atlas_forest.computed`.

    Columns group, label, source, and those of `correlations.judged`; empty where no group counts.
    """
    if not told:
        return pandas.DataFrame(columns=["group", "label", "source", "predictor", "verdict"])
    counts = counted(told)[["group", "label", "source", "predictor"]]
    found = [judged_in(atlas, groups, group).assign(group=group) for group in dict.fromkeys(counts["group"])]
    return counts.merge(pandas.concat(found, ignore_index=True), on=["group", "predictor"])


def groups_in_words(found: pandas.DataFrame) -> str:
    """Which predictors every group excludes that could, and which are more than chance somewhere."""
    if found.empty:
        return f"No protocol group has {LEAST} latent spaces with a predictor yet."
    verdicts = found.groupby("predictor", sort=False)["verdict"].agg(set)
    names = {name: words.bare(quantity_label(name)) for name in verdicts.index}
    out = [names[name] for name, of_name in verdicts.items() if of_name <= {EXCLUDED, REVERSED}]
    other_way = [names[name] for name, of_name in verdicts.items() if REVERSED in of_name]
    beyond = [names[name] for name, of_name in verdicts.items() if BEYOND in of_name]
    both = [name for name, of_name in verdicts.items() if BEYOND in of_name and {EXCLUDED, REVERSED} & of_name]
    count = part(len(out), len(verdicts), "predictor")
    said = f"{words.capital(count)} {'is' if len(out) < 2 else 'are'} excluded in every group that has "
    counts = {names[name]: count for name, count in found.groupby("predictor")["group"].nunique().items()}
    each = [f"{name} ({counts[name]} group{'' if counts[name] == 1 else 's'})" for name in out]
    said += f"{'it' if len(out) == 1 else 'them'}: {words.joined(each)}. " if out else "it. "
    if other_way:
        points = "points" if len(other_way) == 1 else "point"
        said += f"{words.capital(words.joined(other_way))} clearly {points} the other way round in at least one group. "
    if not beyond:
        return f"{said}No predictor does better than chance in any group."
    does = "does" if len(beyond) == 1 else "do"
    said += f"{words.capital(words.joined(beyond))} {does} better than chance in at least one group."
    if both:
        said += f" Another group excludes {words.joined([names[name] for name in both])}."
    return said


def group_table(found: pandas.DataFrame, y: str = "gfid") -> Embedded:
    """A row each predictor of `of_groups`; the groups by verdict, each with its correlation and its scatter's link."""
    lines = []
    for predictor, rows in found.groupby("predictor", sort=False):
        cells = [_groups(rows[rows["verdict"] == verdict], str(predictor), y) for verdict in _HEADS]
        label = html.escape(words.capital(words.bare(quantity_label(str(predictor)))))
        lines.append(f"<tr><td>{label}</td>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    heads = "<th>predictor</th>" + "".join(f"<th>{head}</th>" for head in _HEADS.values())
    return table_of("predictor-verdicts", heads, lines, "Predictors by what each protocol group says of them")


def _groups(rows: pandas.DataFrame, predictor: str, y: str) -> str:
    return "<br>".join(
        f"{linked(row.label, group_link(row.group, predictor, y))}: {aligned(row.value)} "
        f"[{aligned(row.low)} to {aligned(row.high)}], n = {row.n}"
        for row in each(rows)
    )


def study_in_words(study: StudyRows) -> str:
    """Which properties of the latent a study excludes as predictors; "" where it has too few autoencoders for that."""
    found = agreement.judged(study.best(), study.latents)
    if found.empty:
        return ""
    best = found.iloc[0]
    nearest = str(best["predictor"])
    return (
        f"{told_apart_in_words(study)} {words.capital(bare_name(nearest))} comes nearest to the order, with a rank "
        f"correlation (Spearman's ρ) of {tau_text(best['value'])}; in {shown(100 * best['chance'])} % of random orders "
        f"the best property comes as near.{_beside_decoder(study, nearest)}"
    )


def _told_apart(found: pandas.DataFrame) -> str:
    """Which predictors of `agreement.judged` are better than chance, which are excluded, and how many are neither."""
    kinds = (("better than chance", (BEYOND,)), ("excluded", (EXCLUDED, REVERSED)))
    parts = []
    for what, verdicts in kinds:
        names = [bare_name(name) for name in found.loc[found["verdict"].isin(verdicts), "predictor"]]
        if names:
            parts.append(f"{words.joined(names)} {'is' if len(names) == 1 else 'are'} {what}")
    if left := int((found["verdict"] == CHANCE).sum()):
        which = "the others" if parts else f"all {left} properties"
        parts.append(f"chance may explain {which}")
    return words.joined(parts)


def told_apart_in_words(study: StudyRows) -> str:
    """Which properties of the latent are better than chance in a study, and which are excluded; "" of few latents."""
    found = agreement.judged(study.best(), study.latents)
    if found.empty:
        return ""
    return f"In study {code(study.name)}, with {found['n'].max()} latent spaces, {_told_apart(found)}."


def _beside_decoder(study: StudyRows, predictor: str) -> str:
    """How near the decoder's own loss comes to the same order, and `predictor` to what was learned apart from it.

    Distances to images hold what the decoder loses, and so does a predictor that decodes. "" where fewer than
    `correlations.LEAST` latent spaces have all three.
    """
    means = learnability.mean_of_trainings(learnability.learned(study)).dropna(subset="g_kid")
    means = means.assign(told=means["ae"].map(agreement.signed(study.latents, predictor))).dropna(subset="told")
    if len(means) < LEAST:
        return ""
    told, distance, floor, share = (means[name].to_numpy(float) for name in ("told", "kid", "floor_kid", "g_kid"))
    decoder, apart = correlated(floor, distance, "spearman"), correlated(told, -share, "spearman")
    if math.isnan(decoder + apart):
        return ""
    return (
        f" For comparison: the KID of reconstructions, which no transformer can change, has ρ {tau_text(decoder)} with "
        f"that of samples. With *G*, which leaves the decoder out, {bare_name(predictor)} has ρ {tau_text(apart)}."
    )


RULE = (
    f"The rule takes the {100 * LEVEL:.0f} % interval of each rank correlation (Spearman's; figures have Pearson's, "
    "which may differ); positive is the direction that is expected of the predictor. "
    f"A predictor is *excluded* if its interval stays below {USEFUL:g}. It points *the "
    "other way round* if the interval stays below 0. It does *better than chance* if the interval stays above 0, and "
    "if in at most one of twenty random orders of the distances any predictor of the group reaches as much. Better "
    "than chance is no recommendation: latent spaces of one family are alike, so chance can do more than this rule "
    "assumes."
)
"""The rule of `correlations.judged`, for readers."""
