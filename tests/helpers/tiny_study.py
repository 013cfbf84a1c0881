"""The study `tests/tiny.toml`: its file, the command's arguments for it, and what it leaves."""

from pathlib import Path

TINY = str(Path(__file__).parents[1] / "tiny.toml")

PIXELS = f"""
extends = "{TINY}"
[autoencoders.pixels]
family = "patches"
patch = 4
[[grid]]
ae = ["pixels"]
trainp = ["ln", "ts"]
trainshift = [1.0]
repa = ["none"]
"""
"""A study of two trainings in a latent space that takes no training."""


def arguments(folder, *more):
    return [TINY, *(f"--{name}={folder / name}" for name in ("data", "imgs", "runs")), *more]


def stored(folder, ae=""):
    """Every row and picture, byte for byte; `ae`: those of one autoencoder, with the pictures it was given.

    What is planned is of the study, whatever was measured of it.
    """
    found = [
        path for name in ("data", "imgs") for path in (folder / name).rglob("*.*") if not path.name.startswith(".")
    ]
    wanted = (ae, "orig", "planned")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found if path.name.startswith(wanted)}
