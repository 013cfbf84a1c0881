"""Weights of public diffusion transformers (SiT, REPA, DiT) in our transformer, and ours in their layout.

    model = load_public("SiT-XL-2-256x256.pt", time="data_at_1")

The blocks and most names are the same. What differs: the patch convolution is our linear layer on tokens; rows of the
last layer come as (row, column, channel), ours as (channel, row, column); a learned variance, which velocity models do
not use, doubles the channels; and time. `data_at_1` is SiT's (Ma et al. 2024, arXiv 2401.08740, whose code has the
data at t = 1 and the velocity x - eps); `data_at_0` is REPA's (Yu et al. 2024, arXiv 2410.06940) and ours, with the
data at t = 0 and the velocity eps - x. One is the other's mirror image,

    v(x, t) = -v'(x, 1 - t),

which is exact in the weights: the mirror turns each pair (cos, sin) of the time features, and the turn goes into the
first layer that reads them; the sign goes into the last layer.

Checkpoints of DiT proper (Peebles & Xie 2023, arXiv 2212.09748) have the same names and predict noise at integer steps:
nothing in the file tells. They load as a start for training, not as a velocity.
"""

from __future__ import annotations

import argparse
import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from lrcore.errors import LrcoreError, unknown
from lrcore.flow.transformer import SHAPES, DiffusionTransformer, TransformerShape

TIMES = ("data_at_0", "data_at_1")
"""Which end of time the data are at: REPA's and ours, or SiT's."""

_WRAPPERS = ("ema", "model", "state_dict")
"""Where checkpoints of public trainers keep the weights, best first."""

_TRAINING_ONLY = "projectors."
"""REPA's projectors, which sampling does not use."""

_TELLING = {
    "x_embedder.proj.weight": 4,
    "pos_embed": 3,
    "y_embedder.embedding_table.weight": 2,
    "final_layer.linear.weight": 2,
}
"""Tensors that the size is read off, and how many axes each has."""

_POSITIONS_TOLERANCE = 5e-3
"""Largest deviation of a saved `pos_embed` from the table. The public trainers average it along with the weights, whose
rounding settles 2e-4 beside the table at a decay of 0.9999 and 1.3e-3 at 0.99999; bfloat16 files add 2e-3."""


def load_public(path: Path | str, time: str) -> DiffusionTransformer:
    """The transformer in a public checkpoint: safetensors, or a `.pt` file of tensors and plain values.

    The averaged weights (`ema`) are taken where the file has them. See `from_public`. A `.pt` file is read without
    running code of it; beside tensors it may hold the parsed arguments (`argparse.Namespace`) that the trainers of
    DiT, SiT and REPA store.

    Raises:
        LrcoreError: no such file, a damaged one, one that holds more than tensors, or as `from_public`.
    """
    path = Path(path)
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            with torch.serialization.safe_globals([argparse.Namespace]):
                content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise LrcoreError(f"no checkpoint at '{path}'") from error
    except pickle.UnpicklingError as error:
        raise LrcoreError(
            f"'{path}' holds more than tensors and plain values, or is damaged, and is not read, since that could run "
            "code: save its state dict alone"
        ) from error
    except Exception as error:  # the reader of .pt raises whatever damaged bytes lead it to
        raise LrcoreError(f"'{path}' is no readable checkpoint: {error!r}") from error
    try:
        return from_public(_unwrapped(content), time)
    except LrcoreError as error:
        raise LrcoreError(f"'{path}': {error}") from error


def from_public(state: Mapping[str, Tensor], time: str) -> DiffusionTransformer:
    """The transformer of a public state dict; its size, patch, classes and grid are read off the shapes.

    Args:
        state: names and shapes of SiT's and DiT's code, with or without a learned variance; any float type, any device.
        time: one of `TIMES`.

    Returns:
        A model in float32 on the CPU, in evaluation mode, whose tokens hold C * patch^2 channels in the order of
        `autoencoders.patches.to_tokens`. Its positions are the exact table, without the rounding that averaging left
        in the saved one.

    Raises:
        LrcoreError: another architecture (missing or unexpected names, shapes that do not fit), positions that are not
            the sine-cosine ones of a square grid, or an unknown `time`.
    """
    if time not in TIMES:
        raise unknown("time", time, TIMES)
    state = {
        name: tensor.detach().to("cpu", torch.float32)
        for name, tensor in state.items()
        if not name.startswith(_TRAINING_ONLY)
    }
    shape, channels, patch, grid, classes = _size(state)
    size = shape, channels * patch**2, grid, classes
    learned_variance = len(state["final_layer.linear.weight"]) == 2 * channels * patch**2
    with torch.device("meta"):
        layout = to_public(DiffusionTransformer(*size), time, patch, learned_variance)
    _check_layout(state, layout)
    model = DiffusionTransformer(*size)
    if not torch.allclose(state.pop("pos_embed"), model.pos_embed, rtol=0, atol=_POSITIONS_TOLERANCE):
        raise LrcoreError("pos_embed is not the sine-cosine table of the grid: a model with other positions")

    state["x_embedder.weight"] = state.pop("x_embedder.proj.weight").flatten(1)
    state["x_embedder.bias"] = state.pop("x_embedder.proj.bias")
    for name in ("final_layer.linear.weight", "final_layer.linear.bias"):
        rows = state[name].unflatten(0, (patch, patch, -1))[:, :, :channels]
        state[name] = rows.movedim(2, 0).flatten(0, 2)
    if time == "data_at_1":
        _mirror_time(state, model)
    model.load_state_dict(state)
    return model.eval()


