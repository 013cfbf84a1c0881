"""Stage: train diffusion transformers in a latent space, sample from them, and compare the samples."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

import lrcore
from lrcore.datasets.images import UINT8_RULE, rounded
from lrcore.flow.guidance import Guidance, guided
from lrcore.flow.path_shape import PathShape
from lrcore.flow.sampling import LABEL_RULE, integrate, sampler_grid
from lrcore.flow.transformer import DiffusionTransformer, parameter_count
from lrcore.metrics.features import beside
from lrcore.metrics.pairs import FeatureSet
from lrcore.metrics.trace_roots import TraceRoots
from lrcore.records.paired import TOLERANCE
from lrcore.records.schema import GenerationRow
from lrcore.records.writing import write_generation, write_paired
from lrcore.runtime.files import exclusive
from lrcore.runtime.numerical_path import numerical_path
from lrcore.spec.study import Cell, needs_encoder
from lrcore.stages.anchors import load_anchors, sample_seed
from lrcore.stages.autoencoder import ensure_autoencoder
from lrcore.stages.evaluations import (
    disagreed,
    evaluations_done,
    evaluations_missing,
    judges_in_half,
    row_recipe,
    unpaired,
)
from lrcore.stages.features import features_are_stored, training_features
from lrcore.stages.judge import Distance, Judge, Scores, load_judge, trace_roots
from lrcore.stages.latents import training_latents
from lrcore.stages.reference import reference_name
from lrcore.stages.starts import starts
from lrcore.stages.together import drawn_together, draws_together, groups
from lrcore.stages.training import (
    diverged,
    ensure_trained,
    load_snapshot,
    new_transformer,
    state_path,
    trained_on,
)
from lrcore.stages.workspace import Workspace
from lrcore.training.loop import DivergedError


def stacks(work: Workspace, cells: Sequence[Cell]) -> list[list[Cell]]:
    """The cells in groups that can be trained as a stack of up to `work.stack`: one autoencoder, kind of REPA, seed,
    width and skip.

    The groups come in the order of their first cells.
    """
    alike: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        alike.setdefault((cell.ae, cell.repa, cell.train_seed, cell.width, cell.skip), []).append(cell)
    groups = [same[at : at + work.stack] for same in alike.values() for at in range(0, len(same), work.stack)]
    return sorted(groups, key=lambda group: cells.index(group[0]))


def run_cells(work: Workspace, cells: Sequence[Cell]) -> None:
    """Train a group of `stacks` up to the last step; write a row for every step and sampling shift that has none."""
    world = work.world
    with contextlib.ExitStack() as locks:
        # apart: asked to stop while the first process waits for a lock, all stop
        work.stop.apart(lambda: _lock(work, cells, locks) if world.first else None)
        names = [cell.name for cell in cells if world.first]
        locks.enter_context(work.heartbeats.of(names, work.study.training.evaluate_at[-1]))
        if world.size > 1:
            work.stop.apart(lambda: _prepare(work, cells))
        half = judges_in_half(work)
        _measure(work, cells, half)
        if half:
            _measure_pairs(work, cells)
            if disagreed(work):
                print(
                    f"half precision changes a distance by more than {TOLERANCE:g}: study '{work.study.name}' goes on "
                    "in float32",
                    file=sys.stderr,
                    flush=True,
                )
                _measure(work, cells)
        for cell in cells if world.first else ():
            # later steps can only come from the start then; the averaged weights of the evaluated steps stay
            state_path(work, cell).unlink(missing_ok=True)


def _measure(work: Workspace, cells: Sequence[Cell], half: bool = False) -> None:
    """Train the cells and write the rows that they lack, with features in half precision or not."""
    world = work.world
    # by the first process alone: of storage that several machines share, others may see an older state
    measured = evaluations_done(work) if world.first else {}
    missing = world.agreed({cell: evaluations_missing(work, cell, measured) for cell in cells if world.first})
    for step in sorted({step for pairs in missing.values() for step, _ in pairs}):
        due = {cell: [shift for at, shift in pairs if at == step] for cell, pairs in missing.items()}
        ensure_trained(work, [cell for cell in due if due[cell]], step)
        judged = work.with_half_features() if half else work
        for cell, row in evaluated(judged, due, step):
            if world.first:
                write_generation(work.folders.data, work.study.name, judged.in_precision(cell.name), [row])


def _measure_pairs(work: Workspace, cells: Sequence[Cell]) -> None:
    """Draw what is `unpaired` of the cells once more, and write what it is worth in both precisions."""
    half, wanted = work.with_half_features(), unpaired(work)
    ways = (work, half)  # the row in half precision, by whose recipe a pair is known, comes last
    networks = tuple(load_judge(way).network for way in ways)
    both = dataclasses.replace(load_judge(work), network=beside(*networks))
    due = {cell: wanted[cell] for cell in cells if cell in wanted}
    for cell, step in sorted({(cell, step) for cell, pairs in due.items() for step, _ in pairs}):
        ensure_trained(work, [cell], step)
        shifts = [shift for at, shift in due[cell] if at == step]
        for _, shift, drawn in _all_drawn(work, {cell: shifts}, step, both):
            parts = drawn.features.split([network.dim for network in networks], dim=1) if drawn else (None, None)
            for way, features in zip(ways, parts, strict=True):
                own = dataclasses.replace(drawn, features=features) if drawn else None
                row = measured(way, cell, step, shift, own)
                write_paired(work.folders.data, work.study.name, way.in_precision(cell.name), [row])


def _lock(work: Workspace, cells: Sequence[Cell], locks: contextlib.ExitStack) -> None:
    for cell in sorted(cells):
        locks.enter_context(exclusive(state_path(work, cell), work.check))


def _prepare(work: Workspace, cells: Sequence[Cell]) -> None:
    """Have made and stored what takes long, after which processes that work together keep in step."""
    training_latents(work, cells[0].ae, ensure_autoencoder(work, cells[0].ae))
    if needs_encoder(cells[0].repa) and features_are_stored(work):
        training_features(work)
    load_judge(work)
    if work.world.first:
        load_anchors(work, cells[0].ae)


def evaluated(work: Workspace, due: Mapping[Cell, Sequence[float]], step: int) -> Iterator[tuple[Cell, GenerationRow]]:
    """One row for every cell and sampling shift that is `due`, measured with the averaged weights at `step`.

    Each comes as soon as it is measured; where workers compute eigenvalues, a few samples later, or before whatever
    ends the sampling: an interruption, a snapshot that is damaged, a device without memory.
    """
    roots, begun = trace_roots(work), collections.deque[tuple[Cell, Callable[[], GenerationRow]]]()
    try:
        for cell, shift, drawn in _all_drawn(work, due, step):
            begun.append((cell, begin_measuring(work, cell, step, shift, drawn, roots)))
            while len(begun) > (roots.workers if roots else 0):
                of, finish = begun.popleft()
                yield of, finish()
    except Exception:
        yield from ((cell, finish()) for cell, finish in begun)
        raise
    yield from ((cell, finish()) for cell, finish in begun)


def _all_drawn(
    work: Workspace, due: Mapping[Cell, Sequence[float]], step: int, judge: Judge | None = None
) -> Iterator[tuple[Cell, float, Drawn | None]]:
    """The samples of all cells and shifts that are `due`, several at once where the device may do so, in the features
    of `judge`, that of the study if it is not given."""
    if not draws_together(work):
        yield from ((cell, shift, draw_samples(work, cell, step, shift, judge)) for cell in due for shift in due[cell])
        return
    lost = {cell for cell in due if diverged(work, cell)}
    yield from ((cell, shift, None) for cell in due if cell in lost for shift in due[cell])
    judge = judge or load_judge(work)
    for cells, shifts in groups(work, {cell: due[cell] for cell in due if cell not in lost}, judge.network.dim):
        models = [load_snapshot(work, cell, step) for cell in cells]
        found = drawn_together(work, cells[0].ae, models, shifts, own_batches(work), judge)
        for cell, of_cell in zip(cells, found, strict=True):
            path = _numerical_path(work, cell, step, len(cells), fast=True)
            for shift, pair in zip(shifts, of_cell, strict=True):
                yield cell, shift, Drawn(pair.features, pair.paths, path) if pair.finite else None


@dataclasses.dataclass(frozen=True)
class Drawn:
    """What is kept of samples: their `features` (N, dim) and the `paths` (N, 2) that led to them, see
    `lrcore.flow.path_shape`, both on the device; `numerical_path`, on what training and sampling were computed."""

    features: Tensor
    paths: Tensor
    numerical_path: str

    def first(self, count: int) -> Drawn:
        """The first `count` samples."""
        return dataclasses.replace(self, features=self.features[:count], paths=self.paths[:count])


def draw_samples(
    work: Workspace, cell: Cell, step: int, sampleshift: float, judge: Judge | None = None
) -> Drawn | None:
    """The samples of a cell at `step`, in the features of `judge` as for `_all_drawn`; none where it diverged or its
    weights are past use."""
    world = work.world
    if world.agreed(diverged(work, cell)):
        return None
    model, judge = load_snapshot(work, cell, step), judge or load_judge(work)
    # a process may have none to draw
    paths = [torch.empty(0, 2, dtype=torch.float64, device=work.device)]
    finite = torch.tensor(True, device=work.device)

    def batches() -> Iterator[Tensor]:
        nonlocal finite
        for numbers in own_batches(work):
            found = sampled(work, cell, model, sampleshift, numbers)
            paths.append(found.paths)
            finite = finite & found.finite
            yield found.images

    features = judge.features(batches())
    if world.any(not finite):
        return None
    gathered, own = torch.cat(world.gathered(features)), torch.cat(world.gathered(torch.cat(paths)))
    return Drawn(gathered, own, _numerical_path(work, cell, step))


def _numerical_path(work: Workspace, cell: Cell, step: int, stack: int = 1, fast: bool = False) -> str:
    trained, precision = trained_on(work, cell, step) or "not recorded", work.study.training.precision
    return f"trained: {trained}; sampled: {numerical_path(work.device, precision, stack=stack, fast=fast)}"


def own_batches(work: Workspace) -> Iterator[list[int]]:
    """The numbers of the samples that this process draws, in batches.

    Raises:
        StudyInterrupted: asked to stop.
    """
    evaluation, world = work.study.evaluation, work.world
    shares = torch.arange(evaluation.n_samples).tensor_split(world.size)
    count = work.counted("samples", len(shares[world.rank]))
    for start in range(0, len(shares[0]), evaluation.batch_size):
        # the first share is the longest: all processes look as often, whether they have a batch left or not
        work.stop.check_together()
        work.heartbeats.alive()
        if numbers := shares[world.rank][start : start + evaluation.batch_size].tolist():
            yield numbers
            count(len(numbers))


def sample(
    work: Workspace, cell: Cell, model: DiffusionTransformer, sampleshift: float, numbers: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Samples `numbers` of a cell as uint8 images (len(numbers), 3, H, W), by the study's sampler and guidance, and
    straightness and efficiency of their paths (len(numbers), 2); both on the CPU.

    Raises:
        DivergedError: they hold NaN or infinities.
    """
    found = sampled(work, cell, model, sampleshift, numbers)
    if not found.finite:
        raise DivergedError("samples hold NaN: the weights are past use, though the loss was still finite")
    return found.images.cpu(), found.paths.cpu()


