"""Stage: whether the latents of an autoencoder are normalised, looked at before anything else is done with them."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

from lrcore.autoencoders.base import Autoencoder, encode_all, spread
from lrcore.autoencoders.guard import guard_scale, spread_note
from lrcore.runtime.files import write_json
from lrcore.stages.autoencoder import autoencoder_recipe, ensure_autoencoder
from lrcore.stages.workspace import Workspace

GUARDED_IMAGES = 512
"""Of at most so many training images, evenly spread, the latents are looked at."""


def scale_path(work: Workspace, ae: str) -> Path:
    """What is left of a look at normalised latents."""
    return work.runs / "scale" / f"{ae}-{autoencoder_recipe(work, ae)}.json"


def scale_known(work: Workspace, ae: str) -> bool:
    """Whether they were looked at, and are normalised."""
    return scale_path(work, ae).exists()


def look_at_scale(work: Workspace, ae: str) -> None:
    """Look at the latents of `ae`, unless that was done.

    Raises:
        LrcoreError: they are not normalised, with what mends it.
    """
    if not scale_known(work, ae):
        require_normalised(work, ae, ensure_autoencoder(work, ae))


def require_normalised(work: Workspace, ae: str, autoencoder: Autoencoder) -> None:
    """As `look_at_scale`, of an autoencoder that is at hand."""
    if scale_known(work, ae):
        return
    seen = spread(work.images.train.images, GUARDED_IMAGES)
    tokens = encode_all(autoencoder, seen, work.counted("encoded", len(seen)))
    scale = guard_scale(tokens, ae, autoencoder.one_scale)
    note = "" if autoencoder.one_scale else spread_note(scale, ae)
    if note:
        print(f"note: {note}", file=sys.stderr, flush=True)
    write_json(scale_path(work, ae), {"images": len(seen), **asdict(scale)})
