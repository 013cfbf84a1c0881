"""The flow-matching loss by training time t: where between data (t = 0) and noise (t = 1) a transformer learns.

    log = LossLog(runs=2, device=device)
    log.add(drawn.t, losses.velocity)        # every step; queues work on the device, never waits for it
    log.close_interval(step)                 # now and then; waits once
    log.collect()                            # before a checkpoint, where several processes share the batches
    stored = log.tensors(run)                # into the checkpoint of that run, and back by load_tensors

Losses by t tell more than their mean: they differ severalfold over t (Nichol & Dhariwal, arXiv 2102.09672, fig. 2), so
that the mean moves with the density of training times even where no loss does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from lrcore.errors import LrcoreError
from lrcore.records.schema import LossRow
from lrcore.spec.study import Cell

PREFIX = "loss_log."
"""Of the names of the log's tensors, beside those of a checkpoint."""


@dataclass(frozen=True)
class LossInterval:
    """Mean loss and number of training images of every bin, from the interval before up to `step`; NaN of none."""

    step: int
    losses: tuple[float, ...]
    counts: tuple[int, ...]


class LossLog:
    """Mean losses in `bins` equal bins of t, interval after interval, of `runs` trainings that run as one.

    Bin k holds k / bins <= t < (k + 1) / bins, the last one t = 1 too. `rows[run]` lists the closed intervals.
    A NaN or infinite loss shows in the mean of its bin alone. Of processes that train together (torch.distributed) each
    adds its share of a batch, and the first has the log: what the others' says is of no use.
    """

    def __init__(self, runs: int = 1, bins: int = 10, device: torch.device | str = "cpu") -> None:
        self.rows: list[list[LossInterval]] = [[] for _ in range(runs)]
        # float64 holds sums of float32 losses without rounding (29 spare bits), so their order does not matter either
        self._sums = torch.zeros(runs, bins, dtype=torch.float64, device=device)
        self._counts = torch.zeros(runs, bins, dtype=torch.int64, device=device)

    @property
    def open_interval(self) -> tuple[Tensor, Tensor]:
        """Sums of losses and counts (runs, bins) of the interval that is not closed, which `add` changes in place."""
        return self._sums, self._counts

    @torch.no_grad()
    def add(self, t: Tensor, losses: Tensor) -> None:
        """Count the losses of a step; nothing is read back from the device.

        `t` in [0, 1] and `losses` are both (runs, B), or (R,) with R = runs * B, run after run.
        """
        runs, bins = self._sums.shape
        t, losses = t.detach().reshape(runs, -1, 1), losses.detach().reshape(runs, -1, 1)
        of_bin = torch.arange(bins, device=t.device)
        inside = (t.double() * bins).long().clamp(0, bins - 1) == of_bin
        # a sum over a mask, since scatter_add on CUDA adds in an order that changes from run to run
        self._sums += torch.where(inside, losses.double(), 0.0).sum(1)
        self._counts += inside.sum(1)

    def close_interval(self, step: int) -> None:
        """Append the means since the interval before to `rows`, as those up to `step`, and start anew.

        Every process calls it at the same step.
        """
        self.collect()
        # means on the CPU: one transfer, and the same division on every device
        found = torch.stack([self._sums, self._counts.double()]).cpu()
        means = found[0] / found[1]
        for run, rows in enumerate(self.rows):
            counts = tuple(int(count) for count in found[1, run].tolist())
            rows.append(LossInterval(step, tuple(means[run].tolist()), counts))
        self._sums.zero_()
        self._counts.zero_()

    def collect(self) -> None:
        """Move what all processes have added to the first one; every process calls it at the same step.

        Nothing happens where there is one process.
        """
        if _rank() is None:
            return
        # over the CPU, where every backend that trains here can send; counts are exact in float64
        found = torch.stack([self._sums, self._counts.double()]).cpu()
        distributed.all_reduce(found)
        if _rank() != 0:
            found.zero_()
        self._sums.copy_(found[0])
        self._counts.copy_(found[1])

    def tensors(self, run: int = 0) -> dict[str, Tensor]:
        """What of one run must be kept to go on as if never stopped, on the CPU; names start with `PREFIX`.

        Of I closed intervals and K bins: `step` (I,) int64, `losses` (I, K) float64, `counts` (I, K) int64, and the
        open interval's `open_sums` (K,) float64 and `open_counts` (K,) int64.
        """
        rows, bins = self.rows[run], self._sums.shape[1]
        found = {
            "step": torch.tensor([row.step for row in rows], dtype=torch.int64),
            "losses": torch.tensor([row.losses for row in rows], dtype=torch.float64).reshape(-1, bins),
            "counts": torch.tensor([row.counts for row in rows], dtype=torch.int64).reshape(-1, bins),
            "open_sums": self._sums[run].cpu().clone(),
            "open_counts": self._counts[run].cpu().clone(),
        }
        return {PREFIX + name: tensor for name, tensor in found.items()}

    def load_tensors(self, parts: Sequence[Mapping[str, Tensor]]) -> None:
        """Take every run's log from what `tensors` gave of it, one a run; other names in `parts` are passed over.

        Raises:
            LrcoreError: a part holds no log, or one of another number of bins; or there are not as many as runs.
        """
        if len(parts) != len(self.rows):
            raise LrcoreError(f"{len(parts)} stored loss logs for {len(self.rows)} runs")
        for run, part in enumerate(parts):
            self.rows[run] = stored_intervals(part)
            sums, counts = part[PREFIX + "open_sums"], part[PREFIX + "open_counts"]
            if sums.shape != self._sums[run].shape:
                raise LrcoreError(f"stored loss log has {len(sums)} bins, this one has {self._sums.shape[1]}")
            self._sums[run] = sums.to(self._sums.device)
            self._counts[run] = counts.to(self._counts.device)
        if _rank():  # the first process goes on with what all had added
            self._sums.zero_()
            self._counts.zero_()


