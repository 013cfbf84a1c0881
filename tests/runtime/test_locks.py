"""Locks where the file system refuses flock, and files where it refuses fsync of folders and chmod."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lrcore.errors import LrcoreError
from lrcore.runtime import files, locks
from lrcore.runtime.files import atomic_folder, atomic_path, claimed, exclusive
from lrcore.runtime.interruption import InterruptedWaiting, StopRequest, StudyInterrupted, obeyed
from lrcore.runtime.locks import Lock


def refusing(code):
    def refuse(*arguments):
        raise OSError(code, os.strerror(code))

    return refuse


@pytest.fixture(params=["flock", errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def system(request, monkeypatch):
    """A file system with flock, and those that refuse it."""
    if request.param != "flock":
        monkeypatch.setattr(locks.fcntl, "flock", refusing(request.param))
    return request.param


def test_one_holder_at_a_time(system, tmp_path):
    one, other = Lock(tmp_path / "unit"), Lock(tmp_path / "unit")
    assert one.acquire()
    assert not other.acquire() and not other.acquire(timeout=0.1)
    assert Lock(tmp_path / "unit2").acquire()
    one.release()
    assert other.acquire()
    other.release()
    assert (tmp_path / ".unit.held.lock").exists() is False


def test_a_lock_of_a_folder_that_is_not_there_is_an_error_that_names_it(system, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LrcoreError, match=r"cannot write to folder '.*file'"), exclusive(tmp_path / "file" / "unit"):
        pass


DYING = """
import errno, os, sys
from pathlib import Path
from lrcore.runtime import locks
def refuse(*arguments): raise OSError(errno.ENOSYS, "no")
locks.fcntl.flock = refuse
assert locks.Lock(Path(sys.argv[1])).acquire()
os._exit(9)
"""


def test_a_dead_holder_of_this_machine_is_known_at_once(tmp_path, monkeypatch):
    assert subprocess.run([sys.executable, "-c", DYING, tmp_path / "unit"], check=False).returncode == 9
    assert (tmp_path / ".unit.held.lock").exists()
    monkeypatch.setattr(locks.fcntl, "flock", refusing(errno.ENOSYS))
    with claimed(tmp_path / "unit") as free:
        assert free
    assert [path.name for path in tmp_path.iterdir()] == [".unit.lock"]


def test_a_dead_holder_elsewhere_is_waited_for_a_while_and_a_living_one_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(locks.fcntl, "flock", refusing(errno.ENOSYS))
    monkeypatch.setattr(locks, "STALE_AFTER", 0.5)
    held = tmp_path / ".unit.held.lock"
    held.write_text('{"host": "another", "pid": 1, "token": "x"}')
    os.utime(held, (1, 1))  # by a clock that says nothing here
    lock = Lock(tmp_path / "unit")
    for beat in range(8):
        assert not lock.acquire(timeout=0.1)
        os.utime(held, (beat + 2, beat + 2))
    began = time.monotonic()
    assert lock.acquire(timeout=10)
    assert 0.4 < time.monotonic() - began < 5
    lock.release()


def test_a_holder_renews_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr(locks.fcntl, "flock", refusing(errno.ENOSYS))
    monkeypatch.setattr(locks, "RENEW_EVERY", 0.05)
    lock = Lock(tmp_path / "unit")
    assert lock.acquire()
    held = tmp_path / ".unit.held.lock"
    os.utime(held, (1, 1))
    deadline = time.monotonic() + 10
    while held.stat().st_mtime == 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert held.stat().st_mtime > 1
    lock.release()


@pytest.mark.parametrize("refused", ["folder fsync", "open folder", "chmod", "fsync"])
def test_what_a_file_system_refuses_loses_no_file(refused, tmp_path, monkeypatch):
    sync, opened = os.fsync, os.open

    def fsync(handle):
        if refused == "fsync" or (refused == "folder fsync" and Path(f"/proc/self/fd/{handle}").is_dir()):
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(handle)

    def open_(path, *arguments, **named):
        if refused == "open folder" and Path(path).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, *arguments, **named)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "open", open_)
    if refused == "chmod":
        monkeypatch.setattr(Path, "chmod", refusing(errno.EPERM))
    with atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
    assert (tmp_path / "a.txt").read_text() == "whole"
    with atomic_folder(tmp_path / "folder") as partial:
        (partial / "inner").mkdir(parents=True)
        (partial / "inner" / "a.txt").write_text("whole")
    assert (tmp_path / "folder" / "inner" / "a.txt").read_text() == "whole"


def test_a_disk_that_breaks_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", refusing(errno.EIO))
    with (
        pytest.raises(LrcoreError, match=r"cannot write '.*a\.txt': Input/output error"),
        atomic_path(tmp_path / "a.txt") as temporary,
    ):
        temporary.write_text("half")
    with pytest.raises(LrcoreError, match=r"cannot write '.*folder'"), atomic_folder(tmp_path / "folder") as partial:
        partial.mkdir()
        (partial / "a.txt").write_text("half")
    assert not list(tmp_path.iterdir())


def test_a_folder_is_on_disk_before_its_name(tmp_path, monkeypatch):
    events = []
    sync, replace = files._sync, Path.replace
    monkeypatch.setattr(files, "_sync", lambda file: events.append(file.name) or sync(file))
    monkeypatch.setattr(Path, "replace", lambda path, to: events.append("replaced") or replace(path, to))
    with atomic_folder(tmp_path / "model") as partial:
        partial.mkdir()
        for name in ("config.json", "weights"):
            (partial / name).write_text("x")
    assert events == ["config.json", "weights", "replaced"]


def test_a_stop_request_is_obeyed_while_waiting_for_a_lock(system, tmp_path):
    stop = StopRequest()
    threading.Timer(0.3, lambda: setattr(stop, "reason", "SIGTERM received")).start()
    began = time.monotonic()
    with claimed(tmp_path / "unit") as free, obeyed(stop), pytest.raises(StudyInterrupted, match="SIGTERM") as caught:
        assert free
        with exclusive(tmp_path / "unit"):
            pass
    assert time.monotonic() - began < 5
    assert isinstance(caught.value, InterruptedWaiting)


def test_a_signal_is_obeyed_while_rows_wait_for_their_folder(tmp_path):
    """As a process that trains meets it: `upsert` was not told what to obey."""
    from lrcore.records.schema import LatentRow
    from lrcore.records.writing import write_latents

    row = LatentRow("sd", "ifd", -1, 0.0, 1.0, 0.0, 1, "x", "x", 1, 1, 1, *["x"] * 5)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    stop = StopRequest()
    folder = tmp_path / "latents" / "study=mine"
    stop.listen()
    try:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
        with exclusive(folder), obeyed(stop), pytest.raises(StudyInterrupted, match="SIGTERM received"):
            write_latents(tmp_path, "mine", "sd", [row])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
