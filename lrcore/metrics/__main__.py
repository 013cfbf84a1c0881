"""How far a set of images is from another: Frechet distance (FID), kernel distance (KID), precision and recall.

    python -m lrcore.metrics samples reference                          # two folders of images
    python -m lrcore.metrics samples.npz VIRTUAL_imagenet256_labeled.npz --json fid.json
    python -m lrcore.metrics samples reference --metrics fid,fid_interval,fid_infinity
    python -m lrcore.metrics samples cifar10-train                      # statistics that ship with lrcore
    python -m lrcore.metrics reference --save-statistics reference.parquet
    python -m lrcore.metrics samples --save-batch samples.npz

A is what is judged, B the reference. Each is a folder of images (png, jpg, webp, bmp, tiff, at any depth), an .npz of
images or of statistics as guided-diffusion and pytorch-fid write it, or statistics in .parquet or .safetensors.
Every image goes into the feature network at its own size, so a folder may hold several sizes. How the images are
batched, and their order, move the result by rounding alone; only kid, fid_interval and fid_infinity draw images by
their place in that order, from a fixed seed.

    fid               the Frechet distance; called so in the 2015 Inception's features alone, elsewhere FD (network)
    kid               the kernel distance, with torch-fidelity's subsets
    precision_recall  shares of A that look like B, and of B that A covers
    fid_interval      the Frechet distance with its bootstrap interval over the images of A
    fid_infinity      the Frechet distance extrapolated to infinitely many images of A

The first is of statistics or images; the next two need images of both sides and are left out by themselves where there
are none; the last two need images of A, take minutes, and are measured on demand.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

import lrcore
from lrcore.command_line import DEVICES, Parser, device_of, run_command
from lrcore.errors import LrcoreError, unknown
from lrcore.metrics.bootstrap import bootstrap_interval
from lrcore.metrics.extrapolation import extrapolated_frechet
from lrcore.metrics.features import CHUNK, FeatureNetwork, check_feature_network, load_features
from lrcore.metrics.frechet import FrechetReference, GaussianStatistics, frechet_distance
from lrcore.metrics.kernel import kernel_distance
from lrcore.metrics.manifold import NEIGHBOURS, precision_recall
from lrcore.metrics.reference_files import FeatureStatistics, ImageArray, write_images, write_statistics
from lrcore.metrics.sources import PIXEL_RULE, ImageFolder, Source, open_source
from lrcore.records.schema import distance_label
from lrcore.runtime.files import require_writable, write_json
from lrcore.runtime.interruption import StopRequest


@dataclass(frozen=True)
class Side:
    """One of the two sets: statistics of its features, the features where they are called for, what to say about it."""

    source: Source
    statistics: FeatureStatistics
    features: Tensor | None
    notes: tuple[str, ...]

    @property
    def gaussian(self) -> GaussianStatistics:
        """The statistics by themselves."""
        return self.statistics.gaussian

    @property
    def images(self) -> Tensor:
        """Features (N, D) of the images, of a side that was measured for a metric that needs them."""
        assert self.features is not None
        return self.features

    def about(self) -> dict[str, Any]:
        """For machines."""
        return {
            "path": str(self.source.path),
            "images": self.statistics.count,
            "unreadable": _unreadable(self.source),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        return f"{self.source.path}: {'; '.join([_counted(self.statistics.count, self.source), *self.notes])}"


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see `command_line.run_command` for the exit status."""
    line = Parser(
        prog="python -m lrcore.metrics", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    line.add_argument("a", type=Path, metavar="A", help="the images to judge")
    line.add_argument("b", type=Path, metavar="B", nargs="?", help="the reference; left out to save A")
    line.add_argument("--metrics", metavar="NAME,...", help=f"of {', '.join(METRICS)} (default: see above)")
    line.add_argument(
        "--network", metavar="NAME",
        help="feature network: inception2015, efficientnet_lite0, dinov2b or any other image model of timm "
        "(default: that of the statistics, or inception2015)",
    )  # fmt: skip
    line.add_argument("--weights", default="", metavar="FILE", help="a state dict for a model of timm")
    line.add_argument("--device", default="auto", metavar="DEVICE", help=f"of {', '.join(DEVICES)} (default: auto)")
    line.add_argument("--skip-corrupt", action="store_true", help="leave out and count images that cannot be read")
    line.add_argument("--json", type=Path, metavar="FILE", help="write the result there, too")
    line.add_argument("--save-batch", type=Path, metavar="FILE", help="write the images of A as .npz")
    line.add_argument("--save-statistics", type=Path, metavar="FILE", help="write statistics of A as .npz or .parquet")
    line.set_defaults(budget=None)
    return run_command(line, _run, arguments)


def _run(options: argparse.Namespace, stop: StopRequest) -> int:
    saving = options.save_batch or options.save_statistics
    if options.b is not None and saving:
        raise LrcoreError("--save-batch and --save-statistics write one set: leave B out")
    if options.b is None and not saving:
        raise LrcoreError("name a reference B, or --save-batch or --save-statistics to save A")
    if options.b is None and (options.json or options.metrics):
        raise LrcoreError("--json and --metrics are for two sets: name a reference B")
    return _save(options) if saving else _compare(options)


def _compare(options: argparse.Namespace) -> int:
    wanted = _wanted(options.metrics)
    if options.json:
        require_writable(options.json.parent)
    sources = [_opened(path, options) for path in (options.a, options.b)]
    metrics = _applicable(wanted, sources)
    name = _network_name(options.network, sources)
    load = _loader(name, options)
    needed = {letter for metric in metrics for letter in METRICS[metric].needs_images}
    a, b = (_side(source, name, load, letter in needed) for letter, source in zip("AB", sources, strict=True))
    _require_one_network(a, b)
    _require_enough(metrics, a, b)
    values = [value for metric in metrics for value in METRICS[metric].measure(name, a, b)]
    report = _report(name, values, a, b)
    print(_text(report, a, b))
    if options.json:
        write_json(options.json, report)
    return 0


def _save(options: argparse.Namespace) -> int:
    for target, endings in ((options.save_batch, (".npz",)), (options.save_statistics, (".npz", ".parquet"))):
        if target is not None and target.suffix.lower() not in endings:
            raise unknown("ending of a file to write", target.suffix, endings)
        if target is not None:
            require_writable(target.parent)
    if options.save_batch == options.save_statistics:
        raise LrcoreError(f"images and statistics cannot both be written to '{options.save_batch}'")
    source = _opened(options.a, options)
    if options.save_batch:
        count = write_images(options.save_batch, _progress(source, _images_of_one_size(source).batches(CHUNK)))
        print(f"wrote {options.save_batch}: {_counted(count, source)}")
    if options.save_statistics:
        name = _network_name(options.network, [source])
        side = _side(source, name, _loader(name, options), keep=False)
        write_statistics(options.save_statistics, side.statistics)
        counted = _counted(side.statistics.count, source)
        print(f"wrote {options.save_statistics}: statistics of features of {name}, {counted}")
    return 0


def _opened(path: Path, options: argparse.Namespace) -> Source:
    return open_source(path, options.skip_corrupt, options.network or "")


def _wanted(text: str | None) -> list[str] | None:
    names = None if text is None else list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names or ():
        if name not in METRICS:
            raise unknown("metric", name, METRICS)
    return names


def _applicable(wanted: list[str] | None, sources: Sequence[Source]) -> list[str]:
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


def _network_name(wanted: str | None, sources: Sequence[Source]) -> str:
    """The network asked for, or else the one that the statistics are of, or else that of the FID."""
    if wanted is not None:
        check_feature_network(wanted)
        return wanted
    # of sets that have images, features can be taken in any network
    for source in sorted(sources, key=lambda source: source.images is not None):
        if source.statistics is not None:
            return source.statistics.network
    return "inception2015"


def _loader(name: str, options: argparse.Namespace) -> Callable[[], FeatureNetwork]:
    """Loads the network once, and only where images call for it."""
    device = device_of(options)
    return functools.cache(lambda: load_features(name, device, options.weights))


def _side(source: Source, name: str, load: Callable[[], FeatureNetwork], keep: bool) -> Side:
    """Statistics in the features of network `name`: those in the file, or else of the images.

    With `keep` also the features of the images.

    Raises:
        LrcoreError: the file holds statistics of another network and no images, or there are fewer than 2 images.
    """
    stored = source.statistics
    if stored is not None and stored.network == name:
        notes = ("statistics of the file", *([stored.note] if stored.note else []))
        if source.images is None or not keep:
            return Side(source, stored, None, notes)
        _, features = _measured(source, load(), keep)
        return Side(source, stored, features, (*notes, f"its {len(features)} images for what needs images"))
    if source.images is None:
        assert stored is not None  # a source holds one of the two
        raise LrcoreError(
            f"'{source.path}' holds statistics of features of {stored.network}, which cannot be compared with features "
            f"of {name}"
        )
    network = load()
    gaussian, features = _measured(source, network, keep)
    if gaussian.count < 2:
        raise LrcoreError(f"'{source.path}' holds 1 image; the covariance of features needs at least 2")
    notes = (_sizes(source.images),)
    if stored is not None:
        notes += (f"statistics of the file passed over: they are of features of {stored.network}",)
    statistics = FeatureStatistics(gaussian, gaussian.count, network.name, network.sha256, network.protocol)
    return Side(source, statistics, features if keep else None, notes)


def _measured(source: Source, network: FeatureNetwork, keep: bool) -> tuple[GaussianStatistics, Tensor]:
    """Statistics of the images of a source and, with `keep`, their features (N, D) on the network's device."""
    assert source.images is not None
    # float64 does not exist on every accelerator
    gaussian = GaussianStatistics(network.dim, network.device if network.device.type == "cuda" else "cpu")
    kept = [torch.empty(0, network.dim, device=network.device)]
    for features in _grouped(network(batch) for batch in _progress(source, source.images.batches(CHUNK))):
        gaussian.update(features)
        kept += [features] if keep else []
    return gaussian, torch.cat(kept)


def _grouped(batches: Iterable[Tensor]) -> Iterator[Tensor]:
    """Feature batches joined to `CHUNK` rows or more: an update of statistics costs as much for one row as for many,
    and there may be as many image sizes, and so batches, as images."""
    waiting: list[Tensor] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= CHUNK:
            yield torch.cat(waiting)
            waiting = []
    if waiting:
        yield torch.cat(waiting)


def _progress(source: Source, batches: Iterator[Tensor]) -> Iterator[Tensor]:
    """The batches, with a bar on a terminal."""
    assert source.images is not None
    with tqdm(total=source.images.count, desc=source.path.name, unit=" images", disable=None, leave=False) as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch))


