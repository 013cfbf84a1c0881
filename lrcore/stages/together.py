"""Samples of several trainings and sampling shifts at once, where the device may take the fast path (`lrcore.fast`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lrcore.datasets.images import rounded
from lrcore.fast.capabilities import SAMPLING, SAMPLING_GRAPH
from lrcore.fast.sampling import TogetherSampler
from lrcore.flow.guidance import Guidance
from lrcore.flow.sampling import sampler_grid
from lrcore.flow.transformer import DiffusionTransformer
from lrcore.spec.study import Cell
from lrcore.stages.autoencoder import ensure_autoencoder
from lrcore.stages.judge import Judge
from lrcore.stages.starts import starts
from lrcore.stages.workspace import Workspace

FEATURES = 2**31
"""Bytes of features that are held at once: of 75 evaluations of 2,500 samples with 2,048 features 1.5e9."""

MEMBERS = 5
"""Trainings that are drawn together at most. All samples of a group are done at once, at its end: a stop loses what
there is of it. More would save nothing: a chunk that fills the device holds fewer images of each then."""


class Pair(NamedTuple):
    """Samples of one training and one shift: `features` (n, dim), `paths` (n, 2) as `lrcore.flow.path_shape` has them,
    and `finite`, a bool scalar, whether all numbers were before they were rounded; all on the device."""

    features: Tensor
    paths: Tensor
    finite: Tensor


def draws_together(work: Workspace) -> bool:
    """Whether samples go this way; others are drawn cell by cell and shift by shift, whatever draws them."""
    return work.fast.has(SAMPLING) and work.world.size == 1 and work.study.evaluation.sampler == "euler"


def groups(
    work: Workspace, due: Mapping[Cell, Sequence[float]], dim: int
) -> Iterator[tuple[list[Cell], tuple[float, ...]]]:
    """The cells and shifts that are `due` in groups to draw together: every cell of a group at every shift of it.

    `dim`: features of a sample.
    """
    alike: dict[tuple[float, ...], list[Cell]] = {}
    for cell, due_shifts in due.items():
        if due_shifts:
            alike.setdefault(tuple(due_shifts), []).append(cell)
    features = work.study.evaluation.n_samples * dim * 4
    most = max(1, FEATURES // features)
    for shifts, cells in alike.items():
        members = max(1, min(MEMBERS, most // len(shifts)))
        for first in range(0, len(cells), members):
            for start in range(0, len(shifts), most):
                yield cells[first : first + members], shifts[start : start + most]


@torch.no_grad()
def drawn_together(
    work: Workspace,
    ae: str,
    models: Sequence[DiffusionTransformer],
    shifts: Sequence[float],
    batches: Iterable[Sequence[int]],
    judge: Judge,
) -> list[list[Pair]]:
    """The samples whose numbers come in `batches`, of every model (outer list) at every shift (inner list), in the
    features of `judge`.

    Raises:
        StudyInterrupted: asked to stop.
    """
    autoencoder, evaluation = ensure_autoencoder(work, ae), work.study.evaluation
    grids = [sampler_grid(evaluation.sampler, evaluation.sampling_steps, shift) for shift in shifts]
    guidance = Guidance(evaluation.guidance, *evaluation.guidance_interval)
    precision, chunk, graphed = work.study.training.precision, work.fast.chunk_tokens, work.fast.has(SAMPLING_GRAPH)
    sampler = TogetherSampler(models, grids, guidance, precision, chunk, graphed, work.check)
    found: list[list[list[Pair]]] = [[[] for _ in shifts] for _ in models]
    for numbers in batches:
        tokens, paths = sampler(*starts(work, autoencoder.shape, models[0].classes, numbers))
        for of_model, model_tokens, model_paths in zip(found, tokens, paths, strict=True):
            for of_shift, own_tokens, own_paths in zip(of_model, model_tokens, model_paths, strict=True):
                images = autoencoder.decode(own_tokens)
                features = judge.features([rounded(images.nan_to_num())])
                of_shift.append(Pair(features, own_paths, torch.isfinite(images).all()))
    return [[_joined(parts) for parts in of_model] for of_model in found]


def _joined(parts: Sequence[Pair]) -> Pair:
    features, paths, finite = zip(*parts, strict=True)
    return Pair(torch.cat(features), torch.cat(paths), torch.stack(finite).all())
