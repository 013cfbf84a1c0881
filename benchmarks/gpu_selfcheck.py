"""Self-check of the fast path on a device: each part beside the slow one, and their times; JSON, line by line.

    python benchmarks/gpu_selfcheck.py                       # on a GPU: records what passed, which switches it on there
    python benchmarks/gpu_selfcheck.py --device cpu          # what a CPU can check, at a small size; records nothing

Tolerances, against the slow path with the same weights and randomness: losses of 20 steps to 1e-5 (relative) in
float32, to 1e-3 in bfloat16; of samples in float32, rounded to 8 bits, 99 % equal and 0.1 % apart by more than 1; in
bfloat16 at most 1.5 times as far from float32 as the slow path. A CUDA graph is held against the step that it was
captured from. A part that fails, or cannot run, stays on the slow path; the others do not depend on it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lrcore.fast.capabilities import (
    CHUNK_TOKENS,
    SAMPLING,
    SAMPLING_GRAPH,
    TRAINING,
    TRAINING_GRAPH,
    Capabilities,
    identity,
    record,
)
from lrcore.fast.sampling import TogetherSampler
from lrcore.fast.training import StackSteps
from lrcore.flow.objective import Batch, FlowMatching, composed, randomness
from lrcore.flow.samplers import euler
from lrcore.flow.sampling import drawn_labels, starting_noise
from lrcore.flow.shapes import SHAPES
from lrcore.flow.stacking import stack
from lrcore.flow.timesteps import density, sampling_grid
from lrcore.flow.transformer import DiffusionTransformer, RepaProjector
from lrcore.runtime.seeds import generator
from lrcore.training.checkpoints import TrainingState
from lrcore.training.loss_log import LossLog

CHANNELS, CLASSES, FEATURES, STEPS = 16, 10, 32, 20
DENSITIES = [density("ln", 1.0), density("pln", 2.95), density("ts", 6.93)]
SAMPLESHIFTS = (1.0, 2.95, 6.93)
CHUNKS = (CHUNK_TOKENS // 4, CHUNK_TOKENS, CHUNK_TOKENS * 4)


@dataclass(frozen=True)
class Size:
    """What is computed: the transformer, tokens a side, images of a batch and of the samples, sampling steps."""

    model: str
    side: int
    batch: int
    samples: int
    sampling_steps: int


LARGE, SMALL = Size("DiT-Ti", 8, 128, 256, 50), Size("DiT-Nano", 2, 8, 6, 5)


@dataclass(frozen=True)
class Check:
    """On `device` at a size."""

    device: torch.device
    size: Size
    taken: dict[tuple[str, bool, int], float] = field(default_factory=dict)
    """Seconds of samples, by number format, whether graphed, and size of a chunk."""

    def models(self, drawn: bool) -> list[DiffusionTransformer]:
        """One a density; `drawn`: all weights at random, so that outputs depend on all of them."""
        found = []
        for seed in range(len(DENSITIES)):
            torch.manual_seed(seed)
            side = self.size.side
            model = DiffusionTransformer(SHAPES[self.size.model], CHANNELS, (side, side), CLASSES)
            for parameter in model.parameters() if drawn else ():
                nn.init.normal_(parameter, std=0.1)
            found.append(model.to(self.device))
        return found

    def state(self, precision: str) -> TrainingState[FlowMatching]:
        """A stack before its first step."""
        width = SHAPES[self.size.model].width
        runs = [
            FlowMatching(model, RepaProjector(width, FEATURES, width), 2, 0.5, precision)
            for model in self.models(drawn=False)
        ]
        return TrainingState.start(stack(runs).to(self.device), 1e-3, 0.99)

    def batch(self, step: int) -> Batch:
        """That of a step, drawn on the CPU."""
        source, shape = generator("self-check", step), (self.size.batch, self.size.side**2)
        tokens, features = (torch.randn(*shape, channels, generator=source) for channels in (CHANNELS, FEATURES))
        labels = torch.randint(CLASSES, shape[:1], generator=source)
        return Batch(tokens.to(self.device), labels.to(self.device), features.to(self.device))

    def slow_losses(self, precision: str) -> Tensor:
        """Of `STEPS` steps (steps, runs)."""
        state, log, found = self.state(precision), LossLog(len(DENSITIES), device=self.device), []
        for step in self.timed_steps("slow", precision):
            batch = self.batch(step)
            drawn = composed(batch, self.randomness(batch, step), DENSITIES, CLASSES)
            losses = state.model(drawn)
            log.add(drawn.t, losses.velocity)
            of_runs = losses.objective.view(len(DENSITIES), -1).mean(1)
            state.advance(of_runs.sum())
            found.append(of_runs.detach())
        return torch.stack(found)

    def fast_losses(self, precision: str, graphed: bool = False) -> Tensor:
        """The same by `StackSteps`."""
        log, found = LossLog(len(DENSITIES), device=self.device), []
        steps = StackSteps(self.state(precision), DENSITIES, log, self.batch(0), graphed=graphed)
        for step in self.timed_steps("fast", precision):
            batch = self.batch(step)
            drawn = self.randomness(batch, step)
            with no_waiting(self.device):
                steps.advance(batch, drawn)
            found.append(steps.losses.clone())
        steps.require_finite()
        return torch.stack(found)

    def timed_steps(self, way: str, precision: str) -> Iterator[int]:
        """The steps; tells how long one takes, those of the first half left out."""
        for step in range(STEPS):
            if step == STEPS // 2:
                started = self.clock()
            yield step
        taken = 1000 * (self.clock() - started) / (STEPS - STEPS // 2)
        told({"phase": "training step", "way": way, "precision": precision, "ms": taken})

    def clock(self) -> float:
        """Seconds, all work on the device done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def randomness(self, batch: Batch, step: int) -> Any:
        """As a training draws it."""
        return randomness(batch, 0.1, generator("self-check draws", step, device=self.device))

    @torch.no_grad()
    def slow_samples(self, precision: str) -> Tensor:
        """Of every model and shift (members, shifts, B, N, C)."""
        (noise, labels), found, models = self.starts(), [], self.models(drawn=True)
        started = self.clock()
        for model in models:
            for grid in self.grids():
                with torch.autocast(self.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                    found.append(euler(lambda x, t, model=model: model(x, t, labels).velocity, noise, grid))
        told({"phase": "samples", "way": "slow", "precision": precision, "seconds": self.clock() - started})
        return torch.stack(found).unflatten(0, (len(DENSITIES), len(SAMPLESHIFTS)))

    def fast_samples(self, precision: str, graphed: bool = False, chunk_tokens: int = CHUNK_TOKENS) -> Tensor:
        """The same by `TogetherSampler`."""
        sampler = TogetherSampler(self.models(drawn=True), self.grids(), precision=precision,
                                  chunk_tokens=chunk_tokens, graphed=graphed)  # fmt: skip
        starts = self.starts()
        sampler(*starts)  # what is made at the first chunk waits for the device
        started = self.clock()
        with no_waiting(self.device):
            found = sampler(*starts).tokens
        self.taken[precision, graphed, chunk_tokens] = taken = self.clock() - started
        told({"phase": "samples", "way": "fast", "precision": precision, "graphed": graphed,
              "chunk_tokens": chunk_tokens, "seconds": taken})  # fmt: skip
        return found

    def starts(self) -> tuple[Tensor, Tensor]:
        """Noise and labels."""
        images = range(self.size.samples)
        noise = starting_noise(0, images, self.size.side**2, CHANNELS)
        return noise.to(self.device), drawn_labels(0, images, CLASSES).to(self.device)

    def grids(self) -> list[Tensor]:
        """One a sampling shift."""
        return [sampling_grid(self.size.sampling_steps, shift) for shift in SAMPLESHIFTS]


@contextmanager
def no_waiting(device: torch.device) -> Iterator[None]:
    """A GPU that is waited for inside is an error."""
    if device.type != "cuda":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def training(check: Check) -> tuple[bool, dict[str, float]]:
    """Largest relative difference of a loss, in both number formats."""
    apart = {p: relative(check.fast_losses(p), check.slow_losses(p)) for p in ("float32", "bfloat16")}
    return apart["float32"] <= 1e-5 and apart["bfloat16"] <= 1e-3, apart


def sampling(check: Check) -> tuple[bool, dict[str, float]]:
    """Shares of numbers that differ when rounded to 8 bits; distances from float32 in bfloat16."""
    exact, ours = check.slow_samples("float32"), check.fast_samples("float32")
    levels = (ours / exact.std() * 64).round() - (exact / exact.std() * 64).round()
    differ, more = ((levels.abs() > bound).float().mean().item() for bound in (0, 1))
    fast, slow = ((way("bfloat16") - exact).norm().item() for way in (check.fast_samples, check.slow_samples))
    found = {"differ": differ, "by_more_than_1": more, "bfloat16_ratio": fast / slow}
    return bool(ours.isfinite().all()) and differ <= 0.01 and more <= 1e-3 and fast <= 1.5 * slow, found


def training_graph(check: Check) -> tuple[bool, dict[str, float]]:
    """A replayed step beside the one that was captured: the same kernels, so that rounding alone is left."""
    apart = {p: relative(check.fast_losses(p, graphed=True), check.fast_losses(p)) for p in ("float32", "bfloat16")}
    return apart["float32"] <= 1e-5 and apart["bfloat16"] <= 1e-3, apart


def sampling_graph(check: Check) -> tuple[bool, dict[str, float]]:
    """The same of samples."""
    plain = check.fast_samples("float32")
    apart = ((check.fast_samples("float32", graphed=True) - plain).abs().max() / plain.std()).item()
    return apart <= 1e-4, {"float32": apart}


def relative(found: Tensor, expected: Tensor) -> float:
    """The largest difference."""
    return ((found - expected) / expected).abs().max().item()


PARTS = {SAMPLING: sampling, TRAINING: training, SAMPLING_GRAPH: sampling_graph, TRAINING_GRAPH: training_graph}


def run(device: torch.device, size: Size) -> None:
    """Check all parts; on a GPU record which passed."""
    check, passed = Check(device, size), set()
    told({"phase": "device", **identity(device)})
    for part, measure in PARTS.items():
        if part in (SAMPLING_GRAPH, TRAINING_GRAPH) and device.type != "cuda":
            told({"phase": part, "passed": False, "error": "needs a GPU"})
            continue
        started = time.perf_counter()
        try:
            good, found = measure(check)
            said: dict[str, Any] = {"passed": good, **found}
        except Exception as error:  # whatever it is, the others are still to be checked
            good, said = False, {"passed": False, "error": f"{type(error).__name__}: {error}"[:300]}
        told({"phase": part, **said, "seconds": time.perf_counter() - started})
        passed |= {part} if good else set()
    chunk = fastest_chunk(check, SAMPLING_GRAPH in passed) if SAMPLING in passed else CHUNK_TOKENS
    if device.type == "cuda":
        told({"phase": "record", "path": str(record(device, Capabilities(frozenset(passed), chunk)))})


def fastest_chunk(check: Check, graphed: bool) -> int:
    """In tokens, one of `CHUNKS`, in the number format of trainings on a GPU."""
    for chunk in CHUNKS:
        check.fast_samples("bfloat16", graphed, chunk)
    return min(CHUNKS, key=lambda chunk: check.taken["bfloat16", graphed, chunk])


def told(line: dict[str, Any]) -> None:
    """As JSON, at once: a run that is cut off has said what it knew."""
    print(json.dumps(line), flush=True)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    wanted = torch.device(parser.parse_args(arguments).device)
    if wanted.type == "cuda" and not torch.cuda.is_available():
        parser.error("no GPU is there; --device cpu checks what a CPU can")
    run(wanted, LARGE if wanted.type == "cuda" else SMALL)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