def _images_of_one_size(source: Source) -> ImageFolder | ImageArray:
    images = source.images
    if images is None:
        raise LrcoreError(f"'{source.path}' holds statistics and no images to save")
    if isinstance(images, ImageFolder) and len(images.sizes) > 1:
        raise LrcoreError(f"'{source.path}' holds images of {_sizes(images)}; an .npz holds images of one size")
    return images


def _require_one_network(a: Side, b: Side) -> None:
    one, other = a.statistics.network_sha256, b.statistics.network_sha256
    if one and other and one != other:
        raise LrcoreError(
            f"'{a.source.path}' and '{b.source.path}' are of {a.statistics.network} with different weights: sha256 "
            f"{one[:12]}... and {other[:12]}..."
        )


def _require_enough(metrics: Iterable[str], a: Side, b: Side) -> None:
    for name in metrics:
        for letter, side in zip("AB", (a, b), strict=True):
            least = METRICS[name].least
            if letter in METRICS[name].needs_images and len(side.images) < least:
                raise LrcoreError(
                    f"{name} needs at least {least} images of {letter}, '{side.source.path}' holds {len(side.images)}; "
                    "choose others by --metrics"
                )


def _report(name: str, values: Sequence[Value], a: Side, b: Side) -> dict[str, Any]:
    about = [side.statistics for side in (a, b)]
    notes = []
    if len({side.protocol for side in about if side.protocol}) > 1:
        notes.append("the protocols of A and B differ: " + "; ".join(side.protocol for side in about))
    for letter, side in zip("AB", about, strict=True):
        if side.count is not None and side.count <= side.gaussian.dim:
            notes.append(
                f"{letter} has no more images than features ({side.gaussian.dim}): the Frechet distance comes out too "
                "large"
            )
    return {
        "metrics": [{"metric": value.metric, "value": value.value, **value.about} for value in values],
        "network": name,
        "network_sha256": next((side.network_sha256 for side in about if side.network_sha256), None),
        "protocol": next((side.protocol for side in about if side.protocol), None),
        "pixels": PIXEL_RULE,
        "A": a.about(),
        "B": b.about(),
        "notes": notes,
        "lrcore_version": lrcore.__version__,
    }


