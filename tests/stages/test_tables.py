"""What is told of rows: every line and table says of how many images, at what resolution, in which network."""

import re
from pathlib import Path

import pandas
import pytest
from figure_rows import diverged, generation_rows, reconstruction_rows

from lrcore.spec.study import Cell
from lrcore.stages import tables

NOWHERE = Path("nowhere")


@pytest.fixture
def rows(monkeypatch):
    """Rows of the study `toy`, which a test may replace."""
    counted = {"n_images": 128, "dataset": "toy/test[:128]"}
    found = {
        "reconstruction": reconstruction_rows().assign(**counted).assign(
            network=lambda rows: rows.metric.map({"lpips_vgg": "vgg", "rfd": "efficientnet_lite0"}).fillna("")
        ),
        "generation": generation_rows().assign(model="DiT-Nano", width=64.0),
        "latents": pandas.DataFrame(
            [("toy", "sd", "channel_mean", 0, 0.1, 0.01), ("toy", "sd", "effective_dimension", -1, 12.5, 0.25)],
            columns=["study", "ae", "metric", "index", "value", "standard_error"],
        ).assign(**counted, resolution=32, network=""),
        "anchors": pandas.DataFrame(
            [("toy", "sd", "reconstructions", "reference", 20.0), ("toy", "sd", "gaussian", "reference", 250.0)],
            columns=["study", "ae", "anchor", "target", "fid"],
        ).assign(n_samples=64, resolution=32, feature_network="inception2015"),
    }  # fmt: skip
    for name in found:
        monkeypatch.setattr(tables, f"read_{name}", lambda data, name=name: found[name])
    return found


def test_a_line_about_each_stage(rows):
    line = tables.reconstruction_line(NOWHERE, "toy", "flux1")
    assert line.startswith("flux1: psnr 40.0000 ± 0.2000, ssim 1.6000 ± 0.0080")
    assert line.endswith("; 128 images of toy/test[:128], 32 px; vgg, efficientnet_lite0")
    assert tables.latents_line(NOWHERE, "toy", "sd") == (
        "sd: effective_dimension 12.5000 ± 0.2500; 128 images of toy/test[:128], 32 px"
    )
    assert tables.anchors_line(NOWHERE, "toy", "sd") == (
        "sd: FID of reconstructions 20, gaussian 250; 64 images, 32 px, in inception2015"
    )
    told = tables.training_lines(NOWHERE, "toy", [Cell("sd", "none", "ln", 1.78), Cell("rae", "none", "ts", 1.0)])
    assert told.splitlines() == [
        "sd-none-ln-1.78: Frechet distance 20 at step 200, sample shift 1; 64 samples against toy/train, 32 px, in "
        "efficientnet_lite0; DiT-Nano",
        "rae-none-ts-1.00: Frechet distance 9 at step 200, sample shift 1; 64 samples against toy/train, 32 px, in "
        "efficientnet_lite0; DiT-Nano",
    ]


def test_a_training_is_not_taken_for_one_of_another_width(rows):
    first = rows["generation"]
    rows["generation"] = pandas.concat([first, first.assign(width=32.0, fid=first.fid / 10)])
    found = [tables.training_lines(NOWHERE, "toy", [Cell("sd", "none", "ln", 1.78, width=width)]) for width in (0, 32)]
    assert "Frechet distance 20 at" in found[0] and "Frechet distance 2 at" in found[1]


def test_of_nothing_nothing_is_told(rows):
    for line in (tables.reconstruction_line, tables.latents_line, tables.anchors_line):
        assert line(NOWHERE, "toy", "other") == line(NOWHERE, "other", "sd") == ""
    assert (
        tables.tables(NOWHERE, "other", ["sd"])
        == tables.training_lines(NOWHERE, "other", [Cell("sd", "none", "ln", 1.0)])
        == ""
    )


def test_a_training_that_diverged_is_told_so(rows):
    rows["generation"] = diverged(rows["generation"], ae="sd", trainp="ln")
    assert tables.training_lines(NOWHERE, "toy", [Cell("sd", "none", "ln", 1.0)]) == "sd-none-ln-1.00: diverged"


def test_tables_say_of_what_they_are(rows):
    told = tables.tables(NOWHERE, "toy", ["sd", "flux1"])
    reconstruction, latents, samples = told.split("\n\n")
    assert reconstruction.startswith("reconstruction: 128 images of toy/test[:128], 32 px; vgg, efficientnet_lite0\n")
    assert re.search(r"^sd +20.0000 ± 0.2000", reconstruction, re.M) and "rae" not in told
    assert latents.splitlines()[1].split() == ["effective_dimension"]
    head, columns, *best = samples.splitlines()
    assert head == (
        "samples, the best setting of each: 64 samples against toy/train, 32 px, in efficientnet_lite0; DiT-Nano"
    )
    assert columns.split() == ["repa", "trainp", "trainshift", "sampleshift", "step", "width", "Frechet", "distance"]
    assert best[0].split() == ["sd", "efficientnet_lite0", "ln", "1.78", "1.0", "200", "64", "16"]


def test_rows_of_different_protocols_are_never_in_one_table(rows):
    first = rows["generation"]
    rows["generation"] = pandas.concat(
        [
            first,
            first.assign(n_samples=128),
            first.assign(feature_network="inception2015"),
            first.assign(feature_protocol="half precision"),
            first.assign(sampling_steps=9),
        ]
    )
    rows["reconstruction"] = pandas.concat(
        [rows["reconstruction"], rows["reconstruction"].assign(dataset="toy/test[:9]")]
    )
    parts = tables.tables(NOWHERE, "toy", ["sd"]).split("\n\n")
    titles = [part.partition("\n")[0] for part in parts]
    assert len(titles) == len(set(titles)) == 2 + 1 + 5
    assert "FID" in next(
        part for part in tables.tables(NOWHERE, "toy", ["sd"]).split("\n\n") if "inception2015" in part
    )
    assert any("; feature_protocol half precision; sampling_steps" in title for title in titles)
    rows["generation"] = first
    assert "sampling_steps" not in tables.tables(NOWHERE, "toy", ["sd"])
    assert "best" in tables.tables(NOWHERE, "toy", ["sd"])
    assert "best" not in tables.tables(NOWHERE, "toy", ["sd"], bests=False)
