"""Stage: what an autoencoder's latent space is like before anything is trained on it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from enum import StrEnum

import torch
from torch import Tensor

import lrcore
from lrcore.autoencoders.base import Autoencoder, LatentShape, encode_all
from lrcore.datasets.images import to_uint8
from lrcore.metrics.equivariance import EQUIVARIANCE_PROTOCOL, SMALLEST_SHIFT_GRID
from lrcore.metrics.frechet import FrechetReference
from lrcore.metrics.gaussian_loss import GAUSSIAN_LOSS, GAUSSIAN_PROTOCOL, TIMES, gaussian_loss
from lrcore.metrics.interpolation import NEAREST, great_circle_latents, interpolated_frechet, interpolated_latents
from lrcore.metrics.latents import Diagnostic, LatentSample, diagnose, predict
from lrcore.metrics.neighbours import NEIGHBOURS
from lrcore.metrics.spectrum import SPECTRUM_PROTOCOL
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

GREAT_CIRCLE_SEED = 0
"""Draws the neighbours of the authors' interpolation."""

LINEAR_IMAGES, LINEAR_NUMBERS = 50_000, 2**31
"""Of at most so many training images, and numbers of all their latents, a linear denoiser is made: 8 GB of memory."""


def diagnostics_recipe(work: Workspace, ae: str) -> str:
    """What the rows depend on."""
    evaluation = work.study.evaluation
    weights = work.sha256_of_file(evaluation.feature_weights)
    behind = (PROBE_IMAGES, evaluation.feature_network, weights, interpolated_images(work))
    return recipe(autoencoder_recipe(work, ae), *behind)


class Part(StrEnum):
    """Of the diagnostics, what is measured at once; studies were measured before the later ones were there."""

    DESCRIBED = "described"
    INTERPOLATED = "interpolated"
    LINEAR = "linear denoiser"
    PREDICTED = "predicted"
    GREAT_CIRCLE = "great circle"


def parts_left(work: Workspace, ae: str) -> set[Part]:
    """Those that there are no rows of, or rows of an older protocol."""
    rows = read_latents(work.folders.data)
    found = rows[(rows.study == work.study.name) & (rows.ae == ae) & (rows.recipe == diagnostics_recipe(work, ae))]
    measured, network = set(found.metric), work.study.evaluation.feature_network
    spectrum = found[found.metric == "spectrum_power"].protocol
    # of so few images the one other predictor is measured with the rest or not at all
    few = work.study.data.validation_images <= NEIGHBOURS[0] and "effective_dimension" in measured
    done = {
        Part.DESCRIBED: "effective_dimension" in measured and bool((spectrum == SPECTRUM_PROTOCOL).all()),
        Part.INTERPOLATED: interpolation_metric(network) in measured,
        Part.LINEAR: GAUSSIAN_LOSS in measured,
        Part.PREDICTED: few or f"neighbour_consistency_{NEIGHBOURS[0]}" in measured,
        Part.GREAT_CIRCLE: great_circle_metric(network) in measured,
    }
    return {part for part, whole in done.items() if not whole}


def diagnostics_done(work: Workspace, ae: str) -> bool:
    """Whether all rows are there."""
    return not parts_left(work, ae)


def measure_latents(work: Workspace, ae: str) -> None:
    """Write the rows of `ae` that are not there yet."""
    left = parts_left(work, ae)
    if not left:
        return
    autoencoder = ensure_autoencoder(work, ae)
    # written one by one: what one metric refuses costs no other
    for diagnostics in _measured(work, autoencoder, left):
        _write(work, ae, autoencoder, diagnostics)


def _measured(work: Workspace, autoencoder: Autoencoder, left: set[Part]) -> Iterator[list[Diagnostic]]:
    """The parts that are left, as they are measured; what is looked at by several is encoded once."""
    if left & {Part.DESCRIBED, Part.PREDICTED}:
        validation = work.images.validation
        images = validation.first(DIAGNOSED_IMAGES)
        tokens = encode_all(autoencoder, images, work.counted("encoded", len(images)))
        if Part.DESCRIBED in left:
            yield diagnose(_sample(work, autoencoder, images, tokens))
        if Part.PREDICTED in left:
            yield predict(tokens, validation.labels[: len(images)], autoencoder.shape.grid, autoencoder.shape.patch)
    if Part.LINEAR in left:
        yield _linear(work, autoencoder)
    if left & {Part.INTERPOLATED, Part.GREAT_CIRCLE}:
        yield from _interpolated(work, autoencoder, left)


def _write(work: Workspace, ae: str, autoencoder: Autoencoder, diagnostics: list[Diagnostic]) -> None:
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
    if rows:
        write_latents(work.folders.data, work.study.name, ae, rows)


