"""What a study would do: its grid, what is done, what is left, and what that costs; nothing is trained or written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lrcore.errors import LrcoreError
from lrcore.flow.transformer import parameter_count
from lrcore.plan.costs import Costs
from lrcore.plan.operations import Kind, Operation, Workload
from lrcore.plan.rehearsal import Clock, rehearsal
from lrcore.plan.workload import evaluations_left, workload
from lrcore.records.reading import read_generation
from lrcore.spec.study import Cell, needs_encoder
from lrcore.stages import choice
from lrcore.stages.autoencoder import uses_features
from lrcore.stages.custom import unknown_until_run
from lrcore.stages.engine import left_to_do
from lrcore.stages.evaluations import evaluations_done, evaluations_missing
from lrcore.stages.features import features_are_stored
from lrcore.stages.latent_shape import has_posterior, latent_shape
from lrcore.stages.latent_shards import ShardPlan
from lrcore.stages.latents import shard_plan, shard_settings
from lrcore.stages.todo import Todo
from lrcore.stages.training import snapshot_path
from lrcore.stages.workspace import Workspace

FLOAT32 = 4

ROWS = {
    "autoencoders' steps": (Kind.AUTOENCODER_STEP,),
    "patch features": (Kind.PATCHES,),
    "images encoded": (Kind.ENCODE,),
    "images decoded": (Kind.DECODE,),
    "reconstructions measured": (Kind.METRICS,),
    "latents diagnosed": (Kind.DIAGNOSE, Kind.PREDICT, Kind.LINEAR, Kind.NEIGHBOURS),
    "Gaussian latents": (Kind.GAUSSIAN,),
    "training steps": (Kind.STEP,),
    "passes in sampling": (Kind.PASS,),
    "in the feature network": (Kind.FEATURES,),
    "distances": (Kind.FRECHET, Kind.FACTOR, Kind.STATISTICS, Kind.PAIR),
    "networks loaded": (Kind.LOAD, Kind.LOAD_LPIPS),
}
"""Of the table of time: what is done so many times, and what belongs to it."""


def plan(work: Workspace, stages: Sequence[object], aes: Sequence[str], cells: Sequence[Cell]) -> str:
    """The plan of what is asked for, as text.

    Where images, reference or weights of the study are not there yet, nothing of it can have been done: all of it is
    planned, and what is not known without them is said. Code that the study names is not run: autoencoders of one's own
    that no run has left word of count as not begun, and their cost is not told.
    """
    work.runs_code = False
    study = work.study
    unknown = [ae for ae in aes if unknown_until_run(work, ae)]
    told = [ae for ae in aes if ae not in unknown]
    told_cells = [cell for cell in cells if cell.ae not in unknown]
    evaluations = len(cells) * len(study.training.evaluate_at) * len(study.evaluation.sampleshifts)
    read_generation(work.folders.data)  # damaged data are an error, not work to do
    try:
        todo, absent = left_to_do(work, stages, told, told_cells), ""
        done = evaluations_done(work)
        missing = sum(len(evaluations_missing(work, cell, done)) for cell in todo.generate)
    except LrcoreError as error:
        todo, absent = everything(work, stages, told, told_cells), str(error)
        missing = len(told_cells) * len(study.training.evaluate_at) * len(study.evaluation.sampleshifts)
    other = everything(work, stages, unknown, [cell for cell in cells if cell.ae in unknown])
    missing += len(other.generate) * len(study.training.evaluate_at) * len(study.evaluation.sampleshifts)
    trained = [ae for ae in aes if study.autoencoders[ae].origin == "trained"]
    rows = [
        ("autoencoders to train", len(trained), len(todo.train)),
        ("reconstructions", len(aes), len(todo.reconstruct) + len(other.reconstruct)),
        ("latent diagnostics", len(aes), len(todo.diagnose) + len(other.diagnose)),
        ("anchors", len(aes), len(todo.anchor) + len(other.anchor)),
        ("transformers", len(cells), len(todo.generate) + len(other.generate)),
        ("evaluations of them", evaluations, missing if todo.generate or other.generate else 0),
    ]
    if study.choice:
        tasks = choice.tasks(work, list({cell.ae for cell in cells}))
        rows.append(("at the best settings", len(tasks), len(todo.choose) + len(other.choose)))
    rows.append(("pictures of samples", len({cell.ae for cell in cells}), len(todo.show) + len(other.show)))
    lines = [f"study '{study.name}': {study.summary}", "", f"{'':24}{'all':>8}{'done':>8}{'left':>8}"]
    lines += [f"{name:24}{count:>8}{count - left:>8}{left:>8}" for name, count, left in rows]
    lines += ["", *_grid(cells)]
    if unknown:
        names = ", ".join(unknown)
        lines += [
            "",
            f"unknown until run: {names}; their code is not run here, and no cost of it is told",
            "`python -m lrcore.check`, with the same study, runs it and tells",
        ]
    if absent:
        lines += ["", f"not there yet: {absent}"]
    if not todo.empty:
        lines += ["", *_costs(work, todo, begun=not absent)]
    return "\n".join(lines)


def everything(work: Workspace, stages: Sequence[object], aes: Sequence[str], cells: Sequence[Cell]) -> Todo:
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
    """Time, operations and disk of what is left; `begun`: whether a part of the work may have been done."""
    counted, clock = workload(work, todo, begun), Clock(work.device)
    seconds: dict[Operation, float] = {}
    unknown: dict[str, list[str]] = {}
    with rehearsal(work, clock) as stage:
        costs = Costs(work, stage, clock)
        for operation in sorted(counted):
            try:
                seconds[operation] = costs.seconds(operation)
            except LrcoreError as error:
                unknown.setdefault(str(error), []).append(operation.described)
        known = [operation for operation in counted if operation in seconds]
        training, sampling = (
            sum(counted[operation] * costs.flops(operation) for operation in known if operation.kind is kind)
            for kind in (Kind.STEP, Kind.PASS)
        )
        disk = _bytes(work, todo, begun, costs, unknown)
    return [
        *_times(work, counted, seconds),
        *(f"{'':24}without {', '.join(dict.fromkeys(what))}: {reason}" for reason, what in unknown.items()),
        "",
        f"{'training':24}{_flops(training)} in the transformers",
        f"{'sampling':24}{_flops(sampling)} in the transformers",
        f"{'disk':24}{disk / 1e9:.2f} GB of latents, features and checkpoints under '{work.folders.runs}'",
    ]


def _times(work: Workspace, counted: Workload, seconds: Mapping[Operation, float]) -> list[str]:
    """The table of time; rows of which nothing is left, or nothing known, stay away."""
    lines, total = [f"{'':24}{'count':>14}{'seconds each':>14}{'hours':>16}"], 0.0
    for name, kinds in ROWS.items():
        of = [operation for operation in seconds if operation.kind in kinds]
        count = sum(counted[operation] for operation in of if operation.kind is kinds[0])
        spent = sum(counted[operation] * seconds[operation] for operation in of)
        total += spent
        if count:
            lines.append(f"{name:24}{count:>14,}{_digits(spent / count):>14}{spent / 3600:>16,.3f}")
    unit = "core-hours" if work.device.type == "cpu" else "device-hours"
    return [*lines, f"{'total':24}{'':28}{total / 3600:>16,.3f} {unit}, from a few of each on one {work.device.type}"]


def _bytes(work: Workspace, todo: Todo, begun: bool, costs: Costs, unknown: dict[str, list[str]]) -> float:
    """That are written to runs/; `unknown` is told what cannot be said."""
    cells = {found.cell for found in evaluations_left(work, todo, begun)}
    total = 0.0
    for ae in dict.fromkeys(cell.ae for cell in cells):
        try:
            total += _bytes_of_latents(work, ae, begun)
            total += _bytes_of_checkpoints(
                work, [cell for cell in cells if cell.ae == ae], {*todo.generate}, begun, costs
            )
        except LrcoreError as error:
            unknown.setdefault(str(error), []).append(f"disk of '{ae}'")
    try:
        return total + _bytes_of_features(work, todo, cells)
    except LrcoreError as error:
        unknown.setdefault(str(error), []).append("disk of patch features")
        return total


def _bytes_of_latents(work: Workspace, ae: str, begun: bool) -> int:
    posterior = has_posterior(work, ae)
    shards = shard_plan(work, ae) if begun else ShardPlan(Path(), *shard_settings(work.study))
    return 0 if posterior is None else shards.bytes_of(latent_shape(work, ae).dimension, posterior, shards.missing)


def _bytes_of_checkpoints(work: Workspace, cells: Iterable[Cell], grid: set[Cell], begun: bool, costs: Costs) -> float:
    """Of trainings of one autoencoder: an average stays for every evaluated step; weights, average and AdamW's two
    moments of what is being trained."""
    steps = work.study.training.evaluate_at
    alike: dict[tuple[int, str], list[Cell]] = {}
    for cell in cells:
        alike.setdefault((cell.width, cell.skip), []).append(cell)
    kept = 0
    for same in alike.values():
        wanted = [(cell, step) for cell in same for step in (steps if cell in grid else steps[-1:])]
        averages = sum(not (begun and snapshot_path(work, *pair).exists()) for pair in wanted)
        first = same[0]
        parameters = parameter_count(
            costs.transformer(Operation(Kind.STEP, first.ae, width=first.width, skip=first.skip))
        )
        kept += (averages + 4 * min(work.stack, len(same))) * parameters
    return kept * FLOAT32


def _bytes_of_features(work: Workspace, todo: Todo, cells: Iterable[Cell]) -> int:
    """Of the patch features that are stored for autoencoders and for REPA."""
    by_autoencoders = any(uses_features(work.study.autoencoders[ae]) for ae in todo.train)
    by_repa = any(needs_encoder(cell.repa) for cell in cells) and features_are_stored(work)
    if not (by_autoencoders or by_repa):
        return 0
    encoder = work.encoder
    return work.study.data.train_images * encoder.grid**2 * encoder.patch_channels * FLOAT32


def _digits(seconds: float) -> str:
    """At least three of them.

    >>> _digits(0.02081), _digits(6900.0)
    ('0.0208', '6,900')
    """
    return f"{seconds:.3g}" if seconds < 1000 else f"{seconds:,.0f}"


def _flops(operations: float) -> str:
    """With the prefix that leaves one to three digits before the point.

    >>> _flops(237.2e9)
    '237.2 GFLOP'
    """
    power = 0 if operations < 1 else min(int(math.log10(operations) // 3), 7)
    return f"{operations / 1000**power:.1f} {['', 'k', 'M', 'G', 'T', 'P', 'E', 'Z'][power]}FLOP"
