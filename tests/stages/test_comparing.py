"""Where another study's rows and autoencoders are found, and what is said of a study that is not there."""

import pandas
import pytest

from lrcore.errors import LrcoreError
from lrcore.records import reading
from lrcore.runtime.folders import Folders
from lrcore.stages import comparing
from lrcore.stages.comparing import CHECKOUT, comparison, described

MINE = '[autoencoders.mine]\nfamily = "patches"\npatch = 4\n'


@pytest.fixture
def folders(tmp_path):
    (tmp_path / "mine.toml").write_text(MINE)
    return Folders(*(tmp_path / name for name in ("data", "imgs", "runs")))


def test_rows_and_autoencoders_that_ship_are_found_from_any_folder(folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = comparison("mine.toml", "cifar10", folders, runs_code=True)
    assert found.data == CHECKOUT / "data" and set(found.rows["ae"]) == {"sd", "flux1", "flux2", "rae"}
    assert len(found.weights) == 4 and all(str(CHECKOUT) in folder for folder in found.weights)
    # what none of its rows could be compared with is not trained
    steps, cells = found.study.training.evaluate_at, found.study.cells
    assert set(steps) <= set(found.rows["step"]) and cells
    for cell in cells:
        own = found.rows.query(
            f"trainshift == {cell.trainshift} and trainp == '{cell.trainp}' and repa == '{cell.repa}'"
        )
        assert set(own["ae"]) == {"sd", "flux1", "flux2", "rae"}
    said = described(found, "mine.toml")
    for word in (
        f"{len(found.rows)} generation rows", "nothing of theirs is trained or measured", "cifar10 at 32 px, 50,000",
        "64 tokens", "DiT-Ti, bfloat16, batches of 128", f"measured at step {steps[0]:,}", "inception2015",
        "2,500 by 50 steps of euler", "whatever [[grid]] of 'mine.toml' says",
    ):  # fmt: skip
        assert word in said


def test_another_precision_is_said(folders, tmp_path):
    from dataclasses import replace

    found = comparison(str(tmp_path / "mine.toml"), "cifar10", folders, runs_code=True)
    study = replace(found.study, training=replace(found.study.training, precision="float32"))
    assert "yours float32, as asked for; theirs bfloat16" in described(replace(found, study=study), "mine.toml")


def test_the_folder_of_data_comes_first(folders, tmp_path, monkeypatch):
    rows = reading.read_generation(CHECKOUT / "data").query("study == 'cifar10' and ae == 'sd'")
    monkeypatch.setattr(
        comparing, "read_generation", lambda data: rows if data == folders.data else pytest.fail("not asked for")
    )
    found = comparison(str(tmp_path / "mine.toml"), "cifar10", folders, runs_code=True)
    assert found.data == folders.data and set(found.rows["ae"]) == {"sd"}
    assert "; none yet of flux1, flux2, rae" in described(found, "mine.toml")


def test_a_name_that_is_none_lists_the_studies_there_are(folders, tmp_path, monkeypatch):
    there = pandas.DataFrame({"study": ["cifar10", "photographs"]})
    monkeypatch.setattr(comparing, "read_generation", lambda data: there)
    with pytest.raises(
        LrcoreError, match=r"^--compare-with: unknown study 'cifar'; allowed: cifar10, cifar10-cpu"
    ) as e:
        comparison(str(tmp_path / "mine.toml"), "cifar", folders, runs_code=True)
    assert "did you mean 'cifar10'?; of these there are rows, too, where their file is given: photographs.toml" in str(
        e.value
    )
    with pytest.raises(LrcoreError, match=r"'photographs': its rows are in '.*data', but .* such as photographs.toml"):
        comparison(str(tmp_path / "mine.toml"), "photographs", folders, runs_code=True)
