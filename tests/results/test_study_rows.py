"""The rows of every study: which, in what order, and which rows of each."""

import dataclasses
import math

import pandas
import pytest
import sample_data

from lrcore.errors import LrcoreError
from lrcore.records.planned import Planned, write_planned
from lrcore.records.reading import read_generation
from lrcore.results import findings, study_rows
from lrcore.studies.loading import load_study


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies")
    sample_data.fill(folder / "data", folder / "imgs")
    return folder / "data"


def test_the_study_of_most_weight_comes_first(data):
    found = study_rows.load_studies(data)
    assert list(found) == ["cifar10-cpu", "narrow", "smoke"]
    for name, study in found.items():
        shipped = load_study(sample_data.STUDIES[name])
        autoencoders = {sample_data.RENAMED.get((name, ae), ae): ae for ae in shipped.autoencoders}
        assert study.aes[:4] == ["sd", "flux1", "flux2", "rae"] and set(study.aes) == set(autoencoders)
        assert study.channels == {named: sample_data.channels(ae) for named, ae in autoencoders.items()}
        for rows in (study.generation, study.reconstruction, study.latents):
            assert set(rows.study) == {name}


def test_a_whole_study_stands_before_a_partial_one(tmp_path):
    folder = tmp_path / "data"
    sample_data.fill(folder, tmp_path / "imgs")
    write_planned(folder, "cifar10-cpu", Planned(trainings=1000, evaluations=3000))
    assert list(study_rows.load_studies(folder)) == ["narrow", "cifar10-cpu", "smoke"]


def test_others_stand_before_the_check_of_the_machinery():
    names = ["smoke", "mine", "cifar10", "another", "imagenet256"]
    assert sorted(names, key=study_rows._place) == ["imagenet256", "cifar10", "another", "mine", "smoke"]


def test_the_check_is_no_result_unless_there_is_nothing_else(data):
    found = study_rows.load_studies(data)
    assert list(study_rows.results(found)) == ["cifar10-cpu", "narrow"]
    assert list(study_rows.results({"smoke": found["smoke"]})) == ["smoke"]


def test_grid_choice_and_other_widths_are_kept_apart(data):
    study, made = study_rows.load_studies(data)["cifar10-cpu"], load_study("cifar10-cpu")
    assert len(study.generation) == 3 * len(made.cells) and set(study.generation.n_samples) == {300}
    assert {500, 1000, 2500} == set(study.confirmed.n_samples) and set(study.confirmed.sample_seed) == {1}
    for rows in (study.generation, study.confirmed):
        assert set(rows.width) == {128} and set(rows.skip) == {"none"}
    assert set(study.widths.width) == {64, 96, 192} and set(study.widths.skip) == {"none", "linear"}
    assert len(study.generation) + len(study.confirmed) + len(study.widths) == len(rows_of(data, "cifar10-cpu"))
    assert len(study.anchors) and set(study.losses.width) == {128} and set(study.losses.skip) == {"none"}


def rows_of(data, study):
    rows = read_generation(data)
    return rows[rows.study == study]


def test_autoencoders_are_compared_at_the_choice_once_all_are(data):
    study = study_rows.load_studies(data)["cifar10-cpu"]
    assert study.anew and study.compared.equals(study.decided)
    assert set(study.decided.n_samples) == {1000} and set(study.decided.train_seed) == {0, 1, 2}
    assert set(study.decided.trainp) == {"ln"} and set(study.decided.repa) == {"none"}
    assert set(study.varied.trainp) == {"ln", "pln", "ts"} and study.repeated.equals(study.decided)
    best = study.best().set_index("ae")
    assert set(best.index) == set(study.generation.ae) and set(best.seeds) == {3}
    sd = study.decided[study.decided.ae == "sd"]
    assert best.distance["sd"] == pytest.approx(1000 * sd.kid.mean())
    one = dataclasses.replace(study, confirmed=study.confirmed[study.confirmed.ae != "sd"])
    assert not one.anew and one.compared is study.generation and set(one.best().seeds) == {1}
    assert set(one.decided.ae) == set(study.generation.ae) - {"sd"}


def test_a_grid_that_has_just_begun_is_not_taken_for_the_choice(data):
    rows = rows_of(data, "cifar10-cpu")
    rows = rows[(rows.ae == "sd") & (rows.width == 128)]
    screen, chosen = study_rows._apart(rows)
    assert set(screen.n_samples) == {300} and set(chosen.n_samples) == {500, 1000, 2500}
    alone = rows[rows.n_samples == 300].head(1)
    assert [len(part) for part in study_rows._apart(alone)] == [1, 0]
    # one setting each: what was sampled from the lower seed is the grid
    both = pandas.concat([alone, alone.assign(sample_seed=1, n_samples=200)], ignore_index=True)
    assert study_rows._apart(both)[0].n_samples.tolist() == [300]


def test_rows_from_before_there_were_choices_and_widths(data, tmp_path):
    study = study_rows.load_studies(data)["smoke"]
    assert study.confirmed.empty and study.widths.empty and study.decided.empty and study.varied.empty
    assert not study.anew and study.repeated is study.generation
    old = study.generation.assign(width=math.nan, skip="", score="")
    assert findings.of_own_transformer(old).all()
    assert set(findings.completed(old).width) == {64} and set(findings.completed(old).score) == {"fid"}


def test_nothing_measured_is_said(tmp_path):
    with pytest.raises(LrcoreError, match="holds no study that is measured"):
        study_rows.load_studies(tmp_path)


def test_a_study_that_is_half_there_is_left_out(data, tmp_path):
    sample_data.fill(tmp_path / "data", tmp_path / "imgs")
    for path in (tmp_path / "data" / "latents" / "study=smoke").iterdir():
        path.unlink()
    assert list(study_rows.load_studies(tmp_path / "data")) == ["cifar10-cpu", "narrow"]
