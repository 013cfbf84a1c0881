"""Weights of public diffusion transformers (SiT, REPA, DiT) in our transformer, and ours in their layout.

    model = load_public("SiT-XL-2-256x256.pt", time="data_at_1", classes=1000)

The blocks and most names are the same. What differs: the patch convolution is our linear layer on tokens; rows of the
last layer come as (row, column, channel), ours as (channel, row, column); a learned variance, which velocity models do
not use, doubles the channels; and time. `data_at_1` is SiT's (Ma et al. 2024, arXiv 2401.08740, whose code has the
data at t = 1 and the velocity x - eps); `data_at_0` is REPA's (Yu et al. 2024, arXiv 2410.06940) and ours, with the
data at t = 0 and the velocity eps - x. One is the other's mirror image,

    v(x, t) = -v'(x, 1 - t),

which is exact in the weights: the mirror turns each pair (cos, sin) of the time features, and the turn goes into the
first layer that reads them; the sign goes into the last layer.

The public label table has a row more than there are classes, for "no class", where labels were dropped in training; in
DiT's and SiT's code it has none where `class_dropout_prob` is 0. The shapes alone do not tell which: `classes` does.

Checkpoints of DiT proper (Peebles & Xie 2023, arXiv 2212.09748) have the same names and predict noise at integer steps:
nothing in the file tells. They load as a start for training, not as a velocity.
"""

from __future__ import annotations

import argparse
import math
import pickle
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from lrcore.errors import LrcoreError, unknown
from lrcore.flow.shapes import SHAPES, TransformerShape
from lrcore.flow.transformer import DiffusionTransformer

TIMES = ("data_at_0", "data_at_1")
"""Which end of time the data are at: REPA's and ours, or SiT's."""

_WRAPPERS = ("ema", "model", "module", "state_dict")
"""Where checkpoints of public trainers keep the weights, best first."""

_WRAPPERS_DEPTH = 4
"""How many of them may stand inside one another."""

_PREFIXES = frozenset({"module", "_orig_mod", "model"})
"""Parts of names that DistributedDataParallel, torch.compile and modules around the model add, in any order."""

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


def load_public(path: Path | str, time: str, classes: int | None = None) -> DiffusionTransformer:
    """The transformer in a public checkpoint: safetensors, or a `.pt` file of tensors and plain values.

    The averaged weights (`ema`) are taken where the file has them; where `ema` holds nothing of the model, the next of
    `ema`, `model`, `module` and `state_dict` is taken, with a warning. A `.pt` file is read without running code of
    it; beside tensors it may hold the parsed arguments (`argparse.Namespace`) that the trainers of DiT, SiT and REPA
    store. `classes` is as in `from_public`; without it, the stored arguments' `num_classes` counts where it fits.

    Raises:
        LrcoreError: no such file, a damaged one, one that holds more than tensors or no weights, or as `from_public`.
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
        state = _unwrapped(content)
        return from_public(state, time, _stored_classes(content, state) if classes is None else classes)
    except LrcoreError as error:
        raise LrcoreError(f"'{path}': {error}") from error


def from_public(state: Mapping[str, Tensor], time: str, classes: int | None = None) -> DiffusionTransformer:
    """The transformer of a public state dict; its size, patch and grid are read off the shapes.

    Args:
        state: names and shapes of SiT's and DiT's code, with or without a learned variance; any float type, any device.
            Parts of names that wrappers add (`module.`, `_orig_mod.`, `model.`) are left out.
        time: one of `TIMES`.
        classes: number of classes. The label table has one row more, for "no class", or, of a model trained without
            label dropout, as many. Without it the last row is taken for "no class", and a warning says so.

    Returns:
        A model in float32 on the CPU, in evaluation mode, whose tokens hold C * patch^2 channels in the order of
        `autoencoders.patches.to_tokens`. Its positions are the exact table, without the rounding that averaging left
        in the saved one. One without a row for "no class" has `label_dropout` False and cannot be guided.

    Raises:
        LrcoreError: another architecture (missing or unexpected names, shapes that do not fit), weights that are no
            floating-point numbers or not finite, positions that are not the sine-cosine ones of a square grid,
            `classes` that the label table does not fit, or an unknown `time`.
    """
    if time not in TIMES:
        raise unknown("time", time, TIMES)
    state = {name: tensor for name, tensor in _named(state).items() if not name.startswith(_TRAINING_ONLY)}
    shape, channels, patch, grid = _size(state)
    labels, label_dropout = _labels(len(state["y_embedder.embedding_table.weight"]), classes)
    size = shape, channels * patch**2, grid, labels
    learned_variance = len(state["final_layer.linear.weight"]) == 2 * channels * patch**2
    with torch.device("meta"):
        empty = DiffusionTransformer(*size, label_dropout=label_dropout)
        layout = to_public(empty, time, patch, learned_variance)
    _check_layout(state, layout)
    state = _numbers(state)
    model = DiffusionTransformer(*size, label_dropout=label_dropout)
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


def _named(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by their names without the parts that wrappers add."""
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor):
            raise LrcoreError(f"'{name}' is a {type(tensor).__name__}, not a tensor; found {_some(state)}")
        plain = _without_prefixes(name)
        if plain in found:
            raise LrcoreError(f"several tensors are called '{plain}' once prefixes are left out; found {_some(state)}")
        found[plain] = tensor
    return found


