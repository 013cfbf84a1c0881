"""Stage: what distances are to be held against: noise, decoded Gaussian latents, reconstructions and test images.

A distance of samples to images mixes what the transformer has learned with what the decoder loses. At the same number
of images, the reconstructions' distance is what a perfect transformer would reach; that of decoded Gaussian latents,
which have the training latents' mean and covariance, is what one reaches that has learned second moments alone.
`lrcore.results.learnability` makes one number of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

import lrcore
from lrcore.datasets.images import UINT8_RULE, to_uint8
from lrcore.flow.sampling import starting_noise
from lrcore.metrics.features import all_features
from lrcore.metrics.moment_matched import mean_of, moment_matched
from lrcore.metrics.pairs import FeatureSet
from lrcore.records.reading import read_anchors
from lrcore.records.schema import AnchorRow
from lrcore.records.writing import write_anchors
from lrcore.runtime.seeds import generator
from lrcore.stages.autoencoder import autoencoder_recipe, ensure_autoencoder
from lrcore.stages.features import cached_tensor, load_network, network_recipe, watched
from lrcore.stages.judge import Distance, Judge, Target, judge_recipe, load_judge
from lrcore.stages.latents import latent_chunks
from lrcore.stages.reconstruction import reconstructed
from lrcore.stages.reference import reference_name
from lrcore.stages.workspace import Workspace, recipe

GAUSSIAN_IMAGES = 50_000
"""The Gaussian has mean and covariance of at most so many training latents, the first ones."""

GAUSSIAN_SAMPLES = 2500
"""Gaussian latents that are drawn in one pass over the training latents: more take more memory."""

RECONSTRUCTIONS = "reconstructions"
ANCHORS = ("test", RECONSTRUCTIONS, "gaussian", "noise")
"""From the best to the worst that samples can be."""


@dataclass(frozen=True)
class Anchors:
    """Of one autoencoder at one number of images: its reconstructions of test images, the distance of these to the
    reference, and that of decoded Gaussian latents to these."""

    reconstructions: Target
    floor: Distance
    gaussian: Distance


def sample_seed(work: Workspace) -> int:
    """The seed of noise and classes of the study's samples."""
    return work.study.seed + work.study.evaluation.sample_seed


def counts(work: Workspace) -> list[int]:
    """The numbers of images that anchors are wanted of: those of samples, as far as there are test images."""
    return [count for count in work.sample_counts if work.test_images(count) is not None]


def anchors_recipe(work: Workspace, ae: str) -> str:
    """What the rows depend on, beside the number of images that stands in them."""
    return recipe(autoencoder_recipe(work, ae), judge_recipe(work), work.study.seed, GAUSSIAN_IMAGES)


def anchors_done(work: Workspace, ae: str) -> bool:
    """Whether all rows are there."""
    return not missing(work, ae)


def missing(work: Workspace, ae: str) -> list[int]:
    """The numbers of images that have no rows yet."""
    rows = read_anchors(work.folders.data)
    rows = rows[(rows.study == work.study.name) & (rows.ae == ae) & (rows.recipe == anchors_recipe(work, ae))]
    absent = set(work.sample_counts) - set(rows.n_samples)
    # images are looked at only where rows are missing, which may be for want of them
    return sorted(absent & set(counts(work))) if absent else []


def measure_anchors(work: Workspace, ae: str) -> None:
    """Write the rows of `ae` that are missing."""
    for count in missing(work, ae):
        write_anchors(work.folders.data, work.study.name, work.in_precision(ae), _rows(work, ae, count))


def load_anchors(work: Workspace, ae: str) -> Anchors | None:
    """The anchors of `ae` at the study's number of samples; None where there are fewer test images."""
    count = work.study.evaluation.n_samples
    if count not in counts(work):
        return None
    measure_anchors(work, ae)
    return work.keep(work.in_precision(f"anchors of {count}"), anchors_recipe(work, ae), lambda: _read(work, ae, count))


def _read(work: Workspace, ae: str, count: int) -> Anchors:
    rows = read_anchors(work.folders.data)
    wanted = (rows.study == work.study.name) & (rows.recipe == anchors_recipe(work, ae)) & (rows.n_samples == count)
    rows = rows[wanted]

    def distance(anchor: str, target: str) -> Distance:
        found = rows[(rows.anchor == anchor) & (rows.target == target)]
        return Distance(float(found["fid"].iloc[0]), float(found["kid"].iloc[0]))

    reconstructions = Target.of(_images(work, ae, RECONSTRUCTIONS, count))
    return Anchors(reconstructions, distance(RECONSTRUCTIONS, "reference"), distance("gaussian", RECONSTRUCTIONS))


