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
    what the distance is called; `frechet`: the Fréchet distances there, where the kernel distance decides.
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
    frechet: Mapping[str, float]

    def distances(self, aes: Iterable[str]) -> dict[str, float]:
        """The distance in `best` of each of these autoencoders; empty where one of them has none that is finite."""
        found = {ae: self.best.get(ae, math.nan) for ae in aes}
        return found if all(map(math.isfinite, found.values())) else {}

    def where(self, parameter: str) -> pandas.DataFrame:
        """The settings in which `parameter` was varied: of the grid, or at the chosen settings where it was there."""
        return self.settings if self.settings[parameter].nunique() > 1 else self.varied

    def values(self, parameter: str) -> dict[tuple[str, str], list[float]]:
        """`best_values` of the settings, as the noise of the study allows."""
        return best_values(self.settings, parameter, self.noise)


def best_values(settings: pandas.DataFrame, parameter: str, noise: float) -> dict[tuple[str, str], list[float]]:
    """For each ae and repa the values of `parameter` that no noise tells from the best one, which comes first.

    `settings`: of `findings.mean_over_seeds`, of one step; `noise`: relative, NaN where it is not known. Where the best
    may be a value that others were tried with and this group was not, it is left out; so are all where a single value
    was tried. A shift beyond one that was tried and is worse than the best is taken to be worse, too.
    """
    every = {*settings[parameter]}
    if len(every) < 2:
        return {}
    tried = settings.groupby(["ae", "repa"])[parameter].agg(set)
    found = findings.by_value(settings, parameter)
    near = found[within(found["behind"], noise)]
    best: dict[tuple[str, str], list[float]] = {}
    for ae, repa, value in near[["ae", "repa", "value"]].itertuples(index=False, name=None):
        best.setdefault((str(ae), str(repa)), []).append(value)
    return {group: values for group, values in best.items() if _settled(values, tried[group], every)}


def _settled(best: list[float], tried: set[float], every: set[float]) -> bool:
    """Whether no value that was not tried may be the best: each lies beyond one that was, on its side of `best`."""
    missing = every - tried
    if missing and isinstance(best[0], str):
        return False
    low, high = min(best), max(best)
    return all(any(value < other < low or high < other < value for other in tried) for value in missing)


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

    settings, best = of_these(study.generation), study.best()
    places = {ae: place for place, ae in enumerate(naming.in_order(published["ae"]))}
    none = settings.head(0)
    return Evidence(
        settings=settings[settings["step"] == findings.last_common_step(settings)],
        best=findings.by_ae(best, "distance"),
        varied=none if study.varied.empty else of_these(study.varied),
        aes=aes,
        channels=study.channels,
        reconstruction=study.reconstruction,
        latents=study.latents,
        published=published.sort_values("ae", key=lambda column: column.map(places), kind="stable"),
        noise=study.noise,
        noise_of_best=study.noise_of_best,
        label=study.distance,
        frechet=findings.by_ae(best, "fid") if (best["score"] == "kid").all() else {},
    )
