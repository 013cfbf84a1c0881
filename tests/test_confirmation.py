"""The best settings measured once more: which they are, that they come last, and that nothing else changes."""

from pathlib import Path

import pandas
import pytest
from test_train import TINY

from lrcore import train
from lrcore.records import read_generation

CONFIRMED = """
extends = "{tiny}"
[confirmation]
feature_network = "efficientnet_lite0"
n_samples = 6
n_reference = 40
"""


def arguments(folder, study, *more):
    return [str(study), *(f"--{name}={folder / name}" for name in ("data", "imgs", "runs")), *more]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("confirmed")
    study = folder / "tiny.toml"
    study.write_text(CONFIRMED.format(tiny=TINY))
    assert train.main(arguments(folder, study, "--only", "generation", "confirmation", "--ae", "flux2")) == 0
    return folder


def split(folder):
    rows = read_generation(folder / "data")
    return (rows[rows.n_samples == number].reset_index(drop=True) for number in (8, 6))


def test_the_best_of_each_group_at_the_last_step_is_measured_anew(done):
    first, again = split(done)
    assert len(first) == 2 * 2 * 2 and len(again) == 2  # REPA, steps, sampling shifts; one a group
    last = first[first.step == 6]
    best = last.loc[last.groupby("repa").fid.idxmin()].set_index("repa")
    again = again.set_index("repa")
    for column in ("trainp", "trainshift", "sampleshift", "step"):
        assert again[column].to_dict() == best[column].to_dict()
    assert set(again.n_reference) == {40} and not set(again.fid) & set(first.fid)


def test_it_is_what_a_study_with_these_numbers_measures(done, tmp_path):
    direct = tmp_path / "tiny.toml"
    direct.write_text(f'extends = "{TINY}"\n[evaluation]\nn_samples = 6\nn_reference = 40\n')
    only = ("--only", "generation", "--ae", "flux2", "--repa", "none")
    places = [f"--data={tmp_path / 'data'}", f"--imgs={tmp_path / 'imgs'}", f"--runs={done / 'runs'}"]
    assert train.main([str(direct), *places, *only]) == 0
    _, again = split(done)
    again = again[again.repa == "none"]
    everything = read_generation(tmp_path / "data")
    same = everything.merge(again[["step", "sampleshift"]])
    pandas.testing.assert_frame_equal(same.drop(columns="recipe"), again.drop(columns="recipe").reset_index(drop=True))


def test_done_once_it_is_not_done_again(done, capsys):
    study = done / "tiny.toml"
    assert train.main(arguments(done, study, "--only", "generation", "confirmation", "--ae", "flux2")) == 0
    assert "nothing to do" in capsys.readouterr().out
    # the weights may have gone: they are trained again only for what is missing
    for path in (done / "data" / "generation" / "study=tiny").glob("*none*-efficientnet_lite0.parquet"):
        path.unlink()
    before, _ = split(done)
    for path in (done / "runs").rglob("average-*"):
        path.unlink()
    assert train.main(arguments(done, study, "--only", "confirmation", "--ae", "flux2")) == 0
    assert "1 confirmations" in capsys.readouterr().err
    after, again = split(done)
    pandas.testing.assert_frame_equal(before, after)
    assert len(again) == 2


def test_a_part_of_a_group_is_not_the_best_of_it(tmp_path, capsys):
    study = tmp_path / "tiny.toml"
    grid = '[[grid]]\nae = ["flux2"]\ntrainp = ["ln", "ts"]\ntrainshift = [1.0]\nrepa = ["none"]\n'
    study.write_text(CONFIRMED.format(tiny=TINY) + grid)
    assert train.main(arguments(tmp_path, study, "--trainp", "ln", "--plan")) == 0
    counted = {line[:24].strip(): line.split()[-3:] for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert counted["confirmations"] == ["1", "1", "0"]
    assert train.main(arguments(tmp_path, study, "--plan")) == 0
    assert "confirmations                  1       0       1" in capsys.readouterr().out


def test_what_does_not_fit_is_refused(tmp_path, capsys):
    study = tmp_path / "tiny.toml"
    study.write_text(CONFIRMED.format(tiny=TINY).replace("n_reference = 40", "n_reference = 49"))
    assert train.main(arguments(tmp_path, study)) == 2
    assert "confirmation.n_reference is 49, but data.train_images is 48" in capsys.readouterr().err
    study.write_text(CONFIRMED.format(tiny=TINY).replace("n_samples = 6", "n_sample = 6"))
    assert train.main(arguments(tmp_path, study)) == 2
    assert "unknown key in [confirmation] 'n_sample'" in capsys.readouterr().err
    assert not list(Path(tmp_path).rglob("*.parquet"))
