"""Evaluations in half precision beside the same samples in float32: how far they are apart, and what ranks by what.

A study's table `paired` holds both rows of every pair; `generation` those of the whole grid, in one precision. The
distances are Frechet distances: half precision is for studies that decide by them.
"""

from __future__ import annotations

import math

import pandas

from lrcore.records.schema import GENERATION_KEY, HALF_PRECISION

TOLERANCE = 2e-3
"""Relative difference of a distance in half precision from that in float32 above which a study goes on in float32."""

_SAME = ["study", *(name for name in GENERATION_KEY if name != "feature_protocol")]
_HALF = [*_SAME, "feature_protocol", "recipe"]
"""What names a row in half precision: one of another recipe was measured another way."""


def is_half(rows: pandas.DataFrame) -> pandas.Series:
    """Which generation rows have features in half precision."""
    return rows["feature_protocol"].astype(str).str.contains(HALF_PRECISION, regex=False)


def counting(rows: pandas.DataFrame) -> pandas.DataFrame:
    """Generation rows of one precision: those in half precision only where a study has no others measured alike."""
    half = is_half(rows)
    alike = ["study", "feature_network", "n_samples", "sample_seed"]
    others = pandas.MultiIndex.from_frame(rows.loc[~half, alike])
    return rows[~half | ~pandas.MultiIndex.from_frame(rows[alike]).isin(others)] if half.any() else rows


def pairs(paired: pandas.DataFrame) -> pandas.DataFrame:
    """Rows of the table `paired` two by two: what names that in half precision, `whole`, the distance in float32, and
    `apart`, the relative difference |half - whole| / whole of the two; infinite where one of them is no number."""
    half = is_half(paired)
    # a protocol in half precision begins with that of the same network in float32
    paired = paired.assign(network_protocol=paired["feature_protocol"].astype(str).str.split(HALF_PRECISION).str[0])
    alike = [*_SAME, "network_protocol"]
    both = paired.loc[half, [*_HALF, "network_protocol", "fid"]].merge(
        paired.loc[~half, [*alike, "fid"]].rename(columns={"fid": "whole"}), on=alike
    )
    apart = (both["fid"] - both["whole"]).abs() / both["whole"]
    apart = apart.mask(both["fid"].isna() != both["whole"].isna(), math.inf)
    return both.assign(apart=apart).drop(columns=["fid", "network_protocol"])


def largest_difference(paired: pandas.DataFrame) -> float:
    """The largest `apart` of `pairs`; NaN of none."""
    return float(pairs(paired)["apart"].max())


def with_whole(rows: pandas.DataFrame, paired: pandas.DataFrame) -> pandas.DataFrame:
    """Generation rows with the columns `whole` and `apart` of their `pairs`, NaN where they have none; without rows in
    half precision, as they are."""
    if not is_half(rows).any():
        return rows
    return rows.merge(pairs(paired), on=_HALF, how="left").set_axis(rows.index)


def contenders(distances: pandas.Series) -> pandas.Series:
    """Which of these distances in half precision might be the lowest in float32: two of them may be wrong by
    `TOLERANCE` each."""
    found: pandas.Series = distances <= distances.min() * (1 + 2 * TOLERANCE)
    return found


def ranking(distances: pandas.Series, whole: pandas.Series) -> pandas.Series:
    """What the best of settings has the lowest of: `whole`, their distances in float32, where all `contenders` have
    one, NaN for the others; else `distances`."""
    near = contenders(distances)
    return whole.where(near) if whole[near].notna().all() else distances