class Sampled(NamedTuple):
    """A batch of samples on the study's device: uint8 `images` (B, 3, H, W), and of their `paths` (B, 2) straightness
    and efficiency; `finite`, a bool scalar, whether all numbers were before they were rounded."""

    images: Tensor
    paths: Tensor
    finite: Tensor


@torch.no_grad()
def sampled(
    work: Workspace, cell: Cell, model: DiffusionTransformer, sampleshift: float, numbers: Sequence[int]
) -> Sampled:
    """As `sample`, queued on the device: nothing waits for it, but guidance, which looks at the times."""
    seed, evaluation, autoencoder = sample_seed(work), work.study.evaluation, ensure_autoencoder(work, cell.ae)
    path = PathShape()
    noise, labels = starts(work, autoencoder.shape, model.classes, numbers)
    grid = sampler_grid(evaluation.sampler, evaluation.sampling_steps, sampleshift)
    guided_velocity = guided(model, labels, Guidance(evaluation.guidance, *evaluation.guidance_interval))

    def velocity(tokens: Tensor, t: Tensor) -> Tensor:
        work.check()  # a batch of a large model takes minutes on a CPU
        return guided_velocity(tokens, t)

    low = work.study.training.precision == "bfloat16"
    with torch.autocast(work.device.type, torch.bfloat16, enabled=low):
        tokens = integrate(evaluation.sampler, velocity, noise, grid, seed, numbers, path)
    images = autoencoder.decode(tokens)
    return Sampled(rounded(images.nan_to_num()), path.per_sample(), torch.isfinite(images).all())


