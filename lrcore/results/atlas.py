"""What the figures of the literature say together, within protocol groups only.

    atlas, groups = read_atlas("data"), read_groups(Path("data"))
    forest(atlas, groups, "rfid")                     # one correlation a group, with its interval and caveat

Figures of two groups follow two protocols. Nothing here ranks or correlates over them, and no correlation is pooled:
what is asked for that raises. Secondary rows, which nobody read at their source, are left out of every statistic.
Exempt, and labelled `EXEMPT` in what they return, is what compares no latents: how far one quantity of one latent
spreads over sources (`spread`), and which shifts and guidance scales were used (`shifts_used`, `scales_used`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas

from lrcore.errors import LrcoreError, shown, unknown
from lrcore.records.atlas_sources import Group
from lrcore.records.atlas_vocabulary import CORRELATIONS, QUANTITIES
from lrcore.results.correlations import LEAST, METHODS, correlated, interval

EXEMPT = "the points follow different protocols and do not rank latent spaces"
"""The label of what may look over groups."""

SIZES = ("downsampling", "channels", "patch", "tokens", "channels_per_token", "parameters")
"""Columns of a latent's size, which may be correlated with as quantities are."""

IMAGENET = 1_281_167
"""Images of ImageNet-1k's training set: one epoch."""

_STANDS = ("place", "repository")


@dataclass(frozen=True)
class Correlation:
    """One correlation over the latents of one group.

    `low` and `high` bound `correlations.interval`: families drawn with replacement, then latents within each of them.
    `families` counts those; of one family the interval is of its latents alone.
    """

    group: str
    x: str
    y: str
    method: str
    n: int
    families: int
    value: float
    low: float
    high: float
    latents: tuple[str, ...]


@dataclass(frozen=True)
class Spread:
    """One quantity of one latent over sources, each figure once: exempt from groups, since it compares no latents."""

    canonical: str
    quantity: str
    rows: pandas.DataFrame
    label: str = EXEMPT

    @property
    def low(self) -> float:
        return float(self.rows["value"].min())

    @property
    def high(self) -> float:
        return float(self.rows["value"].max())


def primary(atlas: pandas.DataFrame) -> pandas.DataFrame:
    """The rows that may enter a statistic: read at their source, of a value and not a bound."""
    return atlas[~atlas["secondary"] & (atlas["bound"] == "")]


def of_group(atlas: pandas.DataFrame, groups: Mapping[str, Group], name: str) -> pandas.DataFrame:
    """The primary rows of a group, and those of its source's autoencoders by themselves.

    Raises:
        LrcoreError: there is no such group.
    """
    if name not in groups:
        raise unknown("group", name, groups)
    wanted = [name, groups[name].autoencoders] if groups[name].autoencoders else [name]
    return primary(atlas[atlas["group"].isin(wanted)])


def ranking(rows: pandas.DataFrame, quantity: str = "gfid") -> pandas.DataFrame:
    """The latents of one group from the lowest value to the highest: columns place (from 1), canonical, value.

    Raises:
        LrcoreError: the rows of `quantity` are of several groups, or of none, or two of one latent differ.
    """
    of_quantity, _ = _one_group(rows, quantity)
    values = _by_latent(of_quantity)
    ordered = values.sort_values(kind="stable")
    found = pandas.DataFrame({"canonical": ordered.index, "value": ordered.to_numpy()})
    return found.assign(place=found["value"].rank(method="min").astype(int))[["place", "canonical", "value"]]


