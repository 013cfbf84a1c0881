"""Self-check of the fast path on a device: each part beside the slow one, and their times; JSON, line by line.

    python benchmarks/gpu_selfcheck.py                       # on a GPU: records what passed, which switches it on there
    python benchmarks/gpu_selfcheck.py --device cpu          # what a CPU can check, at a small size; records nothing

Tolerances, against the slow path with the same weights and randomness: losses of 20 steps to 1e-5 (relative) in
float32, to 1e-3 in bfloat16; of samples in float32, rounded to 8 bits, 99 % equal and 0.1 % apart by more than 1; in
bfloat16 at most 1.5 times as far from float32 as the slow path. A CUDA graph is held against the step that it was
captured from. Inception in half precision: the Frechet distance of 512 images to 2e-3 (relative) of that in float32.
Compiled blocks: losses of 20 steps in bfloat16 to 1e-3, and a step that takes less time. A part that fails, or cannot
run, stays on the slow path; the others do not depend on it. The second line says what the device reaches in a product
and a copy, and what memory others hold: an H200 that reaches less than it should is shared, and its times say little.

The last line foretells, from what was measured, how many minutes the grid of the study `cifar10` takes: its trainings x
steps x the time of a step of one of a stack + its evaluations x (samples + features + scores). Decoding is not in it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from lrcore.assets import cache
from lrcore.datasets import cifar10
from lrcore.fast.capabilities import (
    CHUNK_TOKENS,
    COMPILED,
    JUDGE,
    SAMPLING,
    SAMPLING_GRAPH,
    STACKED_MODEL,
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
from lrcore.metrics.features import FeatureNetwork, all_features, load_features, statistics_of
from lrcore.metrics.frechet import FrechetReference
from lrcore.metrics.half_precision import CALIBRATION_IMAGES, in_half_precision
from lrcore.metrics.pairs import FeatureSet, compared
from lrcore.records.paired import TOLERANCE
from lrcore.runtime.seeds import generator
from lrcore.studies.loading import load_study
from lrcore.training.checkpoints import TrainingState
from lrcore.training.loss_log import LossLog

CHANNELS, CLASSES, FEATURES, STEPS = 16, 10, 32, 20
DENSITIES = [density("ln", 1.0), density("pln", 2.95), density("ts", 6.93)]
SAMPLESHIFTS = (1.0, 2.95, 6.93)
STACKS = (2, 3, 5, 15)
STRETCH = 13
"""Minutes of a stretch of work whose trainings are foretold."""

UNSHARED = {"H200": (600.0, 3.4)}
"""TFLOP/s of a product in bfloat16 and TB/s of a copy, read and written, that a device reaches by itself."""

CHUNKS = (CHUNK_TOKENS // 4, CHUNK_TOKENS, CHUNK_TOKENS * 4)


@dataclass(frozen=True)
class Size:
    """What is computed: the transformer, tokens a side, images of a batch and of the samples, sampling steps; images a
    judge sees, features that scores are made of, of so many samples and reference images; and the side of a product."""

    model: str
    side: int
    batch: int
    samples: int
    sampling_steps: int
    judged: int
    scored: int
    reference: int
    dim: int
    product: int


LARGE = Size(STACKED_MODEL, 8, 128, 256, 50, 512, 2500, 10_000, 2048, 8192)
SMALL = Size("DiT-Nano", 2, 8, 6, 5, 8, 24, 32, 8, 256)


@dataclass(frozen=True)
class Check:
    """On `device` at a size."""

    device: torch.device
    size: Size
    taken: dict[tuple[str, bool, int], float] = field(default_factory=dict)
    """Seconds of samples, by number format, whether graphed, and size of a chunk."""
    seen: dict[str, float] = field(default_factory=dict)
    """Seconds of the features of an image, by number format of the network."""

    def models(self, drawn: bool, runs: int = len(DENSITIES)) -> list[DiffusionTransformer]:
        """One a run; `drawn`: all weights at random, so that outputs depend on all of them."""
        found = []
        for seed in range(runs):
            torch.manual_seed(seed)
            side = self.size.side
            model = DiffusionTransformer(SHAPES[self.size.model], CHANNELS, (side, side), CLASSES)
            for parameter in model.parameters() if drawn else ():
                nn.init.normal_(parameter, std=0.1)
            found.append(model.to(self.device))
        return found

    def state(self, precision: str, runs: int = len(DENSITIES)) -> TrainingState[FlowMatching]:
        """A stack before its first step."""
        width = SHAPES[self.size.model].width
        members = [
            FlowMatching(model, RepaProjector(width, FEATURES, width), 2, 0.5, precision)
            for model in self.models(drawn=False, runs=runs)
        ]
        return TrainingState.start(stack(members).to(self.device), 1e-3, 0.99)

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

    def fast_losses(self, precision: str, graphed: bool = False, compiled: bool = False) -> Tensor:
        """The same by `StackSteps`."""
        log, found = LossLog(len(DENSITIES), device=self.device), []
        steps = StackSteps(self.state(precision), DENSITIES, log, self.batch(0), compiled, graphed)
        for step in self.timed_steps("fast", precision):
            batch = self.batch(step)
            drawn = self.randomness(batch, step)
            with no_waiting(self.device):
                steps.advance(batch, drawn)
            found.append(steps.losses.clone())
        steps.require_finite()
        return torch.stack(found)

    def step_of_stack(self, runs: int, graphed: bool, compiled: bool = False) -> float:
        """Milliseconds of a step of one of a stack of so many runs, in the number format of trainings on a GPU."""
        densities = [DENSITIES[number % len(DENSITIES)] for number in range(runs)]
        log, first = LossLog(runs, device=self.device), self.batch(0)
        steps = StackSteps(self.state("bfloat16", runs), densities, log, first, compiled, graphed)
        drawn = self.randomness(first, 0)
        steps.advance(first, drawn)
        started = self.clock()
        for _ in range(STEPS):
            steps.advance(first, drawn)
        return 1000 * (self.clock() - started) / STEPS / runs

    def images(self) -> tuple[Tensor, Tensor]:
        """Two sets of uint8 images (`size.judged`, 3, 32, 32): of CIFAR-10 where it is there, the second ones blurred;
        else smooth noise of two kinds."""
        if cache.is_present("cifar10"):
            a, b = (cifar10.load(split, self.size.judged)[0] for split in ("train", "test"))
        else:
            a, b = (smooth_noise(self.size.judged, seed) for seed in (0, 1))
        blurred = avg_pool2d(b.float(), 3, 1, 1, count_include_pad=False).round().to(torch.uint8)
        return a.to(self.device), blurred.to(self.device)

    @torch.no_grad()
    def distance(self, name: str, network: FeatureNetwork) -> float:
        """Between the two sets of images in a network's features; tells how long features take."""
        sets = self.images()
        network(sets[0][: network.chunk])  # kernels are chosen at the first batch
        started = self.clock()
        a, b = (all_features(network, [images]) for images in sets)
        self.seen[name] = (self.clock() - started) / (len(a) + len(b))
        told({"phase": "features", "network": name, "ms_an_image": 1000 * self.seen[name]})
        return FrechetReference(statistics_of(a)).distance(statistics_of(b))

    def scores(self) -> float:
        """Seconds of the scores of an evaluation whose features are there, with eigenvalues in this process."""
        source, size = generator("self-check scores"), self.size
        samples, real = (torch.randn(count, size.dim, generator=source) for count in (size.scored, size.reference))
        reference = FeatureSet(real.to(self.device))
        frechet = FrechetReference(reference.moments)
        compared(FeatureSet(samples[: size.scored // 2].to(self.device), "sample"), reference)  # what is kept of both
        started = self.clock()
        found = FeatureSet(samples.to(self.device), "sample")
        frechet.distance(found.moments)
        compared(found, reference)
        return self.clock() - started

    def seconds(self, action: Callable[[], object], times: int = 10) -> float:
        """Of one call, when it has been called before."""
        action()
        started = self.clock()
        for _ in range(times):
            action()
        return (self.clock() - started) / times

    def peak(self) -> dict[str, float]:
        """Memory of a GPU that was held at most since the last call, in GB."""
        if self.device.type != "cuda":
            return {}
        found = torch.cuda.max_memory_reserved(self.device) / 1e9
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)
        return {"peak_gb": found}

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


def judge(check: Check) -> tuple[bool, dict[str, float]]:
    """How far half precision moves a Frechet distance; on a GPU TF32, too, which no judge uses."""
    whole = load_features("inception2015", check.device)
    expected = check.distance("float32", whole)
    found = {}
    if check.device.type == "cuda":
        found["tf32"] = check.distance("tf32", dataclasses.replace(whole, extract=in_tf32(whole)))
    half = in_half_precision(whole, check.images()[0][:CALIBRATION_IMAGES])
    found["half"] = check.distance("half", half)
    apart = {name: abs(distance - expected) / expected for name, distance in found.items()}
    return apart["half"] <= TOLERANCE, {"distance": expected, **apart}


def relative(found: Tensor, expected: Tensor) -> float:
    """The largest difference."""
    return ((found - expected) / expected).abs().max().item()


PARTS = {
    SAMPLING: sampling,
    TRAINING: training,
    SAMPLING_GRAPH: sampling_graph,
    TRAINING_GRAPH: training_graph,
    JUDGE: judge,
}


def run(device: torch.device, size: Size) -> None:
    """Check all parts; on a GPU record which passed."""
    check, passed = Check(device, size), set()
    told({"phase": "device", **identity(device)})
    told({"phase": "speed", **speed(check)})
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
        told({"phase": part, **said, "seconds": time.perf_counter() - started, **check.peak()})
        passed |= {part} if good else set()
    chunk = fastest_chunk(check, SAMPLING_GRAPH in passed) if SAMPLING in passed else CHUNK_TOKENS
    each = stacks(check, TRAINING_GRAPH in passed) if TRAINING in passed else {}
    best = min(each, key=lambda runs: each[runs]) if each else 1
    kept(device, Capabilities(frozenset(passed), chunk, best))  # a run that is cut off has left what it found
    if each and (step := faster_compiled(check, TRAINING_GRAPH in passed, best, each[best])):
        passed, each[best] = passed | {COMPILED}, step
        kept(device, Capabilities(frozenset(passed), chunk, best))
    samples = check.taken.get(("bfloat16", SAMPLING_GRAPH in passed, chunk))
    if each and SAMPLING in passed and samples and check.seen:
        seconds = check.scores()
        told({"phase": "scores", "seconds_an_evaluation": seconds, **check.peak()})
        told(prediction(check, each[best], samples, check.seen["half" if JUDGE in passed else "float32"], seconds))


def kept(device: torch.device, found: Capabilities) -> None:
    """Record what passed on a GPU."""
    if device.type == "cuda":
        told({"phase": "record", "path": str(record(device, found))})


def stacks(check: Check, graphed: bool) -> dict[int, float]:
    """Milliseconds of a step of one run, by the number of runs of a stack."""
    found = {}
    for runs in STACKS:
        with may_fail({"phase": "stack", "runs": runs}) as said:
            said["ms_a_run_step"] = found[runs] = check.step_of_stack(runs, graphed)
            said |= check.peak()
    return found


def faster_compiled(check: Check, graphed: bool, runs: int, plain: float) -> float:
    """Milliseconds of a step of one of `runs` with compiled blocks; 0 where it is not faster than `plain`, or other."""
    found = 0.0
    started = time.perf_counter()
    with may_fail({"phase": COMPILED, "runs": runs, "passed": False}) as said:
        apart = relative(check.fast_losses("bfloat16", graphed, True), check.slow_losses("bfloat16"))
        step = check.step_of_stack(runs, graphed, True)
        found = step if apart <= 1e-3 and step < plain else 0.0
        said |= {"passed": found > 0, "bfloat16": apart, "ms_a_run_step": step,
                 "seconds": time.perf_counter() - started, **check.peak()}  # fmt: skip
    return found


def speed(check: Check) -> dict[str, Any]:
    """What the device reaches, and whether that is less than it should."""
    side, cuda = check.size.product, check.device.type == "cuda"
    a, b = (torch.ones(side, side, dtype=torch.bfloat16, device=check.device) for _ in range(2))
    large, into = (torch.ones(side, side, 4, device=check.device) for _ in range(2))
    product = 2 * side**3 / check.seconds(lambda: a @ b) / 1e12
    copied = 2 * large.nbytes / check.seconds(lambda: into.copy_(large)) / 1e12
    found: dict[str, Any] = {"product_tflops": product, "copy_tb_a_second": copied}
    if cuda:
        free, total = torch.cuda.mem_get_info(check.device)
        found["others_gb"] = (total - free - torch.cuda.memory_reserved(check.device)) / 1e9
    name = identity(check.device)["device"]
    least = next((value for key, value in UNSHARED.items() if key in name), (0.0, 0.0))
    return {**found, "shared": product < least[0] or copied < least[1]}


def prediction(check: Check, step: float, samples: float, image: float, scores: float) -> dict[str, Any]:
    """How long the grid of `cifar10` takes: all its evaluations, and those of the last step alone.

    `step`: milliseconds of one of a run; seconds: `samples`, of all that were drawn, `image`, of the features of one,
    `scores` of an evaluation.
    """
    study = load_study("cifar10")
    trainings, shifts = len(study.cells), len(study.evaluation.sampleshifts)
    training = study.training.evaluate_at[-1] * step / 1000
    drawn = len(DENSITIES) * len(SAMPLESHIFTS) * check.size.samples
    evaluation = study.evaluation.n_samples * (samples / drawn + image) + scores
    whole, last = ((training + shifts * steps * evaluation) / 60 for steps in (len(study.training.evaluate_at), 1))
    return {"phase": "prediction", "study": study.name, "minutes": trainings * whole,
            "minutes_of_last_step_alone": trainings * last, "stretch_minutes": STRETCH,
            "trainings_in_a_stretch": int(STRETCH / whole),
            "trainings_in_a_stretch_of_last_step_alone": int(STRETCH / last)}  # fmt: skip


def smooth_noise(count: int, seed: int) -> Tensor:
    """uint8 images (`count`, 3, 32, 32)."""
    rough = torch.randn(count, 3, 8, 8, generator=generator("self-check images", seed))
    return (128 + 50 * interpolate(rough, size=(32, 32), mode="bilinear")).round().clamp(0, 255).to(torch.uint8)


def in_tf32(network: FeatureNetwork) -> Callable[[Tensor], Tensor]:
    """What a feature network does, with convolutions of 10 bits: it sets all bits itself before it is called."""

    def extract(pixels: Tensor) -> Tensor:
        torch.backends.cudnn.allow_tf32 = True
        return network.extract(pixels)

    return extract


def fastest_chunk(check: Check, graphed: bool) -> int:
    """In tokens, one of `CHUNKS`, in the number format of trainings on a GPU."""
    found = {}
    for chunk in CHUNKS:
        with may_fail({"phase": "chunk", "chunk_tokens": chunk}) as said:
            check.fast_samples("bfloat16", graphed, chunk)
            said["seconds"] = found[chunk] = check.taken["bfloat16", graphed, chunk]
            said |= check.peak()
    return min(found, key=lambda chunk: found[chunk], default=CHUNK_TOKENS)


@contextmanager
def may_fail(line: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Tell a line when what it is about is done, or why that cannot be: a size may not fit in memory."""
    try:
        yield line
    except Exception as error:  # whatever it is, the record of the others is still to be made
        line["error"] = f"{type(error).__name__}: {error}"[:300]
    told(line)


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
