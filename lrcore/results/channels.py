"""Is it the channels of a latent space, or what they hold? By the comparisons of `results.controlled`.

    rows = compared(load_studies("data")["cifar10-cpu"])
    best_channels(rows, Measure("distance", study.noise_of_best))

A difference counts where it is clear: a distance where it exceeds the noise of the study (`StudyRows.noise_of_best`),
G where Welch's interval of the difference leaves out 0 (`results.welch`). Both know the seed of the transformer alone.
What alignment does must also exceed what another training of the autoencoder does, where there is one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas

from lrcore.results import findings, learnability, naming, verdicts, welch
from lrcore.results.controlled import ALIGNMENTS, LINEAR, Alignment
from lrcore.results.study_rows import StudyRows
from lrcore.spec.study import NO_REPA

BETTER, WORSE, UNCLEAR = "better", "worse", "unclear"

_SHIFTS = ("trainshift", "sampleshift")


def compared(study: StudyRows) -> pandas.DataFrame:
    """One row for each autoencoder of the controlled comparisons that the study has; none where it has none.

    Columns ae, channels (per token), trainings, n_samples, distance (the deciding one, a mean over trainings), low and
    high (its ends over trainings), fid, at_edge (whether a chosen shift is the least or the largest that was tried),
    those of `_shares`. Transformers narrower than a token are left out: their distance says nothing of a latent space.
    """
    names = {*LINEAR, *(ae for one in ALIGNMENTS for ae in (one.unaligned, *one.aligned))}
    if not names & set(study.compared["ae"]) or not _comparable(study):
        return pandas.DataFrame()
    best = study.best()
    best = best[best["ae"].isin(names - set(findings.narrow(study.compared)["ae"]))]
    trainings = study.compared.merge(best[[*findings.SETTING, "step"]])
    groups = trainings.assign(distance=findings.deciding(trainings)).groupby("ae")
    found = pandas.DataFrame(
        {
            "channels": groups["channels_per_token"].first().astype(int),
            "trainings": groups["train_seed"].nunique(),
            "low": groups["distance"].min(),
            "high": groups["distance"].max(),
        }
    )
    own = best.set_index("ae")[["n_samples", "distance", "fid"]].assign(at_edge=_at_edge(study, best))
    found = found.join(own).join(_shares(study)).reset_index()
    order = {ae: place for place, ae in enumerate(naming.in_order(found["ae"]))}
    found = found.sort_values(
        ["channels", "ae"], key=lambda values: values.map(order) if values.name == "ae" else values
    )
    return _of_comparisons(found)


def with_share(rows: pandas.DataFrame) -> pandas.DataFrame:
    """The rows of `compared` that have G, as far as they still make a comparison."""
    return _of_comparisons(rows.dropna(subset="g_kid")) if len(rows) else rows


def linear(rows: pandas.DataFrame) -> pandas.DataFrame:
    """The rows of linear patches by channels; none of fewer than two numbers of channels."""
    found = rows[rows["ae"].isin(LINEAR)] if len(rows) else rows
    return found if len(found) and found["channels"].nunique() > 1 else found.head(0)


def alignments(rows: pandas.DataFrame) -> list[Alignment]:
    """The comparisons of alignment of which there are rows, all with the same channels."""
    channels = findings.by_ae(rows, "channels") if len(rows) else {}
    found = []
    for one in ALIGNMENTS:
        aligned = tuple(ae for ae in one.aligned if ae in channels and channels[ae] == channels.get(one.unaligned))
        if aligned:
            found.append(Alignment(one.unaligned, aligned, one.also))
    return found


@dataclass(frozen=True)
class Measure:
    """By what latent spaces are compared: a column of `compared`, "distance" or "g_kid".

    `noise`: how large a relative difference of distances must be to count (NaN: not known). G needs none here: each
    difference has its own.
    """

    column: str
    noise: float = math.nan

    def ahead(self, first: pandas.Series, second: pandas.Series) -> float:
        """By how much the first is better: of distances relative to the better one (`verdicts.lead`), of G as it is."""
        one, other = float(first[self.column]), float(second[self.column])
        return verdicts.lead(one, other) if self.column == "distance" else one - other

    def clear(self, first: pandas.Series, second: pandas.Series, moved: float = 0.0) -> bool:
        """Whether the first is better by more than noise that is known, and by more than `moved`."""
        ahead = self.ahead(first, second)
        if self.column == "distance":
            return verdicts.verdict_on_lead(ahead, self.noise) == verdicts.HOLDS and ahead > moved
        return ahead > max(reach(first, second), moved)

    def knows_noise(self, rows: pandas.DataFrame) -> bool:
        """Whether differences of these rows can count at all."""
        return math.isfinite(self.noise) if self.column == "distance" else bool(rows["deviation"].notna().all())


def reach(first: pandas.Series, second: pandas.Series) -> float:
    """Half of Welch's interval for the difference of two G (`welch.reach`); infinite of one training."""
    return welch.reach((row["deviation"] / row["trainings"] ** 0.5, row["trainings"] - 1) for row in (first, second))


