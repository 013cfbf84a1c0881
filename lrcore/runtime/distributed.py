"""One study on several processes that torchrun started: all do the same trainings together, a share of a batch each.

    torchrun --nproc-per-node 8 -m lrcore.train imagenet256
    torchrun --nproc-per-node 8 -m lrcore.train imagenet256 --shard      # weights and moments in shares too, for DiT-XL

Every process draws the randomness of the whole batch and takes its share, so that a training does not depend on the
number of processes, to rounding: sums run in another order. Checkpoints and rows are written by the first process, in
one format, and any number of processes goes on from them. Samples belong to their numbers (`lrcore.flow.sampling`), so
they are the same too.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeGuard, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from lrcore.errors import LrcoreError
from lrcore.runtime.interruption import StopRequest, StudyInterrupted

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor

T = TypeVar("T")

PATIENCE = timedelta(days=7)
"""How long processes wait for the first one, which alone trains autoencoders and measures."""


@dataclass(frozen=True)
class World:
    """The processes that work together: `size` of them, this one is number `rank`; `sharded` asks for FSDP2."""

    rank: int = 0
    size: int = 1
    sharded: bool = False

    @property
    def first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """This process's rows of (B, ...), B a multiple of the size."""
        return batch.chunk(self.size)[self.rank]

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            distributed.barrier()

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        if self.size == 1:
            return flag
        found = torch.tensor(int(flag))
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return bool(found.item())

    def agreed(self, value: T) -> T:
        """The first process's value."""
        values = [value]
        if self.size > 1:
            distributed.broadcast_object_list(values)
        return values[0]

    def gathered(self, rows: Tensor) -> list[Tensor]:
        """The rows (n, ...) of all processes, in the order of the ranks; on the CPU where there are several."""
        parts: list[Tensor] = [rows] * self.size
        if self.size > 1:
            distributed.all_gather_object(parts, rows.cpu())
        return parts

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean over the processes."""
        if self.size == 1:
            return tensor
        total = tensor.detach().to("cpu", copy=True)
        distributed.all_reduce(total)
        return total / self.size

    def parallel(self, model: nn.Module) -> nn.Module:
        """What to call instead of `model` so that the gradients are those of the whole batch."""
        return DistributedDataParallel(model) if self.size > 1 and not self.sharded else model


ALONE = World()
"""A process by itself."""


class SharedStop(StopRequest):
    """A stop request that all processes obey when one of them got it, at the same step, since all must save together.

    Elsewhere nobody stops: the others would wait in vain.
    """

    def __init__(self, own: StopRequest, world: World) -> None:
        super().__init__()
        self.own, self.world = own, world
        self._apart = False

    def listen(self) -> None:
        self.own.listen()

    def check(self) -> None:
        if self._apart:
            self.own.check()

    def check_together(self) -> None:
        self._obey(self.own.check)

    def apart(self, action: Callable[[], object]) -> None:
        self._apart = True
        try:
            self._obey(action)
        finally:
            self._apart = False

    def _obey(self, action: Callable[[], object]) -> None:
        try:
            action()
            reason = ""
        except StudyInterrupted as interrupted:
            reason = str(interrupted)
        if self.world.any(bool(reason)):
            raise StudyInterrupted(reason or "another process was asked to stop")


def started_by_torchrun() -> bool:
    """Whether this process is one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def joined(device: torch.device, sharded: bool) -> Iterator[tuple[World, torch.device]]:
    """The world that torchrun's environment tells of, and this process's device; alone where there is none.

    The processes should leave together (`World.wait`): who leaves early takes connections away from the others.

    Raises:
        LrcoreError: `sharded` on a single process; more processes on a machine than it has GPUs.
    """
    if not started_by_torchrun():
        if sharded:
            raise LrcoreError("--shard divides a training among processes: start them with torchrun")
        yield ALONE, device
        return
    if device.type == "cuda":
        local = int(os.environ["LOCAL_RANK"])
        if local >= torch.cuda.device_count():
            raise LrcoreError(f"process {local} has no GPU of its own: this machine has {torch.cuda.device_count()}")
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    # gloo beside NCCL: decisions between steps travel over the CPU, without waiting for the GPU's work
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield World(distributed.get_rank(), distributed.get_world_size(), sharded), device
    finally:
        # models that were trained together hold the group in cycles; what is left of it aborts the interpreter's end
        gc.collect()
        distributed.destroy_process_group()


def shard(model: nn.Module, blocks: Sequence[nn.Module]) -> None:
    """Divide the weights of `model` among the processes, block by block (FSDP2), in place."""
    from torch.distributed.fsdp import fully_shard  # here, since it takes a second, which every command would wait for

    for block in blocks:
        fully_shard(block)
    fully_shard(model)


def whole(tensor: Tensor) -> Tensor:
    """A divided tensor put together, the same on every process; others as they are."""
    return tensor.full_tensor() if _is_divided(tensor) else tensor


def divided(tensor: Tensor, like: Tensor) -> Tensor:
    """A whole tensor divided as `like` is."""
    if not _is_divided(like):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements)


def _is_divided(tensor: Tensor) -> TypeGuard[DTensor]:
    """Whether it is a DTensor, whose class nobody imports who has none."""
    return hasattr(tensor, "full_tensor")
