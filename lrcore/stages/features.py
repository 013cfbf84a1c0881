"""Stage: the frozen encoder's patch features of the training images, and the reference statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from lrcore.errors import LrcoreError
from lrcore.files import atomic_path, exclusive
from lrcore.images import to_float
from lrcore.metrics.features import FeatureNetwork, all_features, load_features, statistics
from lrcore.metrics.frechet import GaussianStatistics
from lrcore.metrics.shipped import shipped_statistics
from lrcore.stages.workspace import Workspace, recipe

CHUNK = 64

IN_MEMORY = 2**33
"""Bytes of patch features that are kept; those of all ImageNet would take 1 TB."""

COMPARED_IMAGES = 10_000
"""As many reference images as ADM's evaluator takes for precision and recall."""


def features_recipe(work: Workspace) -> str:
    """What the patch features depend on."""
    encoder = work.study.encoder
    return recipe(work.data_recipe, encoder.name, encoder.size, work.sha256_of_file(encoder.weights))


def features_are_stored(work: Workspace) -> bool:
    """Whether trainings read patch features from memory, rather than compute them at every step.

    They do where all of them fit into `IN_MEMORY` bytes and images are seen as they are, not mirrored.
    """
    encoder = work.encoder
    images = work.study.data.train_images
    return not work.study.training.flip and images * encoder.grid**2 * encoder.patch_channels * 4 <= IN_MEMORY


def training_features(work: Workspace) -> Tensor:
    """Patch features (train images, N, F), float32, of the training images."""
    path = work.runs / "features" / f"{work.study.encoder.name}-{features_recipe(work)}.safetensors"

    def make() -> Tensor:
        chunks = []
        for pixels in work.images.train.images.split(CHUNK):
            work.stop.check()
            patches = work.encoder.patches_only(to_float(pixels).to(work.device))
            chunks.append(patches.flatten(2).transpose(1, 2).cpu())
        return torch.cat(chunks)

    return cached_tensor(path, make, work.stop.check)


def cached_tensor(path: Path, make: Callable[[], Tensor], waiting: Callable[[], None] = lambda: None) -> Tensor:
    """The tensor in `path`, made and stored first where it is absent.

    `waiting` is called every second that another process makes it, and may raise to give up.
    """
    with exclusive(path, waiting):
        if not path.exists():
            tensor = make().contiguous()
            with atomic_path(path) as temporary:
                save_file({"tensor": tensor}, temporary)
            return tensor
    try:
        return load_file(path)["tensor"]
    except SafetensorError as error:
        raise LrcoreError(f"'{path}' is damaged ({error}): delete it to make it again") from error


def reference_statistics(work: Workspace) -> GaussianStatistics:
    """Mean and covariance of the reference images, the first of the training images, in the study's feature network.

    Those that ship with the package are read, not measured.
    """
    return _statistics(work, "train", work.study.evaluation.n_reference)


def compared_features(work: Workspace) -> Tensor:
    """Features (N, D) of the first reference images, at most `COMPARED_IMAGES`: what KID, precision and recall need."""
    evaluation = work.study.evaluation
    images = min(evaluation.n_reference, COMPARED_IMAGES)
    path = work.runs / "features" / f"compared-{evaluation.feature_network}-{_key(work, images)}.safetensors"

    def make() -> Tensor:
        return all_features(load_network(work), watched(work, work.images.train.first(images)))

    return cached_tensor(path, make, work.stop.check)


def load_network(work: Workspace) -> FeatureNetwork:
    """The study's feature network, on its device."""
    evaluation = work.study.evaluation
    return load_features(evaluation.feature_network, work.device, evaluation.feature_weights)


def validation_statistics(work: Workspace) -> GaussianStatistics:
    """The same of the validation images."""
    return _statistics(work, "test", work.study.data.validation_images)


def _statistics(work: Workspace, split: str, images: int) -> GaussianStatistics:
    network_name = work.study.evaluation.feature_network
    shipped = shipped_statistics(work.study.data.dataset, split, images, network_name)
    if shipped is not None:
        return shipped.gaussian
    path = work.runs / "features" / f"{split}-{network_name}-{_key(work, images)}.safetensors"
    with exclusive(path, work.stop.check):
        if not path.exists():
            pixels = (work.images.train if split == "train" else work.images.validation).first(images)
            statistics(load_network(work), watched(work, pixels)).save(path)
    return GaussianStatistics.load(path)


def _key(work: Workspace, images: int) -> str:
    evaluation = work.study.evaluation
    weights = work.sha256_of_file(evaluation.feature_weights)
    return recipe(work.data_recipe, evaluation.feature_network, weights, images)


def watched(work: Workspace, images: Tensor) -> Iterator[Tensor]:
    """Chunks of `images`, with a look before each at whether to stop."""
    for chunk in images.split(CHUNK):
        work.stop.check()
        yield chunk
