"""What samples are compared with: the first training images of the study, or a file of images or statistics.

A file is one that `lrcore.metrics.sources` opens, such as ADM's reference batches, which hold the statistics of all
ImageNet and 10,000 images. Kernel distance, precision and recall need images: those of the file, else training images.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from lrcore.datasets.contents import fingerprint_of, sha256s
from lrcore.datasets.listing import list_images
from lrcore.errors import LrcoreError
from lrcore.metrics.features import all_features, statistics
from lrcore.metrics.frechet import GaussianStatistics
from lrcore.metrics.image_arrays import ImageArray
from lrcore.metrics.reference_files import STATISTICS_ENDINGS, FeatureStatistics
from lrcore.metrics.shipped import NAMES
from lrcore.metrics.sources import ImageFolder, Source, open_source
from lrcore.stages.features import (
    CHUNK,
    cached_statistics,
    cached_tensor,
    load_network,
    measured_statistics,
    network_recipe,
    watched,
)
from lrcore.stages.workspace import Workspace

COMPARED_IMAGES = 10_000
"""As many reference images as ADM's evaluator takes for precision and recall."""


def reference_fingerprint(work: Workspace) -> str:
    """What a reference of its own is, "" where the study compares with its training images.

    Raises:
        LrcoreError: there is nothing of that name.
    """
    named = work.study.evaluation.reference
    if not named or named in NAMES:
        return named
    path = Path(named)
    if not path.exists():
        raise LrcoreError(
            f"evaluation.reference '{named}' does not exist: put the file there, or name another one in the study; "
            f"allowed: a folder of images, a file {', '.join(STATISTICS_ENDINGS)}, {', '.join(NAMES)}"
        )
    if not path.is_dir():
        return work.sha256_of_file(named)
    return work.keep("contents of the reference", named, lambda: _contents(path, work.check))


def _contents(folder: Path, check: Callable[[], None]) -> str:
    """What the images of a folder are."""
    names = list_images(folder).images
    return fingerprint_of(zip(names, sha256s([folder / name for name in names], str(folder), check), strict=True))


def reference_name(work: Workspace) -> str:
    """Which images they are, for the rows."""
    evaluation = work.study.evaluation
    trained_on = work.images.train.name.split("[")[0]
    if not evaluation.reference:
        return f"{trained_on}[:{evaluation.n_reference}]"
    name = Path(evaluation.reference).name
    if _source(work).images is None:
        return f"{name}; images {trained_on}[:{_compared_images(work)}]"
    return name


def reference_statistics(work: Workspace) -> GaussianStatistics:
    """Mean and covariance of the reference in the study's feature network.

    Raises:
        LrcoreError: the file is missing, damaged, of another network, or of another number of images than the study
            says.
    """
    evaluation = work.study.evaluation
    if not evaluation.reference:
        return measured_statistics(work, "train", evaluation.n_reference)
    source, path = _source(work), own_statistics_path(work)
    if source.statistics is None:
        assert source.images is not None and path is not None
        _require_count(work, source.images.count)
        images = _stoppable(work, source.images.batches(CHUNK))
        return cached_statistics(work, path, lambda: statistics(load_network(work), images))
    _require_fit(work, source.statistics)
    return source.statistics.gaussian


def require_reference(work: Workspace) -> None:
    """Check that a reference of its own is what the study says, before hours go into samples.

    Raises:
        LrcoreError: as `reference_statistics`.
    """
    if not work.study.evaluation.reference:
        return
    source = _source(work)
    if source.statistics is not None:
        _require_fit(work, source.statistics)
    elif source.images is not None:
        _require_count(work, source.images.count)


def compared_features(work: Workspace) -> Tensor:
    """Features (N, D) of at most `COMPARED_IMAGES` reference images: what KID, precision and recall need."""
    images = _own_images(work)
    if images is None:
        chunks = watched(work, work.images.train.first(_compared_images(work)))
    else:
        chunks = _stoppable(work, _spread(images, COMPARED_IMAGES))
    return cached_tensor(compared_path(work), lambda: all_features(load_network(work), chunks), work.check)


def compared_path(work: Workspace) -> Path:
    """Where `compared_features` are kept."""
    if _own_images(work) is None:
        key = network_recipe(work, work.data_recipe, _compared_images(work))
    else:
        key = network_recipe(work, reference_fingerprint(work))
    return work.runs / "features" / f"compared-{work.study.evaluation.feature_network}-{key}.safetensors"


def compared_count(work: Workspace) -> int:
    """How many images `compared_features` are of."""
    images = _own_images(work)
    return _compared_images(work) if images is None else min(COMPARED_IMAGES, images.count)


def own_statistics_path(work: Workspace) -> Path | None:
    """Where the statistics of the reference file's images are kept; None of training images, or a file of statistics.

    Raises:
        LrcoreError: the file is missing or damaged.
    """
    if not work.study.evaluation.reference or _source(work).statistics is not None:
        return None
    return work.runs / "features" / f"reference-{network_recipe(work, reference_fingerprint(work))}.safetensors"


def _own_images(work: Workspace) -> ImageFolder | ImageArray | None:
    """Images of the reference file, if it has any."""
    return _source(work).images if work.study.evaluation.reference else None


def _compared_images(work: Workspace) -> int:
    return min(work.study.evaluation.n_reference, COMPARED_IMAGES, work.study.data.train_images)


def _source(work: Workspace) -> Source:
    evaluation = work.study.evaluation
    return _opened(evaluation.reference, evaluation.feature_network, work.study.data.resolution)


@functools.lru_cache(maxsize=4)
def _opened(path: str, network: str, resolution: int) -> Source:
    source = open_source(Path(path), network=network)
    images = source.images
    sizes = images.sizes if isinstance(images, ImageFolder) else [images.size] if images is not None else []
    if wrong := [size for size in sizes if size != (resolution, resolution)]:
        height, width = wrong[0]
        raise LrcoreError(
            f"evaluation.reference '{path}' holds images of {height} x {width} px, the study is of {resolution} x "
            f"{resolution}: crop and resize them first"
        )
    return source


def _require_fit(work: Workspace, found: FeatureStatistics) -> None:
    evaluation = work.study.evaluation
    if found.network != evaluation.feature_network:
        raise LrcoreError(
            f"evaluation.reference '{evaluation.reference}' is of features of {found.network}, the study measures in "
            f"{evaluation.feature_network}"
        )
    if found.count is not None:
        _require_count(work, found.count)


def _require_count(work: Workspace, count: int) -> None:
    evaluation = work.study.evaluation
    if count != evaluation.n_reference:
        raise LrcoreError(
            f"evaluation.reference '{evaluation.reference}' is of {count} images, but evaluation.n_reference is "
            f"{evaluation.n_reference}"
        )


def _spread(images: ImageFolder | ImageArray, count: int) -> Iterator[Tensor]:
    """At most `count` of the images, evenly spread over all of them: they may be sorted by class."""
    taken = min(count, images.count)
    wanted = torch.arange(taken) * images.count // taken
    start = 0
    for batch in images.batches(CHUNK):
        inside = wanted[(wanted >= start) & (wanted < start + len(batch))] - start
        start += len(batch)
        if len(inside):
            yield batch[inside]


def _stoppable(work: Workspace, batches: Iterator[Tensor]) -> Iterator[Tensor]:
    for batch in batches:
        work.check()
        yield batch
