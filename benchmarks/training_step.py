"""Training step of a diffusion transformer beside the plain formulation of it, at the same shapes, in turns.

    python benchmarks/training_step.py --model DiT-B --batch 4
    python benchmarks/training_step.py --model DiT-XL --batch 256 --compile        # what a large GPU is for
    python benchmarks/training_step.py --model DiT-XL --batch 256 --rows bfloat16 --compile model --attention cudnn

`plain` is the step of the public SiT trainer: float32 with TF32 turned on, as its train.py does and REPA's with
`--allow-tf32` (it counts on a GPU alone), eager, separate scale and shift of every block, AdamW as torch makes it by
default (`foreach`, all tensors at once, on a GPU), and the exponential moving average as a Python loop over the named
parameters. `lrcore` is the step that a study takes: bfloat16 autocast with float32 weights, fused AdamW, the average in
one multi-tensor operation, no wait for the device between steps; with `--compile` one more row has its blocks go
through torch.compile, with `--compile model` the model as a whole. `--attention` asks for one backend of torch's
attention in the rows in bfloat16; the others leave the choice to torch. The row in float32 is without TF32. All
draw times and noise on the device and train on the same latents.

MFU, the share of the device's peak that goes into the model's own arithmetic (Chowdhery et al. 2022, arXiv 2204.02311):

    MFU = images per second x 3 x F / peak

with F the multiply-adds of one image's forward pass, counted twice each (a multiplication and an addition) over all
matrix products, attention's included; a backward pass costs twice the forward one, hence 3. No product is counted
twice, whatever is computed twice. The peak is NVIDIA's for dense bfloat16, of devices listed here; for others MFU stays
blank unless `--peak` gives it. `--json` keeps what is printed, with the processor and how busy it was when this began.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import mse_loss, scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode

from lrcore.flow.linear import Linear
from lrcore.flow.objective import Batch, FlowMatching, draw
from lrcore.flow.shapes import SHAPES
from lrcore.flow.stacking import stack
from lrcore.flow.timesteps import density
from lrcore.flow.transformer import DiffusionTransformer, compile_blocks, parameter_count
from lrcore.runtime.numerical_path import numerical_path
from lrcore.training.checkpoints import TrainingState

PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12}
"""Dense bfloat16 operations per second, from NVIDIA's data sheets (SXM)."""

ATTENTION = {
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}
"""Backends of attention by the names that `--attention` takes beside "default", torch's own choice."""

COMPILED = ("none", "blocks", "model")

CLASSES = 1000
DECAY = 0.9999
DENSITY = density("ln", 1.0)


def forward_flops(name: str, tokens: int, channels: int) -> float:
    """Of one image."""
    side = int(tokens**0.5)
    with torch.device("meta"):
        model = DiffusionTransformer(SHAPES[name], channels, (side, side), CLASSES)
        inputs = torch.zeros(1, tokens, channels), torch.zeros(1), torch.zeros(1, dtype=torch.long)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(*inputs)
    return counter.get_total_flops()


def plain_step(model: DiffusionTransformer, batch: Batch) -> Callable[[], None]:
    """float32 with TF32, eager, PyTorch's linear layers, AdamW by default, the average in Python."""
    for layer in model.modules():
        if isinstance(layer, Linear):
            layer.__class__ = nn.Linear
    average = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0)

    def step() -> None:
        with _tf32():
            advance()

    def advance() -> None:
        t = torch.sigmoid(torch.randn(len(batch.tokens), device=batch.tokens.device))
        noise = torch.randn_like(batch.tokens)
        dropped = torch.rand(len(t), device=t.device) < 0.1
        noisy = (1 - t[:, None, None]) * batch.tokens + t[:, None, None] * noise
        labels = torch.where(dropped, CLASSES, batch.labels)
        loss = mse_loss(model(noisy, t, labels).velocity, noise - batch.tokens)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                average[name].mul_(DECAY).add_(parameter.data, alpha=1 - DECAY)

    return step


