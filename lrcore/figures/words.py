"""What the words around figures (`site_figure.Words`) are made of: who leads, of how many, on which images, by what.

A title says a finding, and no more than the rows do: autoencoders that the noise of the training's seed, or their
standard errors, do not tell apart share a place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import pandas

from lrcore.figures.literature import STUDIES
from lrcore.results import findings, naming, verdicts, welch
from lrcore.results.numbers import shown, small_percent
from lrcore.results.published import FOLLOWED
from lrcore.results.wording import NETWORKS, labels

_DATASETS = {"cifar10": "CIFAR-10", "imagenet": "ImageNet"}
_NAMED = 3
"""A sentence names so many autoencoders, and counts more of them."""


def leaders(
    values: Mapping[str, float],
    noise: float = math.nan,
    errors: Mapping[str, float] | None = None,
    highest: bool = False,
    freedom: Mapping[str, int] | None = None,
) -> list[str]:
    """The autoencoders of the lowest, or the `highest`, value and those that cannot be told from it, in order.

    Not told apart are values whose relative difference is at most `noise` (NaN: not known) or that differ by at most
    two standard errors of their difference, of `errors` (those that are NaN or missing: not known). Where these have
    so few degrees of `freedom` that two are too few, Welch's interval takes their place (`results.welch`). NaN has no
    place.
    """
    known = {ae: value for ae, value in values.items() if math.isfinite(value)}
    if not known:
        return []
    sign = -1 if highest else 1
    best = min(naming.in_order(known), key=lambda ae: sign * known[ae])

    def behind(ae: str) -> float:
        return sign * (known[ae] - known[best])

    def unsure(ae: str) -> float:
        own = {one: error for one in (ae, best) if not math.isnan(error := (errors or {}).get(one, math.nan))}
        share = verdicts.known(noise) * abs(known[best]) if known[best] else 0.0  # of nothing, also of endless noise
        return max(share, _reach(own, freedom or {}))

    return [ae for ae in naming.in_order(known) if ae == best or behind(ae) <= unsure(ae)]


def _reach(errors: Mapping[str, float], freedom: Mapping[str, int]) -> float:
    """How far two values of these standard errors have to differ: by two of their difference, or by Welch's test."""
    if errors and errors.keys() <= freedom.keys():
        return welch.reach((error, freedom[ae]) for ae, error in errors.items())
    return 2 * math.sqrt(sum(error**2 for error in errors.values()))


def above_zero(distances: Mapping[str, float]) -> dict[str, float]:
    """Distances whose estimate is below 0, as an unbiased one of 0 may be, as 0: these share a place."""
    return {ae: max(distance, 0.0) for ae, distance in distances.items()}


def joined(parts: Sequence[str], word: str = "and") -> str:
    """'A', 'A and B', 'A, B and C'."""
    *first, last = parts
    return f"{', '.join(first)} {word} {last}" if first else last


def named(aes: Iterable[str], of: int, what: str = "autoencoders", word: str = "and") -> str:
    """The names of autoencoders, or of many their number `of` all: 'SD', 'SD and RAE', '5 of 13 autoencoders'."""
    found = naming.in_order(aes)
    if len(found) > _NAMED:
        return f"all {of} {what}" if len(found) == of else f"{len(found)} of {of} {what}"
    return joined(labels(found), word)


_COUNTS = ("none", "one", "both", "all three", "all four", "all five", "all six")


def every(count: int) -> str:
    """So many, all of them: 'both', 'all four', 'all 13'."""
    return _COUNTS[count] if count < len(_COUNTS) else f"all {count}"


def capital(text: str) -> str:
    """With a capital letter at its beginning; names such as rFID stay.

    >>> capital("none of 3"), capital("rFID"), capital("gFID is worse")
    ('None of 3', 'rFID', 'gFID is worse')
    """
    return text if text[1:2].isupper() else text[:1].upper() + text[1:]


def bare(label: str) -> str:
    """A distance or metric without its features and its scale, which the axis has: 'FD', 'KID', 'PSNR'."""
    return label.split(" (")[0].removesuffix(" × 1000")


def images(generation: pandas.DataFrame) -> str:
    """What a study generates: 'CIFAR-10 at 32 px, study cifar10'."""
    row = generation.iloc[0]
    name = str(row["dataset"]).split("/")[0]
    return f"{_DATASETS.get(name, name)} at {row['resolution']} px, study {row['study']}"


def features(generation: pandas.DataFrame) -> str:
    """Whose features distances are measured in: 'in the features of the 2015 Inception'."""
    network = str(generation["feature_network"].iloc[0])
    return f"in the features of {NETWORKS.get(network, network)}"


def samples(generation: pandas.DataFrame) -> str:
    """What a distance is measured from: '2,500 samples per distance, one training per setting.'."""
    counts = joined([shown(float(count)) for count in sorted(generation["n_samples"].unique())], "or")
    seeds = generation.groupby([*findings.SETTING, "step"])["train_seed"].nunique()
    return f"{counts} samples per distance, {trainings(seeds)} per setting."


def trainings(counts: pandas.Series) -> str:
    """How many trainings there are, by their numbers: 'one training', '3 trainings', '1 to 3 trainings'."""
    fewest, most = int(counts.min()), int(counts.max())
    if most == 1:
        return "one training"
    return f"{most} trainings" if fewest == most else f"{fewest} to {most} trainings"


def seed_noise(noise: float) -> str:
    """How the title was decided: by which noise of the training's seed (relative, NaN where it is not known)."""
    if math.isnan(noise):
        return "No setting has two seeds, so the noise of the seed is not known."
    if math.isinf(noise):
        return "Too few settings have two seeds to know the noise of the seed, so no difference counts."
    return f"Differences of at most {small_percent(noise)} may come from the training seed, and do not count."


def study_source(study: str, *kinds: str) -> str:
    """'Source: study cifar10, data/generation.'"""
    return f"Source: study {study}, {joined([f'data/{kind}' for kind in kinds])}."


def published_source(source: str = FOLLOWED) -> str:
    """'Source: FLUX.2 representation comparison.'"""
    return f"Source: {STUDIES.get(source, source)}."


def trained(published: pandas.DataFrame) -> str:
    """Which models were trained for published distances, and how long: 'DiT-XL with REPA, 700k steps'."""
    return " or ".join(dict.fromkeys(filter(None, published["training"])))
