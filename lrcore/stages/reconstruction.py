"""Stage: how faithful an autoencoder is on the validation images, and the crops that show it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

import lrcore
from lrcore.autoencoders import taef2
from lrcore.autoencoders.base import IMAGES_PER_FORWARD, Autoencoder
from lrcore.datasets.images import save_png, to_uint8
from lrcore.metrics.features import FeatureNetwork, all_features, statistics
from lrcore.metrics.frechet import frechet_distance
from lrcore.metrics.paired_kernel import PAIRED_PROTOCOL, paired_kernel_distance
from lrcore.metrics.reconstruction import (
    LPIPS_PROTOCOL,
    PSNR_PROTOCOL,
    SSIM_PROTOCOL,
    load_lpips,
    lpips_together,
    psnr,
    ssim,
    summarise,
)
from lrcore.records.reading import read_reconstruction
from lrcore.records.schema import ReconstructionRow
from lrcore.records.writing import write_reconstruction
from lrcore.runtime.files import exclusive, sweep_leftovers
from lrcore.spec.study import AutoencoderSpec, Study, written
from lrcore.stages.autoencoder import autoencoder_recipe, ensure_autoencoder
from lrcore.stages.features import CHUNK, load_network, measured_statistics, watched
from lrcore.stages.workspace import Workspace, recipe

CROPS = 4
"""Validation images written to `imgs/<study>/`, for the original and every autoencoder."""

FEWEST_FOR_FRECHET = 2000
"""Images; of fewer, a Frechet distance in 2,048 features says more of their number than of them."""


def reconstruction_recipe(work: Workspace, ae: str) -> str:
    """What the rows depend on."""
    evaluation = work.study.evaluation
    return recipe(
        autoencoder_recipe(work, ae), evaluation.feature_network, work.sha256_of_file(evaluation.feature_weights)
    )


def reconstruction_done(work: Workspace, ae: str) -> bool:
    """Whether the rows and the crops are there."""
    rows = read_reconstruction(work.folders.data)
    rows = rows[(rows.study == work.study.name) & (rows.ae == ae) & (rows.recipe == reconstruction_recipe(work, ae))]
    folder = work.folders.imgs / work.study.name
    shown = min(CROPS, work.study.data.validation_images)
    metrics = {"psnr", "ssim", *LPIPS_PROTOCOL, _set_metric(work.study)}
    return metrics <= set(rows.metric) and all(
        (folder / f"{name}-{number:02d}.png").exists() for name in ("orig", ae) for number in range(shown)
    )


def set_metric(feature_network: str, kernel: bool = False) -> str:
    """What the Frechet distance of reconstructions is called: `rfid` in the 2015 Inception's features alone.

    `kernel`: the kernel distance instead, `rkid` or `rkd`.
    """
    letter = "k" if kernel else "f"
    return f"r{letter}id" if feature_network == "inception2015" else f"r{letter}d"


def _set_metric(study: Study) -> str:
    """The distance of a study: the kernel distance where it decides and images are few, else the Frechet distance."""
    few = study.data.validation_images < FEWEST_FOR_FRECHET
    return set_metric(study.evaluation.feature_network, kernel=few and study.evaluation.score == "kid")


def measure_reconstruction(work: Workspace, ae: str) -> None:
    """Write the reconstruction rows and the crops of `ae`, unless they are there."""
    if reconstruction_done(work, ae):
        return
    autoencoder = ensure_autoencoder(work, ae)
    originals = work.images.validation.images
    decoded = reconstructed(autoencoder, originals, work.counted("there and back", len(originals)))
    _write_crops(work, ae, originals, decoded)
    write_reconstruction(work.folders.data, work.study.name, ae, _rows(work, ae, autoencoder, originals, decoded))


def reconstructed(
    autoencoder: Autoencoder, pixels: Tensor, count: Callable[[int], None] = lambda images: None
) -> Tensor:
    """uint8 images (N, 3, H, W), encoded and decoded, on the CPU; `count` is told of every few."""
    found = torch.empty(tuple(pixels.shape), dtype=torch.uint8)
    for number, chunk in enumerate(pixels.split(IMAGES_PER_FORWARD)):
        start = number * IMAGES_PER_FORWARD
        found[start : start + len(chunk)] = to_uint8(autoencoder(chunk)).cpu()
        count(len(chunk))
    return found


def _measured(
    work: Workspace,
    what: str,
    metrics: Callable[[Tensor, Tensor], Sequence[Tensor]],
    originals: Tensor,
    decoded: Tensor,
) -> list[Tensor]:
    """Metrics of all images (N,) each, with a look now and then at whether to stop."""
    chunks, count = [], work.counted(what, len(originals))
    for original, shown in zip(originals.split(CHUNK), decoded.split(CHUNK), strict=True):
        work.check()
        chunks.append(metrics(original, shown))
        count(len(original))
    return [torch.cat(parts) for parts in zip(*chunks, strict=True)]


def _write_crops(work: Workspace, ae: str, originals: Tensor, decoded: Tensor) -> None:
    folder = work.folders.imgs / work.study.name
    # one lock for the folder: the originals are every autoencoder's
    with exclusive(folder, work.check):
        for number, (original, shown) in enumerate(zip(originals[:CROPS], decoded[:CROPS], strict=True)):
            for name, image in ("orig", original), (ae, shown):
                path = folder / f"{name}-{number:02d}.png"
                sweep_leftovers(path)
                save_png(path, image)


def _named_weights(spec: AutoencoderSpec) -> str:
    """Where weights come from: hub id or folder with subfolder, revision and variant, assets, code, or "".

    Of an absolute path the last part: where somebody keeps a file is nobody's business. With the size to which images
    are resized, but of TAEF2, whose size is not of choice.
    """
    if spec.family == "taef2":
        return " ".join(taef2.WEIGHTS)
    resized = f", images resized to {spec.size} px" if spec.size else ""
    if spec.origin == "custom":
        return _without_folder(written(spec.family)) + resized
    place = "/".join(filter(None, (_without_folder(written(spec.pretrained)), spec.subfolder)))
    revision, variant = f"@{spec.revision}" if spec.revision else "", f" ({spec.variant})" if spec.variant else ""
    return place + revision + variant + resized


def _without_folder(path: str) -> str:
    return Path(path).name if Path(path).is_absolute() else path


def _rows(
    work: Workspace, ae: str, autoencoder: Autoencoder, originals: Tensor, decoded: Tensor
) -> list[ReconstructionRow]:
    spec = work.study.autoencoders[ae]
    found = reconstruction_recipe(work, ae)

    def row(
        metric: str, value: float, error: float, protocol: str, network: str = "", sha256: str = ""
    ) -> ReconstructionRow:
        return ReconstructionRow(
            ae=ae,
            metric=metric,
            value=value,
            standard_error=error,
            n_images=len(originals),
            dataset=work.images.validation.name,
            split="validation",
            resolution=work.study.data.resolution,
            tokens=autoencoder.shape.tokens,
            channels_per_token=autoencoder.shape.channels_per_token,
            origin=spec.origin,
            weights=_named_weights(spec),
            precision=autoencoder.precision,
            network=network,
            network_sha256=sha256,
            protocol=protocol,
            recipe=found,
            lrcore_version=lrcore.__version__,
        )

    rows = []
    of_pixels = _measured(work, "PSNR and SSIM", lambda a, b: (psnr(a, b), ssim(a, b)), originals, decoded)
    for metric, values, protocol in zip(("psnr", "ssim"), of_pixels, (PSNR_PROTOCOL, SSIM_PROTOCOL), strict=True):
        summary = summarise(values)
        rows.append(row(metric, summary.mean, summary.standard_error, protocol))
    variants = [load_lpips(metric, work.device) for metric in LPIPS_PROTOCOL]
    of_features = _measured(work, "LPIPS", lambda a, b: lpips_together(variants, a, b), originals, decoded)
    for lpips, values in zip(variants, of_features, strict=True):
        summary = summarise(values)
        rows.append(row(lpips.name, summary.mean, summary.standard_error, lpips.protocol, lpips.network, lpips.sha256))
    network, metric = load_network(work), _set_metric(work.study)
    measure = _kernel_distance if metric in ("rkid", "rkd") else _frechet_distance
    rows.append(row(metric, *measure(work, network, originals, decoded), network.name, network.sha256))
    return rows


def _frechet_distance(
    work: Workspace, network: FeatureNetwork, originals: Tensor, decoded: Tensor
) -> tuple[float, float, str]:
    """Value, standard error (none: the distance is of the whole set, not a mean over images) and protocol."""
    reference = measured_statistics(work, "test", work.study.data.validation_images)
    distance = frechet_distance(reference, statistics(network, watched(work, decoded)))
    return distance, math.nan, "Frechet distance between the validation images and their reconstructions"


def _kernel_distance(
    work: Workspace, network: FeatureNetwork, originals: Tensor, decoded: Tensor
) -> tuple[float, float, str]:
    """Value, standard error and protocol."""
    features = [all_features(network, watched(work, images)) for images in (originals, decoded)]
    return *paired_kernel_distance(*features), PAIRED_PROTOCOL
