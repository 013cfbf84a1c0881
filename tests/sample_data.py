"""Made-up rows and pictures of the studies that the pages show, so that pages can be built and tested without training.

Nothing here was measured: every row says so in its `recipe` ("made up for a test").
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import numpy
import torch
from PIL import Image

from lrcore.images import save_png
from lrcore.records import (
    GenerationRow,
    LatentRow,
    LossRow,
    ReconstructionRow,
    write_generation,
    write_latents,
    write_losses,
    write_reconstruction,
)

MADE_UP = "made up for a test"
STUDIES = ("cifar10-cpu", "smoke")
CROPS = 4
CHANNELS = {"sd": 4, "flux1": 16, "flux2": 32, "rae": 112}
DISTANCE = {"sd": 310.0, "flux1": 350.0, "flux2": 260.0, "rae": 215.0}
RECONSTRUCTION = {
    "psnr": {"sd": 19.0, "flux1": 24.0, "flux2": 26.0, "rae": 15.0},
    "ssim": {"sd": 0.65, "flux1": 0.84, "flux2": 0.9, "rae": 0.41},
    "lpips_vgg": {"sd": 0.31, "flux1": 0.2, "flux2": 0.15, "rae": 0.42},
    "lpips_alex": {"sd": 0.16, "flux1": 0.08, "flux2": 0.05, "rae": 0.25},
    "lpips_vgg_unweighted": {"sd": 2.1, "flux1": 1.4, "flux2": 1.1, "rae": 2.9},
    "rfd": {"sd": 160.0, "flux1": 90.0, "flux2": 60.0, "rae": 120.0},
}


def fill(data: Path, imgs: Path) -> None:
    """Write rows of every run of `STUDIES` below `data`, and their crops below `imgs`."""
    for name in STUDIES:
        study = tomllib.loads((resources.files("lrcore.studies") / f"{name}.toml").read_text())
        for run in _runs(study):
            rows = [
                generation_row(study, run, step, shift)
                for step in study["training"]["evaluate_at"]
                for shift in study["evaluation"]["sampleshifts"]
            ]
            write_generation(data, name, run_name(run), rows)
            write_losses(data, name, run_name(run), loss_rows(study, run))
        for ae in CHANNELS:
            write_reconstruction(data, name, ae, [reconstruction_row(ae, metric) for metric in RECONSTRUCTION])
            write_latents(data, name, ae, latent_rows(ae))
            write_crops(imgs / name, ae, noise=40.0 - RECONSTRUCTION["psnr"][ae])
        write_crops(imgs / name, "orig", noise=0.0)
        write_samples(imgs / name / "samples", study)
        if "confirmation" in study:
            confirm(data, name, study)


def confirm(data: Path, name: str, study: dict[str, Any]) -> None:
    """Write a row of each autoencoder, with and without REPA, in the features of [confirmation]."""
    wanted = study["confirmation"]
    runs = {(run["ae"], run["repa"]): run for run in _runs(study) if run["train_seed"] == 0}
    for run in runs.values():
        row = generation_row(study, run, study["training"]["evaluate_at"][-1], 1.0)
        again = {"feature_network": wanted["feature_network"], "n_samples": wanted["n_samples"], "fid": row.fid / 5}
        write_generation(data, name, f"{run_name(run)}-again", [dataclasses.replace(row, **again)])


def loss_rows(study: dict[str, Any], run: dict[str, Any]) -> list[LossRow]:
    """A loss that falls with steps, lowest in the middle of the times, in four bins."""
    last = study["training"]["evaluate_at"][-1]
    return [
        LossRow(
            step=step, t_low=low, t_high=low + 0.25, loss=1 + abs(low - 0.375) - step / (2 * last), count=100,
            recipe=MADE_UP, lrcore_version="0", **run,
        )
        for step in (last // 2, last) for low in (0.0, 0.25, 0.5, 0.75)
    ]  # fmt: skip


def run_name(run: dict[str, Any]) -> str:
    """The name of the file of a run."""
    return "-".join(str(value) for value in run.values())


def generation_row(study: dict[str, Any], run: dict[str, Any], step: int, sampleshift: float) -> GenerationRow:
    """A plausible row: better with more steps, with alignment, and with a shift that suits the number of channels."""
    ae = run["ae"]
    best_shift = math.sqrt(CHANNELS[ae] / 4)
    mismatch = abs(math.log(run["trainshift"] / best_shift)) + 0.5 * abs(math.log(sampleshift / best_shift))
    distance = DISTANCE[ae] * (1 + 0.1 * mismatch) * (study["training"]["evaluate_at"][0] / step) ** 0.3
    distance *= (1.0 if run["repa"] == "none" else 0.93) * (1.0 if run["trainp"] == "ln" else 0.97)
    distance *= 1 + 0.01 * run["train_seed"]
    return GenerationRow(
        step=step,
        sampleshift=sampleshift,
        fid=distance,
        kid=distance / 1000,
        sample_precision=0.6,
        sample_recall=0.3,
        status="ok",
        feature_network="efficientnet_lite0",
        feature_sha256="0" * 64,
        feature_protocol=MADE_UP,
        n_samples=study["evaluation"]["n_samples"],
        n_reference=study["evaluation"]["n_reference"],
        reference="cifar10/train[:1024]",
        label_rule="random",
        uint8_rule="round half to even",
        sampler="euler",
        sampling_steps=study["evaluation"]["sampling_steps"],
        guidance=1.0,
        guidance_low=0.0,
        guidance_high=1.0,
        sample_seed=0,
        dataset="cifar10",
        resolution=32,
        tokens=64,
        channels_per_token=CHANNELS[ae],
        model=study["training"]["model"],
        parameters=1_000_000,
        batch_size=study["training"]["batch_size"],
        learning_rate=study["training"]["learning_rate"],
        ema_decay=study["training"]["ema_decay"],
        precision="float32",
        recipe=MADE_UP,
        lrcore_version="0",
        **run,
    )


def reconstruction_row(ae: str, metric: str) -> ReconstructionRow:
    """A plausible row of one metric."""
    value = RECONSTRUCTION[metric][ae]
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
        channels_per_token=CHANNELS[ae],
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
    shared |= {"tokens": 64, "channels_per_token": CHANNELS[ae], "protocol": MADE_UP, "recipe": MADE_UP}
    shared |= {"network": "", "network_sha256": ""}
    named = [("channel_std", 0, 0.9), ("channel_std", 1, 1.1), ("effective_dimension", -1, CHANNELS[ae] / 2)]
    named += [("spectrum_slope", -1, -1.5), ("flip_error", -1, 0.1), ("shift_error", -1, 0.2)]
    named += [("probe_accuracy", -1, 0.4), ("ifd", -1, 2 * DISTANCE[ae])]
    named += [("channel_kurtosis", 0, 0.2), ("channel_kurtosis", 1, -0.3)]
    rings = [("spectrum_power", ring, (ring + 1) / 16, ((ring + 1) / 16) ** -1.5) for ring in range(8)]
    return [
        LatentRow(metric=m, index=i, x=x, value=v, standard_error=abs(v) / 50, lrcore_version="0", **shared)
        for m, i, x, v in [*((m, i, math.nan, v) for m, i, v in named), *rings]
    ]


def write_crops(folder: Path, name: str, noise: float) -> None:
    """Pictures of 32 x 32 pixels: a gradient of its own for each number, with `noise` (standard deviation, of 255)."""
    folder.mkdir(parents=True, exist_ok=True)
    ramp = numpy.linspace(0, 255, 32)
    for number in range(CROPS):
        pixels = numpy.stack(numpy.broadcast_arrays(ramp[:, None], ramp[None, :], 60.0 * number), axis=-1)
        pixels = pixels + numpy.random.default_rng(number).normal(0, max(noise, 1e-9), pixels.shape)
        Image.fromarray(pixels.clip(0, 255).astype("uint8")).save(folder / f"{name}-{number:02d}.png")


def write_samples(folder: Path, study: dict[str, Any]) -> None:
    """Sheets of 8 x 2 samples, a flat colour each that is lighter with REPA, for every kind of training."""
    kinds = sorted({(run["ae"], run["repa"]) for run in _runs(study)})
    for ae, repa in kinds:
        setting = {"trainp": "ln", "trainshift": "1.00", "sampleshift": "2.95"}
        seeds = {"train_seed": "0", "sample_seed": "0", "columns": "8", "resolution": "32", "recipe": MADE_UP}
        step = str(study["training"]["evaluate_at"][-1])
        colours = numpy.random.default_rng(CHANNELS[ae]).integers(0, 156, (3, 2, 8)) + (0 if repa == "none" else 100)
        pixels = torch.from_numpy(colours.astype("uint8").repeat(32, axis=1).repeat(32, axis=2))
        folder.mkdir(parents=True, exist_ok=True)
        save_png(folder / f"{ae}-{repa}.png", pixels, {"ae": ae, "repa": repa, "step": step, **setting, **seeds})


def _runs(study: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"ae": ae, "repa": repa, "trainp": trainp, "trainshift": shift, "train_seed": seed}
        for cell in study["grid"]
        for ae, repa, trainp, shift, seed in itertools.product(
            cell["ae"], cell["repa"], cell["trainp"], cell["trainshift"], cell.get("train_seed", [0])
        )
    ]
