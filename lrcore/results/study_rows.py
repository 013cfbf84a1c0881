"""The rows of one study of every kind, for whoever asks what it found: pages, claims, a notebook.

study = load_studies("data")["cifar10"]
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas

from lrcore.errors import LrcoreError
from lrcore.records import paired, reading
from lrcore.records.planned import Planned, read_planned
from lrcore.records.schema import TABLES
from lrcore.results import findings, seed_noise
from lrcore.results.naming import in_order
from lrcore.spec.study import NO_REPA

ORDER = ("imagenet256", "cifar10", "cifar10-cpu", "smoke")
"""The project's own studies, that of most weight first; studies of others come before `smoke`, which is a check."""

_MEASURED_ALIKE = ("feature_network", "feature_protocol", "n_samples", "sample_seed")
"""What the tables [[choice]] of a study may change of how its grid is measured."""


@dataclass(frozen=True)
class StudyRows:
    """The rows of one study.

    `generation`: of the grid, by which the study chose the best setting of each autoencoder; `confirmed`: of the
    settings that were chosen, and of what was tried there, measured by other samples or in another network (often
    none). Both are of the study's own transformer, and so are `losses`; `widths` and `width_losses` are of other widths
    and of ways around it. `paired`: evaluations in half precision and the same samples in float32 (`records.paired`),
    none where the grid is in float32. `planned`: how much it is to hold, where that is known.
    """

    name: str
    generation: pandas.DataFrame
    confirmed: pandas.DataFrame
    reconstruction: pandas.DataFrame
    latents: pandas.DataFrame
    losses: pandas.DataFrame
    anchors: pandas.DataFrame
    paired: pandas.DataFrame
    widths: pandas.DataFrame
    planned: Planned | None = None
    width_losses: pandas.DataFrame = field(default_factory=pandas.DataFrame)

    @property
    def partial(self) -> str:
        """How much of it is measured, such as '19 of 120 trainings'; "" of a whole study, or where that is not known.

        Of a grid that is whole, its evaluations and those of what was chosen count.
        """
        if self.planned is None:
            return ""
        training = [name for name in (*findings.SETTING, "train_seed") if name != "sampleshift"]
        trainings = len(self.generation[training].drop_duplicates())
        if trainings < self.planned.trainings:
            return f"{trainings:,} of {self.planned.trainings:,} trainings"
        rows = len(self.generation) + len(self.confirmed) + len(self.widths)
        return f"{rows:,} of {self.planned.evaluations:,} evaluations" if rows < self.planned.evaluations else ""

    @property
    def aes(self) -> list[str]:
        """Its autoencoders, in the order of the figures."""
        return in_order(self.reconstruction["ae"])

    @property
    def distance(self) -> str:
        """What the deciding distance of its generation rows may be called."""
        return findings.label(self.generation)

    @property
    def channels(self) -> dict[str, int]:
        """Channels per token of each autoencoder."""
        rows = self.reconstruction
        return dict(zip(rows["ae"], rows["channels_per_token"].astype(int), strict=True))

    @cached_property
    def again(self) -> list[pandas.DataFrame]:
        """The rows of `confirmed` at the settings that were chosen, apart by protocol: the one of most trainings first.

        Of as many trainings, the one of more samples is first.
        """
        plain = self.confirmed[self.confirmed["repa"] == NO_REPA]
        if plain.empty:
            return []
        setting = [*findings.SETTING, "step"]
        tried = findings.mean_over_seeds(self.generation).merge(plain[setting].drop_duplicates(), on=setting)
        # of what was tried there beside, such as other densities, the choice did best in the grid
        rows = plain.merge(findings.lowest(tried, ["ae"])[setting], on=setting)
        return sorted(_protocols(rows), key=lambda part: (len(part), part["n_samples"].iloc[0]), reverse=True)

    @cached_property
    def decided(self) -> pandas.DataFrame:
        """The rows that decide at the settings that were chosen: the first of `again`; none where there are none."""
        return next(iter(self.again), self.confirmed.head(0))

    @cached_property
    def varied(self) -> pandas.DataFrame:
        """The rows of `confirmed` of one protocol, that in which the most was tried at the chosen settings."""
        return max(_protocols(self.confirmed), key=_settings, default=self.confirmed)

    @cached_property
    def compared(self) -> pandas.DataFrame:
        """The rows by which autoencoders are compared: `decided` where it has all that were measured, else the grid's.

        The lowest of many noisy distances flatters whoever has it; distances that were measured anew do not.
        """
        decided = self.decided
        return decided if set(decided["ae"]) >= set(self.generation["ae"]) else self.generation

    @property
    def anew(self) -> bool:
        """Whether `compared` was measured anew."""
        return self.compared is not self.generation

    @cached_property
    def repeated(self) -> pandas.DataFrame:
        """The rows that tell how far another training seed moves a distance: the grid's, unless they have one seed."""
        one = seed_noise.noise_of_seeds(self.generation).empty
        decided = self.decided
        return decided if one and len(decided) else self.generation

    @cached_property
    def noise(self) -> float:
        """`seed_noise.noise_of_difference` of two settings of the grid, or of what was tried at the chosen ones."""
        samples = [int(rows["n_samples"].min()) for rows in (self.generation, self.varied) if len(rows)]
        return seed_noise.noise_of_difference(self.repeated, samples=min(samples))

    @cached_property
    def noise_of_best(self) -> float:
        """`seed_noise.noise_of_difference` of two rows of `best`: of means over as many trainings as all of them have.

        NaN where there is none.
        """
        best = self.best()
        if best.empty:
            return math.nan
        return seed_noise.noise_of_difference(self.repeated, int(best["seeds"].min()), int(best["n_samples"].min()))

    def best(self) -> pandas.DataFrame:
        """One row for each autoencoder, of `findings.mean_over_seeds`, where all can be compared.

        Measured anew at the chosen setting, or the lowest over the settings that all have (`findings.comparable_best`).

        Raises:
            LrcoreError: no rows, two protocols, or no step in common.
        """
        settings = findings.mean_over_seeds(self.compared)
        return findings.best_per_ae(settings) if self.anew else findings.comparable_best(settings)


