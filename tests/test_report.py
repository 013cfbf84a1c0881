"""The command that writes a report: its files, its defaults, its errors."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path

import pytest
import report_rows

from lrcore import report

LARGEST = 5_000_000


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    report_rows.write(folder)
    return folder


def test_both_files_are_written_and_small(
    whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(whole)
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    assert report.main(["made", "--ae", "flux2", "--open"]) == 0
    written = whole / "reports" / "made-flux2.html"
    assert opened == [written.as_uri()]
    assert written.stat().st_size < LARGEST
    found = json.loads(written.with_suffix(".json").read_text("utf-8"))
    assert (found["study"], found["ae"], found["autoencoders"]) == ("made", "flux2", ["sd", "flux2"])
    told = report.__doc__ or ""
    assert all(key in told for key in (*found, *found["sections"]["latent"]))
    assert sorted(path.name for path in written.parent.iterdir()) == ["made-flux2.html", "made-flux2.json"]
    assert "wrote reports/made-flux2.html" in capsys.readouterr().out
    html = written.read_text("utf-8")
    assert str(whole) not in html and str(whole) not in json.dumps(found)


def test_what_is_no_report_is_not_replaced(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(whole)
    mine = tmp_path / "mine.json"
    mine.write_text('{"a": 1}')
    assert report.main(["made", f"--out={tmp_path / 'mine.html'}"]) == 2
    assert "mine.json', which is no report" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.json"] and mine.read_text() == '{"a": 1}'


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mada"], "unknown study 'mada'; allowed: made"),
        (["made", "--ae", "mine"], "unknown --ae 'mine'; allowed: sd, flux2"),
        (["made", "--out", "x.pdf"], "--out must end in .html, got 'x.pdf'"),
        (["a" * 5000], "unknown study 'aaaa"),
        (["made", "--ae", ""], "--ae must be the name of an autoencoder"),
        (["made", "--data", "nowhere"], "--data: 'nowhere' is not a folder"),
        (["../made"], "unknown study '../made'; allowed: made"),
        (["other.toml"], "study file 'other.toml' does not exist"),
        ([], "the following arguments are required: study"),
    ],
)
def test_errors_name_the_key_and_write_nothing(
    arguments: list[str], said: str, whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(whole)
    before = sorted(whole.rglob("*"))
    assert report.main(arguments) == 2
    assert said in capsys.readouterr().err
    assert sorted(whole.rglob("*")) == before
