"""A lock that one process at a time holds, by a hidden file beside what it guards.

The lock is the operating system's (flock; on Windows that of the package filelock), so that it ends with the process
that holds it. File systems that refuse flock (some of SMB, FUSE and Lustre) get a file instead, `.NAME.held.lock`,
that is there while the lock is held. It says whose it is, and its holder renews its time every `RENEW_EVERY` seconds.
A holder that died on this machine is known by its process number; one on another machine by a file that has not
changed for `STALE_AFTER` seconds on the clock of who waits, since clocks of machines differ.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import threading
import time
import uuid
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

RENEW_EVERY = 15.0
STALE_AFTER = 300.0
"""Long enough that a holder whose threads are held up by a long call is not taken for dead."""

LOOK_EVERY = 0.05
"""Seconds between looks at a lock that is waited for."""

REFUSED = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL}
"""What a file system answers that has no such call."""

_TAKEN = {errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK}

_unchanged: dict[Path, tuple[bytes, int, float]] = {}
"""Of files of other holders, by path: content, time of the last change, and since when (here) they are so."""


class Lock:
    """The lock of `path`: the file `.NAME.lock` beside it, whose folder must be there. Not reentrant."""

    def __init__(self, path: Path) -> None:
        self._file = Path(path).with_name(f".{Path(path).name}.lock")
        self._held: _SystemLock | _HeldFile | None = None

    def acquire(self, timeout: float = 0.0) -> bool:
        """Take the lock, trying for `timeout` seconds; returns whether it is taken.

        Raises:
            OSError: its file cannot be made.
        """
        deadline = time.monotonic() + timeout
        while True:
            self._held = self._try()
            if self._held is not None:
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(LOOK_EVERY)

    def release(self) -> None:
        """Give it back."""
        if self._held is not None:
            self._held.release()
            self._held = None

    def _try(self) -> _SystemLock | _HeldFile | None:
        try:
            return _SystemLock.taken(self._file)
        except OSError as error:
            if error.errno not in REFUSED:
                raise
        return _HeldFile.taken(self._file.with_name(f"{self._file.name.removesuffix('.lock')}.held.lock"))


class _SystemLock:
    def __init__(self, handle: int | Any) -> None:
        self._handle = handle

    @classmethod
    def taken(cls, file: Path) -> _SystemLock | None:
        """The lock, or None where another holds it."""
        if fcntl is None:
            return cls._taken_on_windows(file)
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if error.errno in _TAKEN:
                return None
            raise
        return cls(handle)

    @classmethod
    def _taken_on_windows(cls, file: Path) -> _SystemLock | None:
        from filelock import FileLock, Timeout

        lock = FileLock(file)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        return cls(lock)

    def release(self) -> None:
        if isinstance(self._handle, int):
            os.close(self._handle)  # which frees the lock
        else:
            self._handle.release()


class _HeldFile:
    """A file that is there while the lock is held, and kept fresh by a thread."""

    def __init__(self, file: Path, content: bytes) -> None:
        self._file, self._content, self._over = file, content, threading.Event()
        threading.Thread(target=self._renew, daemon=True).start()

    @classmethod
    def taken(cls, file: Path) -> _HeldFile | None:
        """The lock, or None where another holds it who may be alive."""
        content = json.dumps({"host": _host(), "pid": os.getpid(), "token": uuid.uuid4().hex}).encode()
        for _ in range(2):
            try:
                handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                if not _removed_if_stale(file):
                    return None
                continue
            os.write(handle, content)
            os.close(handle)
            return cls(file, content)
        return None

    def release(self) -> None:
        self._over.set()
        with contextlib.suppress(OSError):
            # another may have taken it for dead, after a sleep of the machine
            if self._file.read_bytes() == self._content:
                self._file.unlink()

    def _renew(self) -> None:
        while not self._over.wait(RENEW_EVERY):
            with contextlib.suppress(OSError):
                if self._file.read_bytes() == self._content:
                    os.utime(self._file)


def _removed_if_stale(file: Path) -> bool:
    """Remove the file of a holder that is dead; returns whether to try again."""
    try:
        content, changed = file.read_bytes(), file.stat().st_mtime_ns
    except OSError:  # just given back
        return True
    if not _dead(file, content, changed):
        return False
    aside = file.with_name(f"{file.name}.{uuid.uuid4().hex}.tmp")
    with contextlib.suppress(OSError):
        file.rename(aside)
        # another may have removed it first, and taken the lock since
        if aside.read_bytes() != content:
            os.link(aside, file)
        aside.unlink()
    return True


def _dead(file: Path, content: bytes, changed: int) -> bool:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        holder = json.loads(content)
        if holder["host"] == _host() and not _alive(int(holder["pid"])):
            return True
    before = _unchanged.get(file)
    if before is None or before[:2] != (content, changed):
        _unchanged[file] = (content, changed, time.monotonic())
        return False
    return time.monotonic() - before[2] > STALE_AFTER


def _host() -> str:
    """Where process numbers mean what they mean here: machines and containers may share a name."""
    found = [socket.gethostname()]
    with contextlib.suppress(OSError):  # Linux alone has these
        found.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        found.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    return " ".join(found)


def _alive(process: int) -> bool:
    if os.name == "nt":  # where asking would send a signal
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True
