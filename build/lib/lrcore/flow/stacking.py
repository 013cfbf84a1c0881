"""Several networks of one shape as one: their batches lie one after the other, their weights in a leading dimension.

A batch of a stack of S networks has S * B rows, those of the first network first. Layers with weights become batched
matrix products; everything else (norms without weights, attention, activations) takes rows as they come, so the
networks' own code runs unchanged. Each network's outputs and gradients depend on its own weights and rows alone, and
AdamW and the exponential moving average act on each number by itself: a stack trains to what its networks train to one
by one, to rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class StackedLinear(nn.Module):
    """S linear layers: rows (S * B, ..., in) to (S * B, ..., out), each network's by its own weights."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        biases = [layer.bias.detach() for layer in layers if layer.bias is not None]
        self.bias = nn.Parameter(torch.stack(biases)) if biases else None

    def forward(self, x: Tensor) -> Tensor:
        count, _, inputs = self.weight.shape
        rows = x.reshape(count, -1, inputs)
        weight = self.weight.transpose(1, 2)
        if self.bias is None:
            out = torch.bmm(rows, weight)
        elif torch.compiler.is_compiling():
            # a sum of its own is fused with what follows, where baddbmm writes the bias out and reads it back
            out = torch.bmm(rows, weight) + self.bias[:, None]
        else:
            out = torch.baddbmm(self.bias[:, None], rows, weight)
        return out.view(*x.shape[:-1], -1)


class StackedEmbedding(nn.Module):
    """S embedding tables: labels (S * B,) to (S * B, width), each network's from its own table."""

    def __init__(self, tables: Sequence[nn.Embedding]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([table.weight.detach() for table in tables]))

    def forward(self, labels: Tensor) -> Tensor:
        count, size, _ = self.weight.shape
        first = size * torch.arange(count, device=labels.device).repeat_interleave(len(labels) // count)
        return embedding(labels + first, self.weight.flatten(0, 1))


def stack(networks: Sequence[ModuleT]) -> ModuleT:
    """One network that does the work of all; a single one is returned as it is.

    Raises:
        TypeError: a layer with weights of its own is neither linear nor an embedding.
    """
    if len(networks) == 1:
        return networks[0]
    return _stacked(copy.deepcopy(networks[0]), networks)


def _stacked(into: ModuleT, networks: Sequence[nn.Module]) -> ModuleT:
    if isinstance(into, nn.Linear):
        return cast(ModuleT, StackedLinear(cast(Sequence[nn.Linear], networks)))
    if isinstance(into, nn.Embedding):
        return cast(ModuleT, StackedEmbedding(cast(Sequence[nn.Embedding], networks)))
    if any(True for _ in into.parameters(recurse=False)):
        raise TypeError(f"{type(into).__name__} has weights that a stack does not know how to apply")
    for name, child in into.named_children():
        setattr(into, name, _stacked(child, [getattr(network, name) for network in networks]))
    return into


def of_network(tensors: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
    """The part of network `number` of a stack's tensors by name; those without a leading dimension are all's."""
    return {name: tensor[number] if tensor.ndim else tensor for name, tensor in tensors.items()}


def of_stack(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The inverse of `of_network` over all networks."""
    first = parts[0]
    return {name: torch.stack([part[name] for part in parts]) if first[name].ndim else first[name] for name in first}
