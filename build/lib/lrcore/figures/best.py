"""The best timestep choices of every autoencoder, with and without REPA, at every evaluated step."""

from __future__ import annotations

import pandas

from lrcore.errors import LrcoreError
from lrcore.figures.embed import SiteTable
from lrcore.records import schema
from lrcore.results import findings, naming
from lrcore.spec.study import NO_REPA, SELF_REPA

_REPA = {NO_REPA: "no", SELF_REPA: "towards itself"}


def best_parameters(generation: pandas.DataFrame) -> SiteTable:
    """One row per autoencoder, REPA and step with the lowest distance, and the density and the shifts that reached it.

    Raises:
        LrcoreError: no rows, two protocols, or every run diverged.
    """
    settings = findings.mean_over_seeds(generation)
    best = findings.best_settings(settings)
    if best.empty:
        raise LrcoreError("no rows: every run diverged")
    label = findings.label(settings)
    order = {ae: number for number, ae in enumerate(naming.in_order(best["ae"]))}
    best = best.sort_values(["ae", "repa", "step"], key=lambda c: c.map(order) if c.name == "ae" else c, kind="stable")
    table = pandas.DataFrame(
        {
            "autoencoder": [naming.ae_style(ae).label for ae in best["ae"]],
            label: best["distance"].to_numpy(),
            "REPA": [_REPA.get(repa, "yes") for repa in best["repa"]],
            "step": best["step"].to_numpy(),
            "density": best["trainp"].to_numpy(),
            "train shift": best["trainshift"].to_numpy(),
            "sample shift": best["sampleshift"].to_numpy(),
            **_accompanying(best),
            "precision": best["sample_precision"].to_numpy(),
            "recall": best["sample_recall"].to_numpy(),
        }
    )
    study = str(generation["study"].iloc[0])
    caption = f"Best training density, train shift and sample shift of each autoencoder in the study {study}"
    return SiteTable(table, f"{study}-best", caption)


def _accompanying(best: pandas.DataFrame) -> dict[str, object]:
    """The distance that does not decide, under its name."""
    if best["score"].iloc[0] == "kid":
        return {schema.distance_label(str(best["feature_network"].iloc[0])): best["fid"].to_numpy()}
    return {"kernel distance": best["kid"].to_numpy()}
