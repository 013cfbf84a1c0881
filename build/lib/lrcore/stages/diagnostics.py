"""Stage: what an autoencoder's latent space is like before anything is trained on it."""

from __future__ import annotations

import dataclasses
import math

import lrcore
from lrcore.autoencoders.base import Autoencoder, LatentShape, encode_all
from lrcore.datasets.images import to_uint8
from lrcore.metrics.frechet import FrechetReference
from lrcore.metrics.gaussian_loss import GAUSSIAN_LOSS, GAUSSIAN_PROTOCOL, TIMES, gaussian_loss
from lrcore.metrics.interpolation import interpolated_frechet
from lrcore.metrics.latents import Diagnostic, LatentSample, diagnose
from lrcore.records.reading import read_latents
from lrcore.records.schema import LatentRow
from lrcore.records.writing import write_latents
from lrcore.stages.autoencoder import autoencoder_recipe, ensure_autoencoder
from lrcore.stages.features import load_network, measured_statistics
from lrcore.stages.workspace import Workspace, recipe

PROBE_IMAGES = 5000
"""At most so many of the first training images fit the linear probe."""


DIAGNOSED_IMAGES = 10_000
"""At most so many validation images are looked at: their latents are in memory, 8 GB of the widest."""

INTERPOLATED_IMAGES = 10_000
"""Of at most so many training images latents are interpolated: all of them are in memory, 8 GB for the widest."""

LINEAR_IMAGES, LINEAR_NUMBERS = 50_000, 2**31
"""Of at most so many training images, and numbers of all their latents, a linear denoiser is made: 8 GB of memory."""


def diagnostics_recipe(work: Workspace, ae: str) -> str:
    """What the rows depend on."""
    evaluation = work.study.evaluation
    weights = work.sha256_of_file(evaluation.feature_weights)
    behind = (PROBE_IMAGES, evaluation.feature_network, weights, interpolated_images(work))
    return recipe(autoencoder_recipe(work, ae), *behind)


def measured_metrics(work: Workspace, ae: str) -> set[str]:
    """Those that there are rows of."""
    rows = read_latents(work.folders.data)
    found = rows[(rows.study == work.study.name) & (rows.ae == ae) & (rows.recipe == diagnostics_recipe(work, ae))]
    return set(found.metric)


def diagnostics_done(work: Workspace, ae: str) -> bool:
    """Whether all rows are there."""
    measured = measured_metrics(work, ae)
    return GAUSSIAN_LOSS in measured and len(measured) > 1


def measure_latents(work: Workspace, ae: str) -> None:
    """Write the rows of `ae` that are not there yet.

    The loss of the best linear denoiser is on its own, since studies were measured before it was; all else is written
    at once.
    """
    if diagnostics_done(work, ae):
        return
    autoencoder = ensure_autoencoder(work, ae)
    measured = measured_metrics(work, ae)
    diagnostics: list[Diagnostic] = []
    if not measured - {GAUSSIAN_LOSS}:
        diagnostics += [*_diagnosed(work, autoencoder), _interpolated(work, autoencoder)]
    if GAUSSIAN_LOSS not in measured:
        diagnostics += _linear(work, autoencoder)
    found = diagnostics_recipe(work, ae)
    rows = [
        LatentRow(
            ae=ae,
            **dataclasses.asdict(diagnostic),
            dataset=(work.images.validation if diagnostic.split == "validation" else work.images.train).name,
            resolution=autoencoder.shape.resolution,
            tokens=autoencoder.shape.tokens,
            channels_per_token=autoencoder.shape.channels_per_token,
            recipe=found,
            lrcore_version=lrcore.__version__,
        )
        for diagnostic in diagnostics
    ]
    write_latents(work.folders.data, work.study.name, ae, rows)


def _diagnosed(work: Workspace, autoencoder: Autoencoder) -> list[Diagnostic]:
    """Measured on the validation images, the probe fitted on others."""
    train, validation = work.images.train, work.images.validation
    images = validation.first(DIAGNOSED_IMAGES)
    sample = LatentSample(
        train_tokens=encode_all(autoencoder, train.first(PROBE_IMAGES)),
        train_labels=train.labels[:PROBE_IMAGES],
        tokens=encode_all(autoencoder, images),
        labels=validation.labels[: len(images)],
        images=images,
        # as pixels: floats of a bright batch would look like images in [0, 1]
        encode=lambda images: autoencoder.encode(to_uint8(images)),
        grid=autoencoder.shape.grid,
        patch=autoencoder.shape.patch,
        classes=train.classes,
    )
    return diagnose(sample)


def linear_images(work: Workspace, latent: LatentShape) -> int:
    """Of how many training images a linear denoiser is made and measured."""
    return min(LINEAR_IMAGES, LINEAR_NUMBERS // latent.dimension, work.study.data.train_images)


def _linear(work: Workspace, autoencoder: Autoencoder) -> list[Diagnostic]:
    """The loss of the best linear denoiser at each of `TIMES`, of the first training images."""
    train = work.images.train
    images = train.first(min(LINEAR_IMAGES, LINEAR_NUMBERS // autoencoder.shape.dimension))
    found = gaussian_loss(encode_all(autoencoder, images), train.labels[: len(images)], TIMES, work.check)
    numbers = zip(TIMES.tolist(), found.value.tolist(), found.standard_error.tolist(), strict=True)
    protocol = f"the first {len(images)} training images; {GAUSSIAN_PROTOCOL}"
    return [
        Diagnostic(GAUSSIAN_LOSS, index, t, value, error, found.n_images, protocol, split="train")
        for index, (t, value, error) in enumerate(numbers)
    ]


def interpolation_metric(feature_network: str) -> str:
    """What the distance of interpolations is called: `ifid` in the 2015 Inception's features alone."""
    return "ifid" if feature_network == "inception2015" else "ifd"


def interpolated_images(work: Workspace) -> int:
    """How many training images' latents are interpolated."""
    wanted = work.study.evaluation.n_interpolated or work.study.evaluation.n_reference
    return min(wanted, INTERPOLATED_IMAGES, work.study.data.train_images)


def _interpolated(work: Workspace, autoencoder: Autoencoder) -> Diagnostic:
    """The interpolated FID over the first training images."""
    images = work.images.train.first(interpolated_images(work))
    network = load_network(work)
    distance = interpolated_frechet(
        autoencoder,
        encode_all(autoencoder, images),
        network,
        FrechetReference(measured_statistics(work, "train", len(images))),
        work.check,
    )
    return Diagnostic(
        metric=interpolation_metric(network.name),
        index=-1,
        x=math.nan,
        value=distance,
        standard_error=math.nan,
        n_images=len(images),
        protocol=f"straight half-way to the nearest (Euclidean) of the other latents; {network.protocol}",
        split="train",
        network=network.name,
        network_sha256=network.sha256,
    )
