"""How the order of latent spaces changes inside one source where one thing changes, and nothing else that it states.

    atlas = read_atlas("data")
    crossings(atlas, "shi2025svg", "steps")           # pairs of latents that swap places
    rank_agreement(atlas, "shi2025svg", "steps")      # how one order goes with the other

Sources never mix. Secondary rows are left out, as in `results.atlas`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas

from lrcore.errors import unknown
from lrcore.results.atlas import nominal_epochs, primary
from lrcore.results.correlations import LEAST, correlated, interval

OVER = {"guidance": "guidance", "generator": "generator", "steps": "steps", "epochs": "epochs"}
"""What ranks may cross over inside one source, and the column that says it."""

_SETTING = (
    "dataset", "resolution", "split", "n", "generator", "epochs", "sampler", "steps", "guidance", "label_rule",
    "reference",
)  # fmt: skip
_LATENT = ("canonical", "decoder", "variant", "density", "trainshift", "sampleshift")
"""What tells two rows of one setting apart."""

GUIDED = ("cfg_best", "cfg", "guided", "cfg_interval")
"""Guidance that may stand against none."""


def crossings(atlas: pandas.DataFrame, source: str, over: str, quantity: str = "gfid") -> pandas.DataFrame:
    """Pairs of latents that swap places inside one source where nothing but `over` changes.

    A row a pair of latents and of settings: low, high (the settings), first, second (`first` has the lower value at
    `low`), the four values first_low, second_low, first_high, second_high, and `setting`, what both share. Ties do not
    cross.

    Raises:
        LrcoreError: unknown source, or `over` is not one of `OVER`.
    """
    rows = []
    for shared, low, high, table in _settings(atlas, source, over, quantity):
        told = list(zip(table.index, table["low"], table["high"], strict=True))
        for pair in itertools.combinations(told, 2):
            first, second = sorted(pair, key=lambda latent: latent[1])
            if first[1] < second[1] and first[2] > second[2]:
                rows.append((low, high, first[0], second[0], first[1], second[1], first[2], second[2], shared))
    ends = ["first_low", "second_low", "first_high", "second_high"]
    return pandas.DataFrame(rows, columns=["low", "high", "first", "second", *ends, "setting"])


def rank_agreement(atlas: pandas.DataFrame, source: str, over: str, quantity: str = "gfid") -> pandas.DataFrame:
    """How the order of latents at one value of `over` goes with that at another, all else equal, inside one source.

    Columns low, high, latents, pairs, crossing (how many of the pairs swap), spearman (with `spearman_low` and
    `spearman_high`, as of `Correlation`; NaN of fewer than `LEAST` latents), setting.

    Raises:
        LrcoreError: as `crossings`.
    """
    rows = []
    for shared, low, high, table in _settings(atlas, source, over, quantity):
        ends = table["low"].to_numpy(float), table["high"].to_numpy(float)
        signs = [np.sign(np.subtract.outer(end, end))[np.triu_indices(len(table), 1)] for end in ends]
        enough = len(table) >= LEAST and all(np.ptp(end) > 0 for end in ends)
        bounds = interval(*ends, table["family"].to_numpy(), "spearman") if enough else (math.nan, math.nan)
        found = correlated(*ends, "spearman") if enough else math.nan
        crossing = int((signs[0] * signs[1] < 0).sum())
        rows.append((low, high, len(table), len(signs[0]), crossing, found, *bounds, shared))
    names = ["low", "high", "latents", "pairs", "crossing", "spearman", "spearman_low", "spearman_high", "setting"]
    return pandas.DataFrame(rows, columns=names)


def with_and_without(atlas: pandas.DataFrame, source: str, least: int) -> list[pandas.DataFrame]:
    """Latents of a source with an unguided gFID and a guided one, a frame each setting of `least` latents.

    Columns canonical, family, generator, and for either end unguided, place_unguided (its rank from 1),
    stands_unguided (where the figure stands), repository_unguided; `row_unguided` where the rows have a column `row`.
    """
    rows = primary(atlas[atlas["source"] == source])
    rows = rows[(rows["quantity"] == "gfid") & (rows["canonical"] != "")]
    shared = ["dataset", "resolution", "n", "generator", "images_seen", "sampler", "steps", "label_rule", "reference"]
    found = []
    for _, part in rows.groupby(shared, sort=False):
        if part["canonical"].nunique() < least:
            continue
        ends = {}
        for name, kinds in (("unguided", ("none",)), ("guided", GUIDED)):
            of_kind = part[part["guidance"].isin(kinds)]
            once = of_kind[of_kind.groupby("canonical")["value"].transform("nunique") == 1]
            ends[name] = once.drop_duplicates("canonical").set_index("canonical")
        both = ends["unguided"].index.intersection(ends["guided"].index, sort=False)
        if len(both) < least:
            continue
        first = ends["unguided"].loc[both]
        table = pandas.DataFrame({"canonical": both, "family": first["family"].to_numpy()})
        table["generator"] = first["generator"].to_numpy()
        for name, end in ends.items():
            told = end.loc[both]
            table[name] = told["value"].to_numpy()
            table[f"place_{name}"] = table[name].rank(method="min").astype(int)
            for column, text in (("place", "stands"), ("repository", "repository"), ("row", "row")):
                if column in told:
                    table[f"{text}_{name}"] = told[column].to_numpy()
        found.append(table.sort_values("unguided", kind="stable").reset_index(drop=True))
    return found


def _settings(
    atlas: pandas.DataFrame, source: str, over: str, quantity: str
) -> list[tuple[str, object, object, pandas.DataFrame]]:
    """Two settings of a source at a time that differ in `over` alone: what they share, their values of `over`, and
    the latents that both have, with their values (columns low, high) and family."""
    if over not in OVER:
        raise unknown("change", over, OVER)
    of_source = atlas[atlas["source"] == source]
    if of_source.empty:
        raise unknown("source", source, sorted(set(atlas["source"])))
    column = OVER[over]
    rows = primary(of_source)
    rows = rows[(rows["quantity"] == quantity) & (rows["canonical"] != "")]
    rows = rows.assign(epochs=nominal_epochs(rows))
    rows = rows[~rows[column].isin(["", 0])]  # what is not stated may be anything
    if rows[column].nunique() < 2:
        return []
    others = [name for name in _SETTING if name != column]
    rows = rows.dropna(subset=others)
    found: list[tuple[str, object, object, pandas.DataFrame]] = []
    for shared, parts in _latents(rows, others, column).items():
        for low, high in itertools.combinations(sorted(parts), 2):
            both = [latent for latent in parts[low] if latent in parts[high]]
            if len(both) < 2:
                continue
            ends = [(parts[low][latent][0], parts[high][latent][0], parts[low][latent][1]) for latent in both]
            table = pandas.DataFrame(ends, columns=["low", "high", "family"], index=_labels(both))
            found.append((_setting_text(others, shared), low, high, table))
    return found


_Key = tuple[object, ...]


def _latents(
    rows: pandas.DataFrame, others: Sequence[str], column: str
) -> dict[_Key, dict[Any, dict[_Key, tuple[float, str]]]]:
    """By the values of `others`, by that of `column`, by latent: its value and family; one with two is left out."""
    told: dict[_Key, dict[Any, dict[_Key, set[tuple[float, str]]]]] = {}
    keys = (rows[list(names)].itertuples(index=False, name=None) for names in (others, _LATENT, ("value", "family")))
    for shared, at, latent, figures in zip(next(keys), rows[column], next(keys), next(keys), strict=True):
        known = tuple(None if part != part else part for part in latent)  # NaN is not itself
        told.setdefault(shared, {}).setdefault(at, {}).setdefault(known, set()).add(figures)
    return {
        shared: {
            at: {latent: next(iter(figures)) for latent, figures in latents.items() if len(figures) == 1}
            for at, latents in parts.items()
        }
        for shared, parts in told.items()
    }


def _labels(latents: Sequence[tuple[object, ...]]) -> list[str]:
    """Names of latents: canonical, decoder, variant, and where those do not tell two apart, density and shifts."""
    parts = [[str(part) for part in latent if part] for latent in latents]
    short = [" · ".join(str(part) for part in latent[:3] if part) for latent in latents]
    return [name if short.count(name) == 1 else " · ".join(told) for name, told in zip(short, parts, strict=True)]


def _setting_text(columns: Sequence[str], values: tuple[object, ...]) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(columns, values, strict=True) if value not in ("", 0))
