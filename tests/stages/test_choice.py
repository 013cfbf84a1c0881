"""The best settings once more: which they are, what else is tried there, nested samples, and that nothing is lost."""

import re
from pathlib import Path

import pandas
import pytest
from tiny_study import TINY

from lrcore import train
from lrcore.plan.costs import Costs
from lrcore.records.reading import read_anchors, read_generation
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.stages import choice
from lrcore.stages.engine import left_to_do, units
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study

CHOICE = """
extends = "{tiny}"
[evaluation]
score = "kid"
[[grid]]
ae = ["flux2"]
trainp = ["ln", "pln"]
trainshift = [1.0]
repa = ["none"]
[[choice]]
ae = ["flux2"]
n_samples = [6, 4]
train_seed = [3, 4]
[[choice]]
ae = ["flux2"]
n_samples = [4]
trainp = ["ts"]
repa = ["none", "efficientnet_lite0"]
[[choice]]
ae = ["flux2"]
n_samples = [4]
width = [32]
skip = ["none", "linear"]
"""


def arguments(folder, *more):
    study = folder / "chosen.toml"
    return [str(study), *(f"--{name}={folder / name}" for name in ("data", "imgs", "runs")), *more]


def written(folder, text=CHOICE):
    (folder / "chosen.toml").write_text(text.format(tiny=TINY))
    return folder


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = written(tmp_path_factory.mktemp("chosen"))
    assert train.main(arguments(folder, "--only", "generation", "choice")) == 0
    return folder


def split(folder):
    rows = read_generation(folder / "data")
    return (rows[rows.sample_seed == seed].reset_index(drop=True) for seed in (3, 4))


def test_the_best_by_the_score_is_measured_by_fresh_samples(done):
    screen, again = split(done)
    assert len(screen) == 2 * 2 * 2 and (screen.score == "kid").all()  # densities, steps, sampling shifts
    best = screen[screen.step == 6].sort_values("kid").iloc[0]
    assert set(again.step) == {6} and set(again.sampleshift) == {best.sampleshift}
    decided = again[(again.repa == "none") & (again.trainp == best.trainp) & (again.width == 128)]
    assert sorted(zip(decided.train_seed, decided.n_samples, strict=True)) == [(3, 4), (3, 6), (4, 4), (4, 6)]
    assert not set(decided.fid) & set(screen.fid)


def test_every_combination_of_the_other_lists_is_tried_at_the_chosen_shifts(done):
    _, again = split(done)
    densities = again[again.trainp == "ts"]
    assert sorted(densities.repa) == ["efficientnet_lite0", "none"]
    narrow = again[again.width == 32]
    assert sorted(narrow.skip) == ["linear", "none"] and narrow.fid.nunique() == 2
    assert len(again) == 4 + 2 + 2


def test_fewer_samples_are_the_first_of_more(done, tmp_path):
    """As a study measures that draws so few alone."""
    _, again = split(done)
    fewer = again[(again.n_samples == 4) & (again.train_seed == 4)].iloc[0]
    text = f"""
extends = "{TINY}"
[training]
evaluate_at = [6]
[evaluation]
score = "kid"
n_samples = 4
sample_seed = 1
sampleshifts = [{fewer.sampleshift}]
[[grid]]
ae = ["flux2"]
trainp = ["{fewer.trainp}"]
trainshift = [1.0]
repa = ["none"]
train_seed = [4]
"""
    (tmp_path / "chosen.toml").write_text(text)
    places = [f"--data={tmp_path / 'data'}", f"--imgs={tmp_path / 'imgs'}", f"--runs={done / 'runs'}"]
    assert train.main([str(tmp_path / "chosen.toml"), *places, "--only", "generation"]) == 0
    alone = read_generation(tmp_path / "data")
    pandas.testing.assert_frame_equal(alone, pandas.DataFrame([fewer]).reset_index(drop=True))