def _sample(work: Workspace, autoencoder: Autoencoder, images: Tensor, tokens: Tensor) -> LatentSample:
    """Validation images and their latents, with those of training images, which the probe is fitted on."""
    train = work.images.train
    probed = train.first(PROBE_IMAGES)
    symmetries = len(EQUIVARIANCE_PROTOCOL) - (min(autoencoder.shape.grid) < SMALLEST_SHIFT_GRID)
    moved = work.counted("encoded once more, and moved", len(images) * (1 + symmetries))

    def encode(images: Tensor) -> Tensor:
        # as pixels: floats of a bright batch would look like images in [0, 1]
        tokens = autoencoder.encode(to_uint8(images))
        moved(len(images))
        return tokens

    return LatentSample(
        train_tokens=encode_all(autoencoder, probed, work.counted("encoded for the probe", len(probed))),
        train_labels=train.labels[:PROBE_IMAGES],
        tokens=tokens,
        labels=work.images.validation.labels[: len(images)],
        images=images,
        encode=encode,
        grid=autoencoder.shape.grid,
        patch=autoencoder.shape.patch,
        classes=train.classes,
    )


def linear_images(work: Workspace, latent: LatentShape) -> int:
    """Of how many training images a linear denoiser is made and measured."""
    return min(LINEAR_IMAGES, LINEAR_NUMBERS // latent.dimension, work.study.data.train_images)


def _linear(work: Workspace, autoencoder: Autoencoder) -> list[Diagnostic]:
    """The loss of the best linear denoiser at each of `TIMES`, of the first training images."""
    train = work.images.train
    images = train.first(min(LINEAR_IMAGES, LINEAR_NUMBERS // autoencoder.shape.dimension))
    tokens = encode_all(autoencoder, images, work.counted("encoded for the linear denoiser", len(images)))
    found = gaussian_loss(tokens, train.labels[: len(images)], TIMES, work.check)
    numbers = zip(TIMES.tolist(), found.value.tolist(), found.standard_error.tolist(), strict=True)
    protocol = f"the first {len(images)} training images; {GAUSSIAN_PROTOCOL}"
    return [
        Diagnostic(GAUSSIAN_LOSS, index, t, value, error, found.n_images, protocol, split="train")
        for index, (t, value, error) in enumerate(numbers)
    ]


def interpolation_metric(feature_network: str) -> str:
    """What the distance of interpolations is called: `ifid` in the 2015 Inception's features alone."""
    return "ifid" if feature_network == "inception2015" else "ifd"


def great_circle_metric(feature_network: str) -> str:
    """The same by the interpolation of the authors' code."""
    return f"{interpolation_metric(feature_network)}_great_circle"


def interpolated_images(work: Workspace) -> int:
    """How many training images' latents are interpolated."""
    wanted = work.study.evaluation.n_interpolated or work.study.evaluation.n_reference
    return min(wanted, INTERPOLATED_IMAGES, work.study.data.train_images)


def _interpolated(work: Workspace, autoencoder: Autoencoder, left: set[Part]) -> Iterator[list[Diagnostic]]:
    """The interpolated FID over the first training images, by our interpolation and by the authors'."""
    images = work.images.train.first(interpolated_images(work))
    network = load_network(work)
    latents = encode_all(autoencoder, images, work.counted("encoded to interpolate", len(images)))
    originals = FrechetReference(measured_statistics(work, "train", len(images)))

    def distance(metric: str, moved: Tensor, how: str) -> Diagnostic:
        count = work.counted(f"decoded for the {metric}", len(moved))
        return Diagnostic(
            metric=metric,
            index=-1,
            x=math.nan,
            value=interpolated_frechet(autoencoder, moved, network, originals, work.check, count),
            standard_error=math.nan,
            n_images=len(images),
            protocol=f"{how}; {network.protocol}",
            split="train",
            network=network.name,
            network_sha256=network.sha256,
        )

    # neither is kept while the other is made: each is as large as all latents
    if Part.INTERPOLATED in left:
        how = "straight half-way to the nearest (Euclidean) of the other latents"
        moved = interpolated_latents(latents, before_block=work.check)
        yield [distance(interpolation_metric(network.name), moved, how)]
        del moved
    if Part.GREAT_CIRCLE in left:
        how = f"half-way on a great circle to one drawn of the {NEAREST} nearest (cosine) of the other latents"
        moved = great_circle_latents(latents, torch.Generator().manual_seed(GREAT_CIRCLE_SEED), work.check)
        yield [distance(great_circle_metric(network.name), moved, how)]
