"""What images a folder holds: one listing for data sets and for `python -m lrcore.metrics`.

Images are files with one of `IMAGE_ENDINGS`, at any depth. Hidden files and folders and `__MACOSX` are passed over.
Links are followed; a folder that several names lead to is listed once, so that links cannot go round in circles. A link
that leads nowhere is an image that cannot be read, if its name says that it is one. Other files are counted.
"""

from __future__ import annotations

import os
import stat
import sys
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from lrcore.errors import LrcoreError

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".ppm", ".pgm", ".tif", ".tiff")
"""In small or capital letters."""


@dataclass(frozen=True)
class Listing:
    """Paths of images relative to a folder, with "/", sorted by their parts; and other files by their endings."""

    images: list[str]
    others: Counter[str] = field(default_factory=Counter)


def list_images(folder: Path, above: Sequence[Path] = ()) -> Listing:
    """The images under a folder; links to the folders `above` it are not followed.

    Raises:
        LrcoreError: a folder cannot be read.
    """
    found: list[tuple[str, ...]] = []
    others: Counter[str] = Counter()
    seen = {_identity(path) for path in above}
    folders, links = deque[tuple[str, ...]]([()]), deque[tuple[str, ...]]()
    while folders or links:
        # links last: a folder goes by its own name where it has one inside
        parts = folders.popleft() if folders else links.popleft()
        here = folder.joinpath(*parts)
        if (identity := _identity(here)) in seen:
            continue
        seen.add(identity)
        for entry in visible(here):
            inside = (*parts, entry.name)
            if _is_folder(entry):
                (links if entry.is_symlink() else folders).append(inside)
            elif is_image(entry.name) and _is_file(entry):
                found.append(inside)
            else:
                others[PurePath(entry.name).suffix.lower()] += 1
    return Listing(["/".join(parts) for parts in sorted(found)], others)


def visible(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, sorted by name, without what is passed over.

    Raises:
        LrcoreError: it cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not is_hidden(entry.name)), key=lambda entry: entry.name)
    except OSError as error:
        raise LrcoreError(f"folder '{shown(folder)}' cannot be read: {error.strerror}") from error


def is_hidden(name: str) -> bool:
    """Whether a file or folder of that name is passed over."""
    return name.startswith(".") or name == "__MACOSX"


def is_image(name: str) -> bool:
    """Whether the ending says so."""
    return PurePath(name).suffix.lower() in IMAGE_ENDINGS


def report_others(others: Counter[str], where: str, what: str = "file", hint: str = "") -> None:
    """One line about what was passed over, if anything was."""
    if not others:
        return
    endings = [ending or "no ending" for ending in sorted(others, key=lambda ending: (-others[ending], ending))]
    kinds = ", ".join([*endings[:5], "..."] if len(endings) > 5 else endings)
    count = others.total()
    print(f"'{where}': {count} other {what}{'s' * (count != 1)} passed over ({shown(kinds)}){hint}", file=sys.stderr)


def shown(path: str | Path) -> str:
    r"""A path as text for messages and rows: bytes that are not UTF-8 and control characters as escapes.

    >>> shown("caf\udce9/a\nb.png")
    'caf\\xe9/a\\nb.png'
    """
    text = str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError as error:
        raise LrcoreError(f"folder '{shown(folder)}' cannot be read: {error.strerror}") from error
    return status.st_dev, status.st_ino


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links that lead to themselves
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Also a link that leads nowhere: what cannot be read has to be said. Not a pipe, which would be waited for."""
    if not entry.is_symlink():
        return entry.is_file(follow_symlinks=False)
    try:
        return stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        return True
