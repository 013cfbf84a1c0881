"""What was measured, for the terminal: a line at the end of each unit of work, tables at the end of a command.

Every table says of how many images, of what resolution and in which network's features its numbers are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas

from lrcore.flow.shapes import SHAPES
from lrcore.records.paired import counting, ranking, with_whole
from lrcore.records.reading import read_anchors, read_generation, read_latents, read_paired, read_reconstruction
from lrcore.records.schema import DISTANCE_PROTOCOL
from lrcore.spec.study import Cell

FID_NETWORK = "inception2015"
"""Distances may be called FID in its features alone."""


def reconstruction_line(data: Path, study: str, ae: str) -> str:
    """What the rows of one autoencoder say."""
    rows = _of(read_reconstruction(data), study, [ae])
    return f"{ae}: {_values(rows)}; {_images(rows)}" if len(rows) else ""


def latents_line(data: Path, study: str, ae: str) -> str:
    """What the rows of one latent space say of it as a whole."""
    rows = _of(read_latents(data), study, [ae])
    rows = rows[rows["index"] < 0]
    return f"{ae}: {_values(rows)}; {_images(rows)}" if len(rows) else ""


def anchors_line(data: Path, study: str, ae: str) -> str:
    """How far reconstructions, Gaussian latents and noise are from the reference."""
    rows = _of(read_anchors(data), study, [ae])
    rows = rows[rows.target == "reference"]
    if rows.empty:
        return ""
    rows = rows[rows.n_samples == rows.n_samples.max()]
    rows = rows.drop_duplicates("anchor")  # of two precisions one is enough
    values = ", ".join(f"{anchor} {fid:.4g}" for anchor, fid in zip(rows.anchor, rows.fid, strict=True))
    first = rows.iloc[0]
    return f"{ae}: {_distance(first)} of {values}; {first.n_samples} images, {_where(first)}"


def training_lines(data: Path, study: str, cells: Iterable[Cell]) -> str:
    """The last step of each training, at its best sampling shift."""
    rows, lines = _generation(data, study, None), []
    for cell in cells:
        own = rows
        for key in ("ae", "repa", "trainp", "trainshift", "train_seed", "skip"):
            own = own[own[key] == getattr(cell, key)]
        own = own[own.width == (cell.width or own.model.map(lambda model: SHAPES[model].width))]
        best = _best(own[own.step == own.step.max()]) if len(own) else own
        lines += [
            f"{cell.name}: {_distance(row)} {row[row.score]:.4g} at step {row.step}, sample shift {row.sampleshift:g}; "
            f"{_samples(row)}"
            if row.status == "ok" else f"{cell.name}: diverged"
            for _, row in best.iterrows()
        ]  # fmt: skip
    return "\n".join(lines)


def tables(data: Path, study: str, aes: Sequence[str], bests: bool = True) -> str:
    """Everything measured of `aes`: reconstruction, latents, with `bests` the best setting of each; "" of nothing."""
    reconstruction = reconstruction_table(_of(read_reconstruction(data), study, aes))
    latents = _of(read_latents(data), study, aes)
    latents = latents[latents["index"] < 0]
    generation = _generation_tables(_generation(data, study, aes)) if bests else []
    found = [reconstruction, _pivoted("latents", latents), *generation]
    return "\n\n".join(filter(None, found))


def reconstruction_table(rows: pandas.DataFrame) -> str:
    """Metrics of reconstruction by autoencoder, with standard errors."""
    return _pivoted("reconstruction", rows)


def _generation(data: Path, study: str, aes: Sequence[str] | None) -> pandas.DataFrame:
    return with_whole(counting(_of(read_generation(data), study, aes)), read_paired(data))


def _of(rows: pandas.DataFrame, study: str, aes: Sequence[str] | None) -> pandas.DataFrame:
    own = rows.study == study
    return rows[own if aes is None else own & rows.ae.isin(list(aes))]


def _pivoted(title: str, rows: pandas.DataFrame) -> str:
    if rows.empty:
        return ""
    # one table a protocol: rows of other numbers of images are not compared
    parts = []
    for _, same in rows.groupby(["dataset", "resolution"], sort=False):
        texts = [_text(*pair) for pair in zip(same.value, same.standard_error, strict=True)]
        order = list(dict.fromkeys(same.metric))
        wide = same.assign(text=texts).pivot(index="ae", columns="metric", values="text").fillna("")[order]
        parts.append(f"{title}: {_images(same)}\n{_plain(wide)}")
    return "\n\n".join(parts)


_TOLD = ("dataset", "resolution", "feature_network", "score", "n_samples", "reference")


def _generation_tables(rows: pandas.DataFrame) -> list[str]:
    found = []
    # what titles do not say by themselves is said where it is not the same for all
    apart = [name for name in DISTANCE_PROTOCOL if name not in _TOLD and rows[name].nunique(dropna=False) > 1]
    for _, same in rows[rows.status == "ok"].groupby(
        [*DISTANCE_PROTOCOL, "model", "sample_seed"], sort=False, dropna=False
    ):
        best = pandas.concat([_best(of_ae) for _, of_ae in same.groupby("ae", sort=False)])
        first = best.iloc[0]
        shown = best[["ae", "repa", "trainp", "trainshift", "sampleshift", "step", "width"]].assign(
            width=best.width.astype(int), distance=[f"{value:.5g}" for value in best[first.score]]
        )
        shown = shown.rename(columns={"distance": _distance(first)}).set_index("ae")
        more = "".join(f"; {name} {first[name]}" for name in apart)
        found.append(f"samples, the best setting of each: {_samples(first)}{more}\n{_plain(shown)}")
    return found


def _best(rows: pandas.DataFrame) -> pandas.DataFrame:
    """The row with the smallest distance; any of those that diverged where all did."""
    score = rows.score.iloc[0]
    measured = rows.dropna(subset=score)
    if measured.empty:
        return rows.head(1)
    ranked = ranking(measured[score], measured["whole"]) if "whole" in measured else measured[score]
    return measured.loc[[ranked.idxmin()]]


def _plain(table: pandas.DataFrame) -> str:
    table = table.rename_axis(index=None, columns=None)
    return str(table.to_string())


def _text(value: float, error: float) -> str:
    return f"{value:.4f}" + ("" if math.isnan(error) else f" ± {error:.4f}")


def _values(rows: pandas.DataFrame) -> str:
    return ", ".join(
        f"{metric} {_text(value, error)}"
        for metric, value, error in zip(rows.metric, rows.value, rows.standard_error, strict=True)
    )


def _images(rows: pandas.DataFrame) -> str:
    """Of how many images, of which resolution, in which networks."""
    counts = "/".join(str(count) for count in dict.fromkeys(rows.n_images))
    networks = [name for name in dict.fromkeys(rows.network) if name]
    first = rows.iloc[0]
    return f"{counts} images of {first.dataset}, {first.resolution} px" + (
        f"; {', '.join(networks)}" if networks else ""
    )


def _samples(row: pandas.Series) -> str:
    return f"{row.n_samples} samples against {row.reference}, {_where(row)}; {row.model}"


def _where(row: pandas.Series) -> str:
    return f"{row.resolution} px, in {row.feature_network}"


def _distance(row: pandas.Series) -> str:
    score = row.score if "score" in row.index else "fid"
    if score == "kid":
        return "kernel distance"
    return "FID" if row.feature_network == FID_NETWORK else "Frechet distance"
