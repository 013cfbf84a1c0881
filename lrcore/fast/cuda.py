"""What only a GPU can run: a step as a CUDA graph, which the device replays without its launches one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

WARM_UPS = 3
"""Steps before a capture: torch asks for some, in which libraries choose kernels and allocate what they need."""


def driver() -> str:
    """The version of NVIDIA's kernel module; "" where it does not say."""
    try:
        said = Path("/proc/driver/nvidia/version").read_text()
    except OSError:
        return ""
    found = re.search(r"\d+(\.\d+)+", said)
    return found.group() if found else ""


def captured(step: Callable[[], None], changed: Sequence[Tensor]) -> Callable[[], None]:
    """What does `step` again as one launch, on the same memory.

    `step` must read nothing back, draw nothing at random and always do the same on the same tensors. `changed`: all
    tensors that it changes and reads again, which are put back to what they were before, whatever breaks off.
    """
    with torch.no_grad():
        before = [tensor.clone() for tensor in changed]
    graph, side, current = torch.cuda.CUDAGraph(), torch.cuda.Stream(), torch.cuda.current_stream()
    side.wait_stream(current)
    try:
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                step()
        # by default what another thread asks of the device, as to pin memory for the next batch, breaks a capture off
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            step()
    finally:
        torch.cuda.set_stream(current)  # a capture that breaks off leaves its own
        current.wait_stream(side)
        put_back(changed, before)
    return graph.replay


@torch.no_grad()
def put_back(changed: Sequence[Tensor], before: Sequence[Tensor]) -> None:
    """Give tensors the values that they had before, in place."""
    for tensor, value in zip(changed, before, strict=True):
        tensor.copy_(value)
