"""How far a set of images is from another: Frechet distance (FID), kernel distance (KID), precision and recall.

    python -m lrcore.metrics samples reference                          # two folders of images
    python -m lrcore.metrics samples.npz VIRTUAL_imagenet256_labeled.npz --json fid.json
    python -m lrcore.metrics samples reference --metrics fid,fid_interval,fid_infinity
    python -m lrcore.metrics samples cifar10-train                      # statistics that ship with lrcore
    python -m lrcore.metrics reference --save-statistics reference.parquet
    python -m lrcore.metrics samples --save-batch samples.npz

A is what is judged, B the reference. Each is a folder of images (png, jpg, webp, bmp, ppm, tiff, at any depth), an .npz
of images or of statistics as guided-diffusion and pytorch-fid write it, or statistics in .parquet or .safetensors.
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
from collections.abc import Callable, Sequence
from pathlib import Path

from lrcore.command_line import DEVICES, Parser, device_of, run_command
from lrcore.datasets.listing import shown
from lrcore.errors import LrcoreError, unknown
from lrcore.metrics.comparison import METRICS, applicable, network_name, require_enough, require_one_network
from lrcore.metrics.features import CHUNK, FeatureNetwork, load_features
from lrcore.metrics.image_arrays import ImageArray, write_images
from lrcore.metrics.reference_files import write_statistics
from lrcore.metrics.report import report_of, text_of
from lrcore.metrics.sides import counted, side_of, sizes_of, with_bar
from lrcore.metrics.sources import ImageFolder, Source, open_source
from lrcore.runtime.files import require_writable, write_json
from lrcore.runtime.interruption import StopRequest


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
    metrics = applicable(wanted, sources)
    name = network_name(options.network, sources)
    load = _loader(name, options)
    needed = {letter for metric in metrics for letter in METRICS[metric].needs_images}
    a, b = (side_of(source, name, load, letter in needed) for letter, source in zip("AB", sources, strict=True))
    require_one_network(a, b)
    require_enough(metrics, a, b)
    values = [value for metric in metrics for value in METRICS[metric].measure(name, a, b)]
    report = report_of(name, values, a, b)
    if options.json:  # before it is printed, which may fail: the reader of a pipe may be gone
        write_json(options.json, report)
    print(text_of(report, a, b))
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
        count = write_images(options.save_batch, with_bar(source, _images_of_one_size(source).batches(CHUNK)))
        print(f"wrote {shown(options.save_batch)}: {counted(count, source)}")
    if options.save_statistics:
        name = network_name(options.network, [source])
        side = side_of(source, name, _loader(name, options), keep=False)
        write_statistics(options.save_statistics, side.statistics)
        images = counted(side.statistics.count, source)
        print(f"wrote {shown(options.save_statistics)}: statistics of features of {name}, {images}")
    return 0


def _opened(path: Path, options: argparse.Namespace) -> Source:
    return open_source(path, options.skip_corrupt, options.network or "")


def _wanted(text: str | None) -> list[str] | None:
    names = None if text is None else list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names or ():
        if name not in METRICS:
            raise unknown("metric", name, METRICS)
    return names


def _loader(name: str, options: argparse.Namespace) -> Callable[[], FeatureNetwork]:
    """Loads the network once, and only where images call for it."""
    device = device_of(options)
    return functools.cache(lambda: load_features(name, device, options.weights))


def _images_of_one_size(source: Source) -> ImageFolder | ImageArray:
    images = source.images
    if images is None:
        raise LrcoreError(f"'{shown(source.path)}' holds statistics and no images to save")
    if isinstance(images, ImageFolder) and len(images.sizes) > 1:
        images.find_unreadable()  # sizes that only unreadable images have do not count
    if isinstance(images, ImageFolder) and len(images.sizes) > 1:
        raise LrcoreError(
            f"'{shown(source.path)}' holds images of {sizes_of(images)}; an .npz holds images of one size"
        )
    return images


if __name__ == "__main__":
    sys.exit(main())
