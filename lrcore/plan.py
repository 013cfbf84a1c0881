"""What a study would do: its grid, what is done, what is left, and what that costs; nothing is trained or written."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from lrcore.autoencoders.base import Autoencoder, LatentShape
from lrcore.compute import pass_flops
from lrcore.engine import Todo, left_to_do
from lrcore.errors import LrcoreError
from lrcore.guidance import Guidance
from lrcore.latent_shards import ShardPlan
from lrcore.progress import duration
from lrcore.records import read_generation
from lrcore.stages import choice
from lrcore.stages.autoencoder import ensure_autoencoder, uses_features
from lrcore.stages.features import features_are_stored
from lrcore.stages.generation import evaluations_done, evaluations_missing
from lrcore.stages.latent_shape import latent_shape
from lrcore.stages.latents import shard_plan, shard_settings
from lrcore.stages.training import snapshot_path, steps_left
from lrcore.stages.workspace import Workspace
from lrcore.studies import NO_REPA, NO_SKIP, Cell
from lrcore.transformer import SHAPES, DiffusionTransformer, parameter_count, with_width

TIMED_IMAGES = {"cpu": 4, "cuda": 64}
"""Images of the batches that are timed, by device; the rest is scaled from these."""

LONG = 2.0
"""Seconds of a pass from which one is enough to go by."""

FLOAT32 = 4

ASSUMED_CLASSES = 1000
"""Of a data set that is not there yet; they hardly cost anything."""


@dataclass(frozen=True)
class Cost:
    """Of the transformers of one autoencoder: floating-point operations, bytes of latents and checkpoints."""

    training_flops: float
    sampling_flops: float
    disk: float


def plan(work: Workspace, stages: Sequence[object], aes: Sequence[str], cells: Sequence[Cell]) -> str:
    """The plan of what is asked for, as text.

    Where images, reference or weights of the study are not there yet, nothing of it can have been done: all of it is
    planned, and what is not known without them is said.
    """
    study = work.study
    evaluations = len(cells) * len(study.training.evaluate_at) * len(study.evaluation.sampleshifts)
    read_generation(work.folders.data)  # damaged data are an error, not work to do
    try:
        todo, absent = left_to_do(work, stages, aes, cells), ""
        done = evaluations_done(work)
        missing = sum(len(evaluations_missing(work, cell, done)) for cell in todo.generate)
    except LrcoreError as error:
        todo, absent = _all(work, stages, aes, cells), str(error)
        missing = evaluations
    trained = [ae for ae in aes if study.autoencoders[ae].origin == "trained"]
    rows = [
        ("autoencoders to train", len(trained), len(todo.train)),
        ("reconstructions", len(aes), len(todo.reconstruct)),
        ("latent diagnostics", len(aes), len(todo.diagnose)),
        ("anchors", len(aes), len(todo.anchor)),
        ("transformers", len(cells), len(todo.generate)),
        ("evaluations of them", evaluations, missing if todo.generate else 0),
    ]
    if study.choice:
        tasks = choice.tasks(work, list({cell.ae for cell in cells}))
        rows.append(("at the best settings", len(tasks), len(todo.choose)))
    rows.append(("pictures of samples", len({cell.ae for cell in cells}), len(todo.show)))
    lines = [f"study '{study.name}': {study.summary}", "", f"{'':24}{'all':>8}{'done':>8}{'left':>8}"]
    lines += [f"{name:24}{count:>8}{count - left:>8}{left:>8}" for name, count, left in rows]
    lines += ["", *_grid(cells)]
    if absent:
        lines += ["", f"not there yet: {absent}"]
    if not todo.empty:
        lines += ["", *_costs(work, todo, begun=not absent)]
    return "\n".join(lines)


def _all(work: Workspace, stages: Sequence[object], aes: Sequence[str], cells: Sequence[Cell]) -> Todo:
    """What is left of a study that was never begun."""
    reconstruct, diagnose, anchor = (
        [*aes] if stage in stages else [] for stage in ("reconstruction", "diagnostics", "anchors")
    )
    generate = [*cells] if "generation" in stages else []
    choose = choice.tasks(work, list({cell.ae for cell in cells})) if "choice" in stages else []
    show = list(dict.fromkeys(cell.ae for cell in cells)) if "samples" in stages else []
    todo = Todo([], reconstruct, diagnose, anchor, generate, choose, show)
    used = aes if [*stages] == ["autoencoders"] else todo.measured
    return replace(todo, train=[ae for ae in used if work.study.autoencoders[ae].origin == "trained"])


def _grid(cells: Sequence[Cell]) -> list[str]:
    values = {name: list(dict.fromkeys(getattr(cell, name) for cell in cells)) for name in Cell.__dataclass_fields__}
    return [f"{name:24}{', '.join(map(str, found))}" for name, found in values.items()]


def _costs(work: Workspace, todo: Todo, begun: bool) -> list[str]:
    """`begun`: whether a part of the work may have been done."""
    study = work.study
    costs: dict[str, Cost] = {}
    unknown = []
    for ae in dict.fromkeys(cell.ae for cell in todo.generate):
        try:
            costs[ae] = _cost(work, ae, [cell for cell in todo.generate if cell.ae == ae], begun)
        except LrcoreError as error:
            unknown.append(f"{'':24}without '{ae}', whose latents are not known yet: {error}")
    training, sampling, disk = (
        sum(getattr(cost, name) for cost in costs.values()) for name in Cost.__dataclass_fields__
    )
    timed = next((cell for cell in todo.generate if cell.ae in costs), None)
    seconds = _seconds(work, timed, training, sampling) if timed else 0.0
    try:
        disk += _bytes_of_features(work, todo)
    except LrcoreError as error:
        unknown.append(f"{'':24}without the features that REPA reads: {error}")
    steps = len(todo.train) * study.autoencoder_training.steps
    return [
        f"{'training':24}{_flops(training)} in the transformers, {steps} steps of autoencoders beside",
        f"{'sampling':24}{_flops(sampling)} in the transformers",
        f"{'time':24}{_duration(seconds)} of the transformers' passes, from a few timed on "
        f"one device ({work.device.type}); autoencoders, decoding and metrics come on top",
        f"{'disk':24}{disk / 1e9:.2f} GB of latents, features and checkpoints under '{work.folders.runs}'",
        *unknown,
    ]


def _bytes_of_features(work: Workspace, todo: Todo) -> int:
    """Of the patch features that are stored for autoencoders and for REPA."""
    by_autoencoders = any(uses_features(work.study.autoencoders[ae]) for ae in todo.train)
    by_repa = any(cell.repa != NO_REPA for cell in todo.generate) and features_are_stored(work)
    if not (by_autoencoders or by_repa):
        return 0
    encoder = work.encoder
    return work.study.data.train_images * encoder.grid**2 * encoder.patch_channels * FLOAT32


def _cost(work: Workspace, ae: str, cells: Sequence[Cell], begun: bool = True) -> Cost:
    """Of what is left to train of `cells` of one autoencoder, and of drawing the samples that have no row."""
    latent, posterior = latent_shape(work, ae), _has_posterior(work, ae)
    shards = shard_plan(work, ae) if begun else ShardPlan(Path(), *shard_settings(work.study))
    kept = 0 if posterior is None else shards.bytes_of(latent.dimension, posterior, shards.missing)
    alike: dict[tuple[int, str], list[Cell]] = {}
    for cell in cells:
        alike.setdefault((cell.width, cell.skip), []).append(cell)
    costs = [_cost_of_network(work, latent, same, begun) for same in alike.values()]
    return Cost(
        training_flops=sum(cost.training_flops for cost in costs),
        sampling_flops=sum(cost.sampling_flops for cost in costs),
        disk=kept + sum(cost.disk for cost in costs),
    )


def _cost_of_network(work: Workspace, latent: LatentShape, cells: Sequence[Cell], begun: bool) -> Cost:
    """Of cells of one autoencoder whose transformers are alike, without the latents."""
    study = work.study
    settings, evaluation = study.training, study.evaluation
    model = _model(work, latent, "meta", cells[0])
    forward, backward = pass_flops(model, latent)
    steps = sum(steps_left(work, cell) if begun else settings.evaluate_at[-1] for cell in cells)
    images = settings.batch_size * steps
    pairs = len(settings.evaluate_at) * len(evaluation.sampleshifts)
    done = evaluations_done(work)
    drawn = sum(len(evaluations_missing(work, cell, done)) if begun else pairs for cell in cells) * evaluation.n_samples
    passes = drawn * _passes_per_image(work)
    # the average stays for every evaluated step; weights, average and AdamW's two moments of what is being trained
    wanted = [(cell, step) for cell in cells for step in settings.evaluate_at]
    averages = [pair for pair in wanted if not (begun and snapshot_path(work, *pair).exists())]
    kept = (len(averages) + 4 * min(work.stack, len(cells))) * parameter_count(model) * FLOAT32
    return Cost(
        training_flops=images * (forward + backward),
        sampling_flops=passes * forward,
        disk=kept,
    )


def _has_posterior(work: Workspace, ae: str) -> bool | None:
    """Whether stored latents have a deviation; None of an autoencoder whose latents are not stored."""
    spec = work.study.autoencoders[ae]
    if spec.origin == "custom":
        autoencoder = ensure_autoencoder(work, ae)
        return None if not autoencoder.cacheable else type(autoencoder).posterior_batch != Autoencoder.posterior_batch
    if spec.family == "rae":
        return False if spec.origin == "trained" else None
    return spec.family not in ("patches", "taef2")


def _passes_per_image(work: Workspace) -> int:
    """Passes of the network for one sample."""
    evaluation = work.study.evaluation
    steps = evaluation.sampling_steps
    evaluations = 2 * steps - 1 if evaluation.sampler == "heun" else steps
    # where guidance holds there are two passes; over the whole interval at most
    return evaluations if Guidance(evaluation.guidance).scale == 1 else 2 * evaluations


def _model(work: Workspace, latent: LatentShape, device: str, cell: Cell) -> DiffusionTransformer:
    shape, skip = with_width(SHAPES[work.study.training.model], cell.width), cell.skip != NO_SKIP
    try:
        classes = work.images.train.classes
    except LrcoreError:
        classes = ASSUMED_CLASSES
    with torch.device(device), torch.random.fork_rng(devices=[]):
        return DiffusionTransformer(shape, latent.channels_per_token, latent.grid, classes, skip)


def _inputs(latent: LatentShape, images: int, device: str) -> tuple[torch.Tensor, ...]:
    tokens = torch.zeros(images, latent.tokens, latent.channels_per_token, device=device)
    return tokens, torch.zeros(images, device=device), torch.zeros(images, dtype=torch.long, device=device)


def _seconds(work: Workspace, cell: Cell, training: float, sampling: float) -> float:
    """That the study's device takes for so many operations, from a few passes of the transformer of `cell`."""
    latent, device = latent_shape(work, cell.ae), work.device
    forward_flops, backward_flops = pass_flops(_model(work, latent, "meta", cell), latent)
    model, images = _model(work, latent, str(device), cell), TIMED_IMAGES[device.type]
    inputs = _inputs(latent, images, str(device))

    def finished(action: Callable[[], object]) -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=work.study.training.precision == "bfloat16"):
            action()
        if device.type == "cuda":
            torch.cuda.synchronize()

    def forward() -> None:
        with torch.no_grad():
            model(*inputs)

    def step() -> None:
        model(*inputs).velocity.sum().backward()

    pass_seconds = _typical_seconds(lambda: finished(forward)) / images
    step_seconds = _typical_seconds(lambda: finished(step)) / images
    return training / (forward_flops + backward_flops) * step_seconds + sampling / forward_flops * pass_seconds


def _typical_seconds(action: Callable[[], None]) -> float:
    """The median of three after a first one; that one alone where it takes long."""

    def once() -> float:
        began = time.perf_counter()
        action()
        return time.perf_counter() - began

    first = once()
    return first if first > LONG else sorted(once() for _ in range(3))[1]


def _duration(seconds: float) -> str:
    days = seconds / 86_400
    return f"{days:,.0f} days" if days >= 3 else duration(seconds)


def _flops(operations: float) -> str:
    """With the prefix that leaves one to three digits before the point.

    >>> _flops(237.2e9)
    '237.2 GFLOP'
    """
    power = 0 if operations < 1 else min(int(math.log10(operations) // 3), 7)
    return f"{operations / 1000**power:.1f} {['', 'k', 'M', 'G', 'T', 'P', 'E', 'Z'][power]}FLOP"
