"""The bound of tests that compute the same numbers in two ways in float32: by how far either is from float64."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

ROOM = 8.0
"""Two ways to the same numbers take their sums in different orders: their largest errors differ by a small factor."""


def assert_as_exact(found: Tensor, single: Tensor, exact: Tensor) -> None:
    """`found` is as near to `exact` as the reference itself is when it computes in float32.

    `single`: the reference in float32; `exact`: in float64. So the bound is what float32 costs here, on whatever
    processor, and no number that one of them gave.
    """
    assert (found.dtype, single.dtype, exact.dtype) == (torch.float32, torch.float32, torch.float64)
    assert found.shape == exact.shape and found.isfinite().all()
    error, allowed = ((part.double() - exact).abs().max().item() for part in (found, single))
    assert ROOM * allowed < 0.05 * exact.std().item(), "the bound says something"
    assert error <= ROOM * allowed, f"{error:.2g} from float64, the reference {allowed:.2g}"


def in_float64(module: nn.Module) -> nn.Module:
    """A copy of a network that computes in float64."""
    return copy.deepcopy(module).double()
