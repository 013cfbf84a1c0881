"""Which shifts and guidance scales the literature used, or found best, for latents like one of yours.

    found = settings(read_atlas("data"))
    alike(found, channels=64, tokens=256)     # those of latents as wide; no rows where nothing is like it

Exempt from protocol groups, since it compares no latents: a setting is shown with its source, and none is averaged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas

from lrcore.results.atlas import primary

KINDS = {"trainshift": "train shift", "sampleshift": "sample shift", "guidance": "guidance scale"}
BEST = {"best_trainshift": "trainshift", "best_sampleshift": "sampleshift", "best_cfg_scale": "guidance"}
"""Quantities whose value is a setting that was found best, and its kind."""

HOW = ("found best", "used", "used, as the rule says")
WITHIN = 1.5
"""Latents are as wide as another whose channels per token are at most this many times more, or fewer."""

REFERENCE = 4096
"""Numbers a latent of the one that the rule of dimensions gives no shift: those of the SD-VAE at 256 pixels."""

_SIZES = ("downsampling", "tokens", "channels_per_token")
COLUMNS = (
    "kind", "value", "how", "source", "repository", "place", "autoencoders", "family", *_SIZES, "dataset",
)  # fmt: skip
_FIRST = ("repository", "place")
"""What of rows that say the same is that of the first."""


def settings(atlas: pandas.DataFrame) -> pandas.DataFrame:
    """Every setting that a primary row tells of a latent whose channels per token are known, a row each, `COLUMNS`.

    `how` is of `HOW`: found best of those tried; used; or used where it is √(numbers a latent / `REFERENCE`) to 1 %.
    Shifts are in this project's convention: above 1 is more noise. `autoencoders` joins latents that one source gave
    the same setting and that are of one size and family. A size that a row does not state is that of the other rows of
    its autoencoder, where those agree; 0 where it is not known. What a source found best it also used: once is enough.
    """
    rows = with_sizes(primary(atlas))
    rows = rows[(rows["channels_per_token"] > 0) & (rows["quantity"] != "predicted_shift")]
    parts = []
    for quantity, kind in BEST.items():
        part = rows[rows["quantity"] == quantity]
        parts.append(part.assign(kind=kind, setting=part["value"], how="found best"))
    used = rows[~rows["quantity"].isin(list(BEST))]
    for column, kind in (("trainshift", "trainshift"), ("sampleshift", "sampleshift"), ("guidance_scale", "guidance")):
        part = used[used[column].notna()]
        parts.append(part.assign(kind=kind, setting=part[column], how=_how(part, column)))
    told = pandas.concat(parts, ignore_index=True).drop(columns="value").rename(columns={"setting": "value"})
    told["canonical"] = told["canonical"].where(told["canonical"] != "", told["autoencoder"])
    told = told.drop_duplicates(["kind", "value", "source", "canonical", "dataset"])  # what was found best stands first
    keys = [name for name in COLUMNS if name not in ("autoencoders", *_FIRST)]
    found = []
    for key, part in told.groupby(keys, sort=False):
        names = " · ".join(dict.fromkeys(part["canonical"]))
        first = {name: part[name].iloc[0] for name in _FIRST}
        found.append({**dict(zip(keys, key, strict=True)), **first, "autoencoders": names})
    return _ordered(pandas.DataFrame(found, columns=list(COLUMNS)))


def alike(
    found: pandas.DataFrame, channels: int, tokens: int = 0, downsampling: int = 0, family: str = ""
) -> pandas.DataFrame:
    """The rows of `settings` of latents `WITHIN` the width of one of `channels` per token.

    `tokens`, `downsampling` and `family` keep those that state exactly that; 0 and "" keep all.
    """
    ratio = found["channels_per_token"] / channels
    rows = found[(ratio <= WITHIN) & (ratio >= 1 / WITHIN)]
    for column, wanted in (("tokens", tokens), ("downsampling", downsampling), ("family", family)):
        if wanted:
            rows = rows[rows[column] == wanted]
    return rows


def ranges(found: pandas.DataFrame) -> dict[str, tuple[float, float, int]]:
    """For each kind that rows of `settings` have: the lowest and the highest value, and of how many sources."""
    return {
        kind: (float(part["value"].min()), float(part["value"].max()), part["source"].nunique())
        for kind in KINDS
        if not (part := found[found["kind"] == kind]).empty
    }


def with_sizes(rows: pandas.DataFrame) -> pandas.DataFrame:
    """The rows with sizes that they do not state taken from other rows of the same autoencoder, where those agree."""
    told = rows[rows["canonical"] != ""]
    filled = {}
    for size in _SIZES:
        known = told[told[size] > 0].groupby("canonical")[size]
        one = known.first()[known.nunique() == 1]
        filled[size] = rows[size].where(rows[size] > 0, rows["canonical"].map(one)).fillna(0).astype(int)
    return rows.assign(**filled)


def _how(rows: pandas.DataFrame, column: str) -> Sequence[str]:
    if column == "guidance_scale":
        return ["used"] * len(rows)
    numbers = rows["tokens"] * rows["channels_per_token"]
    ends = zip(rows[column], numbers, strict=True)
    return [HOW[2] if math.isclose(value, math.sqrt(of / REFERENCE), rel_tol=0.01) else HOW[1] for value, of in ends]


def _ordered(found: pandas.DataFrame) -> pandas.DataFrame:
    """By kind, what was found best first, then by width and value."""
    ranks = found["kind"].map(list(KINDS).index), found["how"].map(HOW.index)
    told = found.assign(_kind=ranks[0], _how=ranks[1])
    by = ["_kind", "_how", "channels_per_token", "value", "source"]
    return told.sort_values(by, kind="stable").drop(columns=["_kind", "_how"]).reset_index(drop=True)
