"""Made-up rows and pictures of the studies that the pages show, so that pages can be built and tested without training.

Nothing here was measured: every row says so in its `recipe` ("made up for a test"). An autoencoder and the protocol of
the first study have names that would be markup, as rows of strangers may.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy
import torch
from foreign_text import FOREIGN
from PIL import Image

from lrcore.datasets.images import save_png
from lrcore.flow.shapes import SHAPES
from lrcore.records.schema import AnchorRow, GenerationRow, LatentRow, LossRow, ReconstructionRow
from lrcore.records.writing import write_anchors, write_generation, write_latents, write_losses, write_reconstruction
from lrcore.spec.study import Cell, Study
from lrcore.studies.loading import load_study
from lrcore.studies.widths import known_channels

MADE_UP = "made up for a test"
STUDIES = {"cifar10-cpu": "cifar10-cpu", "narrow": "smoke", "smoke": "smoke"}
"""The studies by their names in the rows, and the shipped file that each is made after."""

RENAMED = {("cifar10-cpu", "pca32"): FOREIGN["image"]}
"""What rows and pictures of a study's autoencoder call it."""

CROPS = 4
CHANNELS = {"sd": 4, "flux1": 16, "flux2": 32, "rae": 112}
DISTANCE = {"sd": 310.0, "flux1": 350.0, "flux2": 260.0, "rae": 215.0}
GAUSSIAN = 400.0
RECONSTRUCTION = {
    "psnr": {"sd": 19.0, "flux1": 24.0, "flux2": 26.0, "rae": 15.0},
    "ssim": {"sd": 0.65, "flux1": 0.84, "flux2": 0.9, "rae": 0.41},
    "lpips_vgg": {"sd": 0.31, "flux1": 0.2, "flux2": 0.15, "rae": 0.42},
    "lpips_alex": {"sd": 0.16, "flux1": 0.08, "flux2": 0.05, "rae": 0.25},
    "lpips_vgg_unweighted": {"sd": 2.1, "flux1": 1.4, "flux2": 1.1, "rae": 2.9},
    "rfd": {"sd": 160.0, "flux1": 90.0, "flux2": 60.0, "rae": 120.0},
}


@functools.cache
def channels(ae: str) -> int:
    """Channels per token of an autoencoder of `STUDIES`."""
    return CHANNELS.get(ae) or known_channels(load_study("cifar10-cpu"))[ae]


def fill(data: Path, imgs: Path) -> None:
    """Write rows of every run of `STUDIES` below `data`, and their crops below `imgs`."""
    for name, file in STUDIES.items():
        study = load_study(file)
        for cell in study.cells:
            steps, shifts = study.training.evaluate_at, study.evaluation.sampleshifts
            rows = [generation_row(study, cell, step, shift) for step in steps for shift in shifts]
            write_generation(data, name, cell.name, _renamed(name, rows))
            write_losses(data, name, cell.name, _renamed(name, loss_rows(study, cell)))
        for ae in study.autoencoders:
            rows = [reconstruction_row(ae, metric) for metric in RECONSTRUCTION]
            write_reconstruction(data, name, ae, _renamed(name, rows))
            write_latents(data, name, ae, _renamed(name, latent_rows(ae)))
            write_anchors(data, name, ae, _renamed(name, anchor_rows(study, ae)))
            write_crops(imgs / name, RENAMED.get((name, ae), ae), noise=40.0 - _like(RECONSTRUCTION["psnr"], ae))
        write_crops(imgs / name, "orig", noise=0.0)
        choose(data, name, study)
        write_samples(imgs / name / "samples", study)


def choose(data: Path, name: str, study: Study) -> None:
    """Write the rows of what the study's tables [[choice]] ask for, a tenth worse than the grid had it."""
    step, shift = study.training.evaluate_at[-1], study.evaluation.sampleshifts[0]
    again: dict[Cell, list[GenerationRow]] = {}
    for cell, n_samples, seed in _chosen(study):
        row = generation_row(study, cell, step, shift)
        anew = {"n_samples": n_samples, "sample_seed": study.seed + seed, "fid": row.fid * 1.1, "kid": row.kid * 1.1}
        again.setdefault(cell, []).append(dataclasses.replace(row, **anew))
    for cell, rows in again.items():
        write_generation(data, name, f"{cell.name}-again", _renamed(name, rows))
        write_losses(data, name, cell.name, _renamed(name, loss_rows(study, cell)))


def _renamed(study: str, rows: Sequence[Any]) -> list[Any]:
    return [dataclasses.replace(row, ae=RENAMED.get((study, row.ae), row.ae)) for row in rows]


