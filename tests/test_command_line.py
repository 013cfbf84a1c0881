"""What all commands share: exit status, folders under the home, terminals that cannot show everything."""

import io
import sys
from pathlib import Path

import platformdirs
import pytest

from lrcore.assets import cache, table
from lrcore.command_line import Parser, as_given, folder, folders_of, run_command, study_parser
from lrcore.errors import LrcoreError
from lrcore.runtime.interruption import StudyInterrupted
from lrcore.stages import engine
from lrcore.stages.engine import Job
from lrcore.stages.todo import Todo
from lrcore.studies.loading import load_study


def stopped(options, stop):
    raise StudyInterrupted("time budget spent")


def refused(options, stop):
    raise LrcoreError("no")


@pytest.mark.parametrize(("work", "status"), [(lambda options, stop: 0, 0), (stopped, 75), (refused, 2)])
def test_stopped_is_told_from_done(work, status):
    line = Parser()
    line.set_defaults(budget=None)
    assert run_command(line, work, []) == status


def test_the_home_is_found_in_folders(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    options = study_parser("x", "").parse_args(["--data=~/d", "--imgs=~/i", "--runs", "r~"])
    assert folders_of(options) == engine.Folders(tmp_path / "d", tmp_path / "i", Path("r~"))
    monkeypatch.setenv("LRCORE_CACHE", "~/c")
    assert table.cache_folder() == tmp_path / "c"
    for ask in (lambda: folder("~nobody-of-that-name/x"), lambda: table.cache_folder()):
        monkeypatch.setenv("LRCORE_CACHE", "~nobody-of-that-name/c")
        with pytest.raises(LrcoreError, match="begins with a home that is not known"):
            ask()


@pytest.mark.parametrize("how", ["raises", "stays"])
def test_without_a_home_the_cache_asks_for_a_folder(how, monkeypatch):
    def unknown(*arguments, **named):
        if how == "raises":
            raise RuntimeError("Could not determine home directory.")
        return Path("~/.cache/lrcore")

    monkeypatch.delenv("LRCORE_CACHE", raising=False)
    monkeypatch.setattr(platformdirs, "user_cache_path", unknown)
    with pytest.raises(LrcoreError, match="HOME is not set and the user is unknown; set LRCORE_CACHE"):
        table.cache_folder()


@pytest.mark.parametrize(
    ("said", "offline"),
    [
        *(("", False), ("0", False), ("false", False), ("FALSE", False), ("no", False), ("Off", False)),
        *(("1", True), ("true", True), ("Yes", True), ("on", True)),
    ],
)
def test_words_for_offline(said, offline, monkeypatch):
    monkeypatch.setenv("LRCORE_OFFLINE", said)
    assert cache.is_offline() == offline


@pytest.mark.parametrize("said", ["2", "fals", "offline", "none"])
def test_other_words_for_offline_are_refused(said, monkeypatch):
    monkeypatch.setenv("LRCORE_OFFLINE", said)
    with pytest.raises(LrcoreError, match=rf"LRCORE_OFFLINE is '{said}'; allowed: 1, true, yes, on, 0, false"):
        cache.is_offline()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_that_cannot_show_a_character_gets_an_escape(encoding, monkeypatch):
    shown = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", shown)

    def work(options, stop):
        print("4 × 4 ≥ 3, 'na\udcefve.png'")
        return 0

    line = Parser()
    line.set_defaults(budget=None)
    assert run_command(line, work, []) == 0
    shown.flush()
    text = shown.buffer.getvalue().decode(encoding)
    assert r"na\udcefve.png" in text and ("4 × 4" if encoding != "ascii" else r"4 \xd7 4") in text


def test_a_complete_study_needs_no_folder_to_write_to(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").touch()
    folders = engine.Folders(*(tmp_path / "file" / name for name in ("data", "imgs", "runs")))
    study = load_study("smoke")
    job = Job(study, folders, engine.torch.device("cpu"), ["generation"], [], [])
    monkeypatch.setattr(engine, "left_to_do", lambda *arguments: Todo([], [], [], [], [], [], []))
    assert engine.run_study(job, engine.StopRequest()) == 0
    assert "nothing to do" in capsys.readouterr().out
    monkeypatch.setattr(engine, "left_to_do", lambda *arguments: Todo([], ["sd"], [], [], [], [], []))
    with pytest.raises(LrcoreError, match="cannot be written to"):
        engine.run_study(job, engine.StopRequest())


def test_the_command_that_comes_next_names_what_is_not_as_usual():
    line = study_parser("lrcore.train", None)
    assert as_given(line.parse_args(["smoke"])) == "smoke"
    given = ["my study.toml", "--data", "there/data", "--runs", "runs"]
    assert as_given(line.parse_args(given)) == "'my study.toml' --data there/data"