def _without_prefixes(name: object) -> str:
    return ".".join(part for part in str(name).split(".") if part not in _PREFIXES)


def _some(names: Iterable[object]) -> str:
    """A few of the names, and how many more there are."""
    listed = [repr(str(name)) for name in names]
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return (", ".join(listed[:3]) or "no names at all") + more


def _labels(rows: int, classes: int | None) -> tuple[int, bool]:
    """Number of classes of a label table of so many rows, and whether its last row stands for "no class"."""
    if classes is None:
        warnings.warn(
            f"the label table has {rows} rows: the last is taken for 'no class', which leaves {rows - 1} classes; "
            f"classes={rows} if the model was trained without label dropout, classes={rows - 1} if with it",
            stacklevel=3,
        )
        return rows - 1, True
    if isinstance(classes, bool) or classes not in (rows, rows - 1):
        raise LrcoreError(
            f"classes={classes!r} does not fit the label table of {rows} rows; allowed: {rows - 1} (the last row "
            f"stands for 'no class'), {rows} (trained without label dropout)"
        )
    return int(classes), int(classes) < rows


def _numbers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights in float32 on the CPU."""
    others = [f"{name} ({tensor.dtype})" for name, tensor in state.items() if not tensor.is_floating_point()]
    if others:
        raise LrcoreError(f"weights must be floating-point numbers: {_some(others)}")
    found = {name: tensor.detach().to("cpu", torch.float32) for name, tensor in state.items()}
    broken = [name for name, tensor in found.items() if not tensor.isfinite().all()]
    if broken:
        raise LrcoreError(f"weights must be finite in float32, NaN or infinite: {_some(broken)}")
    return found


def _size(state: Mapping[str, Tensor]) -> tuple[TransformerShape, int, int, tuple[int, int]]:
    """Shape, channels and patch of the latent, and token grid."""
    absent = [name for name in _TELLING if name not in state]
    if absent:
        raise LrcoreError(f"not a checkpoint of SiT or DiT: {', '.join(absent)} missing; found {_some(state)}")
    for name, axes in _TELLING.items():
        if state[name].ndim != axes or not state[name].numel():
            raise LrcoreError(f"'{name}' has shape {tuple(state[name].shape)}, not one of {axes} axes")
    width, channels, patch, _ = state["x_embedder.proj.weight"].shape
    count = state["pos_embed"].shape[1]
    side = math.isqrt(count)
    if side**2 != count:
        raise LrcoreError(f"{count} positions are no square grid")
    shape = _shape(width, sum(name.endswith("attn.qkv.weight") for name in state))
    return shape, channels, patch, (side, side)


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


def _unwrapped(content: Any) -> Mapping[str, Tensor]:
    """The state dict inside a checkpoint: the first that holds anything of the model, else the first of tensors."""
    candidates = list(_candidates(content))
    ours = [(where, state) for where, state in candidates if _TELLING.keys() & {*map(_without_prefixes, state)}]
    for where, state in ours or candidates:
        if state and (ours or all(isinstance(value, Tensor) for value in state.values())):
            if where != (first := candidates[0])[0]:
                warnings.warn(
                    f"'{first[0]}' holds no weights of the model (found {_some(first[1])}): those of "
                    f"'{where or 'the file itself'}' are taken",
                    stacklevel=3,
                )
            return state
    found = _some(content) if isinstance(content, Mapping) else f"a {type(content).__name__}"
    raise LrcoreError(
        f"no state dict of tensors, neither at the top nor under {', '.join(_WRAPPERS)}; found {found}"
        + "".join(f"; under '{where}' {_some(state)}" for where, state in candidates if where)
    )


def _candidates(content: Any, where: str = "", depth: int = 0) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    """Every mapping that may be the state dict, with the wrappers it stands under, best first."""
    if not isinstance(content, Mapping) or depth > _WRAPPERS_DEPTH:
        return
    for key in _WRAPPERS:
        yield from _candidates(content.get(key), f"{where}.{key}".removeprefix("."), depth + 1)
    yield where, content


def _stored_classes(content: Any, state: Mapping[str, Tensor]) -> int | None:
    """`num_classes` of the trainer's arguments in a checkpoint, where the label table has as many rows or one more."""
    arguments = content.get("args") if isinstance(content, Mapping) else None
    named = vars(arguments) if isinstance(arguments, argparse.Namespace) else arguments
    classes = named.get("num_classes") if isinstance(named, Mapping) else None
    if isinstance(classes, bool) or not isinstance(classes, int):
        return None
    rows = [
        len(table)
        for name, table in state.items()
        if _without_prefixes(name) == "y_embedder.embedding_table.weight" and isinstance(table, Tensor) and table.ndim
    ]
    return classes if set(rows) & {classes, classes + 1} else None
