"""The card of a latent space: its size, and every diagnostic of it beside those of the references."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas

from lrcore.figures.site_table import SiteTable
from lrcore.report_pages.subject import Subject
from lrcore.results import naming
from lrcore.results.numbers import aligned, shown, with_error

METRICS = {
    "effective_dimension": "effective dimension, directions that tokens fill",
    "spectrum_slope": "spectral slope, 0 is noise, −2 as photographs",
    "flip_error": "flip error, 0 is equivariant",
    "shift_error": "shift error, 0 is equivariant",
    "probe_accuracy": "class by a linear probe, share",
    "ifid": "iFID, lower is better",
    "ifd": "iFD, lower is better",
    "ifid_great_circle": "iFID on great circles, lower is better",
    "ifd_great_circle": "iFD on great circles, lower is better",
    "viv": "VIV, π/2 for white latents, lower is less ambiguous",
    "viv_scaled": "VIV × √dimension",
    "within_class_variance": "variance within classes, share",
    "neighbour_consistency_5": "LNC, 5 neighbours of the same class, share",
    "neighbour_consistency_10": "LNC, 10 neighbours of the same class, share",
    "spectral_energy_25": "SEC, energy beyond 0.25 of the largest frequency",
    "spectral_energy_50": "SEC, energy beyond 0.5 of the largest frequency",
}
"""Metrics of a latent as a whole, in the order of the card."""

_SIZES = {
    "tokens": "tokens",
    "channels_per_token": "channels per token",
    "numbers": "numbers per latent",
    "compression": "compression, pixel values per number",
}


@dataclass(frozen=True)
class Size:
    """How large a latent is; `pixels` are the values of its image, 3 x resolution^2."""

    tokens: int
    channels_per_token: int
    pixels: int

    @property
    def numbers(self) -> int:
        """Those that it holds."""
        return self.tokens * self.channels_per_token

    @property
    def compression(self) -> float:
        """Pixel values per number."""
        return self.pixels / self.numbers


def sizes(subject: Subject) -> dict[str, Size]:
    """Of each autoencoder, from whichever rows tell it."""
    study = subject.study
    columns = ["ae", "tokens", "channels_per_token", "resolution"]
    kinds = (study.reconstruction, study.latents, study.anchors, study.generation)
    rows = pandas.concat([rows[columns] for rows in kinds]).drop_duplicates("ae")
    told = rows.itertuples(index=False, name=None)
    found = {str(ae): Size(int(tokens), int(channels), 3 * int(px) ** 2) for ae, tokens, channels, px in told}
    return {ae: found[ae] for ae in naming.in_order(found)}


def card(subject: Subject) -> SiteTable:
    """A row a quantity: of the report's autoencoder, and from the lowest to the highest of the references.

    Raises:
        LrcoreError: nothing is known of it.
    """
    found = sizes(subject)
    rows = [_size_row(found, key, subject) for key in _SIZES] if subject.ae in found else []
    whole = subject.study.latents
    whole = whole[whole["index"] < 0]
    rows += [
        _metric_row(whole[whole["metric"] == metric], metric, subject)
        for metric in METRICS
        if ((whole["metric"] == metric) & (whole["ae"] == subject.ae)).any()
    ]
    rows += _channel_rows(subject)
    frame = pandas.DataFrame(rows)
    columns = ["quantity", "value", *(["references"] if subject.references else [])]
    table = frame[columns].rename(columns={"value": subject.label})
    caption = f"The latent space of {subject.label} in the study {subject.name}, with standard errors"
    note = _who(subject.references)
    return SiteTable(table, f"{subject.study.name}-card", caption, _numbers(frame), note)


def unmeasured(subject: Subject) -> list[str]:
    """Metrics of the card that other rows of lrcore have and those of the report's autoencoders lack.

    Images of a single class have no linear probe: nothing measures it.
    """
    rows = subject.study.latents
    rows = rows[rows["ae"].isin(subject.own)]
    there = set(rows["metric"])
    pairs = {"viv": "VIV", "neighbour_consistency_10": "LNC", "spectral_energy_50": "SEC"}
    pairs |= {"gaussian_loss": "the loss of a linear denoiser", "effective_dimension": "the effective dimension"}
    pairs |= {"probe_accuracy": "the linear probe", "spectrum_power": "the spectrum"}
    within = rows.loc[rows["metric"] == "within_class_variance", "value"]
    if len(within) and within.isna().all():
        there.add("probe_accuracy")
    return [name for metric, name in pairs.items() if metric not in there]


def _size_row(found: Mapping[str, Size], key: str, subject: Subject) -> dict[str, object]:
    others = [float(getattr(found[ae], key)) for ae in subject.references if ae in found]
    value = float(getattr(found[subject.ae], key))
    return {
        "key": key,
        "quantity": _SIZES[key],
        "value": shown(value),
        "references": _range(others, shown),
        "number": value,
        "standard_error": math.nan,
        "lowest": min(others, default=math.nan),
        "highest": max(others, default=math.nan),
    }


def _metric_row(rows: pandas.DataFrame, metric: str, subject: Subject) -> dict[str, object]:
    own = rows[rows["ae"] == subject.ae].iloc[0]
    others = [float(value) for value in rows.loc[rows["ae"].isin(subject.references), "value"].dropna()]
    return {
        "key": metric,
        "quantity": METRICS[metric],
        "value": with_error(float(own["value"]), float(own["standard_error"])),
        "references": _range(others, aligned),
        "number": float(own["value"]),
        "standard_error": float(own["standard_error"]),
        "lowest": min(others, default=math.nan),
        "highest": max(others, default=math.nan),
    }


def _channel_rows(subject: Subject) -> list[dict[str, object]]:
    """The range of the channels' standard deviations."""
    rows = subject.study.latents
    stds = rows[rows["metric"] == "channel_std"]
    own = stds.loc[stds["ae"] == subject.ae, "value"]
    if own.empty:
        return []
    others = [float(value) for value in stds.loc[stds["ae"].isin(subject.references), "value"]]
    return [
        {
            "key": "channel_std",
            "quantity": "standard deviation of channels",
            "value": _range([float(value) for value in own], aligned),
            "references": _range(others, aligned),
            "number": math.nan,
            "standard_error": math.nan,
            "lowest": min(others, default=math.nan),
            "highest": max(others, default=math.nan),
            "own_lowest": float(own.min()),
            "own_highest": float(own.max()),
        }
    ]


def _range(values: Sequence[float], written: Callable[[float], str]) -> str:
    if not values:
        return "–"
    ends = dict.fromkeys(written(value) for value in (min(values), max(values)))
    return " – ".join(ends)


def _numbers(frame: pandas.DataFrame) -> pandas.DataFrame:
    return frame.drop(columns=["value", "references"]).rename(
        columns={"number": "value", "lowest": "references_lowest", "highest": "references_highest"}
    )


def _who(references: Sequence[str]) -> str:
    if not references:
        return ""
    return f"References, from the lowest to the highest: {', '.join(naming.ae_style(ae).label for ae in references)}."
