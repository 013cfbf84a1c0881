"""lrcore: how learnable, how faithful and how compact is the latent space of an image autoencoder?

Commands are modules of this folder (`python -m lrcore.train`), but for two folders with a command, `assets` and
`metrics`, and `records.migration`. Ideas are folders, from the ground up:

    runtime        files, stopping, progress, processes     training    the loop, checkpoints, losses
    spec           what a study says, as typed data         metrics     distances, per-image metrics, latents
    assets         data and weights from outside            studies     the studies, read and checked
    records        the rows under data/                     stages      what is done, in order
    flow           flow matching: times, loss, model, way   plan        what it will cost
    encoders       frozen vision encoders                   executors   who does it
    datasets       images                                   results     from rows to findings and claims
    autoencoders   images to latents and back               figures     from findings to pages

What pages and notebooks use can be had from here: `from lrcore import load_studies`.
"""

import os
from importlib import import_module
from typing import Any

__version__ = "0.2.0"

# Read once, when torch loads OpenMP. By default its idle threads spin, and two programs that share the cores of a
# machine then slow each other down several times over; sleeping threads do not.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_HOMES = {
    "lrcore.flow.public_checkpoints": ("load_public", "to_public"),
    "lrcore.flow.timesteps": ("density", "sampling_grid", "timeshift"),
    "lrcore.records.reading": (
        "read_anchors",
        "read_atlas",
        "read_generation",
        "read_latents",
        "read_losses",
        "read_published",
        "read_reconstruction",
    ),
    "lrcore.results.claims": ("judged",),
    "lrcore.results.study_rows": ("load_studies",),
}
"""Where the names live that this module offers; loaded when they are asked for, since torch takes seconds."""

__all__ = ["__version__", *(name for names in _HOMES.values() for name in names)]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'lrcore' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
