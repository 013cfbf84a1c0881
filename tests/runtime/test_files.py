"""Atomic writes and locks between processes."""

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from lrcore.errors import LrcoreError
from lrcore.runtime.files import atomic_path, exclusive, require_writable, write_json


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert "old" in path.read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_reader_sees_the_new_file_only_when_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert temporary.name.startswith(".")
    assert path.read_text() == "whole"


def test_full_disk_is_an_error_that_names_the_file(tmp_path):
    with (
        pytest.raises(LrcoreError, match=r"cannot write '.*a.txt': No space left"),
        atomic_path(tmp_path / "a.txt") as t,
    ):
        t.write_text("x")
        with Path("/dev/full").open("w") as full:  # what a full disk answers
            full.write("x" * 100_000)
    assert not list(tmp_path.iterdir())


def test_files_get_the_usual_permissions(tmp_path):
    write_json(tmp_path / "a.json", 1)
    (tmp_path / "b").touch()
    assert (tmp_path / "a.json").stat().st_mode == (tmp_path / "b").stat().st_mode


HOLDER = """
    import sys, time
    from pathlib import Path
    from lrcore.runtime.files import exclusive
    with exclusive(Path(sys.argv[1])):
        print("held", flush=True)
        time.sleep(30)
"""


def test_another_process_waits_and_a_killed_holder_frees(tmp_path, capfd):
    path = tmp_path / "unit"
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLDER), path], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        killer = subprocess.Popen(["sh", "-c", f"sleep 0.5; kill -9 {holder.pid}"])
        began = time.monotonic()
        with exclusive(path):
            waited = time.monotonic() - began
        killer.wait()
    assert 0.2 < waited < 20
    assert f"waiting for another process that works on {path}" in capfd.readouterr().err


def test_a_lock_sweeps_what_a_killed_writer_left(tmp_path):
    (tmp_path / ".unit.abc.tmp").write_text("half")
    (tmp_path / ".other.abc.tmp").write_text("somebody writes this now")
    with exclusive(tmp_path / "unit"):
        assert [p.name for p in tmp_path.glob("*.tmp")] == [".other.abc.tmp"]


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(LrcoreError, match=r"folder '.*data' cannot be written to"):
        require_writable(tmp_path / "data")
