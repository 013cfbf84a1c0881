"""Which parts of the fast path a device may use: those that passed the self-check there, with this software.

    record(device, Capabilities(frozenset({SAMPLING, TRAINING})))    # what the self-check does at its end
    capabilities(device).has(SAMPLING)                               # what asks

The record lies in the cache, `fast/<device>.json`. It counts for the device's name, driver, torch and lrcore that it
was made with, and for the code of the fast path as it was; absent, damaged or of others, nothing has passed and
everything goes the slow way. Where it is of others, standard error says once what has changed and how to check again.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import lrcore
from lrcore.assets.table import cache_folder
from lrcore.fast import cuda
from lrcore.runtime.files import write_json

SAMPLING, SAMPLING_GRAPH = "sampling", "sampling graph"
TRAINING, TRAINING_GRAPH = "training", "training graph"
JUDGE, COMPILED = "judge", "compiled blocks"
PARTS = (SAMPLING, SAMPLING_GRAPH, TRAINING, TRAINING_GRAPH, JUDGE, COMPILED)
"""What can pass by itself; a graph, or compiled blocks in a training step, only where their part has passed, too."""

STACKED_MODEL = "DiT-Ti"
"""The transformer whose stacks the self-check measures; of another, a stack may not fit in memory."""

SOURCES = ("fast", "flow", "training", "metrics/half_precision.py", "metrics/inception.py")
"""What a record is made of, in the package: the fast path, and what it and the slow path beside it call."""

CHUNK_TOKENS = 16_384
"""Tokens of all rows that are sampled at once; a chunk's activations should stay in the cache of the device."""


@dataclass(frozen=True)
class Capabilities:
    """The parts that `passed`, some of `PARTS`, the size of a chunk of samples, and how many trainings of
    `STACKED_MODEL` as a stack take the least time each (both positive)."""

    passed: frozenset[str] = frozenset()
    chunk_tokens: int = CHUNK_TOKENS
    stack: int = 1

    def has(self, part: str) -> bool:
        """Whether this part may be used."""
        return part in self.passed

    def stack_of(self, model: str) -> int:
        """How many trainings of a transformer to stack where nobody says: 1 unless that was measured."""
        return self.stack if self.has(TRAINING) and model == STACKED_MODEL else 1

    def compiles(self, model: str) -> bool:
        """Whether the fast path sends the blocks of a transformer through torch.compile unasked."""
        return self.has(TRAINING) and self.has(COMPILED) and model == STACKED_MODEL


def record(device: torch.device, found: Capabilities) -> Path:
    """Keep what the self-check found on `device`, in place of what was found before; returns the file.

    Raises:
        LrcoreError: the cache cannot be written to.
    """
    path = _path(device)
    write_json(path, {**identity(device), **dataclasses.asdict(found), "passed": sorted(found.passed)})
    return path


def capabilities(device: torch.device) -> Capabilities:
    """What was recorded for `device` as it is now; nothing where there is no record of it that can be read."""
    try:
        found = json.loads(_path(device).read_text())
        return _checked(found, identity(device))
    except (OSError, ValueError, KeyError, TypeError):
        return Capabilities()


def identity(device: torch.device) -> dict[str, str]:
    """What a record depends on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    driver = cuda.driver() if device.type == "cuda" else ""
    versions = {"torch": torch.__version__, "lrcore": lrcore.__version__}
    return {"device": name, "driver": driver, **versions, "code": code_digest(Path(__file__).parents[1])}


@functools.cache
def code_digest(package: Path) -> str:
    """Eight hex digits of the `SOURCES` as they are when this is first asked for.

    Raises:
        OSError: one of them cannot be read.
    """
    found = hashlib.sha256()
    for named in SOURCES:
        path = package / named
        for source in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            found.update(f"{source.relative_to(package).as_posix()}\n".encode() + source.read_bytes())
    return found.hexdigest()[:8]


@functools.cache
def _say(line: str) -> None:
    """Once: whatever asks for a record may say so."""
    print(line, file=sys.stderr, flush=True)


def _checked(found: Mapping[str, Any], now: Mapping[str, str]) -> Capabilities:
    chunk, stack, passed = found["chunk_tokens"], found["stack"], found["passed"]
    if other := [key for key, value in now.items() if found.get(key) != value]:
        _say(
            f"the self-check of this device was made with another {' and '.join(other)}: everything goes the slow way; "
            "run it again: python benchmarks/gpu_selfcheck.py"
        )
        return Capabilities()
    if any(type(size) is not int or size < 1 for size in (chunk, stack)) or not isinstance(passed, list):
        raise ValueError("a record says other than it should")
    return Capabilities(frozenset(passed) & frozenset(PARTS), chunk, stack)


def _path(device: torch.device) -> Path:
    name = identity(device)["device"]
    return cache_folder() / "fast" / f"{hashlib.sha256(name.encode()).hexdigest()[:8]}.json"
