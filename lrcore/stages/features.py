"""Stage: what frozen networks see in the study's images: patch features for REPA, statistics for distances."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from lrcore.datasets.images import to_float
from lrcore.errors import LrcoreError
from lrcore.metrics.features import FeatureNetwork, load_features, statistics
from lrcore.metrics.frechet import GaussianStatistics
from lrcore.metrics.half_precision import CALIBRATION_IMAGES, in_half_precision
from lrcore.metrics.shipped import shipped_statistics
from lrcore.runtime.files import exclusive, make_missing
from lrcore.runtime.tensor_files import load_tensors, save_tensors
from lrcore.stages.workspace import Workspace, recipe

CHUNK = 64

HALF = "features in half precision"
"""What recipes say of them."""

PART_IMAGES = 4096
"""Images of a file of patch features: several processes make them together, and little is lost with one of them."""

IN_MEMORY = 2**33
"""Bytes of patch features that are kept; those of all ImageNet would take 1 TB."""


def features_recipe(work: Workspace) -> str:
    """What the patch features depend on."""
    encoder = work.study.encoder
    return recipe(work.data_recipe, encoder.name, encoder.size, work.sha256_of_file(encoder.weights))


def features_are_stored(work: Workspace) -> bool:
    """Whether trainings read patch features from memory, rather than compute them at every step.

    They do where all of them fit into `IN_MEMORY` bytes and images are seen as they are, not mirrored.
    """
    if work.study.training.flip:
        return False
    encoder = work.encoder
    return work.study.data.train_images * encoder.grid**2 * encoder.patch_channels * 4 <= IN_MEMORY


def training_features(work: Workspace) -> Tensor:
    """Patch features (train images, N, F), float32, of the training images."""
    images, starts = work.images.train.images, feature_parts(work)

    def make(path: Path) -> None:
        part = images.narrow(0, *starts[path])
        save_tensors(path, {"tensor": torch.cat(list(_patches(work, part)))})

    make_missing(list(starts), make, work.check)
    return torch.cat([_stored(path) for path in starts])


def feature_parts(work: Workspace) -> dict[Path, tuple[int, int]]:
    """The files of the patch features: the first of the training images that are in each, and how many are."""
    folder, images = (
        work.runs / "features" / f"{work.study.encoder.name}-{features_recipe(work)}",
        len(work.images.train.labels),
    )
    return {
        folder / f"{start // PART_IMAGES:05d}.safetensors": (start, min(PART_IMAGES, images - start))
        for start in range(0, images, PART_IMAGES)
    }


def _patches(work: Workspace, images: Tensor) -> Iterator[Tensor]:
    for pixels in watched(work, images, "patch features"):
        patches = work.encoder.patches_only(to_float(pixels).to(work.device))
        yield patches.flatten(2).transpose(1, 2).cpu()


def cached_tensor(path: Path, make: Callable[[], Tensor], waiting: Callable[[], None] = lambda: None) -> Tensor:
    """The tensor in `path`, on the CPU, made and stored first where it is absent.

    `waiting` is called every second that another process makes it, and may raise to give up. What is there is read
    without a lock, so that its folder need not be writable.
    """
    if not path.exists():
        with exclusive(path, waiting):
            if not path.exists():
                tensor = make().cpu().contiguous()
                save_tensors(path, {"tensor": tensor})
                return tensor
    # a copy, since results of matrix products may depend on where in memory a mapped file begins
    return _stored(path).clone()


def _stored(path: Path) -> Tensor:
    tensors = load_tensors(path)
    if "tensor" not in tensors:
        raise LrcoreError(f"'{path}' holds {', '.join(tensors)}, not 'tensor': delete it to make it again")
    return tensors["tensor"]


def load_network(work: Workspace) -> FeatureNetwork:
    """The study's feature network, on its device; in half precision it is adapted to the first training images."""
    wanted = work.study.evaluation
    named = wanted.feature_network, work.device, wanted.feature_weights
    network = work.keep("feature network", named, lambda: load_features(*named))
    if not work.half_features:
        return network
    key = *named, work.data_recipe
    return work.keep("feature network in half precision", key, lambda: in_half_precision(network, _calibration(work)))


def _calibration(work: Workspace) -> Tensor:
    images: Tensor = work.images.train.first(CALIBRATION_IMAGES)[:]
    return images


def measured_statistics(work: Workspace, split: str, images: int) -> GaussianStatistics:
    """Mean and covariance of the first `images` of the split "train" or "test", in the study's feature network.

    Those that ship with the package are read, not measured.
    """
    name = work.study.evaluation.feature_network
    shipped = shipped_statistics(work.study.data.dataset, split, images, name)
    if shipped is not None and not work.half_features:
        return shipped.gaussian
    pixels = work.images.train if split == "train" else work.images.validation
    return cached_statistics(
        work,
        statistics_path(work, split, images),
        lambda: statistics(load_network(work), watched(work, pixels.first(images))),
    )


def statistics_path(work: Workspace, split: str, images: int) -> Path:
    """Where `measured_statistics` are kept that do not ship."""
    name = f"{split}-{work.study.evaluation.feature_network}-{network_recipe(work, work.data_recipe, images)}"
    return work.runs / "features" / f"{name}.safetensors"


def cached_statistics(work: Workspace, path: Path, make: Callable[[], GaussianStatistics]) -> GaussianStatistics:
    """The statistics in `path`, made and stored first where they are absent."""
    if not path.exists():
        with exclusive(path, work.check):
            if not path.exists():
                make().save(path)
    return GaussianStatistics.load(path)


def network_recipe(work: Workspace, *images: object) -> str:
    """What features of `images` in the study's feature network depend on."""
    evaluation = work.study.evaluation
    half = [HALF, work.data_recipe] if work.half_features else []
    return recipe(evaluation.feature_network, work.sha256_of_file(evaluation.feature_weights), *images, *half)


def watched(work: Workspace, images: Tensor, what: str = "in the feature network") -> Iterator[Tensor]:
    """Chunks of `images`, with a look before each at whether to stop, and told of as `what` after it."""
    count = work.counted(what, len(images))
    for chunk in images.split(CHUNK):
        work.check()
        yield chunk
        count(len(chunk))
