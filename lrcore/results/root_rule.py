"""The train shift that a ratio of channels predicts for each latent space, beside those that were found best.

Were the channels of a token mere repetition, a latent of c channels per token would want the shift sqrt(c / c_min) of
the one of fewest, which needs none (`findings.predicted_shifts`).

    predictions(read_atlas("data"), read_published("data"), load_studies("data"))
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas

from lrcore.flow.timesteps import SHIFTS
from lrcore.results import findings, naming
from lrcore.results.evidence import evidence
from lrcore.results.published import FOLLOWED, best_settings
from lrcore.results.study_rows import StudyRows
from lrcore.spec.study import NO_REPA, SELF_REPA


@dataclass(frozen=True)
class Prediction:
    """What the root predicts for the latent space `ae` of a study ("" for the published one), and what was best there.

    `predicted`: the shift; `nearest`: of those tried the one nearest to it, on a logarithmic scale; `tried`: whether it
    lies among them, or beyond the last by less than half a step, without which nothing can agree; `without` and
    `with_repa`: the best train shift, and after it those that noise does not tell from it; none where not all were
    tried.
    """

    study: str
    ae: str
    channels: int
    predicted: float
    nearest: float
    tried: bool
    without: tuple[float, ...]
    with_repa: tuple[float, ...]

    @property
    def agrees(self) -> dict[str, bool]:
        """For "without REPA" and "with REPA", as far as known, whether the nearest shift is the best, or as good."""
        known = {"without REPA": self.without, "with REPA": self.with_repa} if self.tried else {}
        return {kind: self.nearest in best for kind, best in known.items() if best}


def predictions(
    atlas: pandas.DataFrame, published: pandas.DataFrame, studies: Mapping[str, StudyRows]
) -> list[Prediction]:
    """Those of the published study by rising channels, then those of each of `studies`.

    `atlas`: rows of `reading.read_atlas`; `published`: of `reading.read_published`.

    Raises:
        LrcoreError: no published best settings, or as `evidence`.
    """
    found = _published(atlas, published)
    for study in studies.values():
        found += _of_study(study, published)
    return found


def _published(atlas: pandas.DataFrame, published: pandas.DataFrame) -> list[Prediction]:
    """At the last step of the table of best settings."""
    table = best_settings(atlas)
    last = table[table["step"] == table["step"].max()].dropna(subset="trainshift")
    rows = published[(published["source"] == FOLLOWED) & (published["quantity"] == "channels_per_token")]
    channels = {ae: int(value) for ae, value in findings.by_ae(rows, "value").items()}
    values = {(str(row["ae"]), str(row["repa"])): (float(row["trainshift"]),) for _, row in last.iterrows()}
    return _predicted("", channels, list(SHIFTS), values)


def _of_study(study: StudyRows, published: pandas.DataFrame) -> list[Prediction]:
    """By the values that the verdicts on best shifts go by (`Evidence.values`)."""
    given = evidence(study, published)
    tried = sorted(given.settings["trainshift"].unique())
    values: dict[tuple[str, str], tuple[float, ...]] = {}
    for (ae, repa), found in given.values("trainshift").items():
        if repa != SELF_REPA:
            values.setdefault((ae, NO_REPA if repa == NO_REPA else "with"), tuple(found))
    measured = set(given.settings["ae"])
    channels = {ae: given.channels[ae] for ae in given.aes}  # the narrowest may have no rows yet
    return [one for one in _predicted(study.name, channels, tried, values) if one.ae in measured]


def _within(shift: float, tried: list[float]) -> bool:
    """Whether a shift lies among those tried, which rise, or beyond the last by less than half a step."""
    if len(tried) < 2:
        return shift in tried
    low, high = math.sqrt(tried[1] / tried[0]), math.sqrt(tried[-1] / tried[-2])
    return tried[0] / low <= shift <= tried[-1] * high


def _predicted(
    study: str, channels: Mapping[str, int], tried: list[float], values: Mapping[tuple[str, str], tuple[float, ...]]
) -> list[Prediction]:
    predicted = findings.predicted_shifts(channels, channels)
    return [
        Prediction(
            study,
            ae,
            channels[ae],
            predicted[ae],
            findings.nearest_shift(tried, predicted[ae]),
            _within(predicted[ae], tried),
            values.get((ae, NO_REPA), ()),
            values.get((ae, "with"), ()),
        )
        for ae in sorted(naming.in_order(channels), key=lambda ae: channels[ae])
    ]