def _rows(work: Workspace, ae: str, count: int) -> list[AnchorRow]:
    judge = load_judge(work)
    reconstructions = Target.of(_images(work, ae, RECONSTRUCTIONS, count))
    found = []
    for anchor in ANCHORS:
        work.check()
        images = reconstructions.images if anchor == RECONSTRUCTIONS else _images(work, ae, anchor, count)
        found.append(_row(work, ae, anchor, "reference", count, judge, judge.reference.distance(images)))
        if anchor != RECONSTRUCTIONS:
            found.append(_row(work, ae, anchor, RECONSTRUCTIONS, count, judge, reconstructions.distance(images)))
    return found


def _row(work: Workspace, ae: str, anchor: str, target: str, count: int, judge: Judge, distance: Distance) -> AnchorRow:
    study, shape = work.study, ensure_autoencoder(work, ae).shape
    return AnchorRow(
        ae=ae,
        anchor=anchor,
        target=target,
        **asdict(distance),
        n_samples=count,
        n_reference=study.evaluation.n_reference if target == "reference" else count,
        reference=reference_name(work) if target == "reference" else f"reconstructed test images [:{count}]",
        feature_network=judge.network.name,
        feature_sha256=judge.network.sha256,
        feature_protocol=judge.network.protocol,
        uint8_rule=UINT8_RULE,
        sample_seed=study.seed,
        dataset=study.data.dataset,
        resolution=study.data.resolution,
        tokens=shape.tokens,
        channels_per_token=shape.channels_per_token,
        recipe=anchors_recipe(work, ae),
        lrcore_version=lrcore.__version__,
    )


def features_path(work: Workspace, ae: str, anchor: str) -> Path:
    """Where the features of an anchor's images are kept, as many as the largest of `counts`."""
    made_of = work.data_recipe if anchor == "test" else autoencoder_recipe(work, ae)
    key = network_recipe(work, made_of, work.study.seed, GAUSSIAN_IMAGES, counts(work)[-1])
    return work.runs / "features" / f"{anchor}-{work.study.evaluation.feature_network}-{key}.safetensors"


def _images(work: Workspace, ae: str, anchor: str, count: int) -> FeatureSet:
    """An anchor's first images in the feature network, on the study's device; made once, all that are wanted."""
    most = counts(work)[-1]
    make = {"test": _test_images, RECONSTRUCTIONS: _reconstructions, "gaussian": _gaussian, "noise": _noise}[anchor]

    def features() -> Tensor:
        return all_features(load_network(work), watched(work, make(work, ae, most)))

    found = cached_tensor(features_path(work, ae, anchor), features, work.check)[:count]
    return FeatureSet(found.to(work.device), anchor)


def _chosen_images(work: Workspace, count: int) -> Tensor:
    images: Tensor | None = work.test_images(count)
    assert images is not None  # as `counts` has found
    return images


def _test_images(work: Workspace, ae: str, count: int) -> Tensor:
    return _chosen_images(work, count)[:]


def _reconstructions(work: Workspace, ae: str, count: int) -> Tensor:
    return reconstructed(
        ensure_autoencoder(work, ae), _chosen_images(work, count), work.counted("there and back", count)
    )


def _noise(work: Workspace, ae: str, count: int) -> Tensor:
    shape = ensure_autoencoder(work, ae).shape
    return _decoded(work, ae, starting_noise(work.study.seed, range(count), shape.tokens, shape.channels_per_token))


def _gaussian(work: Workspace, ae: str, count: int) -> Tensor:
    autoencoder = ensure_autoencoder(work, ae)

    def chunks() -> Iterator[Tensor]:
        return latent_chunks(work, ae, autoencoder, GAUSSIAN_IMAGES)

    mean, images = mean_of(chunks()), min(GAUSSIAN_IMAGES, work.study.data.train_images)
    decoded = []
    for numbers in torch.arange(count).split(GAUSSIAN_SAMPLES):
        drawn = [
            torch.randn(images, generator=generator(work.study.seed, "gaussian latent", number))
            for number in numbers.tolist()
        ]
        decoded.append(_decoded(work, ae, moment_matched(torch.stack(drawn), mean, chunks())))
    return torch.cat(decoded)


def _decoded(work: Workspace, ae: str, tokens: Tensor) -> Tensor:
    decode = ensure_autoencoder(work, ae).decode
    return torch.cat([to_uint8(decode(chunk)).cpu() for chunk in watched(work, tokens, "decoded")])