@contextlib.contextmanager
def _tf32() -> Iterator[None]:
    """Matrix products and convolutions of float32 on a GPU with 10 bits of the factors."""
    switches = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [switch.allow_tf32 for switch in switches]
    for switch in switches:
        switch.allow_tf32 = True
    try:
        yield
    finally:
        for switch, was in zip(switches, before, strict=True):
            switch.allow_tf32 = was


def lrcore_step(
    models: list[DiffusionTransformer], batch: Batch, precision: str, attention: str = "default"
) -> Callable[[], None]:
    """The step of a study, of one run or of a stack; `attention`, one of `ATTENTION`, forward and backward."""
    objective = stack([FlowMatching(model, precision=precision) for model in models])
    state = TrainingState.start(objective, 1e-4, DECAY)
    randomness = torch.Generator(batch.tokens.device)

    def step() -> None:
        drawn = draw(batch, [DENSITY] * len(models), CLASSES, 0.1, randomness)
        with backend(attention):
            state.advance(state.model(drawn).objective.view(len(models), -1).mean(1).sum())

    return step


def backend(attention: str) -> contextlib.AbstractContextManager[None]:
    """Inside, torch's attention is by this one of `ATTENTION`; by what torch chooses for "default"."""
    return contextlib.nullcontext() if attention == "default" else sdpa_kernel(ATTENTION[attention])


def attention_backends(name: str, tokens: int, device: str) -> list[str]:
    """Those of `ATTENTION` that take a step of a transformer's attention in bfloat16 on a device."""
    shape = SHAPES[name]
    parts = torch.zeros(1, shape.heads, tokens, shape.width // shape.heads, dtype=torch.bfloat16, device=device)

    def runs(attention: str) -> bool:
        try:
            with backend(attention), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch warns of each backend that it cannot take
                scaled_dot_product_attention(*[parts.requires_grad_()] * 3).sum().backward()
        except RuntimeError:  # no kernel for this device, number format or width of a head
            return False
        return True

    return ["default", *(attention for attention in ATTENTION if runs(attention))]


def in_turns(steps: dict[str, Callable[[], None]], rounds: int, wait: Callable[[], None]) -> dict[str, list[float]]:
    """Seconds of each, round after round; the first two rounds do not count."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(rounds + 2):
        for name, step in steps.items():
            wait()
            start = time.perf_counter()
            step()
            wait()
            if turn > 1:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def parsed(arguments: list[str]) -> argparse.Namespace:
    """The options; exits with a message where one cannot be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="DiT-B", choices=sorted(SHAPES))
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--channels", type=int, default=16, help="of a token")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument(
        "--compile", nargs="?", const="blocks", default="none", choices=COMPILED,
        help="one more row with the blocks, or the whole model, compiled (without a value: the blocks)",
    )  # fmt: skip
    parser.add_argument(
        "--attention", default="default", choices=["default", *ATTENTION],
        help="backend of torch's attention in the rows in bfloat16 (default: torch's choice)",
    )  # fmt: skip
    parser.add_argument("--stack", type=int, default=0, help="one more row: so many runs as a stack")
    parser.add_argument("--rows", nargs="+", default=[""], help="only rows with one of these in their names")
    parser.add_argument("--peak", type=float, help="operations per second of the device in bfloat16")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures here, too")
    args = parser.parse_args(arguments)
    if args.attention != "default":
        allowed = attention_backends(args.model, args.tokens, args.device)
        if args.attention not in allowed:
            parser.error(
                f"attention '{args.attention}' does not run on '{args.device}' with {args.model} in bfloat16; "
                f"allowed: {', '.join(allowed)}"
            )
    return args


