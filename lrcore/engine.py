"""What is left to do of a study, and doing it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from lrcore import assets
from lrcore.files import require_writable
from lrcore.interruption import StopRequest
from lrcore.progress import Progress
from lrcore.stages.autoencoder import AutoencoderDivergedError, ensure_autoencoder, needs_training, uses_features
from lrcore.stages.diagnostics import diagnostics_done, measure_latents
from lrcore.stages.generation import evaluations_missing, run_cells, stacks
from lrcore.stages.reconstruction import measure_reconstruction, reconstruction_done
from lrcore.stages.training import steps_left
from lrcore.stages.workspace import Folders, Workspace
from lrcore.studies import NO_REPA, Cell, Study

STAGES = ("autoencoders", "reconstruction", "diagnostics", "generation")


@dataclass(frozen=True)
class Todo:
    """Autoencoders to train, to measure reconstruction and latents of, and cells to train, in this order."""

    train: list[str]
    reconstruct: list[str]
    diagnose: list[str]
    generate: list[Cell]

    @property
    def empty(self) -> bool:
        """Whether all is done."""
        return not (self.train or self.reconstruct or self.diagnose or self.generate)

    def __str__(self) -> str:
        return (
            f"{len(self.train)} autoencoders to train, {len(self.reconstruct)} reconstructions, "
            f"{len(self.diagnose)} latent diagnostics, {len(self.generate)} trainings"
        )


def left_to_do(work: Workspace, stages: Sequence[object], aes: Sequence[str], cells: Sequence[Cell]) -> Todo:
    """What of the stages, autoencoders and cells asked for has no rows yet, and the autoencoders that this needs."""
    reconstruct = [ae for ae in aes if "reconstruction" in stages and not reconstruction_done(work, ae)]
    diagnose = [ae for ae in aes if "diagnostics" in stages and not diagnostics_done(work, ae)]
    generate = [cell for cell in cells if "generation" in stages and evaluations_missing(work, cell)]
    needed = {*reconstruct, *diagnose, *(cell.ae for cell in generate)}
    # asked for alone they are trained for their own sake; else only for rows: runs/ may have been deleted since
    train = [ae for ae in aes if needs_training(work, ae) and (ae in needed or list(stages) == ["autoencoders"])]
    return Todo(train, reconstruct, diagnose, generate)


def run_study(
    study: Study,
    folders: Folders,
    stop: StopRequest,
    device: torch.device,
    stages: Sequence[object],
    aes: Sequence[str],
    cells: Sequence[Cell],
) -> int:
    """Do what is left; returns the exit status: 0 done, 1 an autoencoder diverged and the rest is done.

    Raises:
        LrcoreError: something is missing or wrong.
        StudyInterrupted: stopped as asked.
    """
    for folder in (folders.data, folders.imgs, folders.runs):
        require_writable(folder)
    progress: list[Progress] = []
    work = Workspace(study, folders, stop, lambda steps: progress[0].advance(steps), device)
    todo = left_to_do(work, stages, aes, cells)
    if todo.empty:
        print(f"study '{study.name}': nothing to do, all {len(cells)} trainings and {len(aes)} autoencoders are done")
        return 0
    print(f"study '{study.name}': {study.summary}\nto do: {todo}", file=sys.stderr)
    for asset in _assets(study, todo):
        assets.fetch(asset)
    stop.listen()
    began = time.monotonic()
    steps = len(todo.train) * study.autoencoder_training.steps + sum(steps_left(work, cell) for cell in todo.generate)
    progress.append(Progress(steps))
    try:
        diverged = _work_off(work, todo, progress[0])
    finally:
        progress[0].close()
    for message in diverged.values():
        print(f"error: {message}; nothing of it was measured", file=sys.stderr)
    seconds = time.monotonic() - began
    print(f"study '{study.name}': done in {seconds:.0f} s; rows in '{folders.data}', crops in '{folders.imgs}'")
    return 1 if diverged else 0


def _work_off(work: Workspace, todo: Todo, progress: Progress) -> dict[str, str]:
    """All units in order; an autoencoder that diverges is left out of what follows, and named with its error."""
    diverged: dict[str, str] = {}

    def unit(name: str, ae: str, action: Callable[[], object]) -> None:
        if ae in diverged:
            return
        work.stop.check()
        progress.unit(name)
        try:
            action()
        except AutoencoderDivergedError as error:
            diverged[ae] = str(error)

    for ae in todo.train:
        unit(f"autoencoder {ae}", ae, lambda ae=ae: ensure_autoencoder(work, ae))  # type: ignore[misc]
    for ae in todo.reconstruct:
        unit(f"reconstruction {ae}", ae, lambda ae=ae: measure_reconstruction(work, ae))  # type: ignore[misc]
    for ae in todo.diagnose:
        unit(f"latents of {ae}", ae, lambda ae=ae: measure_latents(work, ae))  # type: ignore[misc]
    for cells in stacks(work, todo.generate):
        name = cells[0].name + (f" and {len(cells) - 1} more" if len(cells) > 1 else "")
        unit(name, cells[0].ae, lambda cells=cells: run_cells(work, cells))  # type: ignore[misc]
    return diverged


def _assets(study: Study, todo: Todo) -> list[str]:
    """What the work left reads from outside, all of it fetched before any of it."""
    named = ["cifar10"] if study.data.dataset == "cifar10" else []
    with_features = [ae for ae in todo.train if uses_features(study.autoencoders[ae])]
    if with_features or any(cell.repa != NO_REPA for cell in todo.generate) or _has_trained_rae(study):
        named.append(study.encoder.name)
    if todo.train:
        named.append({"vgg": "lpips_vgg16", "alex": "lpips_alexnet"}[study.autoencoder_training.lpips_net])
    if todo.reconstruct:
        named += ["lpips_vgg16", "lpips_alexnet"]
    if todo.reconstruct or todo.diagnose or todo.generate:
        named.append(study.evaluation.feature_network)
    return [name for name in dict.fromkeys(named) if name in assets.ASSETS]


def _has_trained_rae(study: Study) -> bool:
    return any(spec.origin == "trained" and spec.family == "rae" for spec in study.autoencoders.values())
