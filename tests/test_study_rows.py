"""The rows of every study: which, in what order, and which rows of each."""

import pytest
import sample_data

from lrcore import study_rows
from lrcore.errors import LrcoreError


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies")
    sample_data.fill(folder / "data", folder / "imgs")
    return folder / "data"


def test_the_study_of_most_weight_comes_first(data):
    found = study_rows.load_studies(data)
    assert list(found) == ["cifar10-cpu", "smoke"]
    for name, study in found.items():
        assert study.aes == ["sd", "flux1", "flux2", "rae"]
        assert study.channels == sample_data.CHANNELS
        for rows in (study.generation, study.reconstruction, study.latents):
            assert set(rows.study) == {name}


def test_others_stand_before_the_check_of_the_machinery():
    names = ["smoke", "mine", "cifar10", "another", "imagenet256"]
    assert sorted(names, key=study_rows._place) == ["imagenet256", "cifar10", "another", "mine", "smoke"]


def test_the_check_is_no_result_unless_there_is_nothing_else(data):
    found = study_rows.load_studies(data)
    assert list(study_rows.results(found)) == ["cifar10-cpu"]
    assert list(study_rows.results({"smoke": found["smoke"]})) == ["smoke"]


def test_rows_of_the_confirmation_are_kept_apart(data):
    study = study_rows.load_studies(data)["cifar10-cpu"]
    assert set(study.generation.feature_network) == {"efficientnet_lite0"}
    assert set(study.confirmed.feature_network) == {"inception2015"} and len(study.confirmed) == 8


def test_nothing_measured_is_said(tmp_path):
    with pytest.raises(LrcoreError, match="holds no study that is measured"):
        study_rows.load_studies(tmp_path)


def test_a_study_that_is_half_there_is_left_out(data, tmp_path):
    sample_data.fill(tmp_path / "data", tmp_path / "imgs")
    for path in (tmp_path / "data" / "latents" / "study=smoke").iterdir():
        path.unlink()
    assert list(study_rows.load_studies(tmp_path / "data")) == ["cifar10-cpu"]
