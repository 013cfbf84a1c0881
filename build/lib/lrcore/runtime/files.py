"""Writing files so that a reader never sees half of one, and two writers never mix.

Everything the package writes goes through `atomic_path`; everything that several processes may
make goes through `exclusive`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from lrcore.errors import LrcoreError
from lrcore.runtime.interruption import obey_here
from lrcore.runtime.locks import REFUSED, Lock

NO_DIGEST = (
    "'{}' has no digest to tell whether it is whole: `python -m lrcore.records.migration` gives one to all of data/ "
    "and runs/ (or --data, --runs, or files by name)"
)
"""What is said of a file without, by its path."""


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it replaces `path` in one step.

    The temporary name starts with a dot, so that readers of a data folder (pyarrow, pandas, the
    site) pass over what a killed process left behind. Data reach the disk before the name does.

    Raises:
        LrcoreError: the folder cannot be written to, or the disk is full.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise LrcoreError(f"cannot write to folder '{path.parent}': {error.strerror}") from error
    temporary = Path(name)
    try:
        yield temporary
        _sync(temporary)
        with contextlib.suppress(OSError):  # of a file system without permissions: the file is as good
            temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise LrcoreError(f"cannot write '{path}': {reason}") from error
    finally:
        with contextlib.suppress(OSError):  # the error that brought us here says more
            temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield the name of a folder to make beside `path`, which must not be there; on success it becomes `path` at once.

    All files in it reach the disk before its name does. What a killed process left under its hidden name is removed.

    Raises:
        LrcoreError: it cannot be written, or the disk is full.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        for file in sorted(partial.rglob("*")):
            _sync_folder(file) if file.is_dir() else _sync(file)
        _sync_folder(partial)
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise LrcoreError(f"cannot write '{path}': {getattr(error, 'strerror', None) or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _sync_folder(path.parent)


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hex digits.

    Raises:
        LrcoreError: it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise LrcoreError(f"'{path}' cannot be read: {error.strerror}") from error


def removal(path: Path) -> str:
    """The shell command that removes what is at `path`, for messages: a folder may be where a file should."""
    return f"rm {'-r ' if path.is_dir() else ''}{shlex.quote(str(path))}"


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def sweep_leftovers(path: Path) -> None:
    """Delete temporary files that a killed writer of `path` left. Call it holding the lock of `path`."""
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        leftover.unlink(missing_ok=True)


@contextlib.contextmanager
def exclusive(path: Path, waiting: Callable[[], None] = obey_here) -> Iterator[None]:
    """Hold the lock of `path` (`lrcore.runtime.locks`); says so when another process has it.

    `waiting` is called every second that the lock is waited for, and may raise to give up; by itself it obeys the stop
    request of the work that is being done (`interruption.obeyed`).
    """
    lock = Lock(path)
    if not _taken(lock, path):
        print(f"waiting for another process that works on {path}", file=sys.stderr, flush=True)
        while not _taken(lock, path, timeout=1.0):
            waiting()
    with _held(lock, path):
        yield


@contextlib.contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Hold the lock of `path` if it is free, without waiting: yields whether it was."""
    lock = Lock(path)
    if not _taken(lock, path):
        yield False
        return
    with _held(lock, path):
        yield True


def make_missing(paths: Sequence[Path], make: Callable[[Path], None], waiting: Callable[[], None]) -> None:
    """Make the files of `paths` that are missing; any number of processes may, each takes what no other has taken.

    Returns when all are there, by whomever. `waiting` is called every second that only others are at work, and may
    raise to give up.
    """
    while left := [path for path in paths if not path.exists()]:
        made = False
        for path in left:
            with claimed(path) as free:
                if free and not path.exists():
                    make(path)
                    made = True
        if not made:
            waiting()
            time.sleep(1.0)


def _taken(lock: Lock, path: Path, timeout: float = 0.0) -> bool:
    """Whether the lock is ours now.

    Raises:
        LrcoreError: the folder cannot be written to.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        return lock.acquire(timeout)
    except OSError as error:
        raise LrcoreError(f"cannot write to folder '{Path(path).parent}': {error.strerror}") from error


@contextlib.contextmanager
def _held(lock: Lock, path: Path) -> Iterator[None]:
    try:
        sweep_leftovers(Path(path))
        yield
    finally:
        lock.release()


def require_writable(folder: Path) -> None:
    """Refuse a folder that cannot be written to, before any work goes into it.

    Raises:
        LrcoreError: naming the folder and the reason.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise LrcoreError(f"folder '{folder}' cannot be written to: {error.strerror}; name another one") from error


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _sync(file: Path) -> None:
    """Have a file's content reach the disk.

    Raises:
        OSError: it cannot, for want of room or a broken disk; a file system that has no such call is no error.
    """
    # Windows syncs what is open for writing alone; elsewhere a copy may be one that nobody may write to
    with file.open("r+b" if os.name == "nt" else "rb") as written:
        try:
            os.fsync(written.fileno())
        except OSError as error:
            if error.errno not in REFUSED | {errno.EROFS}:
                raise


def _sync_folder(folder: Path) -> None:
    """Have a folder's names reach the disk, where its file system can: the files are in place already."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
