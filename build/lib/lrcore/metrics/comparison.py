"""The metrics that compare two sets of images, and which of them a pair of sets allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

from lrcore.errors import LrcoreError
from lrcore.metrics.bootstrap import bootstrap_interval
from lrcore.metrics.extrapolation import extrapolated_frechet
from lrcore.metrics.features import check_feature_network
from lrcore.metrics.frechet import FrechetReference, frechet_distance
from lrcore.metrics.kernel import kernel_distance
from lrcore.metrics.manifold import NEIGHBOURS
from lrcore.metrics.pairs import precision_recall
from lrcore.metrics.sides import Side
from lrcore.metrics.sources import Source
from lrcore.records.schema import distance_label


@dataclass(frozen=True)
class Value:
    """One measured number; `about` holds what belongs to it, such as its error."""

    metric: str
    value: float
    about: dict[str, float]


@dataclass(frozen=True)
class Metric:
    """What `--metrics` may name: `least` is the number of images it needs of each side whose images it needs."""

    measure: Callable[[str, Side, Side], list[Value]]
    needs_images: str
    least: int = 2
    by_default: bool = True


def _frechet(name: str, a: Side, b: Side) -> list[Value]:
    return [Value(distance_label(name), frechet_distance(a.gaussian, b.gaussian), {})]


def _kernel(name: str, a: Side, b: Side) -> list[Value]:
    found = kernel_distance(a.images, b.images)
    about: dict[str, float] = {"subsets": found.subsets, "subset_size": found.subset_size}
    if found.subset_size < max(len(a.images), len(b.images)):  # else every subset is all of both
        about["std"] = found.std
    label = "KID" if name == "inception2015" else "KD" + distance_label(name).removeprefix("FD")
    return [Value(label, found.mean, about)]


def _manifold(name: str, a: Side, b: Side) -> list[Value]:
    found = precision_recall(a.images, b.images)
    return [Value(metric, value, {"neighbours": NEIGHBOURS}) for metric, value in asdict(found).items()]


def _interval(name: str, a: Side, b: Side) -> list[Value]:
    found = asdict(bootstrap_interval(a.images, FrechetReference(b.gaussian)))
    return [Value(f"{distance_label(name)}, bootstrapped", found.pop("value"), found)]


def _infinity(name: str, a: Side, b: Side) -> list[Value]:
    found = extrapolated_frechet(a.images, FrechetReference(b.gaussian))
    about = {"standard_error": found.standard_error, "points": len(found.sizes), "smallest": min(found.sizes)}
    return [Value(f"{distance_label(name)} at infinity", found.value, about)]


METRICS = {
    "fid": Metric(_frechet, ""),
    "kid": Metric(_kernel, "AB"),
    "precision_recall": Metric(_manifold, "AB", least=NEIGHBOURS + 1),
    "fid_interval": Metric(_interval, "A", by_default=False),
    "fid_infinity": Metric(_infinity, "A", least=20, by_default=False),
}


def applicable(wanted: list[str] | None, sources: Sequence[Source]) -> list[str]:
    """The metrics asked for, or those by default that the sources have images for.

    Raises:
        LrcoreError: a metric that is asked for needs images of a source that has none.
    """
    without = [(letter, source.path) for letter, source in zip("AB", sources, strict=True) if source.images is None]
    for name in wanted or ():
        for letter, path in without:
            if letter in METRICS[name].needs_images:
                raise LrcoreError(f"{name} needs the images of {letter}, but '{path}' holds statistics alone")
    if wanted is not None:
        return wanted
    letters = {letter for letter, _ in without}
    return [name for name, metric in METRICS.items() if metric.by_default and not letters & set(metric.needs_images)]


def network_name(wanted: str | None, sources: Sequence[Source]) -> str:
    """The network asked for, or else the one that the statistics are of, or else that of the FID."""
    if wanted is not None:
        check_feature_network(wanted)
        return wanted
    # of sets that have images, features can be taken in any network
    for source in sorted(sources, key=lambda source: source.images is not None):
        if source.statistics is not None:
            return source.statistics.network
    return "inception2015"


def require_one_network(a: Side, b: Side) -> None:
    """Check that both sides are features of the same weights, as far as their files say.

    Raises:
        LrcoreError: they are not.
    """
    one, other = a.statistics.network_sha256, b.statistics.network_sha256
    if one and other and one != other:
        raise LrcoreError(
            f"'{a.source.path}' and '{b.source.path}' are of {a.statistics.network} with different weights: sha256 "
            f"{one[:12]}... and {other[:12]}..."
        )


def require_enough(metrics: Iterable[str], a: Side, b: Side) -> None:
    """Check that both sides have the images that the metrics need.

    Raises:
        LrcoreError: one has too few.
    """
    for name in metrics:
        for letter, side in zip("AB", (a, b), strict=True):
            least = METRICS[name].least
            if letter in METRICS[name].needs_images and len(side.images) < least:
                raise LrcoreError(
                    f"{name} needs at least {least} images of {letter}, '{side.source.path}' holds {len(side.images)}; "
                    "choose others by --metrics"
                )
