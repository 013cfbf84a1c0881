"""A set of images as a comparison sees it: statistics of its features, and the features where they are called for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from lrcore.datasets.listing import shown
from lrcore.errors import LrcoreError
from lrcore.metrics.features import CHUNK, ROWS, FeatureNetwork, in_rows
from lrcore.metrics.frechet import GaussianStatistics
from lrcore.metrics.image_arrays import ImageArray
from lrcore.metrics.reference_files import FeatureStatistics
from lrcore.metrics.sources import ImageFolder, Source


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
            "path": shown(self.source.path),
            "images": self.statistics.count,
            "unreadable": unreadable(self.source),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        return f"{shown(self.source.path)}: {'; '.join([counted(self.statistics.count, self.source), *self.notes])}"


def side_of(source: Source, name: str, load: Callable[[], FeatureNetwork], keep: bool) -> Side:
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
        _, features = measured(source, load(), keep)
        return Side(source, stored, features, (*notes, f"its {len(features)} images for what needs images"))
    if source.images is None:
        assert stored is not None  # a source holds one of the two
        raise LrcoreError(
            f"'{shown(source.path)}' holds statistics of features of {stored.network}, which cannot be compared with "
            f"features of {name}"
        )
    network = load()
    gaussian, features = measured(source, network, keep)
    if gaussian.count < 2:
        raise LrcoreError(f"'{shown(source.path)}' holds 1 image; the covariance of features needs at least 2")
    notes = (sizes_of(source.images),)
    if stored is not None:
        notes += (f"statistics of the file passed over: they are of features of {stored.network}",)
    statistics = FeatureStatistics(gaussian, gaussian.count, network.name, network.sha256, network.protocol)
    return Side(source, statistics, features if keep else None, notes)


def measured(source: Source, network: FeatureNetwork, keep: bool) -> tuple[GaussianStatistics, Tensor]:
    """Statistics of the images of a source and, with `keep`, their features (N, D) on the network's device."""
    assert source.images is not None
    # float64 does not exist on every accelerator
    gaussian = GaussianStatistics(network.dim, network.device if network.device.type == "cuda" else "cpu")
    kept = [torch.empty(0, network.dim, device=network.device)]
    # there may be as many image sizes, and so batches, as images
    for features in in_rows((network(batch) for batch in with_bar(source, source.images.batches(CHUNK))), ROWS):
        gaussian.update(features)
        kept += [features] if keep else []
    return gaussian, torch.cat(kept)


def with_bar(source: Source, batches: Iterator[Tensor]) -> Iterator[Tensor]:
    """The batches, with a bar on a terminal."""
    assert source.images is not None
    with tqdm(
        total=source.images.count, desc=shown(source.path.name), unit=" images", disable=None, leave=False
    ) as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch))


def counted(count: int | None, source: Source) -> str:
    """How many images there are, and how many could not be read, as text."""
    text = "number of images not recorded" if count is None else f"{count} image{'s' * (count != 1)}"
    left_out = len(unreadable(source))
    return text + (f" ({left_out} unreadable left out)" if left_out else "")


def unreadable(source: Source) -> list[str]:
    """Paths of the images that could not be read."""
    return [shown(path) for path in source.images.unreadable] if isinstance(source.images, ImageFolder) else []


def sizes_of(images: ImageFolder | ImageArray) -> str:
    """The sizes of images as text, in px."""
    sizes = images.sizes if isinstance(images, ImageFolder) else [images.size]
    shown = [f"{width} x {height} px" for height, width in sizes[:2]]
    return shown[0] if len(sizes) == 1 else f"{len(sizes)} sizes ({shown[0]}, {shown[1]}{', ...' * (len(sizes) > 2)})"
