"""A tar archive in parts of limited size, with their sha256 sums in a file that `sha256sum --check` reads.

study.000  study.001  ...  study.sha256
sha256sum --check study.sha256 && cat study.[0-9]* | tar --extract      # what reads them where lrcore is not
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from lrcore.errors import LrcoreError
from lrcore.runtime.files import atomic_path, sha256_of

MOST_PARTS = 1000
"""Parts are numbered by three digits, so that a shell's pattern gives them in order."""


def write_parts(folder: Path, name: str, files: Iterable[tuple[str, Path]], most: int) -> list[Path]:
    """Put `files` (name in the archive, path) into `<folder>/<name>.000` and so on, of at most `most` bytes each.

    The sums are written last: without them no part is read. What breaks off leaves no part behind. Returns the parts.

    Raises:
        LrcoreError: the folder holds parts of that name, cannot be written to, or would take more than 1,000; two files
            have one name, or one cannot be read.
    """
    sums, seen = folder / f"{name}.sha256", set[str]()
    if found := sorted(folder.glob(f"{name}.[0-9][0-9][0-9]")) or [path for path in [sums] if path.exists()]:
        raise LrcoreError(f"'{found[0]}' is there already: name another folder, or remove it")
    writer = _Writer(folder, name, most)
    try:
        # the old format that every tar reads, without users' names and times of access
        with tarfile.open(fileobj=writer, mode="w|", format=tarfile.GNU_FORMAT) as archive:
            for inside, path in files:
                if inside in seen:
                    raise LrcoreError(f"two files to pack are called '{inside}': rename one, '{path}' say")
                seen.add(inside)
                member = archive.gettarinfo(path, inside)
                member.uid = member.gid = 0
                member.uname = member.gname = ""
                with path.open("rb") as file:
                    archive.addfile(member, file)
        writer.finish()
        with atomic_path(sums) as temporary:
            temporary.write_text("".join(f"{digest}  {part.name}\n" for part, digest in writer.written))
    except BaseException as error:
        for part, _ in writer.written:
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise LrcoreError(f"cannot pack '{error.filename or folder}': {error.strerror}") from error
        raise
    return [part for part, _ in writer.written]


def checked_parts(sums: Path) -> list[Path]:
    """The parts that a file of sums names, in order, all of them there and whole.

    Raises:
        LrcoreError: one is absent or damaged, or the file is no such file.
    """
    parts = []
    try:
        lines = sums.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LrcoreError(f"'{sums}' cannot be read: {error}") from error
    for line in lines:
        told = re.fullmatch(rf"([0-9a-f]{{64}})  ({re.escape(sums.stem)}\.\d{{3}})", line)
        if told is None:
            raise LrcoreError(f"'{sums}' is not what `lrcore.staging` wrote: {line[:80]!r}")
        part = sums.parent / told[2]
        if not part.is_file():
            raise LrcoreError(f"'{part}' is missing: copy it again")
        if sha256_of(part) != told[1]:
            raise LrcoreError(f"'{part}' is damaged: its sha256 is not that of '{sums.name}': copy it again")
        parts.append(part)
    if not parts:
        raise LrcoreError(f"'{sums}' names no part")
    return parts


def members(parts: list[Path]) -> Iterator[tuple[str, IO[bytes]]]:
    """Name and content of each file in the archive, one after the other.

    Raises:
        LrcoreError: it holds anything but files, or a name that leads out of a folder.
    """
    try:
        with tarfile.open(fileobj=_Joined(parts), mode="r|") as archive:
            for member in archive:
                steps = member.name.split("/")
                content = archive.extractfile(member) if member.isreg() else None
                if content is None or {"", ".", ".."} & {*steps} or "\\" in member.name:
                    raise LrcoreError(f"'{parts[0]}' holds {member.name!r}, which `lrcore.staging` never packs")
                yield member.name, content
    except tarfile.TarError as error:
        raise LrcoreError(f"'{parts[0]}' is no archive: {error}") from error


class _Writer(io.RawIOBase):
    """What tarfile writes to: a part that is full is closed, and the next begun."""

    def __init__(self, folder: Path, name: str, most: int) -> None:
        self.folder, self.name, self.most = folder, name, most
        self.written: list[tuple[Path, str]] = []
        self._buffer = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, content: bytes) -> int:  # type: ignore[override]
        self._buffer += content
        while len(self._buffer) >= self.most:
            self._put(self.most)
        return len(content)

    def finish(self) -> None:
        if self._buffer:
            self._put(len(self._buffer))

    def _put(self, size: int) -> None:
        if len(self.written) == MOST_PARTS:
            raise LrcoreError(f"more than {MOST_PARTS} parts of {self.most} bytes: allow larger ones")
        part = self.folder / f"{self.name}.{len(self.written):03}"
        content = bytes(self._buffer[:size])
        with atomic_path(part) as temporary:
            temporary.write_bytes(content)
        del self._buffer[:size]
        self.written.append((part, hashlib.sha256(content).hexdigest()))


class _Joined(io.RawIOBase):
    """Parts one after the other."""

    def __init__(self, parts: list[Path]) -> None:
        self.left = list(parts)
        self.current: IO[bytes] | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        while True:
            if self.current is None:
                if not self.left:
                    return 0
                self.current = self.left.pop(0).open("rb")
            content = self.current.read(len(buffer))
            if content:
                buffer[: len(content)] = content
                return len(content)
            self.current.close()
            self.current = None