def makers(args: argparse.Namespace, batch: Batch) -> dict[str, tuple[int, Callable[[], Callable[[], None]]]]:
    """By the name of a row how many runs its step trains, and what makes the step."""
    side = int(args.tokens**0.5)

    def model(compiled: str = "none") -> DiffusionTransformer:
        torch.manual_seed(0)
        whole = DiffusionTransformer(SHAPES[args.model], args.channels, (side, side), CLASSES).to(args.device)
        if compiled == "blocks":
            compile_blocks(whole)
        elif compiled == "model":
            whole.compile()
        return whole

    def low(models: list[DiffusionTransformer]) -> Callable[[], None]:
        return lrcore_step(models, batch, "bfloat16", args.attention)

    found: dict[str, tuple[int, Callable[[], Callable[[], None]]]] = {
        "plain": (1, lambda: plain_step(model(), batch)),
        "lrcore, float32": (1, lambda: lrcore_step([model()], batch, "float32")),
        "lrcore, bfloat16": (1, lambda: low([model()])),
    }
    if args.compile != "none":
        name = "compiled" if args.compile == "blocks" else "compiled whole"
        found[f"lrcore, bfloat16, {name}"] = (1, lambda: low([model(args.compile)]))
    if args.stack:
        stacked = (args.stack, lambda: low([model() for _ in range(args.stack)]))
        found[f"lrcore, bfloat16, stack of {args.stack}"] = stacked
    return {name: maker for name, maker in found.items() if any(part in name for part in args.rows)}


def main(arguments: list[str]) -> None:
    """Measure and print."""
    args = parsed(arguments)
    cuda, busy = args.device == "cuda", os.getloadavg()[0]
    side = int(args.tokens**0.5)
    tokens = torch.randn(args.batch, args.tokens, args.channels, device=args.device)
    batch = Batch(tokens, torch.randint(CLASSES, (args.batch,), device=args.device))
    rows = makers(args, batch)
    steps = {name: make() for name, (_, make) in rows.items()}
    seconds = in_turns(steps, args.rounds, torch.cuda.synchronize if cuda else lambda: None)

    flops = forward_flops(args.model, args.tokens, args.channels)
    device = torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads"
    peak = args.peak or next((value for key, value in PEAKS.items() if cuda and key in device), None)
    with torch.device("meta"):
        parameters = parameter_count(DiffusionTransformer(SHAPES[args.model], args.channels, (side, side), CLASSES))
    print(f"{args.model}, {parameters / 1e6:.1f} M parameters, {args.tokens} tokens, batch {args.batch}")
    print(f"{device}; Python {platform.python_version()}, torch {torch.__version__}; attention: {args.attention}")
    print(f"forward pass {flops / 1e9:.2f} GFLOP an image; medians of {args.rounds} rounds in turns")
    print(f"{'step':<34}{'ms':>10}{'im/s':>10}{'ratio':>8}{'TFLOP/s':>10}{'MFU':>8}")
    plain, told = statistics.median(seconds.get("plain", [math.nan])), []
    for name, measured in seconds.items():
        each = statistics.median(measured) / rows[name][0]
        rate = args.batch / each
        told.append({"step": name, "ms": each * 1e3, "images_a_second": rate,
                     "ratio": None if math.isnan(plain) else plain / each})  # fmt: skip
        mfu = f"{3 * flops * rate / peak:>8.1%}" if peak else f"{'':>8}"
        print(f"{name:<34}{each * 1e3:>10.1f}{rate:>10.1f}{plain / each:>8.2f}{3 * flops * rate / 1e12:>10.2f}{mfu}")
    if args.json:
        keep(args, device, busy, told)


def keep(args: argparse.Namespace, device: str, busy: float, rows: list[dict[str, object]]) -> None:
    """Write the figures to `args.json`; `busy`: the mean number of running processes before."""
    options = {name: value for name, value in vars(args).items() if name != "json"}
    told = {
        "benchmark": "training step", "options": options, "device": device, "load_before": busy,
        "computed_on": numerical_path(torch.device(args.device), "float32"), "python": platform.python_version(),
        "rows": rows,
    }  # fmt: skip
    args.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
