"""lrcore.records.planned: how much a study is to hold, and what a part of it is called."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from figure_rows import generation_rows, study, with_choice, without

from lrcore.errors import LrcoreError
from lrcore.figures.embed import Markup
from lrcore.figures.studies import of_transformers
from lrcore.records.planned import Planned, read_planned, write_planned


def test_there_and_back_and_written_once(tmp_path: Path) -> None:
    assert read_planned(tmp_path, "toy") is None
    write_planned(tmp_path, "toy", Planned(4, 20))
    path = tmp_path / "planned" / "study=toy" / "planned.json"
    before = path.stat().st_mtime_ns, path.stat().st_ino
    write_planned(tmp_path, "toy", Planned(4, 20))
    assert read_planned(tmp_path, "toy") == Planned(4, 20) and (path.stat().st_mtime_ns, path.stat().st_ino) == before
    write_planned(tmp_path, "toy", Planned(5, 20))
    assert read_planned(tmp_path, "toy") == Planned(5, 20)
    path.write_text('{"trainings": 5, "evaluations": 20}')  # of before there was anything to compare with
    assert read_planned(tmp_path, "toy") == Planned(5, 20, "")


@pytest.mark.parametrize("text", ["", "[]", '{"trainings": 4}', '{"trainings": "x", "evaluations": 1}'])
def test_a_damaged_file_is_named(text: str, tmp_path: Path) -> None:
    write_planned(tmp_path, "toy", Planned(4, 20))
    (tmp_path / "planned" / "study=toy" / "planned.json").write_text(text)
    with pytest.raises(LrcoreError, match=r"planned.json' is damaged .* next run writes it anew"):
        read_planned(tmp_path, "toy")


def test_a_part_is_called_one() -> None:
    rows = study(generation_rows())
    count = len(rows.generation)
    assert rows.partial == ""  # not known
    trainings = count // 4  # two steps, two sampling shifts
    assert dataclasses.replace(rows, planned=Planned(trainings, count)).partial == ""
    fewer = dataclasses.replace(study(without(ae="rae", trainp="ts")), planned=Planned(trainings, count))
    assert fewer.partial == f"{trainings - 4} of {trainings} trainings"
    chosen = dataclasses.replace(with_choice(rows), planned=Planned(trainings, count + 20))
    assert chosen.partial == f"{count + 12} of {count + 20} evaluations"


def test_switch_and_figure_say_so() -> None:
    whole = study(generation_rows("inception2015"))
    partial = dataclasses.replace(whole, planned=Planned(999, 9999))
    shown = of_transformers({"whole": whole, "begun": partial}, lambda rows: Markup("<p>figure</p>")).markup
    assert "> begun (partial)</label>" in shown and "> whole</label>" in shown and 'value="begun"' in shown
    assert shown.count("of 999 trainings are measured.") == 1