def test_rows_hold_anchors_of_their_own_number(done):
    _, again = split(done)
    anchors = read_anchors(done / "data").set_index(["anchor", "target", "n_samples"])
    for row in again.itertuples():
        floor = anchors.loc[("reconstructions", "reference", row.n_samples)]
        gaussian = anchors.loc[("gaussian", "reconstructions", row.n_samples)]
        assert (row.floor_fid, row.floor_kid) == (floor.fid, floor.kid)
        assert (row.gaussian_fid, row.gaussian_kid) == (gaussian.fid, gaussian.kid)


def workspace(folder, runs):
    folders = Folders(folder / "data", folder / "imgs", runs)
    return Workspace(load_study(str(folder / "chosen.toml")), folders, StopRequest(), lambda steps: None)


def test_its_steps_are_among_those_that_are_left(done, tmp_path):
    """Five trainings of six steps beside those of the grid; the sixth is one of the grid."""
    fresh = workspace(written(tmp_path), tmp_path / "runs")
    todo = left_to_do(fresh, ("generation", "choice"), ["flux2"], fresh.study.cells)
    left = {unit.name: unit.steps() for unit in units(fresh, todo)}
    assert sum(steps for name, steps in left.items() if name.startswith("choice")) == 5 * 6
    assert sum(left.values()) == 7 * 6 + fresh.study.autoencoder_training.steps
    known = workspace(done, done / "runs")
    tasks = choice.tasks(known, ["flux2"])
    assert [choice.steps_left(known, task) for task in tasks] == [0] * len(tasks)
    gone = workspace(done, tmp_path / "gone")
    assert {choice.steps_left(gone, task) for task in tasks} == {6}


def test_done_once_it_is_not_done_again(done, capsys):
    assert train.main(arguments(done, "--only", "generation", "choice")) == 0
    assert "nothing to do" in capsys.readouterr().out
    # the weights may have gone: they are trained again only for what is missing
    before = read_generation(done / "data")
    lost = next((done / "data" / "generation" / "study=chosen").glob("*-seed4-samples4-4.parquet"))
    lost.unlink()
    for path in (done / "runs").rglob("average-*"):
        path.unlink()
    assert train.main(arguments(done, "--only", "choice")) == 0
    assert "1 at the best settings" in capsys.readouterr().err
    pandas.testing.assert_frame_equal(before, read_generation(done / "data"))


def test_a_part_of_the_candidates_is_not_chosen_from(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Costs, "seconds", lambda costs, operation: 0.0)
    written(tmp_path)
    for narrowed, left in ((["--trainp", "ln"], "0"), ([], "6")):
        assert train.main(arguments(tmp_path, *narrowed, "--plan")) == 0
        lines = [line.split() for line in capsys.readouterr().out.splitlines()]
        assert next(line[-1] for line in lines if line[:2] == ["at", "the"]) == left


@pytest.mark.parametrize(
    ("was", "now", "message"),
    [
        ("n_samples = [6, 4]", "n_samples = [1]", r"choice\[0\].n_samples must be at least 2 and at most .*, got 1"),
        ("n_samples = [6, 4]", "n_samples = [4]\nsample_seed = 0", "choice.sample_seed 0 is evaluation's"),
        ("width = [32]", "width = [128]", "width 128 is that of DiT-Micro: write 0"),
        ("width = [32]", "width = [30]", "width 30 does not fit"),
        ('skip = ["none", "linear"]', 'skip = ["liner"]', "unknown skip 'liner'.*did you mean 'linear'"),
        ('ae = ["flux2"]\nn_samples = [6', 'ae = ["rae"]\nn_samples = [6', "choice.ae names 'rae', of which no"),
        ("train_seed = [3, 4]", "train_seeds = [3]", "unknown key in \\[choice\\[0\\]\\] 'train_seeds'"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, capsys, was, now, message):
    assert was in CHOICE
    written(tmp_path, CHOICE.replace(was, now))
    assert train.main(arguments(tmp_path, "--plan")) == 2

    assert re.search(message, capsys.readouterr().err)
    assert not list(Path(tmp_path).rglob("*.parquet"))
