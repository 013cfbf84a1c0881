"""What a study would do: its grid, what is done, what is left, and what that costs; nothing is trained or written."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from lrcore.autoencoders.base import LatentShape, token_grid
from lrcore.engine import Todo, left_to_do
from lrcore.guidance import Guidance
from lrcore.stages.autoencoder import ensure_autoencoder
from lrcore.stages.generation import evaluations_missing
from lrcore.stages.training import new_transformer
from lrcore.stages.workspace import Workspace
from lrcore.studies import NO_REPA, Cell
from lrcore.transformer import DiffusionTransformer, parameter_count

TIMED_IMAGES = 8
"""Images of the batches that are timed; the rest is scaled from these."""

FLOAT32 = 4


@dataclass(frozen=True)
class Cost:
    """Of the transformers of one autoencoder: floating-point operations, seconds, bytes of latents and checkpoints."""

    training_flops: float
    sampling_flops: float
    seconds: float
    disk: float


def plan(work: Workspace, stages: Sequence[object], aes: Sequence[str], cells: Sequence[Cell]) -> str:
    """The plan of what is asked for, as text.

    Raises:
        LrcoreError: an autoencoder that the plan needs the shape of cannot be had.
    """
    study = work.study
    todo = left_to_do(work, stages, aes, cells)
    evaluations = len(cells) * len(study.training.evaluate_at) * len(study.evaluation.sampleshifts)
    missing = sum(len(evaluations_missing(work, cell)) for cell in todo.generate)
    trained = [ae for ae in aes if study.autoencoders[ae].origin == "trained"]
    rows = [
        ("autoencoders to train", len(trained), len(todo.train)),
        ("reconstructions", len(aes), len(todo.reconstruct)),
        ("latent diagnostics", len(aes), len(todo.diagnose)),
        ("transformers", len(cells), len(todo.generate)),
        ("evaluations of them", evaluations, missing if todo.generate else 0),
    ]
    lines = [f"study '{study.name}': {study.summary}", "", f"{'':24}{'all':>8}{'left':>8}"]
    lines += [f"{name:24}{count:>8}{left:>8}" for name, count, left in rows]
    lines += ["", *_grid(cells)]
    if not todo.empty:
        lines += ["", *_costs(work, todo)]
    return "\n".join(lines)


def _grid(cells: Sequence[Cell]) -> list[str]:
    values = {name: list(dict.fromkeys(getattr(cell, name) for cell in cells)) for name in Cell.__dataclass_fields__}
    return [f"{name:24}{', '.join(map(str, found))}" for name, found in values.items()]


def _costs(work: Workspace, todo: Todo) -> list[str]:
    study = work.study
    in_use = dict.fromkeys(cell.ae for cell in todo.generate)
    costs = [_cost(work, ae, [cell for cell in todo.generate if cell.ae == ae]) for ae in in_use]
    disk = sum(cost.disk for cost in costs)
    if any(cell.repa != NO_REPA for cell in todo.generate):
        encoder = work.encoder
        disk += study.data.train_images * encoder.grid**2 * encoder.patch_channels * FLOAT32
    steps = len(todo.train) * study.autoencoder_training.steps
    return [
        f"{'training':24}{_flops(sum(cost.training_flops for cost in costs))} in the transformers, {steps} steps of "
        "autoencoders beside",
        f"{'sampling':24}{_flops(sum(cost.sampling_flops for cost in costs))} in the transformers",
        f"{'time':24}{_duration(sum(cost.seconds for cost in costs))} of the transformers' passes, from a few timed on "
        "the CPU, where they train; autoencoders, decoding and metrics come on top",
        f"{'disk':24}{disk / 1e9:.2f} GB of latents, features and checkpoints under '{work.folders.runs}'",
    ]


def _cost(work: Workspace, ae: str, cells: Sequence[Cell]) -> Cost:
    """Of training `cells` of one autoencoder from the start and drawing the samples that have no row."""
    study = work.study
    settings, evaluation = study.training, study.evaluation
    latent = latent_shape(work, ae)
    model = _model(work, latent, "meta")
    forward, backward = _pass_flops(model, latent)
    timed = _model(work, latent, "cpu")
    forward_seconds, step_seconds = _pass_seconds(timed, latent)
    images = settings.batch_size * settings.evaluate_at[-1] * len(cells)
    drawn = sum(len(evaluations_missing(work, cell)) for cell in cells) * evaluation.n_samples
    passes = drawn * _passes_per_image(work)
    kept = study.data.train_images * latent.dimension * FLOAT32
    kept += len(cells) * 4 * parameter_count(timed) * FLOAT32  # weights, their average, AdamW's two moments
    return Cost(
        training_flops=images * (forward + backward),
        sampling_flops=passes * forward,
        seconds=images * step_seconds + passes * forward_seconds,
        disk=kept,
    )


def latent_shape(work: Workspace, ae: str) -> LatentShape:
    """The shape of an autoencoder's latent, without training it.

    Raises:
        LrcoreError: one from elsewhere cannot be had, or its parts do not fit.
    """
    spec, resolution = work.study.autoencoders[ae], work.study.data.resolution
    if spec.origin != "trained":
        return ensure_autoencoder(work, ae).shape
    if spec.family == "rae":
        return LatentShape(resolution, (work.encoder.grid, work.encoder.grid), work.encoder.patch_channels)
    grid = token_grid(resolution, 2 ** (len(spec.widths) - 1), spec.patch)
    return LatentShape(resolution, grid, spec.latent_channels * spec.patch**2, spec.patch)


def _passes_per_image(work: Workspace) -> int:
    """Passes of the network for one sample."""
    evaluation = work.study.evaluation
    steps = evaluation.sampling_steps
    evaluations = 2 * steps - 1 if evaluation.sampler == "heun" else steps
    # where guidance holds there are two passes; over the whole interval at most
    return evaluations if Guidance(evaluation.guidance).scale == 1 else 2 * evaluations


def _model(work: Workspace, latent: LatentShape, device: str) -> DiffusionTransformer:
    with torch.device(device), torch.random.fork_rng(devices=[]):
        return new_transformer(work, latent)


def _inputs(latent: LatentShape, images: int, device: str) -> tuple[torch.Tensor, ...]:
    tokens = torch.zeros(images, latent.tokens, latent.channels_per_token, device=device)
    return tokens, torch.zeros(images, device=device), torch.zeros(images, dtype=torch.long, device=device)


def _pass_flops(model: DiffusionTransformer, latent: LatentShape) -> tuple[float, float]:
    """Operations of a forward and of a backward pass of one image; `model` is on the meta device."""
    inputs = _inputs(latent, 1, "meta")
    with FlopCounterMode(display=False) as forward:
        velocity = model(*inputs).velocity
    with FlopCounterMode(display=False) as backward:
        velocity.sum().backward()
    return float(forward.get_total_flops()), float(backward.get_total_flops())


def _pass_seconds(model: DiffusionTransformer, latent: LatentShape) -> tuple[float, float]:
    """Seconds of one image in a forward pass without gradients, and in a training step; medians of three."""
    inputs = _inputs(latent, TIMED_IMAGES, "cpu")

    def forward() -> None:
        with torch.no_grad():
            model(*inputs)

    def step() -> None:
        model(*inputs).velocity.sum().backward()

    return _median_seconds(forward) / TIMED_IMAGES, _median_seconds(step) / TIMED_IMAGES


def _median_seconds(action: Callable[[], None]) -> float:
    def once() -> float:
        began = time.perf_counter()
        action()
        return time.perf_counter() - began

    once()
    return sorted(once() for _ in range(3))[1]


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def _flops(operations: float) -> str:
    """With the prefix that leaves one to three digits before the point.

    >>> _flops(237.2e9)
    '237.2 GFLOP'
    """
    power = 0 if operations < 1 else min(int(math.log10(operations) // 3), 7)
    return f"{operations / 1000**power:.1f} {['', 'k', 'M', 'G', 'T', 'P', 'E', 'Z'][power]}FLOP"