def loss_rows(study: Study, cell: Cell) -> list[LossRow]:
    """A loss that falls with steps, lowest in the middle of the times, in four bins."""
    last = study.training.evaluate_at[-1]
    return [
        LossRow(
            step=step, t_low=low, t_high=low + 0.25, loss=1 + abs(low - 0.375) - step / (2 * last), count=100,
            recipe=MADE_UP, lrcore_version="0", **_training(study, cell),
        )
        for step in (last // 2, last) for low in (0.0, 0.25, 0.5, 0.75)
    ]  # fmt: skip


def generation_row(study: Study, cell: Cell, step: int, sampleshift: float) -> GenerationRow:
    """A plausible row: better with more steps, with alignment, and with a shift that suits the number of channels."""
    training, evaluation, best_shift = study.training, study.evaluation, math.sqrt(channels(cell.ae) / 4)
    mismatch = abs(math.log(cell.trainshift / best_shift)) + 0.5 * abs(math.log(sampleshift / best_shift))
    distance = _like(DISTANCE, cell.ae) * (1 + 0.1 * mismatch) * (training.evaluate_at[0] / step) ** 0.3
    distance *= (1.0 if cell.repa == "none" else 0.93) * (1.0 if cell.trainp == "ln" else 0.97)
    distance *= 1 + 0.01 * cell.train_seed
    distance *= 1.3 if cell.width and cell.width < channels(cell.ae) and cell.skip == "none" else 1.0
    floor = _like(RECONSTRUCTION["rfd"], cell.ae)
    return GenerationRow(
        step=step,
        sampleshift=sampleshift,
        fid=distance,
        kid=distance / 1000,
        sample_precision=0.6,
        sample_recall=0.3,
        floor_fid=floor,
        floor_kid=floor / 1000,
        reconstruction_fid=distance - floor,
        reconstruction_kid=(distance - floor) / 1000,
        gaussian_fid=GAUSSIAN,
        gaussian_kid=GAUSSIAN / 1000,
        straightness=0.9,
        efficiency=0.8,
        score=evaluation.score,
        status="ok",
        feature_network=evaluation.feature_network,
        feature_sha256="0" * 64,
        feature_protocol=MADE_UP,
        n_samples=evaluation.n_samples,
        n_reference=evaluation.n_reference,
        reference="cifar10/train[:1024]",
        label_rule=f"random {FOREIGN['markdown']} {FOREIGN['script']} {FOREIGN['fence']}",
        uint8_rule="round half to even",
        sampler="euler",
        sampling_steps=evaluation.sampling_steps,
        guidance=1.0,
        guidance_low=0.0,
        guidance_high=1.0,
        sample_seed=study.seed,
        dataset=f"cifar10 {FOREIGN['reference']} {FOREIGN['shortcode']}",
        resolution=32,
        tokens=64,
        channels_per_token=channels(cell.ae),
        model=training.model,
        parameters=1_000_000,
        batch_size=training.batch_size,
        learning_rate=training.learning_rate,
        ema_decay=training.ema_decay,
        precision="float32",
        numerical_path=MADE_UP,
        recipe=MADE_UP,
        lrcore_version="0",
        **_training(study, cell),
    )


def anchor_rows(study: Study, ae: str) -> list[AnchorRow]:
    """Every anchor at every number of samples: the distances that the rows of samples are held against."""
    evaluation, floor = study.evaluation, _like(RECONSTRUCTION["rfd"], ae)
    distances = {
        ("test", "reference"): 5.0, ("reconstructions", "reference"): floor,
        ("gaussian", "reference"): GAUSSIAN + floor, ("noise", "reference"): 500.0,
        ("test", "reconstructions"): floor, ("gaussian", "reconstructions"): GAUSSIAN,
        ("noise", "reconstructions"): 480.0,
    }  # fmt: skip
    counts = {evaluation.n_samples, *itertools.chain(*(choice.n_samples for choice in study.choice))}
    return [
        AnchorRow(
            ae=ae, anchor=anchor, target=target, fid=distance, kid=distance / 1000, n_samples=count,
            n_reference=evaluation.n_reference, reference="cifar10/train[:1024]",
            feature_network=evaluation.feature_network, feature_sha256="0" * 64, feature_protocol=MADE_UP,
            uint8_rule="round half to even", sample_seed=study.seed, dataset="cifar10", resolution=32, tokens=64,
            channels_per_token=channels(ae), recipe=MADE_UP, lrcore_version="0",
        )
        for count in sorted(counts) for (anchor, target), distance in distances.items()
    ]  # fmt: skip


def reconstruction_row(ae: str, metric: str) -> ReconstructionRow:
    """A plausible row of one metric."""
    value = _like(RECONSTRUCTION[metric], ae)
    return ReconstructionRow(
        ae=ae,
        metric=metric,
        value=value,
        standard_error=math.nan if metric == "rfd" else value / 50,
        n_images=256,
        dataset="cifar10/test[:256]",
        split="validation",
        resolution=32,
        tokens=64,
        channels_per_token=channels(ae),
        origin="trained",
        weights="",
        precision="float32",
        network="efficientnet_lite0" if metric == "rfd" else "",
        network_sha256="",
        protocol=MADE_UP,
        recipe=MADE_UP,
        lrcore_version="0",
    )


def latent_rows(ae: str) -> list[LatentRow]:
    """Plausible diagnostics: two channels and every metric of the whole."""
    shared = {"ae": ae, "n_images": 256, "dataset": "cifar10/test[:256]", "split": "validation", "resolution": 32}
    shared |= {"tokens": 64, "channels_per_token": channels(ae), "protocol": MADE_UP, "recipe": MADE_UP}
    shared |= {"network": "", "network_sha256": ""}
    named = [("channel_std", 0, 0.9), ("channel_std", 1, 1.1), ("effective_dimension", -1, channels(ae) / 2)]
    named += [("spectrum_slope", -1, -1.5), ("flip_error", -1, 0.1), ("shift_error", -1, 0.2)]
    named += [("probe_accuracy", -1, 0.4), ("ifd", -1, 2 * _like(DISTANCE, ae))]
    named += [("ifd_great_circle", -1, 3 * _like(DISTANCE, ae)), ("viv", -1, 1.2), ("viv_scaled", -1, 40.0)]
    named += [("within_class_variance", -1, 0.8), ("neighbour_consistency_5", -1, 0.4)]
    named += [("neighbour_consistency_10", -1, 0.35), ("spectral_energy_25", -1, 0.3), ("spectral_energy_50", -1, 0.1)]
    named += [("channel_kurtosis", 0, 0.2), ("channel_kurtosis", 1, -0.3)]
    times = [("gaussian_loss", k, k / 4, 1 / ((k / 4) ** 2 + (1 - k / 4) ** 2)) for k in range(5)]  # of white latents
    rings = [("spectrum_power", ring, (ring + 1) / 16, ((ring + 1) / 16) ** -1.5) for ring in range(8)]
    return [
        LatentRow(metric=m, index=i, x=x, value=v, standard_error=abs(v) / 50, lrcore_version="0", **shared)
        for m, i, x, v in [*((m, i, math.nan, v) for m, i, v in named), *rings, *times]
    ]


def write_crops(folder: Path, name: str, noise: float) -> None:
    """Pictures of 32 x 32 pixels: a gradient of its own for each number, with `noise` (standard deviation, of 255)."""
    folder.mkdir(parents=True, exist_ok=True)
    ramp = numpy.linspace(0, 255, 32)
    for number in range(CROPS):
        pixels = numpy.stack(numpy.broadcast_arrays(ramp[:, None], ramp[None, :], 60.0 * number), axis=-1)
        pixels = pixels + numpy.random.default_rng(number).normal(0, max(noise, 1e-9), pixels.shape)
        Image.fromarray(pixels.clip(0, 255).astype("uint8")).save(folder / f"{name}-{number:02d}.png")


def write_samples(folder: Path, study: Study) -> None:
    """Sheets of 8 x 2 samples, a flat colour each that is lighter with REPA, for every kind of training."""
    chosen = [cell for cell, _, _ in _chosen(study)]
    kinds = sorted({(cell.ae, cell.repa) for cell in [*study.cells, *chosen]})
    for ae, repa in kinds:
        setting = {"trainp": "ln", "trainshift": "1.00", "sampleshift": "2.95"}
        seeds = {"train_seed": "0", "sample_seed": "0", "columns": "8", "resolution": "32", "recipe": MADE_UP}
        step = str(study.training.evaluate_at[-1])
        colours = numpy.random.default_rng(channels(ae)).integers(0, 156, (3, 2, 8)) + (0 if repa == "none" else 100)
        pixels = torch.from_numpy(colours.astype("uint8").repeat(32, axis=1).repeat(32, axis=2))
        folder.mkdir(parents=True, exist_ok=True)
        name = RENAMED.get((study.name, ae), ae)
        save_png(folder / f"{name}-{repa}.png", pixels, {"ae": name, "repa": repa, "step": step, **setting, **seeds})


def _chosen(study: Study) -> Iterator[tuple[Cell, int, int]]:
    """What the tables [[choice]] ask for, as if each autoencoder did best at its first setting: the training, the
    number of samples and their seed."""
    for choice in study.choice:
        for ae, repa, trainp, seed, width, skip, count in itertools.product(
            choice.ae, choice.repa, choice.trainp or ("",), choice.train_seed or (study.seed,), choice.width or (0,),
            choice.skip, choice.n_samples,
        ):  # fmt: skip
            first = next(cell for cell in study.cells if cell.ae == ae)
            yield Cell(ae, repa, trainp or first.trainp, first.trainshift, seed, width, skip), count, choice.sample_seed


def _training(study: Study, cell: Cell) -> dict[str, object]:
    """What rows say of a training."""
    width = float(cell.width or SHAPES[study.training.model].width)
    return {**dataclasses.asdict(cell), "width": width}


def _like(values: dict[str, float], ae: str) -> float:
    """The value of an autoencoder, or of the family that it resembles by its name, a little more for each letter."""
    family = ae if ae in values else next((family for family in values if ae.startswith(family)), "sd")
    return values[family] * (1 if family == ae else 1 + len(ae) / 100)
