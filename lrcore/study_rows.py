"""The rows of one study of every kind, for whoever asks what it found: pages, claims, a notebook.

study = load_studies("data")["cifar10-cpu"]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas

from lrcore import records
from lrcore.errors import LrcoreError
from lrcore.figures.style import in_order

ORDER = ("imagenet256", "cifar10", "cifar10-cpu", "smoke")
"""The project's own studies, that of most weight first; studies of others come before `smoke`, which is a check."""


@dataclass(frozen=True)
class StudyRows:
    """The rows of one study.

    `generation`: the rows of the one feature network that the study chose its best settings by; `confirmed`: those of
    the best settings measured once more in another (often none).
    """

    name: str
    generation: pandas.DataFrame
    confirmed: pandas.DataFrame
    reconstruction: pandas.DataFrame
    latents: pandas.DataFrame
    losses: pandas.DataFrame

    @property
    def aes(self) -> list[str]:
        """Its autoencoders, in the order of the figures."""
        return in_order(self.reconstruction["ae"])

    @property
    def distance(self) -> str:
        """What the distance of its generation rows may be called."""
        return records.distance_label(str(self.generation["feature_network"].iloc[0]))

    @property
    def channels(self) -> dict[str, int]:
        """Channels per token of each autoencoder."""
        rows = self.reconstruction
        return dict(zip(rows["ae"], rows["channels_per_token"].astype(int), strict=True))


def load_studies(data: Path | str = "data") -> dict[str, StudyRows]:
    """The studies of which there is something of every kind, in the order of `ORDER`.

    Raises:
        LrcoreError: there is none.
    """
    generation, reconstruction = records.read_generation(data), records.read_reconstruction(data)
    latents, losses = records.read_latents(data), records.read_losses(data)
    whole = set(generation["study"]) & set(reconstruction["study"]) & set(latents["study"])
    if not whole:
        raise LrcoreError(f"no rows: '{data}' holds no study that is measured; run `python -m lrcore.train` first")

    def of(rows: pandas.DataFrame, name: str) -> pandas.DataFrame:
        return rows[rows["study"] == name]

    found = {}
    for name in sorted(whole, key=_place):
        rows = of(generation, name)
        network = rows["feature_network"].value_counts().index[0]  # the best are few beside the grid they are of
        chosen, confirmed = rows[rows["feature_network"] == network], rows[rows["feature_network"] != network]
        of_study = (of(kind, name) for kind in (reconstruction, latents, losses))
        found[name] = StudyRows(name, chosen, confirmed, *of_study)
    return found


def results(studies: Mapping[str, StudyRows]) -> dict[str, StudyRows]:
    """Those that say something of autoencoders: all but `smoke`, unless there is no other."""
    return {name: study for name, study in studies.items() if name != ORDER[-1]} or dict(studies)


def _place(name: str) -> tuple[float, str]:
    return (ORDER.index(name) if name in ORDER else len(ORDER) - 1.5, name)
