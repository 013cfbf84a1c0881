"""The worked example with real weights: its studies are whole, and what is missing is named, with its source."""

import re
from pathlib import Path

import pytest

from lrcore import check
from lrcore.figures.photographs import measured
from lrcore.records.reading import read_latents, read_reconstruction
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.stages.autoencoder import require_pretrained
from lrcore.stages.latent_shape import latent_shape
from lrcore.stages.reconstruction import _set_metric
from lrcore.stages.workspace import Workspace
from lrcore.studies.checks import require_measurable
from lrcore.studies.loading import load_study

PROJECT = Path(__file__).parents[2]
EXAMPLE = PROJECT / "examples" / "taef2"
STUDIES = ("photos", "photos-128", "photos-kodak")


@pytest.mark.parametrize("name", STUDIES)
def test_its_studies_can_be_measured(name, tmp_path):
    study = load_study(str(EXAMPLE / f"{name}.toml"))
    require_measurable(study, ["reconstruction", "diagnostics"])
    work = Workspace(study, Folders(tmp_path, tmp_path, tmp_path), StopRequest(), lambda steps: None)
    require_pretrained(work, "taef2")
    shape = latent_shape(work, "taef2")
    assert (shape.pixels_per_token, shape.channels_per_token) == (8, 32)
    assert _set_metric(study) == "rkid"


def test_its_paths_are_relative_to_it_and_hold_nothing_of_a_machine():
    for file in EXAMPLE.glob("*.toml"):
        assert not re.search(r'["= ][/~]', "".join(line.partition("#")[0] for line in file.open()))
        assert load_study(str(file)).data.path.startswith(str(EXAMPLE / "images"))


def test_without_images_the_check_says_which_folder_is_missing(tmp_path, capsys):
    for file in EXAMPLE.glob("*.toml"):
        (tmp_path / file.name).write_text(file.read_text())
    assert check.main([str(tmp_path / "photos.toml"), "--runs", str(tmp_path / "runs")]) == 2
    assert f"data.path '{tmp_path / 'images' / 'imagenet-sample-images'}' is not a folder" in capsys.readouterr().err


def test_without_weights_the_check_says_which_are_missing_and_where_they_come_from(tmp_path, capsys, monkeypatch):
    from PIL import Image

    monkeypatch.setenv("LRCORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LRCORE_OFFLINE", "1")
    (classes := tmp_path / "images" / "kodak" / "photographs").mkdir(parents=True)
    for number in range(24):
        Image.new("RGB", (16, 16), (10 * number, 0, 0)).save(classes / f"{number}.png")
    for file in EXAMPLE.glob("*.toml"):
        (tmp_path / file.name).write_text(file.read_text())
    assert check.main([str(tmp_path / "photos-kodak.toml"), "--runs", str(tmp_path / "runs")]) == 2
    told = capsys.readouterr().out
    assert "FAILED" in told and "taef2_encoder.pth (3 MB) from" in told and "github.com/madebyollin/taesd" in told


def committed(read, name):
    rows = read(PROJECT / "data")
    return rows[rows["study"] == name]


@pytest.mark.parametrize("name", STUDIES)
def test_committed_rows_are_of_the_studies_as_they_stand(name):
    data, rows = load_study(str(EXAMPLE / f"{name}.toml")).data, committed(read_reconstruction, name)
    assert set(rows["metric"]) == {"psnr", "ssim", "lpips_alex", "lpips_vgg", "lpips_vgg_unweighted", "rkid"}
    assert set(rows["ae"]) == {"taef2"} and set(rows["resolution"]) == {data.resolution}
    assert set(rows["n_images"]) == {data.validation_images} and rows["standard_error"].gt(0).all()
    folder = Path(data.validation_path or data.path).name
    assert set(rows["dataset"]) == {f"{folder}/validation[:{data.validation_images}]"}


@pytest.mark.parametrize("name", ["photos-128", "photos-kodak"])
def test_committed_latents_are_of_the_studies_as_they_stand(name):
    data, rows = load_study(str(EXAMPLE / f"{name}.toml")).data, committed(read_latents, name)
    validation = rows[rows["split"] == "validation"]
    assert set(validation["n_images"]) == {data.validation_images} and set(rows["channels_per_token"]) == {32}
    unknown = rows[rows["value"].isna()]
    assert set(unknown["metric"]) == {"within_class_variance", "neighbour_consistency_5", "neighbour_consistency_10"}
    assert set(unknown["protocol"]) == {"not measured: all images are of one class"}


def test_the_readme_has_the_figures_of_the_rows():
    text = (EXAMPLE / "README.md").read_text()
    for name in STUDIES:
        (line,) = measured(committed(read_reconstruction, name)).frame.to_dict("records")
        assert f"| `{name}` | {' | '.join(str(value) for value in line.values())} |" in text


def test_it_measures_what_was_measured_before():
    """Elsewhere, once: 27.97 +- 0.14 dB, SSIM 0.875, LPIPS 0.0305 (AlexNet) and 0.0748 (VGG)."""
    found = committed(read_reconstruction, "photos-128").set_index("metric")["value"]
    before = {"psnr": (27.97, 0.005), "ssim": (0.875, 5e-4), "lpips_alex": (0.0305, 5e-5), "lpips_vgg": (0.0748, 5e-5)}
    assert {metric: found[metric] for metric in before} == {
        metric: pytest.approx(value, abs=last) for metric, (value, last) in before.items()
    }
