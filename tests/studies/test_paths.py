"""Paths of a study: relative to its file, wherever it is called from; rows and recipes have them as written."""

import pickle
from pathlib import Path

import pytest
from tiny_study import TINY

from lrcore.datasets.shards import expand
from lrcore.errors import LrcoreError
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.spec.study import StudyPath, written
from lrcore.stages.workspace import Workspace, recipe
from lrcore.studies.loading import load_study

GRID = '[[grid]]\nae = ["mine"]\ntrainp = ["ln"]\ntrainshift = [1.0]\nrepa = ["none"]\n'


def study(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.toml").write_text(f'extends = "{TINY}"\n{text}')
    return load_study(str(folder / "mine.toml"))


def pretrained(folder, name):
    return study(folder, f'[autoencoders.mine]\nfamily = "kl"\npretrained = "{name}"\n{GRID}').autoencoders["mine"]


def test_a_folder_beside_the_study_is_one_and_everything_else_a_hub_id(tmp_path, monkeypatch):
    (tmp_path / "a" / "models" / "sd").mkdir(parents=True)
    found = pretrained(tmp_path / "a", "models/sd").pretrained
    assert found == str(tmp_path / "a" / "models" / "sd") and written(found) == "models/sd"
    assert pretrained(tmp_path / "b", "models/sd").pretrained == "models/sd"
    assert pretrained(tmp_path / "b", "./models").pretrained == f"{tmp_path}/b/./models"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert pretrained(tmp_path / "b", "~/a/models/sd").pretrained == f"{tmp_path}/a/models/sd"
    monkeypatch.chdir(tmp_path / "a")
    with pytest.raises(LrcoreError, match=r"autoencoders.mine.pretrained 'models/sd' is no folder beside .*mine.toml"):
        pretrained(tmp_path / "b", "models/sd")


def test_every_path_is_beside_the_file_that_names_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "my.py").write_text("")
    (tmp_path / "base" / "base.toml").write_text(
        f'extends = "{TINY}"\n[encoder]\nname = "resnet18"\nweights = "w.pt"\n[evaluation]\nreference = "r.npz"\n'
        f'feature_network = "resnet18"\nfeature_weights = "f.pt"\n[autoencoders.mine]\nfamily = "my.py:Mine"\n{GRID}'
    )
    (tmp_path / "over").mkdir()
    (tmp_path / "over" / "mine.toml").write_text('extends = "../base/base.toml"')
    found = load_study("over/mine.toml")
    base = str(tmp_path / "base")
    assert found.encoder.weights == f"{base}/w.pt"
    assert found.evaluation.reference == f"{base}/r.npz"
    assert found.evaluation.feature_weights == f"{base}/f.pt"
    assert found.autoencoders["mine"].family == f"{base}/my.py:Mine"


def test_recipes_do_not_know_where_the_study_is(tmp_path):
    here, there = (
        study(tmp_path / name, '[data]\ndataset = "folder"\npath = "photos"\n').data for name in ("here", "there")
    )
    assert here.path == f"{tmp_path}/here/photos" != there.path
    assert recipe(here) == recipe(there)
    again = pickle.loads(pickle.dumps(here))
    assert isinstance(again.path, StudyPath) and recipe(again) == recipe(here)
    work = Workspace(load_study("cifar10"), Folders(tmp_path, tmp_path, tmp_path), StopRequest(), lambda steps: None)
    assert work.data_recipe == recipe(work.study.data, "cifar10")


def test_a_studys_own_folder_is_no_part_of_a_pattern(tmp_path):
    text = '[data]\ndataset = "webdataset"\npath = "s/train-*.tar"\nvalidation_path = "s/val-{0..1}.tar"\n'
    folder = tmp_path / "odd [1] * folder?"
    data = study(folder, text).data
    (folder / "s").mkdir()
    for name in ("train-7.tar", "val-0.tar", "val-1.tar"):
        (folder / "s" / name).touch()
    assert expand(data.path, "data.path") == [folder / "s" / "train-7.tar"]
    assert expand(data.validation_path, "") == [folder / "s" / f"val-{number}.tar" for number in (0, 1)]
    with pytest.raises(LrcoreError, match=r"data.path 's/train-[*].tar' is a pattern beside a study in .*braces"):
        study(tmp_path / "{a,b}", text)
    assert study(tmp_path / "{c}", '[data]\ndataset = "folder"\npath = "p"\n').data.path == str(tmp_path / "{c}" / "p")


def test_studies_that_ship_are_not_anchored():
    found = load_study("imagenet256")
    assert found.data.path == "imagenet" and not isinstance(found.data.path, StudyPath)
    assert Path(found.evaluation.reference).name == found.evaluation.reference
