"""Several processes that torchrun started do every training together, a share of each batch each.

    torchrun --standalone --nproc-per-node 8 -m lrcore.train imagenet256
    torchrun --standalone --nproc-per-node 8 -m lrcore.train imagenet256 --shard

The first process is an executor like the others: it claims units, and does alone what is no training of transformers;
the others follow it. The mathematics is in `lrcore.runtime.distributed`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from lrcore.errors import LrcoreError
from lrcore.runtime.distributed import World
from lrcore.runtime.interruption import InterruptedWaiting, StopRequest, StudyInterrupted
from lrcore.spec.study import SELF_REPA, Cell
from lrcore.stages.engine import Diverged, Job, in_this_process, run_study, train_cells
from lrcore.stages.todo import Todo
from lrcore.stages.workspace import Workspace


def run_together(world: World, job: Job, stop: StopRequest) -> int:
    """`engine.run_study` by all processes of `world`, each of which calls this with the same job.

    Returns the exit status, of processes other than the first always 0.

    Raises:
        LrcoreError: a batch cannot be divided evenly, trainings are to be stacked, or weights to be divided of one that
            aligns with itself; else as `run_study`.
        StudyInterrupted: stopped as asked.
    """
    batch_size = job.study.training.batch_size
    if batch_size % world.size:
        divisors = [size for size in range(1, batch_size + 1) if batch_size % size == 0]
        raise LrcoreError(
            f"training.batch_size {batch_size} cannot be divided among {world.size} processes; allowed: {divisors}"
        )
    if job.stack > 1:
        raise LrcoreError("--stack trains several at once in one process: start it without torchrun")
    if world.sharded and (own := [cell.name for cell in job.cells if cell.repa == SELF_REPA]):
        # its target comes from the middle of the averaged model, whose weights are put together for whole passes alone
        raise LrcoreError(
            f"--shard cannot train '{own[0]}', which aligns with itself: leave --shard out, or narrow with --repa"
        )
    if not world.first:
        _follow(world, job, stop)
        return 0
    leader = _Leader(world)
    try:
        return run_study(job, stop, leader)
    finally:
        leader.dismiss()


@dataclass
class _Leader:
    """The executor of the first process. `lost`: a training broke off, and the others with it, who knows where."""

    world: World
    lost: bool = False

    def __call__(self, job: Job, todo: Todo, stop: StopRequest) -> Diverged:
        return in_this_process(job, todo, stop, train=self._train)

    def _train(self, work: Workspace, cells: Sequence[Cell]) -> None:
        self.world.agreed(list(cells))
        try:
            train_cells(work.together(self.world), cells)
        except BaseException as error:
            # asked to stop, all stopped at the same step, unless this process alone waited for a lock
            self.lost = not isinstance(error, StudyInterrupted) or isinstance(error, InterruptedWaiting)
            raise

    def dismiss(self) -> None:
        """Let the others go. After a failure in their midst torchrun ends them: they would not hear it."""
        if not self.lost:
            self.world.agreed([])
            self.world.wait()


def _follow(world: World, job: Job, stop: StopRequest) -> None:
    stop.listen()
    work = job.workspace(stop).together(world)
    while cells := cast(list[Cell], world.agreed(None)):
        # the first process is stopped at the same step, and then dismisses the others
        with contextlib.suppress(StudyInterrupted):
            train_cells(work, cells)
    world.wait()
