"""Whether the hub that pretrained autoencoders come from can be reached: asked once, and answered at once.

Its own library tries five times over most of a minute, and then says that a file is missing.
"""

from __future__ import annotations

import functools
import urllib.error
import urllib.request

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