def best_channels(rows: pandas.DataFrame, measure: Measure) -> list[int]:
    """The channels of the linear patches that are best, and of those that are not clearly behind; none of no rows."""
    own = linear(rows)
    if own.empty:
        return []
    best = own.sort_values(measure.column, ascending=measure.column == "distance").iloc[0]
    return [int(row["channels"]) for _, row in own.iterrows() if not measure.clear(best, row)]


def of_alignment(rows: pandas.DataFrame, one: Alignment, measure: Measure) -> str:
    """What alignment does: `BETTER` or `WORSE` where every training with it clearly is, else `UNCLEAR`."""
    by_ae, moved = _by_ae(rows), verdicts.known(moved_by_seed(rows, measure))
    plain = by_ae[one.unaligned]
    if all(measure.clear(by_ae[ae], plain, moved) for ae in one.aligned):
        return BETTER
    return WORSE if all(measure.clear(plain, by_ae[ae], moved) for ae in one.aligned) else UNCLEAR


def moved_by_seed(rows: pandas.DataFrame, measure: Measure) -> float:
    """How far two trainings of an autoencoder that differ in their seed alone are apart, at most; NaN of none."""
    by_ae = _by_ae(rows)
    apart = [
        abs(measure.ahead(by_ae[first], by_ae[second]))
        for one in alignments(rows)
        for first in one.aligned
        for second in one.aligned
        if first < second
    ]
    return max(apart, default=math.nan)


def widest_at_same_channels(study: StudyRows, measure: Measure) -> list[tuple[pandas.Series, pandas.Series]]:
    """The best and the worst of all autoencoders of each number of channels, where these are clearly apart.

    By the distance: columns ae, channels, distance. Without those whose transformer is narrower than a token.
    """
    best, wide = study.best(), study.compared.groupby("ae")["channels_per_token"].first()
    rows = best[~best["ae"].isin(findings.narrow(study.compared)["ae"])]
    rows = rows.assign(channels=rows["ae"].map(wide))
    found = []
    for _, own in rows.groupby("channels"):
        ranked = own.sort_values(measure.column, ascending=measure.column == "distance")
        if measure.clear(ranked.iloc[0], ranked.iloc[-1]):
            found.append((ranked.iloc[0], ranked.iloc[-1]))
    return found


def _by_ae(rows: pandas.DataFrame) -> dict[str, pandas.Series]:
    return {str(row["ae"]): row for _, row in rows.iterrows()}


def _comparable(study: StudyRows) -> bool:
    """Whether `study.best` has rows: a grid that has only begun may have no setting in common."""
    return study.anew or not findings.pool(findings.mean_over_seeds(study.compared)).empty


def _of_comparisons(rows: pandas.DataFrame) -> pandas.DataFrame:
    """The rows that a comparison is made of: others have nothing to be compared with."""
    aes = {*linear(rows)["ae"], *(ae for one in alignments(rows) for ae in (one.unaligned, *one.aligned))}
    return rows[rows["ae"].isin(aes)].reset_index(drop=True)


def _at_edge(study: StudyRows, best: pandas.DataFrame) -> pandas.Series:
    """By autoencoder: whether a better shift may lie beyond those that its grid tried."""
    tried = study.generation[study.generation["repa"] == NO_REPA].groupby("ae")[list(_SHIFTS)]
    ends, chosen = (tried.min(), tried.max()), best.set_index("ae")[list(_SHIFTS)]
    at_end = chosen.eq(ends[0].reindex(chosen.index)) | chosen.eq(ends[1].reindex(chosen.index))
    return at_end.any(axis=1)


def _shares(study: StudyRows) -> pandas.DataFrame:
    """By autoencoder, of `learnability.mean_of_trainings`: g_kid, deviation, g_low, g_high, and `floor`.

    `floor` is the share of the kernel distance that reconstructions alone have. Where some were measured anew, those
    alone: the lowest of a grid flatters a little.
    """
    means = learnability.mean_of_trainings(learnability.learned(study))
    if (means["measured"] == learnability.CHOICE).any():
        means = means[means["measured"] == learnability.CHOICE]
    floor = means["floor_kid"].clip(lower=0) / means["kid"].where(means["kid"] > 0)
    return means.assign(floor=floor).set_index("ae")[["g_kid", "deviation", "g_low", "g_high", "floor"]]
