"""The best timestep choices of every autoencoder, with and without REPA, at every evaluated step."""

from __future__ import annotations

from collections.abc import Iterator

import pandas

from lrcore.errors import LrcoreError
from lrcore.figures import words
from lrcore.figures.site_table import SiteTable
from lrcore.records import schema
from lrcore.results import findings, naming, numbers
from lrcore.spec.study import NO_REPA, SELF_REPA

_REPA = {NO_REPA: "no", SELF_REPA: "towards itself"}


def best_parameters(generation: pandas.DataFrame) -> SiteTable:
    """One row per autoencoder, REPA and step with the lowest distance, and the density and the shifts that reached it.

    Of the settings that all autoencoders share, as everywhere; where the best of all an autoencoder's own settings is
    another, it stands below with this name.

    Raises:
        LrcoreError: no rows, two protocols, or every run diverged.
    """
    settings = findings.mean_over_seeds(generation)
    if settings["distance"].isna().all():
        raise LrcoreError("no rows: every run diverged")
    best = _of_both_pools(settings)
    label = findings.label(settings)
    order = {ae: number for number, ae in enumerate(naming.in_order(best["ae"]))}
    places = {
        "ae": best["ae"].map(order),
        "pool": best["pool"] == OWN,
        "repa": [(repa != NO_REPA, repa) for repa in best["repa"]],
        "step": best["step"],
    }
    best = best.loc[pandas.DataFrame(places, index=best.index).sort_values([*places], kind="stable").index]
    table = pandas.DataFrame(
        {
            "autoencoder": [naming.ae_style(ae).label for ae in best["ae"]],
            label: best["distance"].to_numpy(),
            "best of": best["pool"].to_numpy(),
            "REPA": [_REPA.get(repa, "yes") for repa in best["repa"]],
            "step": best["step"].to_numpy(),
            "density": best["trainp"].to_numpy(),
            "train shift": _with_tried(best, settings, "trainshift"),
            "sample shift": _with_tried(best, settings, "sampleshift"),
            **_accompanying(best),
            "precision": best["sample_precision"].to_numpy(),
            "recall": best["sample_recall"].to_numpy(),
        }
    )
    study = str(generation["study"].iloc[0])
    caption = f"Best training density, train shift and sample shift of each autoencoder in the study {study}"
    return SiteTable(table, f"{study}-best", caption, best, " ".join(_remarks(best, settings)))


SHARED, OWN = "shared settings", "all its own settings"


def _of_both_pools(settings: pandas.DataFrame) -> pandas.DataFrame:
    """The best of the settings that all share and, where it is another one, of all of an autoencoder's own (`pool`)."""
    shared = findings.best_settings(findings.shared_settings(settings, "ae")).assign(pool=SHARED)
    own = findings.best_settings(settings).assign(pool=OWN)
    both = pandas.concat([shared, own], ignore_index=True)
    return both.drop_duplicates([*findings.SETTING, "step"])


def _with_tried(best: pandas.DataFrame, settings: pandas.DataFrame, parameter: str) -> list[str]:
    """The best shifts; where fewer values were tried than with another autoencoder, with their number."""
    texts = []
    for row in best.itertuples():
        at = settings[settings["step"] == row.step]
        tried = at[(at["ae"] == row.ae) & (at["repa"] == row.repa)][parameter].nunique()
        whole = (row.ae, row.repa) in findings.whole_groups(at, parameter)
        texts.append(f"{getattr(row, parameter):.2f}{'' if whole else f', of {tried} tried'}")
    return texts


def _remarks(best: pandas.DataFrame, settings: pandas.DataFrame) -> Iterator[str]:
    """What the note says: of shared settings, of shifts that were tried with fewer values, and of a grid with holes."""
    yield _shared_in_words(settings)
    shifts = ("trainshift", "sampleshift")
    texts = (text for parameter in shifts for text in _with_tried(best, settings, parameter))
    if marked := next((text for text in texts if " tried" in text), ""):
        yield (
            f"“{words.capital(marked.partition(', ')[2])}”: with this autoencoder and REPA, fewer values of the shift "
            "were tried than with another, so that its best may be among those left out."
        )
    yield from _at_the_ends(best, settings)
    yield from _holes(settings)


def _at_the_ends(best: pandas.DataFrame, settings: pandas.DataFrame) -> Iterator[str]:
    """How many best shifts are the lowest or the highest of several that were tried: beyond, nothing is known."""
    tried = settings.groupby(["ae", "repa", "step"])
    parts = []
    for parameter in ("trainshift", "sampleshift"):
        ends = tried[parameter].agg(low="min", high="max").reset_index()
        rows = best.merge(ends[ends["low"] < ends["high"]], on=["ae", "repa", "step"])
        count = int(((rows[parameter] == rows["low"]) | (rows[parameter] == rows["high"])).sum())
        if count:
            name = naming.PARAMETER_LABELS[parameter]
            parts.append(f"the {name} in {numbers.part(count, len(rows), 'row')}")
    if parts:
        yield f"At the end of what was tried, so that the best may lie beyond: {words.joined(parts)}."


def _holes(settings: pandas.DataFrame) -> Iterator[str]:
    """Train shifts that were sampled with fewer sample shifts than others, at the last step that all reached."""
    at = settings[settings["step"] == findings.last_common_step(settings)]
    tried = at.groupby(["ae", "repa", "trainshift"])["sampleshift"].nunique()
    most = tried.groupby(["repa", "trainshift"]).max()
    few = most[most < most.max()].reset_index()
    if len(few):
        found = "; ".join(
            f"{shift:.2f} {naming.repa_label(str(repa))} ({count})"
            for repa, shift, count in few.itertuples(index=False, name=None)
        )
        yield f"Train shifts that were sampled with fewer than {most.max()} sample shifts: {found}."


def _shared_in_words(settings: pandas.DataFrame) -> str:
    """Which settings all autoencoders share, at the step at which they are compared."""
    pool = findings.pool(settings)
    if pool.empty:
        return "No setting is shared by all autoencoders yet."
    values = "; ".join(
        f"{naming.PARAMETER_LABELS[name]} {', '.join(numbers.value_text(value) for value in sorted(set(pool[name])))}"
        for name in findings.PARAMETERS
    )
    number, step = len(pool) // pool["ae"].nunique(), int(pool["step"].iloc[0])
    return f"At step {step:,} all autoencoders share {number} {'setting' if number == 1 else 'settings'}: {values}."


def _accompanying(best: pandas.DataFrame) -> dict[str, object]:
    """The distance that does not decide, under its name."""
    if best["score"].iloc[0] == "kid":
        return {schema.distance_label(str(best["feature_network"].iloc[0])): best["fid"].to_numpy()}
    return {"kernel distance": best["kid"].to_numpy()}