def _rank() -> int | None:
    """The number of this process among those that train together; None where it is alone."""
    return distributed.get_rank() if distributed.is_available() and distributed.is_initialized() else None


def stored_intervals(tensors: Mapping[str, Tensor]) -> list[LossInterval]:
    """The closed intervals in what `LossLog.tensors` gave.

    Raises:
        LrcoreError: there are none of its names.
    """
    names = ("step", "losses", "counts", "open_sums", "open_counts")
    missing = [name for name in names if PREFIX + name not in tensors]
    if missing:
        raise LrcoreError(f"no loss log is stored there: '{PREFIX}{missing[0]}' is missing")
    columns = (tensors[PREFIX + name].tolist() for name in ("step", "losses", "counts"))
    return [LossInterval(step, tuple(losses), tuple(counts)) for step, losses, counts in zip(*columns, strict=True)]


def mean_loss(interval: LossInterval) -> float:
    """Over all images of the interval, whatever their t; NaN of none."""
    images = sum(interval.counts)
    total = sum(loss * count for loss, count in zip(interval.losses, interval.counts, strict=True) if count)
    return total / images if images else float("nan")


def loss_rows(
    intervals: Sequence[LossInterval], cell: Cell, width: int, recipe: str, lrcore_version: str
) -> list[LossRow]:
    """The rows of one run's intervals for `records.writing.write_losses`: one an interval and bin.

    `width`: the transformer's.
    """
    return [
        LossRow(
            step=interval.step,
            t_low=bin_number / len(interval.losses),
            t_high=(bin_number + 1) / len(interval.losses),
            loss=loss,
            count=count,
            ae=cell.ae,
            repa=cell.repa,
            trainp=cell.trainp,
            trainshift=cell.trainshift,
            train_seed=cell.train_seed,
            width=float(width),
            skip=cell.skip,
            recipe=recipe,
            lrcore_version=lrcore_version,
        )
        for interval in intervals
        for bin_number, (loss, count) in enumerate(zip(interval.losses, interval.counts, strict=True))
    ]
