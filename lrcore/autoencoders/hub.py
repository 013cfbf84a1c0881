"""Whether the hub that pretrained autoencoders come from can be reached: asked once, and answered at once.

Its own library tries five times over most of a minute, and then says that a file is missing.
"""

from __future__ import annotations

import contextlib
import functools
import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath

from lrcore.errors import reason

REACH_WITHIN = 5.0
"""Seconds to wait for an answer."""


@functools.cache
def unreachable(endpoint: str) -> str:
    """Why the hub at the address `endpoint` does not answer; "" if it does, whatever it says."""
    try:
        urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=REACH_WITHIN).close()
    except urllib.error.HTTPError:
        return ""
    except (OSError, ValueError) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        return reason(cause) if isinstance(cause, BaseException) else str(cause)
    return ""


def is_cached(repository: str, file: str, revision: str) -> bool:
    """Whether a file of the hub was fetched before."""
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(repository, file, revision=revision or None), str)


def file_names(source: str | Path, subfolder: str, revision: str, local: bool) -> list[str]:
    """Names of the files of a model: in a folder, or in the hub's repository `source`; none where nothing tells.

    `local`: the hub is not asked, but what was fetched before is looked at.
    """
    if Path(source).is_dir():
        return _inside(Path(source) / subfolder)
    from huggingface_hub import HfApi, constants, try_to_load_from_cache

    if local:
        config = str(PurePosixPath(subfolder) / "config.json")
        found = try_to_load_from_cache(str(source), config, revision=revision or None)
        return _inside(Path(found).parent) if isinstance(found, str) else []
    with contextlib.suppress(Exception):  # of whichever library asks; fetching the weights then tells what is wrong
        listed = HfApi(endpoint=constants.ENDPOINT).list_repo_files(str(source), revision=revision or None)
        paths = [PurePosixPath(name) for name in listed]
        return [path.name for path in paths if path.parent == PurePosixPath(subfolder)]
    return []


def _inside(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
