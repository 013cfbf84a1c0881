"""What claims are judged by: the rows of one study at one step, and what was published."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas

from lrcore.results import findings, naming
from lrcore.results.study_rows import StudyRows
from lrcore.results.verdicts import within


@dataclass(frozen=True)
class Evidence:
    """What claims are judged by: the rows of one study at one step, and what was published.

    `settings`: of `findings.mean_over_seeds`; so is `varied`, what else was tried at the chosen settings; `best`: the
    distance of each autoencoder by which all are compared (`StudyRows.best`), and `noise_of_best` that of a difference
    of two of them; `aes`: the study's autoencoders, measured
    or not, that published studies have too (all, if none is); `noise`: relative, NaN where it is not known; `label`:
    what the distance is called.
    """

    settings: pandas.DataFrame
    best: Mapping[str, float]
    varied: pandas.DataFrame
    aes: list[str]
    channels: Mapping[str, int]
    reconstruction: pandas.DataFrame
    latents: pandas.DataFrame
    published: pandas.DataFrame
    noise: float
    noise_of_best: float
    label: str

    def distances(self, aes: Iterable[str]) -> dict[str, float]:
        """The distance in `best` of each of these autoencoders; empty where one of them has none that is finite."""
        found = {ae: self.best.get(ae, math.nan) for ae in aes}
        return found if all(map(math.isfinite, found.values())) else {}

    def where(self, parameter: str) -> pandas.DataFrame:
        """The settings in which `parameter` was varied: of the grid, or at the chosen settings where it was there."""
        return self.settings if self.settings[parameter].nunique() > 1 else self.varied

    def values(self, parameter: str) -> dict[tuple[str, str], list[float]]:
        """For each ae and repa the values of `parameter` that no noise tells from the best one, which comes first.

        Groups that were tried with fewer values than others, or with a single one, are left out: the best may be among
        those that are missing.
        """
        if self.settings[parameter].nunique() < 2:
            return {}
        whole = findings.whole_groups(self.settings, parameter)
        found = findings.by_value(self.settings, parameter)
        near = found[within(found["behind"], self.noise)].groupby(["ae", "repa"])["value"]
        return {(str(ae), str(repa)): values.tolist() for (ae, repa), values in near if (ae, repa) in whole}


def evidence(study: StudyRows, published: pandas.DataFrame) -> Evidence:
    """What `study` has to say, at the last step that all of its measured autoencoders reached.

    `published`: from `records.reading.read_published`.

    Raises:
        LrcoreError: no rows, two protocols, or no step in common.
    """
    told = set(published["ae"])
    # what was found of the published autoencoders is asked of their relatives, unless a study has none
    aes = [ae for ae in study.aes if ae in told] or study.aes

    def of_these(rows: pandas.DataFrame) -> pandas.DataFrame:
        settings = findings.mean_over_seeds(rows)
        return settings[settings["ae"].isin(aes)]

    settings = of_these(study.generation)
    places = {ae: place for place, ae in enumerate(naming.in_order(published["ae"]))}
    none = settings.head(0)
    return Evidence(
        settings=settings[settings["step"] == findings.last_common_step(settings)],
        best=findings.by_ae(study.best(), "distance"),
        varied=none if study.varied.empty else of_these(study.varied),
        aes=aes,
        channels=study.channels,
        reconstruction=study.reconstruction,
        latents=study.latents,
        published=published.sort_values("ae", key=lambda column: column.map(places), kind="stable"),
        noise=study.noise,
        noise_of_best=study.noise_of_best,
        label=study.distance,
    )