def measured(work: Workspace, cell: Cell, step: int, sampleshift: float, drawn: Drawn | None) -> GenerationRow:
    """The row of samples, as many as the study asks for; none `drawn` where the training diverged."""
    return begin_measuring(work, cell, step, sampleshift, drawn)()


def begin_measuring(
    work: Workspace, cell: Cell, step: int, sampleshift: float, drawn: Drawn | None, roots: TraceRoots | None = None
) -> Callable[[], GenerationRow]:
    """What gives the row as `measured` does when it is called; `roots` as for `FrechetReference.begin`."""
    study, judge = work.study, load_judge(work)
    evaluation, latent = study.evaluation, ensure_autoencoder(work, cell.ae).shape
    anchors = load_anchors(work, cell.ae) if work.world.first else None
    scores: Callable[[], Scores] = Scores
    apart: Callable[[], Distance] = Distance
    if drawn and work.world.first:
        samples = FeatureSet(drawn.features.to(work.device), "sample")
        scores = judge.begin(samples, roots)
        apart = anchors.reconstructions.begin(samples, roots) if anchors else apart
    floor, gaussian = (anchors.floor, anchors.gaussian) if anchors else (Distance(), Distance())
    straightness, efficiency = drawn.paths.mean(0).tolist() if drawn else (math.nan, math.nan)
    with torch.device("meta"):
        model = new_transformer(work, latent, cell)
    row = GenerationRow(
        step=step,
        ae=cell.ae,
        repa=cell.repa,
        trainp=cell.trainp,
        trainshift=cell.trainshift,
        sampleshift=sampleshift,
        **dataclasses.asdict(Scores()),
        floor_fid=floor.fid,
        floor_kid=floor.kid,
        reconstruction_fid=math.nan,
        reconstruction_kid=math.nan,
        gaussian_fid=gaussian.fid,
        gaussian_kid=gaussian.kid,
        straightness=straightness,
        efficiency=efficiency,
        score=evaluation.score,
        status="ok" if drawn else "diverged",
        feature_network=judge.network.name,
        feature_sha256=judge.network.sha256,
        feature_protocol=judge.network.protocol,
        n_samples=evaluation.n_samples,
        n_reference=evaluation.n_reference,
        reference=reference_name(work),
        label_rule=LABEL_RULE,
        uint8_rule=UINT8_RULE,
        sampler=evaluation.sampler,
        sampling_steps=evaluation.sampling_steps,
        guidance=evaluation.guidance,
        guidance_low=evaluation.guidance_interval[0],
        guidance_high=evaluation.guidance_interval[1],
        sample_seed=sample_seed(work),
        train_seed=cell.train_seed,
        dataset=study.data.dataset,
        resolution=study.data.resolution,
        tokens=latent.tokens,
        channels_per_token=latent.channels_per_token,
        model=study.training.model,
        width=float(model.shape.width),
        skip=cell.skip,
        parameters=parameter_count(model),
        batch_size=study.training.batch_size,
        learning_rate=study.training.learning_rate,
        ema_decay=study.training.ema_decay,
        precision=study.training.precision,
        numerical_path=drawn.numerical_path if drawn else "",
        recipe=row_recipe(work, cell),
        lrcore_version=lrcore.__version__,
    )

    def finish() -> GenerationRow:
        found = apart()
        return dataclasses.replace(
            row, **dataclasses.asdict(scores()), reconstruction_fid=found.fid, reconstruction_kid=found.kid
        )

    return finish