def to_public(model: DiffusionTransformer, time: str, patch: int, learned_variance: bool = False) -> dict[str, Tensor]:
    """The state dict of `model` as the public code names and orders it: the inverse of `from_public`.

    Args:
        time: one of `TIMES`.
        patch: latent pixels a token spans in each direction.
        learned_variance: double the channels of the last layer, as the public SiT and DiT expect; the added rows are 0.

    Raises:
        LrcoreError: tokens that are no patches of that size, a grid that is not square or a linear skip (the public
            code knows neither), or an unknown `time`.
    """
    if time not in TIMES:
        raise unknown("time", time, TIMES)
    if model.skip is not None:
        raise LrcoreError("the model has a linear skip, which the public code does not know")
    if patch < 1 or model.channels % patch**2:
        raise LrcoreError(f"tokens of {model.channels} channels are no patches of {patch} x {patch}")
    if len(set(model.grid)) > 1:
        raise LrcoreError(f"a grid of {model.grid[0]} x {model.grid[1]} tokens is not square, as the public code needs")
    channels = model.channels // patch**2
    state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    if time == "data_at_1":
        _mirror_time(state, model)
    state["x_embedder.proj.weight"] = state.pop("x_embedder.weight").unflatten(1, (channels, patch, patch))
    state["x_embedder.proj.bias"] = state.pop("x_embedder.bias")
    for name in ("final_layer.linear.weight", "final_layer.linear.bias"):
        rows = state[name].unflatten(0, (channels, patch, patch)).movedim(0, 2)
        if learned_variance:
            rows = torch.cat([rows, torch.zeros_like(rows)], dim=2)
        state[name] = rows.flatten(0, 2)
    state["pos_embed"] = model.pos_embed.detach().clone()
    return state


def _size(state: Mapping[str, Tensor]) -> tuple[TransformerShape, int, int, tuple[int, int], int]:
    """Shape, channels and patch of the latent, token grid, and number of classes."""
    absent = [name for name in _TELLING if name not in state]
    if absent:
        raise LrcoreError(f"not a checkpoint of SiT or DiT: {', '.join(absent)} missing")
    for name, axes in _TELLING.items():
        if state[name].ndim != axes or not state[name].numel():
            raise LrcoreError(f"'{name}' has shape {tuple(state[name].shape)}, not one of {axes} axes")
    width, channels, patch, _ = state["x_embedder.proj.weight"].shape
    count = state["pos_embed"].shape[1]
    side = math.isqrt(count)
    if side**2 != count:
        raise LrcoreError(f"{count} positions are no square grid")
    shape = _shape(width, sum(name.endswith("attn.qkv.weight") for name in state))
    return shape, channels, patch, (side, side), len(state["y_embedder.embedding_table.weight"]) - 1


def _shape(width: int, depth: int) -> TransformerShape:
    for shape in SHAPES.values():
        if (shape.width, shape.depth) == (width, depth):
            return shape
    known = ", ".join(f"{name} ({shape.width}, {shape.depth})" for name, shape in SHAPES.items())
    raise LrcoreError(f"no known size has width {width} and {depth} blocks; allowed: {known}")


def _check_layout(state: Mapping[str, Tensor], layout: Mapping[str, Tensor]) -> None:
    """Names and shapes are those of `layout`."""
    missing, unexpected = sorted(layout.keys() - state.keys()), sorted(state.keys() - layout.keys())
    if missing or unexpected:
        raise LrcoreError(
            f"another architecture: missing {missing[:3] or 'nothing'}, unexpected {unexpected[:3] or 'nothing'}"
        )
    for name, tensor in state.items():
        if tensor.shape != layout[name].shape:
            raise LrcoreError(f"'{name}' has shape {tuple(tensor.shape)}, not {tuple(layout[name].shape)}")


def _mirror_time(state: dict[str, Tensor], model: DiffusionTransformer) -> None:
    """From v'(x, t) to -v'(x, 1 - t), in place; its own inverse. In float64, so that the turn is rounded once."""
    first, last = "t_embedder.mlp.0.weight", ("final_layer.linear.weight", "final_layer.linear.bias")
    # cos((1-t) f) = cos f cos(t f) + sin f sin(t f),  sin((1-t) f) = sin f cos(t f) - cos f sin(t f)
    turn = model.t_embedder.scale.double()
    by_cos, by_sin = state[first].double().chunk(2, dim=1)
    turned = [by_cos * turn.cos() + by_sin * turn.sin(), by_cos * turn.sin() - by_sin * turn.cos()]
    state[first] = torch.cat(turned, dim=1).float()
    for name in last:
        state[name] = -state[name]


def _unwrapped(content: Any) -> dict[str, Tensor]:
    """The state dict inside a checkpoint, without the prefix that data parallelism adds."""
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise LrcoreError(f"no state dict of tensors, neither at the top nor under {', '.join(_WRAPPERS)}")
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}