def correlation(rows: pandas.DataFrame, x: str, y: str = "gfid", method: str = "pearson") -> Correlation:
    """How `x` goes with `y` over the latents of one group, from the rows of `of_group`.

    `x` is a quantity, of the same group or of the group of the source's autoencoders, or one of `SIZES`.

    Raises:
        LrcoreError: rows of `x` or `y` are of several groups, of none, or of two sources; two of one latent differ;
            fewer than `LEAST` latents have both; one of them is constant; unknown method or quantity.
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    of_y, group = _one_group(rows, y)
    pairs = pandas.concat([told_by(rows, x, y).rename("x"), _by_latent(of_y).rename("y")], axis=1, join="inner")
    if len(pairs) < LEAST:
        raise LrcoreError(f"{len(pairs)} latents of group {shown(group)} have {x} and {y}; needed: at least {LEAST}")
    family = of_y.drop_duplicates("canonical").set_index("canonical")["family"].reindex(pairs.index)
    ends = pairs["x"].to_numpy(float), pairs["y"].to_numpy(float)
    if any(np.ptp(end) == 0 for end in ends):
        raise LrcoreError(f"{x} or {y} is the same for all latents of group {shown(group)}")
    low, high = interval(*ends, family.to_numpy(), method)
    latents = tuple(str(name) for name in pairs.index)
    return Correlation(group, x, y, method, len(pairs), family.nunique(), correlated(*ends, method), low, high, latents)


def told_by(rows: pandas.DataFrame, x: str, y: str) -> pandas.Series:
    """`x`, a quantity or one of `SIZES`, by latent: of the rows of `of_group` whose `y` it is held against.

    Raises:
        LrcoreError: the rows of either are of several groups, of none, or of two sources; two of one latent differ.
    """
    of_y, _ = _one_group(rows, y)
    if x in SIZES:
        return _by_latent(of_y.assign(value=of_y[x].where(of_y[x] > 0).astype(float)).dropna(subset="value"))
    told, _ = _one_group(rows, x)
    sources = sorted({*of_y["source"], *told["source"]})
    if len(sources) > 1:
        raise LrcoreError(f"no correlation over sources: {', '.join(sources)}")
    return _by_latent(told)


def forest(
    atlas: pandas.DataFrame, groups: Mapping[str, Group], x: str, y: str = "gfid", method: str = "pearson"
) -> pandas.DataFrame:
    """The data of a forest plot: one correlation of `x` with `y` a group, of those with `LEAST` latents that have both.

    Columns group, source, label, n, families, value, low, high, unshared, counted, caveat; most latents first. A latent
    counts once: `unshared` is how many no group above that is counted has, and a group is `counted` where those alone
    are `LEAST`. There is no row of all groups together. Empty where no group has enough.

    Raises:
        LrcoreError: unknown method or quantity, or a group with enough latents is not as `correlation` demands.
    """
    for quantity in (x, y):
        if quantity not in QUANTITIES and quantity not in SIZES:
            raise unknown("quantity", quantity, [*QUANTITIES, *SIZES])
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    told = atlas[atlas["quantity"].isin([x, y])]  # few of all rows, which every group is looked for in
    with_y = {*told.loc[told["quantity"] == y, "group"]}
    with_x = with_y if x in SIZES else {*told.loc[told["quantity"] == x, "group"]}
    found = []
    for name in groups:
        if name not in with_y or with_x.isdisjoint((name, groups[name].autoencoders)):
            continue
        of_one = of_group(told, groups, name)
        if can_correlate(of_one, name, x, y):
            found.append(correlation(of_one, x, y, method))
    counted: set[str] = set()
    rows = []
    for one in sorted(found, key=lambda one: (-one.n, one.group)):
        unshared = len(set(one.latents) - counted)
        if counts := unshared >= LEAST:
            counted |= set(one.latents)
        group = groups[one.group]
        caveat = group.caveat + ("; all latents of one family" if one.families == 1 else "")
        figures = (one.n, one.families, one.value, one.low, one.high)
        rows.append((one.group, group.source, group.label, *figures, unshared, counts, caveat))
    names = ["group", "source", "label", "n", "families", "value", "low", "high", "unshared", "counted", "caveat"]
    return pandas.DataFrame(rows, columns=names)


def can_correlate(rows: pandas.DataFrame, group: str, x: str, y: str) -> bool:
    """Whether `LEAST` latents of `group`, of its rows of `of_group`, have both, and neither is the same for all."""
    of_y = rows[(rows["quantity"] == y) & (rows["group"] == group)]
    of_x = of_y[of_y[x] > 0].assign(value=of_y[x]) if x in SIZES else rows[rows["quantity"] == x]
    both = set(of_x["canonical"]) & set(of_y["canonical"])
    ends = [end[end["canonical"].isin(both)]["value"] for end in (of_x, of_y)]
    return len(both) >= LEAST and all(end.nunique() > 1 for end in ends)


def printed(atlas: pandas.DataFrame, predictor: str) -> pandas.DataFrame:
    """Correlations with `predictor` as sources print them, of rows that may not be there: never pooled, no interval.

    Columns source, quantity, value, n (autoencoders; 0 where not stated), generator, guidance, variant, note, place,
    repository.
    """
    rows = primary(atlas)
    rows = rows[rows["quantity"].isin(CORRELATIONS) & (rows["predictor"] == predictor)]
    columns = ["source", "quantity", "value", "n", "generator", "guidance", "variant", "note", *_STANDS]
    return rows[columns].reset_index(drop=True)


def spread(
    atlas: pandas.DataFrame,
    canonical: str,
    quantity: str,
    guided: bool | None = None,
    epochs: int | None = None,
) -> Spread:
    """The figures of one quantity of one latent over sources, lowest first; those that repeat another are left out.

    `guided` and `epochs` (of ImageNet, to the nearest) keep some of them.

    Raises:
        LrcoreError: there is none.
    """
    rows = primary(atlas)
    rows = rows[(rows["canonical"] == canonical) & (rows["quantity"] == quantity) & ~rows["repeats"]]
    if guided is not None:
        rows = rows[~rows["guidance"].isin(["", "none"]) if guided else rows["guidance"] == "none"]
    if epochs is not None:
        rows = rows[nominal_epochs(rows) == epochs]
    if rows.empty:
        raise LrcoreError(f"no rows: no {quantity} of {shown(canonical)} as asked for")
    columns = ["source", "place", "value", "generator", "guidance", "images_seen", "sampler", "steps", "label_rule"]
    columns += ["quoted_from", "decoder", "variant", "note"]
    return Spread(canonical, quantity, rows.sort_values("value", kind="stable")[columns].reset_index(drop=True))


def shifts_used(atlas: pandas.DataFrame) -> pandas.DataFrame:
    """Which timeshifts were used, a row each time a source tells: exempt, as the column `label` says.

    Columns source, canonical, channels_per_token, tokens, trainshift, sampleshift (in this project's convention: above
    1 is more noise; NaN where not told), density, quantity, and place and repository of the first that says so, label.
    """
    rows = primary(atlas)
    rows = rows[rows["trainshift"].notna() | rows["sampleshift"].notna()]
    columns = [
        "source",
        "canonical",
        "channels_per_token",
        "tokens",
        "trainshift",
        "sampleshift",
        "density",
        "quantity",
    ]
    return rows.drop_duplicates(columns, ignore_index=True)[[*columns, *_STANDS]].assign(label=EXEMPT)


def scales_used(atlas: pandas.DataFrame) -> pandas.DataFrame:
    """Which guidance scales were used, a row each time a source tells: exempt, as the column `label` says.

    Columns source, canonical, family, channels_per_token, generator, guidance, scale, guidance_low, guidance_high,
    `best` (found best of those tried), and place and repository of the first that says so, label.
    """
    rows = primary(atlas)
    best = rows["quantity"] == "best_cfg_scale"
    rows = rows.assign(scale=rows["guidance_scale"].where(~best, rows["value"]), best=best).dropna(subset="scale")
    columns = ["source", "canonical", "family", "channels_per_token", "generator", "guidance", "scale"]
    columns += ["guidance_low", "guidance_high", "best"]
    return rows.drop_duplicates(columns, ignore_index=True)[[*columns, *_STANDS]].assign(label=EXEMPT)


def _one_group(rows: pandas.DataFrame, quantity: str) -> tuple[pandas.DataFrame, str]:
    """The primary rows of `quantity`, with the one group that they are of.

    Raises:
        LrcoreError: unknown quantity; several groups, none, or no rows.
    """
    if quantity not in QUANTITIES:
        raise unknown("quantity", quantity, [*QUANTITIES, *SIZES])
    found = primary(rows)
    found = found[found["quantity"] == quantity]
    if found.empty:
        raise LrcoreError(f"no rows: no primary {quantity}")
    names = sorted(set(found["group"]))
    if names == [""]:
        raise LrcoreError(f"rows of {quantity} that are of no protocol group are compared with none")
    if len(names) > 1:
        told = ", ".join(name or "(no group)" for name in names)
        raise LrcoreError(f"rows of {quantity} are of {len(names)} protocol groups, which nothing compares: {told}")
    return found, str(names[0])


def _by_latent(rows: pandas.DataFrame) -> pandas.Series:
    """The value of each latent.

    Raises:
        LrcoreError: one latent has two.
    """
    values = rows.groupby("canonical", sort=False)["value"]
    if (several := values.nunique()).max() > 1:
        raise LrcoreError(f"two values of {rows['quantity'].iloc[0]} for {shown(several.idxmax())} in one group")
    return values.first()


def nominal_epochs(rows: pandas.DataFrame) -> pandas.Series:
    """The nominal budget in epochs of ImageNet: 100,000 steps of 1,024 images are 80 as well; 0 where not stated."""
    exact = rows["images_seen"] / IMAGENET
    return exact.round().where(exact >= 10, exact.round(1))
