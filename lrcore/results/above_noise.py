"""Whether the best setting of an autoencoder is clearly better than what takes no learning: the one rule for it.

A best is held against two anchors (`lrcore.stages.anchors`), at the same number of images, in the same features and by
the same distance to the reference: decoded noise, which is what an untrained transformer gives at best, and decoded
Gaussian latents, for which second moments of the latents are enough. It is *clearly* better than an anchor where

    anchor - best  >  z(m) r sqrt(best^2 + anchor^2)

- r is the relative standard deviation of a distance between trainings that differ in their seed alone
  (`relative_deviation`). The mean of several trainings counts as one of them, since all draw their samples from the
  same noise, and an anchor, one draw of images, is taken to deviate as much.
- m is how many settings the best is the lowest of: 1 where it was measured anew, by samples that did not choose it.
- z(1) = 2 deviations: what is nothing but noise passes once in 44 times. The lowest of m distances passes as rarely
  beyond z(m) if they are independent, and more rarely if they rise and fall together (Slepian 1962, "The one-sided
  barrier problem for Gaussian noise"), as settings do that were sampled from one training.

Where nothing was trained with two seeds, r is not known from the rows. It is then taken to be 0.04, or more for fewer
than 400 samples, as sampling noise grows: the largest deviation in 48 pairs of trainings of this project, whose pooled
deviation was 0.022 (kernel distance, 400 samples, CIFAR-10). Where there are second seeds, but fewer than
`seed_noise.LEAST_FREEDOM` degrees of freedom, r is not taken to be less than that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import NormalDist

import pandas

from lrcore.results import findings, naming, seed_noise, verdicts
from lrcore.results.numbers import percent, shown
from lrcore.results.study_rows import StudyRows

CLEAR, AT_GAUSSIAN, AT_NOISE, UNKNOWN = STANDINGS = ("clear", "at gaussian", "at noise", "unknown")
"""Clearly better than both anchors; than noise alone; than neither; or an anchor is not in the rows."""

ANCHORS = ("noise", "gaussian", "reconstructions", "test")
"""From the worst to the best that samples can be."""

ASSUMED_DEVIATION, ASSUMED_SAMPLES = 0.04, 400
"""Relative deviation of a distance between seeds where rows tell none, of so many samples or more."""

_DEVIATIONS = 2.0


def deviations(tried: int) -> float:
    """z(m) of the module: 2 for 1 setting, the more the more settings a best is the lowest of.

    >>> [round(deviations(count), 2) for count in (1, 6, 30)]
    [2.0, 2.67, 3.17]
    """
    passes = NormalDist().cdf(-_DEVIATIONS)
    return -NormalDist().inv_cdf(-math.expm1(math.log1p(-passes) / max(1, tried)))


def clearly_better(best: float, anchor: float, deviation: float, tried: int = 1) -> bool:
    """Whether `best`, the lowest of `tried` distances, is below `anchor` by more than noise; False where one is NaN.

    `deviation`: relative, between seeds.

    >>> clearly_better(70, 100, 0.04), clearly_better(95, 100, 0.04), clearly_better(85, 100, 0.04, tried=30)
    (True, False, False)
    """
    return anchor - best > deviations(tried) * deviation * math.hypot(best, anchor)


def relative_deviation(rows: pandas.DataFrame, column: str = "") -> float:
    """How much of a distance another seed of the training moves: sqrt(sum of variances / sum of squared means).

    `column`: of the distance; the one that decides, if it is not given.

    Over the settings and steps of generation rows of one protocol that were trained with several seeds, each weighted
    by its degrees of freedom. Of sums, not the mean of shares: kernel distances near 0 are all noise, and say nothing
    of anchors far away. NaN where no setting has two seeds.

    Raises:
        LrcoreError: as `findings.require_one_protocol`.
    """
    findings.require_one_protocol(rows)
    rows = rows.assign(distance=rows[column] if column else findings.deciding(rows)).dropna(subset="distance")
    groups = rows.groupby([*findings.SETTING, "step"])["distance"]
    each = pandas.DataFrame({"mean": groups.mean(), "variance": groups.var(), "freedom": groups.size() - 1})
    each = each[each["freedom"] > 0]
    squares = (each["freedom"] * each["mean"] ** 2).sum()
    return math.sqrt((each["freedom"] * each["variance"]).sum() / squares) if squares > 0 else math.nan


def _freedom(rows: pandas.DataFrame) -> int:
    """Degrees of freedom of what generation rows tell of the noise of seeds."""
    return int(seed_noise.noise_of_seeds(rows)["freedom"].sum())


def assumed_deviation(n_samples: int) -> float:
    """The relative deviation between seeds where rows tell none.

    >>> assumed_deviation(2500), assumed_deviation(100)
    (0.04, 0.08)
    """
    return ASSUMED_DEVIATION * max(1.0, math.sqrt(ASSUMED_SAMPLES / n_samples))


def deviations_by_samples(study: StudyRows, counts: Iterable[int], column: str = "") -> list[float]:
    """The relative deviation between seeds of distances of so many samples each, as `above_noise` takes it to be.

    `column` as for `relative_deviation`. What rows tell of more samples grows with the root of their ratio.

    Raises:
        LrcoreError: as `findings.require_one_protocol`.
    """
    least = 0.0 if _freedom(study.repeated) >= seed_noise.LEAST_FREEDOM else 1.0
    counts = [int(count) for count in counts]
    known = [verdicts.known(one) for one in _known_deviations(study, counts, column)]
    return [max(one, least * assumed_deviation(count)) for one, count in zip(known, counts, strict=True)]


def _known_deviations(study: StudyRows, counts: Iterable[int], column: str = "") -> list[float]:
    known, measured = relative_deviation(study.repeated, column), int(study.repeated["n_samples"].max())
    return [known * math.sqrt(max(1.0, measured / count)) for count in counts]


def above_noise(study: StudyRows) -> pandas.DataFrame:
    """How the best of each autoencoder (`StudyRows.best`) stands to its anchors; in the order of `StudyRows.best`.

    Its columns, of which `distance` is the deciding one (KID times 1000, or FID), and `tried`, how many settings it is
    the lowest of; `ANCHORS`, the same distance of each anchor to the reference at as many images, NaN where the rows
    have none; `deviation`, relative, and whether it was `assumed`; `standing`, one of `STANDINGS`.

    Raises:
        LrcoreError: as `StudyRows.best`.
    """
    best, compared = study.best(), study.compared
    pool = findings.pool(findings.mean_over_seeds(compared))
    sizes = pool.dropna(subset="distance").groupby("ae").size()
    anew = compared is not study.generation
    found = best.assign(tried=[1 if anew else int(sizes[ae]) for ae in best["ae"]])
    rows, run = study.anchors, compared.iloc[0]
    beside = [_anchors(rows, run, str(ae), int(count)) for ae, count in zip(best["ae"], best["n_samples"], strict=True)]
    found = found.assign(**{name: [anchors[name] for anchors in beside] for name in ANCHORS})
    deviation, told = deviations_by_samples(study, found["n_samples"]), _known_deviations(study, found["n_samples"])
    assumed = [one > verdicts.known(known) for one, known in zip(deviation, told, strict=True)]
    found = found.assign(deviation=deviation, assumed=assumed)
    return found.assign(standing=[_standing(row) for _, row in found.iterrows()])


def is_clear(rows: pandas.DataFrame) -> pandas.Series:
    """Which rows of `above_noise` may be called best without a word of warning: all that anchors do not speak against.

    Of those without anchors nothing is known, which `in_words` says.
    """
    return rows["standing"].isin((CLEAR, UNKNOWN))


def in_words(rows: pandas.DataFrame, label: str) -> str:
    """What is to be said of rows of `above_noise` that are not `CLEAR`, in a few sentences; "" where all are.

    `label`: of the distance, as `StudyRows.distance` gives it.
    """
    return " ".join(sentences(rows, label))


def sentences(rows: pandas.DataFrame, label: str) -> list[str]:
    """The sentences of `in_words`."""
    said = []
    for standing, anchor, name in (
        (AT_NOISE, "noise", "decoded noise"),
        (AT_GAUSSIAN, "gaussian", "decoded Gaussian latents"),
    ):
        held = [row for _, row in rows[rows["standing"] == standing].iterrows()]
        worse = [clearly_better(row[anchor], row["distance"], row["deviation"]) for row in held]
        for is_worse, how in ((True, "Worse"), (False, "Not clearly better")):
            named = ", ".join(
                f"{naming.ae_style(str(row['ae'])).label} ({shown(row['distance'])} against {shown(row[anchor])})"
                for row, found in zip(held, worse, strict=True)
                if found is is_worse
            )
            said += [f"{how} than {name} by {label}: {named}."] if named else []
    if said:
        said.append(_noise_in_words(rows[rows["standing"].isin((AT_NOISE, AT_GAUSSIAN))]))
    silent = [naming.ae_style(str(ae)).label for ae in rows.loc[rows["standing"] == UNKNOWN, "ae"]]
    if silent:
        said.append(f"No anchors in these rows: {', '.join(silent)}. Whether these are better than noise is not known.")
    return said


def _noise_in_words(rows: pandas.DataFrame) -> str:
    """How far noise moves the distances of rows, and that the lowest of many is more of it."""
    deviation = f"{percent(rows['deviation'].max(), signed=False)}"
    known = f"One seed moves a distance by {deviation}"
    if rows["assumed"].any():
        known = f"Too few trainings differ in their seed alone; it is taken to move a distance by {deviation}"
    tried = int(rows["tried"].max())
    return f"{known}, and these are the lowest of {tried} settings." if tried > 1 else f"{known}."


def _standing(row: pandas.Series) -> str:
    if math.isnan(row["noise"]) or math.isnan(row["gaussian"]):
        return UNKNOWN
    above = {
        anchor: clearly_better(row["distance"], row[anchor], row["deviation"], row["tried"])
        for anchor in ("noise", "gaussian")
    }
    return AT_NOISE if not above["noise"] else CLEAR if above["gaussian"] else AT_GAUSSIAN


def _anchors(rows: pandas.DataFrame, run: pandas.Series, ae: str, n_samples: int) -> dict[str, float]:
    """The deciding distance of each anchor of an autoencoder to the reference; NaN of those that `rows` do not have.

    `run`: a generation row, measured as they must be.
    """
    same = (rows["ae"] == ae) & (rows["target"] == "reference") & (rows["n_samples"] == n_samples)
    for column in ("feature_network", "feature_protocol", "reference"):
        same &= rows[column] == run[column]
    distance = findings.deciding(rows[same].assign(score=run["score"]))
    by_anchor = distance.groupby(rows.loc[same, "anchor"]).mean()
    return {anchor: float(by_anchor.get(anchor, math.nan)) for anchor in ANCHORS}
