"""The worked example with real weights: its studies are whole, and what is missing is named, with its source."""

from pathlib import Path

import pytest

from lrcore import check
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.stages.autoencoder import require_pretrained
from lrcore.stages.latent_shape import latent_shape
from lrcore.stages.reconstruction import _set_metric
from lrcore.stages.workspace import Workspace
from lrcore.studies.checks import require_measurable
from lrcore.studies.loading import load_study

EXAMPLE = Path(__file__).parents[2] / "examples" / "taef2"
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
        assert "/root" not in (text := file.read_text()) and "~" not in text
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
