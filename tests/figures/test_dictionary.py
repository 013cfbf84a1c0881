"""lrcore.figures.dictionary: the page shows the README of the data, and counts what is there."""

from pathlib import Path

import pytest
import sample_data

from lrcore.errors import LrcoreError
from lrcore.figures.dictionary import data_dictionary, rows_of_studies
from lrcore.results.study_rows import load_studies
from lrcore.studies.loading import load_study

README = Path(__file__).parents[2] / "data" / "README.md"


def test_the_text_is_the_readme_without_its_title():
    found = data_dictionary(README)
    assert README.read_text().endswith(f"{found}\n") and "## generation" in found
    assert not found.startswith("# ")


def test_what_is_no_dictionary_is_refused(tmp_path):
    with pytest.raises(LrcoreError, match="missing"):
        data_dictionary(tmp_path / "README.md")
    (tmp_path / "README.md").write_text("no title\n")
    with pytest.raises(LrcoreError, match="must begin with a title"):
        data_dictionary(tmp_path / "README.md")


def test_rows_are_counted(tmp_path):
    sample_data.fill(tmp_path / "data", tmp_path / "imgs")
    table = rows_of_studies(load_studies(tmp_path / "data")).frame.set_index("study")
    assert table.index.tolist() == ["cifar10-cpu", "narrow", "smoke"]
    cells = load_study("cifar10-cpu").cells
    assert table.loc["cifar10-cpu", ["trainings", "evaluations"]].tolist() == [len(cells), 3 * len(cells)]
    assert table.loc["cifar10-cpu", ["at the choice", "other widths"]].gt(0).all()
    assert table.loc["smoke", ["at the choice", "other widths"]].tolist() == [0, 0]
    assert table.loc["smoke", "distance"] == "FD (EfficientNet-Lite0)"
