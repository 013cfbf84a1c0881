"""The studies that pages show: which, in what order, and which rows of each."""

import pytest
import sample_data
from bs4 import BeautifulSoup

from lrcore.errors import LrcoreError
from lrcore.figures import studies
from lrcore.figures.best import best_parameters


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies")
    sample_data.fill(folder / "data", folder / "imgs")
    return folder / "data"


def test_the_study_of_most_weight_comes_first(data):
    found = studies.load_studies(data)
    assert list(found) == ["cifar10-cpu", "smoke"]
    for name, study in found.items():
        assert study.aes == ["sd", "flux1", "flux2", "rae"]
        assert study.channels == sample_data.CHANNELS
        for rows in (study.generation, study.reconstruction, study.latents):
            assert set(rows.study) == {name}


def test_others_stand_before_the_check_of_the_machinery():
    names = ["smoke", "mine", "cifar10", "another", "imagenet256"]
    assert sorted(names, key=studies._place) == ["imagenet256", "cifar10", "another", "mine", "smoke"]


def test_rows_of_the_confirmation_are_kept_apart(data):
    study = studies.load_studies(data)["cifar10-cpu"]
    assert set(study.generation.feature_network) == {"efficientnet_lite0"}
    assert set(study.confirmed.feature_network) == {"inception2015"} and len(study.confirmed) == 8


def test_a_switch_has_what_is_published_and_every_study(data):
    found = studies.load_studies(data)
    switch = studies.by_study(found, lambda study: best_parameters(study.generation))
    soup = BeautifulSoup(switch.markup, "html.parser")
    assert [button["value"] for button in soup.select("fieldset input")] == ["cifar10-cpu", "smoke"]
    assert [bool(part.has_attr("hidden")) for part in soup.select(".lrcore-choice")] == [False, True]
    published = studies.by_study(found, lambda s: best_parameters(s.generation), published=switch)
    assert list(published.choices) == ["published", "cifar10-cpu", "smoke"]


def test_nothing_measured_is_said(tmp_path):
    with pytest.raises(LrcoreError, match="holds no study that is measured"):
        studies.load_studies(tmp_path)


def test_a_study_that_is_half_there_is_left_out(data, tmp_path):
    sample_data.fill(tmp_path / "data", tmp_path / "imgs")
    for path in (tmp_path / "data" / "latents" / "study=smoke").iterdir():
        path.unlink()
    assert list(studies.load_studies(tmp_path / "data")) == ["cifar10-cpu"]