def load_studies(data: Path | str = "data") -> dict[str, StudyRows]:
    """The studies of which there is something of every kind: whole ones before partial ones, each by `ORDER`.

    So the first, which pages show before a reader chooses, has no more to be measured where there is one such.

    Raises:
        LrcoreError: there is none.
    """
    tables = reading.read_tables(data)
    whole = (
        set(tables["generation"]["study"]) & set(tables["reconstruction"]["study"]) & set(tables["latents"]["study"])
    )
    found = {}
    for name in sorted(whole, key=_place):
        own = {kind: rows[rows["study"] == name] for kind, rows in tables.items()}
        study = study_of(name, own, read_planned(data, name))
        if len(study.generation):
            found[name] = study
    if not found:
        raise LrcoreError(f"no rows: '{data}' holds no study that is measured; run `python -m lrcore.train` first")
    return dict(sorted(found.items(), key=lambda item: (item[0] == ORDER[-1], item[1].partial != "")))


def load_study_rows(name: str, data: Path | str = "data") -> StudyRows:
    """What there is of one study so far: a kind that was not measured has no rows."""
    return study_of(name, reading.read_tables(data, name), read_planned(data, name))


def studies_with_rows(data: Path | str = "data") -> list[str]:
    """The studies of which there are rows of any kind, in the order of `ORDER`."""
    folders = {path.parent.name for kind in TABLES for path in reading.row_files(Path(data) / kind)}
    return sorted((name.removeprefix("study=") for name in folders), key=_place)


def results(studies: Mapping[str, StudyRows]) -> dict[str, StudyRows]:
    """Those that say something of autoencoders: all but `smoke`, unless there is no other."""
    return {name: study for name, study in studies.items() if name != ORDER[-1]} or dict(studies)


def study_of(name: str, own: Mapping[str, pandas.DataFrame], planned: Planned | None = None) -> StudyRows:
    """The rows of one study, given by their kind ("generation", "reconstruction", ...), put in order."""
    rows = paired.with_whole(paired.counting(findings.completed(own["generation"])), own["paired"])
    plain = findings.of_own_transformer(rows)
    screen, confirmed = _apart(rows[plain]) if plain.any() else (rows.head(0), rows.head(0))
    losses, of_widths = _plain_losses(own["losses"], screen) if len(screen) else (own["losses"], own["losses"].head(0))
    return StudyRows(
        name,
        screen,
        confirmed,
        own["reconstruction"],
        own["latents"],
        losses,
        own["anchors"],
        own["paired"],
        rows[~plain],
        planned,
        of_widths,
    )


def _apart(rows: pandas.DataFrame) -> tuple[pandas.DataFrame, pandas.DataFrame]:
    """The rows of the grid, and those of what was chosen.

    A choice has one pair of shifts for each autoencoder, a grid as many as it tries: so the grid is what was measured
    in the most settings, and of as many what has the lower seed of samples, which a choice raises.
    """
    screen = max(_protocols(rows), key=lambda part: (_settings(part), -part["sample_seed"].iloc[0]))
    return screen, rows.drop(screen.index)


def _protocols(rows: pandas.DataFrame) -> list[pandas.DataFrame]:
    """The rows apart by how they were measured."""
    return [part for _, part in rows.groupby(list(_MEASURED_ALIKE))]


def _settings(rows: pandas.DataFrame) -> int:
    return len(rows[findings.SETTING].drop_duplicates())


def _plain_losses(losses: pandas.DataFrame, generation: pandas.DataFrame) -> tuple[pandas.DataFrame, pandas.DataFrame]:
    """Those of the transformer that `generation` is of, and those of others."""
    width, skip = generation["width"].iloc[0], generation["skip"].iloc[0]
    plain = losses["width"].fillna(width).eq(width) & losses["skip"].replace("", skip).eq(skip)
    return losses[plain], losses[~plain]


def _place(name: str) -> tuple[float, str]:
    return (ORDER.index(name) if name in ORDER else len(ORDER) - 1.5, name)
