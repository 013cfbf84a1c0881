"""What each stage of a study costs for one autoencoder that nothing has been measured of yet."""

from __future__ import annotations

from collections.abc import Sequence

from lrcore.errors import LrcoreError
from lrcore.plan.costs import Costs
from lrcore.plan.rehearsal import Clock, rehearsal
from lrcore.plan.report import everything
from lrcore.plan.workload import workload
from lrcore.spec.study import Cell
from lrcore.stages.workspace import Workspace


def seconds_by_stage(work: Workspace, stages: Sequence[str], ae: str, cells: Sequence[Cell]) -> dict[str, float | str]:
    """Seconds of one core, or of the device, of each of `stages` in their order; why it is not known where it is not.

    What several stages use (statistics of the images, stored latents) counts for the first of them.
    """
    clock, found = Clock(work.device), dict[str, float | str]()
    with rehearsal(work, clock) as stage:
        costs = Costs(work, stage, clock)
        before = workload(work, everything(work, (), [ae], cells), begun=False)
        for number, name in enumerate(stages, start=1):
            counted = workload(work, everything(work, stages[:number], [ae], cells), begun=False)
            try:
                found[name] = sum(costs.seconds(operation) * count for operation, count in (counted - before).items())
            except LrcoreError as error:
                found[name] = str(error)
            before = counted
    return found
