"""A made-up study with rows of every kind, small enough to be written for one test file."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import sample_data

from lrcore.records.writing import write_anchors, write_generation, write_latents, write_losses, write_reconstruction
from lrcore.spec.study import Grid, Study
from lrcore.studies.loading import load_study

NAME = "made"
AES = ("sd", "flux2")
STEPS = (1000, 2000)
KINDS = ("reconstruction", "latents", "anchors", "losses", "generation", "crops", "samples")


def made_study() -> Study:
    """The study that the rows are of: three seeds of each training, two steps."""
    study = load_study("smoke")
    grid = Grid(AES, ("ln",), (1.0, 2.95), ("none",), train_seed=(0, 1, 2))
    training = dataclasses.replace(study.training, evaluate_at=STEPS)
    evaluation = dataclasses.replace(study.evaluation, n_samples=200, sampleshifts=(1.0, 2.95))
    autoencoders = {ae: study.autoencoders[ae] for ae in AES}
    return dataclasses.replace(
        study, name=NAME, autoencoders=autoencoders, training=training, evaluation=evaluation, grid=(grid,), choice=()
    )


def write(folder: Path, **changed: object) -> None:
    """Write `data` and `imgs` below `folder`; `changed` are values of every row of generation."""
    study, data, imgs = made_study(), folder / "data", folder / "imgs"
    for cell in study.cells:
        rows = [
            dataclasses.replace(sample_data.generation_row(study, cell, step, shift), **changed)
            for step in STEPS for shift in study.evaluation.sampleshifts
        ]  # fmt: skip
        write_generation(data, NAME, cell.name, rows)
        write_losses(data, NAME, cell.name, sample_data.loss_rows(study, cell))
    for ae in AES:
        rows = [sample_data.reconstruction_row(ae, metric) for metric in sample_data.RECONSTRUCTION]
        write_reconstruction(data, NAME, ae, rows)
        write_latents(data, NAME, ae, sample_data.latent_rows(ae))
        write_anchors(data, NAME, ae, sample_data.anchor_rows(study, ae))
        sample_data.write_crops(imgs / NAME, ae, noise=20.0)
    sample_data.write_crops(imgs / NAME, "orig", noise=0.0)
    sample_data.write_samples(imgs / NAME / "samples", study)


def part(whole: Path, folder: Path, *kinds: str) -> Path:
    """A copy below `folder` with only some of `KINDS`."""
    for kind in kinds:
        if kind == "crops":
            shutil.copytree(whole / "imgs", folder / "imgs", ignore=lambda at, names: {"samples"} & {*names})
        elif kind == "samples":
            shutil.copytree(whole / "imgs" / NAME / "samples", folder / "imgs" / NAME / "samples")
        else:
            shutil.copytree(whole / "data" / kind, folder / "data" / kind)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    return folder
