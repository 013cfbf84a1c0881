"""What files hold, by their sha256: each is read once, and again when its size or a time says that it was changed.

What is known stays in a record in the cache folder, one for every place that files come from. Size and times decide
whether a file is read again; what it is, its bytes alone say. Up to `KEPT_ABOVE` bytes of files are read each time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import pyarrow
import pyarrow.parquet
from tqdm import tqdm

from lrcore.assets.table import cache_folder
from lrcore.errors import LrcoreError
from lrcore.runtime.files import atomic_path, exclusive

T = TypeVar("T")

KEPT_ABOVE = 2**26
"""Bytes of files that are read so quickly that what is known of them is not kept."""

SAVED_EVERY = 60.0
"""Seconds of reading that a killed process loses at most."""

UNREADABLE = ""
"""In the place of the sha256 of a file that cannot be read."""

# A file may change once more within the grain of its times: only what has rested for so many nanoseconds is kept.
_GRAIN = 2 * 10**9

# Files handed to the threads together: few enough to stop between them, enough to keep all threads busy.
_TOGETHER = 256


@dataclass(frozen=True)
class _State:
    """Of a file as it is found: `key` is a digest of path, size and times, b"" where there is none."""

    key: bytes
    size: int
    rested: bool


_NONE = _State(b"", 0, False)


def sha256s(
    files: Sequence[Path], where: str, check: Callable[[], None] = lambda: None, reread: bool = False
) -> list[str]:
    """The sha256 of each file, in hex digits; `UNREADABLE` of one that cannot be read.

    Args:
        files: any number.
        where: the place they come from, which names the record.
        check: called while files are read, and may raise to stop; what was read until then is kept.
        reread: read all of them, whatever is known.
    """
    states = _states(files)
    known: dict[bytes, bytes] = {}
    if sum(state.size for state in states) <= KEPT_ABOVE:
        _read(files, states, known, where, check)
    else:
        record = cache_folder() / "contents" / f"{hashlib.sha256(os.fsencode(where)).hexdigest()[:16]}.parquet"
        known = {} if reread else _stored(record)
        if any(state.key not in known for state in states if state.key):
            with _alone(record, check):
                known = {} if reread else _stored(record)  # another process may have been quicker
                _read(files, states, known, where, check, record)
    return [known[state.key].hex() if state.key in known else UNREADABLE for state in states]


def fingerprint_of(named: Iterable[tuple[str, str]], *about: str) -> str:
    """One sha256 of names with those of their contents, in order, and of what else there is to say."""
    digest, rest = hashlib.sha256(json.dumps(about).encode()), iter(named)
    while part := list(islice(rest, 1024)):  # a million one by one would take seconds
        digest.update(json.dumps(part).encode())
    return digest.hexdigest()


def _read(
    files: Sequence[Path],
    states: Sequence[_State],
    known: dict[bytes, bytes],
    where: str,
    check: Callable[[], None],
    record: Path | None = None,
) -> None:
    """Add to `known` what is not in it; put all of it into the record, now and then and in the end."""
    left = [(file, state) for file, state in zip(files, states, strict=True) if state.key and state.key not in known]
    total = sum(state.size for _, state in left)
    if record is not None:
        print(f"reading {total / 1e9:.1f} GB of '{where}', to know the files again", file=sys.stderr, flush=True)
    kept = {state.key: known[state.key] for state in states if state.key in known}
    saved = time.monotonic()
    try:
        with tqdm(total=total, unit="B", unit_scale=True, disable=None if record else True, leave=False) as bar:
            for (file, state), found in zip(left, _mapped(_sha256, [file for file, _ in left]), strict=True):
                check()
                bar.update(state.size)
                if not found:
                    continue
                known[state.key] = found
                if state.rested and _state(file).key == state.key:
                    kept[state.key] = found
                if record is not None and time.monotonic() - saved > SAVED_EVERY:
                    _store(record, kept)
                    saved = time.monotonic()
    finally:
        if record is not None:
            _store(record, kept)


def _mapped(work: Callable[[Path], T], files: Sequence[Path]) -> Iterator[T]:
    """What `work` gives for each file, by several threads: storage far away takes its time."""
    rest = iter(files)
    with ThreadPoolExecutor() as pool:
        while part := list(islice(rest, _TOGETHER)):
            yield from pool.map(work, part)


def _states(files: Sequence[Path]) -> list[_State]:
    """Of a part of the files by each thread: a task for every file would cost more than the file."""
    parts = [files[start : start + _TOGETHER] for start in range(0, len(files), _TOGETHER)]
    with ThreadPoolExecutor() as pool:
        return [state for found in pool.map(lambda part: [*map(_state, part)], parts) for state in found]


def _state(file: Path) -> _State:
    try:
        status = file.stat()
    except OSError:
        return _NONE
    # the time of change, too: copies and archives set that of modification to what it was elsewhere
    parts = (os.fsencode(file.absolute()), status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    key = hashlib.blake2b(repr(parts).encode(), digest_size=16).digest()
    return _State(key, status.st_size, time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _GRAIN)


def _sha256(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").digest()
    except OSError:
        return b""


@contextlib.contextmanager
def _alone(record: Path, check: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of the record, if it can have one: where a cache cannot be written to, each reads by itself."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(LrcoreError):
            stack.enter_context(exclusive(record, check))
        yield


def _stored(record: Path) -> dict[bytes, bytes]:
    """What the record says; nothing where there is none, or a damaged one."""
    try:
        table = pyarrow.parquet.read_table(record)
        return dict(zip(table["state"].to_pylist(), table["sha256"].to_pylist(), strict=True))
    except (OSError, KeyError, pyarrow.ArrowException):
        return {}


def _store(record: Path, known: dict[bytes, bytes]) -> None:
    table = pyarrow.table({"state": [*known], "sha256": [*known.values()]})
    with contextlib.suppress(LrcoreError), atomic_path(record) as temporary:
        pyarrow.parquet.write_table(table, temporary)
