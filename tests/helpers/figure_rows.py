"""Rows for the tests of findings and figures: a small grid whose best settings are known by construction."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pandas

from lrcore.records import reading
from lrcore.results import findings
from lrcore.results.study_rows import StudyRows

EVERY_AE = ("sd", "flux1", "flux2", "rae")
CHANNELS = {"sd": 4, "flux1": 16, "flux2": 32, "rae": 112}
LPIPS = {"sd": 0.3, "flux1": 0.1, "flux2": 0.08, "rae": 0.4}
BASE = {"sd": 40.0, "flux1": 50.0, "flux2": 20.0, "rae": 10.0}


def generation_rows(feature_network: str = "efficientnet_lite0", aes: tuple[str, ...] = EVERY_AE) -> pandas.DataFrame:
    """A whole grid of 3 densities x 2 train shifts x 2 sample shifts x 2 REPA x 2 steps.

    Best everywhere: ln, train shift 1.78, sample shift 1.00. The distance is BASE times a factor for each of: ts 1.5,
    pln 1.1, train shift 1.00 1.2, sample shift 1.78 2, REPA 0.8, the second step 0.5.
    """
    rows = []
    for ae in aes:
        for p, by_density in (("ts", 1.5), ("ln", 1.0), ("pln", 1.1)):
            for trainshift, by_train in ((1.0, 1.2), (1.78, 1.0)):
                for sampleshift, by_sample in ((1.0, 1.0), (1.78, 2.0)):
                    for repa, by_repa in (("none", 1.0), ("efficientnet_lite0", 0.8)):
                        for step, by_step in ((100, 1.0), (200, 0.5)):
                            fid = BASE.get(ae, 30.0) * by_density * by_train * by_sample * by_repa * by_step
                            setting = {"trainp": p, "trainshift": trainshift, "sampleshift": sampleshift}
                            rows.append({"ae": ae, "repa": repa, **setting, "step": step, "fid": fid, "train_seed": 0})
    protocol = {
        "study": "toy", "status": "ok", "feature_network": feature_network, "feature_sha256": "0", "n_samples": 64,
        "n_reference": 1024, "reference": "toy/train", "label_rule": "random", "uint8_rule": "round",
        "sampler": "euler", "sampling_steps": 20, "guidance": 1.0, "guidance_low": 0.0,
        "guidance_high": 1.0, "sample_seed": 0, "dataset": "toy", "resolution": 32,
        "model": "DiT-Toy", "feature_protocol": "toy", "score": "fid", "width": 128.0, "skip": "none",
    }  # fmt: skip
    found = pandas.DataFrame(rows).assign(**protocol, sample_precision=0.6, sample_recall=0.3)
    found = found.assign(channels_per_token=found["ae"].map(CHANNELS).fillna(48).astype(int))
    floor = {"floor_fid": 2.0, "reconstruction_fid": found.fid - 2, "gaussian_fid": 250.0}
    found = found.assign(kid=found.fid / 1000, **floor)
    return found.assign(**{name.replace("fid", "kid"): found[name] / 1000 for name in floor})


def reconstruction_rows(aes: tuple[str, ...] = EVERY_AE) -> pandas.DataFrame:
    """psnr, ssim, three LPIPS and rfd of each autoencoder."""
    metrics = {"psnr": 20.0, "ssim": 0.8, "lpips_vgg": 0.2, "lpips_alex": 0.1, "lpips_vgg_unweighted": 1.5, "rfd": 90.0}
    rows = []
    for number, ae in enumerate(aes, start=1):
        for metric, value in metrics.items():
            error = math.nan if metric == "rfd" else value / 100
            sizes = {"resolution": 32, "tokens": 64, "channels_per_token": 4 * number}
            rows.append(
                {"study": "toy", "ae": ae, "metric": metric, "value": value * number, "standard_error": error, **sizes}
            )
    return pandas.DataFrame(rows)


def diverged(rows: pandas.DataFrame, **where: object) -> pandas.DataFrame:
    """The rows with NaN where all the columns have the given values."""
    hit = pandas.Series(True, index=rows.index)
    for column, value in where.items():
        hit &= rows[column] == value
    assert hit.any(), "the mark hits no row"
    return rows.assign(fid=rows["fid"].mask(hit), status=rows["status"].mask(hit, "diverged"))


def two_networks() -> pandas.DataFrame:
    """Rows measured with two feature networks, which no figure may mix."""
    return pandas.concat([generation_rows(), generation_rows("inception2015")])


def published_rows() -> pandas.DataFrame:
    """The figures from the literature, as they are committed."""
    return reading.read_published(Path(__file__).parents[2] / "data")


def atlas_rows() -> pandas.DataFrame:
    """The atlas, as it is committed."""
    return reading.read_atlas(Path(__file__).parents[2] / "data")


def study(generation: pandas.DataFrame, interpolated: dict[str, float] | None = None) -> StudyRows:
    """A study of these generation rows whose reconstructions are those of the published findings."""
    reconstruction = reconstruction_rows().assign(channels_per_token=lambda rows: rows["ae"].map(CHANNELS))
    lpips = reconstruction["metric"] == "lpips_vgg"
    reconstruction["value"] = reconstruction["value"].mask(lpips, reconstruction["ae"].map(LPIPS))
    latents = pandas.DataFrame(
        [("toy", ae, "ifd", -1, value, math.nan) for ae, value in (interpolated or BASE).items()],
        columns=["study", "ae", "metric", "index", "value", "standard_error"],
    )
    none, no_anchors = generation.head(0), reading.read_anchors("no such folder")
    return StudyRows("toy", generation, none, reconstruction, latents, pandas.DataFrame(), no_anchors, none, none)


def without(**where: object) -> pandas.DataFrame:
    """The grid without the rows where all the columns have the given values."""
    rows = generation_rows()
    return rows[~(rows[list(where)] == pandas.Series(where)).all(axis=1)]


def with_seeds(deviation: float) -> pandas.DataFrame:
    """The grid, of which everything with ln has a second seed that is so much worse than the first is better."""
    rows = generation_rows()
    some = rows["trainp"] == "ln"
    first = rows.assign(fid=rows["fid"].mask(some, rows["fid"] * (1 - deviation)))
    return pandas.concat([first, rows[some].assign(train_seed=1, fid=rows["fid"] * (1 + deviation))])


def with_choice(rows: StudyRows, n_samples: int = 128, **changed: object) -> StudyRows:
    """The study with the best settings of its grid measured once more, by other samples of three trainings.

    They are 10 % worse than the grid had it, give or take 1 % by the training's seed.
    """
    best = rows.generation.merge(
        findings.best_settings(findings.mean_over_seeds(rows.generation)).query("repa == 'none' and step == 200")[
            [*findings.SETTING, "step"]
        ]
    )
    again = [
        best.assign(train_seed=seed, sample_seed=1, n_samples=n_samples, fid=best["fid"] * factor, **changed)
        for seed, factor in ((0, 1.11), (1, 1.09), (2, 1.10))
    ]
    return dataclasses.replace(rows, confirmed=pandas.concat([rows.confirmed, *again], ignore_index=True))


def begun() -> StudyRows:
    """A study with a single training of one autoencoder."""
    rows = generation_rows(aes=("sd",))
    return study(rows[(rows["trainp"] == "ln") & (rows["trainshift"] == 1.0) & (rows["repa"] == "none")])


def with_anchors(rows: StudyRows, noise: float = 0.3, test: float = 1e-4) -> StudyRows:
    """The study with anchors in the features of its grid, at every number of samples.

    `noise`: kernel distance of decoded noise; `test`: that of test images to the reference.
    """
    same = {"feature_network": "efficientnet_lite0", "feature_protocol": "toy", "n_reference": 1024}
    made = [
        {"ae": ae, "anchor": anchor, "target": target, "n_samples": count, "kid": kid, "fid": 1000 * kid, **same}
        for ae in rows.generation["ae"].unique()
        for count in (64, 128)
        for anchor, target, kid in (
            ("test", "reference", test), ("noise", "reconstructions", noise), ("gaussian", "reconstructions", 0.25),
            ("reconstructions", "reference", 0.002), ("gaussian", "reference", 0.25), ("noise", "reference", noise),
        )
    ]  # fmt: skip
    return dataclasses.replace(rows, anchors=pandas.DataFrame(made))