def _text(report: dict[str, Any], a: Side, b: Side) -> str:
    lines = [("metric", "value"), *(_line(row) for row in report["metrics"]), ("", "")]
    lines += [("A", str(a)), ("B", str(b))]
    lines += [("network", f"{report['network']}, sha256 {report['network_sha256'] or 'not recorded'}")]
    lines += [("protocol", report["protocol"] or "not recorded")]
    lines += [("pixels", report["pixels"])]
    lines += [("note", note) for note in report["notes"]]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:{width}}  {text}".rstrip() for name, text in lines)


def _line(row: dict[str, Any]) -> tuple[str, str]:
    rest = [f"{name.replace('_', ' ')} {value:.4g}" for name, value in row.items() if name not in ("metric", "value")]
    return row["metric"], f"{row['value']:<10.6g}" + (f"  ({', '.join(rest)})" if rest else "")


def _counted(count: int | None, source: Source) -> str:
    text = "number of images not recorded" if count is None else f"{count} image{'s' * (count != 1)}"
    unreadable = len(_unreadable(source))
    return text + (f" ({unreadable} unreadable left out)" if unreadable else "")


def _unreadable(source: Source) -> list[str]:
    return [str(path) for path in source.images.unreadable] if isinstance(source.images, ImageFolder) else []


def _sizes(images: ImageFolder | ImageArray) -> str:
    sizes = images.sizes if isinstance(images, ImageFolder) else [images.size]
    shown = [f"{width} x {height} px" for height, width in sizes[:2]]
    return shown[0] if len(sizes) == 1 else f"{len(sizes)} sizes ({shown[0]}, {shown[1]}{', ...' * (len(sizes) > 2)})"


if __name__ == "__main__":
    sys.exit(main())
