"""Linear layers with the bias as a row of the weights: one matrix product a layer forward, one for all its gradients.

    network = joined(stack(models), torch.bfloat16)     # the same network, its linear layers in bfloat16
    refresh(network)                                    # after the float32 weights have changed

What is shared with the network that it was made of: everything but the weights of linear layers, which are copies.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from lrcore.flow.stacking import StackedLinear

ModuleT = TypeVar("ModuleT", bound=nn.Module)

ALIGNMENT = 8
"""Rows of the weights come in multiples of it: 16 bytes of bfloat16, which products on a GPU want."""


class JoinedLinear(nn.Module):
    """A linear layer, or S of them: rows (S * B, ..., in) to (S * B, ..., out).

    `weight` (S, out, in + extra): the weights, then the bias, then zeros. A product of its own for the bias's gradient
    and a pass that adds the bias are saved. `masters` are the layer's own parameters, which `refresh` copies.
    """

    def __init__(self, layer: nn.Linear | StackedLinear, dtype: torch.dtype | None) -> None:
        super().__init__()
        # a tuple, which is not registered: these parameters are the other network's
        self.masters = tuple(p for p in (layer.weight, layer.bias) if p is not None)
        *_, outputs, self.inputs = layer.weight.shape
        self.extra = 0 if layer.bias is None else ALIGNMENT - self.inputs % ALIGNMENT
        count = len(layer.weight) if layer.weight.ndim == 3 else 1
        shape = (count, outputs, self.inputs + self.extra)
        self.weight = nn.Parameter(torch.zeros(shape, dtype=dtype or layer.weight.dtype, device=layer.weight.device))

    def parts(self, joined: Tensor) -> list[Tensor]:
        """Views of a tensor like `weight`, as the `masters` are."""
        views = [joined[..., : self.inputs], joined[..., self.inputs]] if self.extra else [joined]
        return [view.view_as(master) for view, master in zip(views, self.masters, strict=True)]

    def forward(self, x: Tensor) -> Tensor:
        # cast here, though autocast would cast, too: what is padded is then half as long
        rows = x.reshape(len(self.weight), -1, self.inputs).to(self.weight.dtype)
        out: Tensor = _Product.apply(rows, self.weight) if self.extra else torch.bmm(rows, self.weight.transpose(1, 2))
        return out.view(*x.shape[:-1], -1)


class _Product(torch.autograd.Function):
    """Rows (S, B, in), with ones beside them, by `weight` (S, out, in + extra) to (S, B, out).

    By itself a gradient of the rows would be computed for the ones, too, and then copied without them.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor) -> Tensor:
        wide = pad(rows, (0, weight.shape[-1] - rows.shape[-1]), value=1.0)
        ctx.save_for_backward(wide, weight)
        ctx.inputs = rows.shape[-1]
        return torch.bmm(wide, weight.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor]:
        wide, weight = ctx.saved_tensors
        of_rows = torch.bmm(gradient, weight[..., : ctx.inputs]) if ctx.needs_input_grad[0] else None
        return of_rows, torch.bmm(gradient.transpose(1, 2), wide)


def joined(network: ModuleT, dtype: torch.dtype | None = None) -> ModuleT:
    """The network with `JoinedLinear` for linear layers, in `dtype` or the one that they have; all else is shared."""
    found = _joined(network, dtype)
    refresh(found)
    return found


def joined_layers(network: nn.Module) -> Iterator[JoinedLinear]:
    """Those of a network that `joined` made."""
    return (module for module in network.modules() if isinstance(module, JoinedLinear))


@torch.no_grad()
def refresh(network: nn.Module) -> None:
    """Take the masters' weights."""
    into = [view for layer in joined_layers(network) for view in layer.parts(layer.weight)]
    torch._foreach_copy_(into, [master for layer in joined_layers(network) for master in layer.masters])


def _joined(network: ModuleT, dtype: torch.dtype | None) -> ModuleT:
    if isinstance(network, nn.Linear | StackedLinear):
        return cast(ModuleT, JoinedLinear(network, dtype))
    found = copy.copy(network)
    # a copy shares the dictionary of its children
    found._modules = {k: None if child is None else _joined(child, dtype) for k, child in network._modules.items()}
    return found
