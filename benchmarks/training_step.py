"""Training step of a diffusion transformer beside the plain formulation of it, at the same shapes, in turns.

    python benchmarks/training_step.py --model DiT-B --batch 4
    python benchmarks/training_step.py --model DiT-XL --batch 256 --compile        # what a large GPU is for

`plain` is the step of the public SiT trainer: float32 with TF32 turned on, as its train.py does and REPA's with
`--allow-tf32` (it counts on a GPU alone), eager, separate scale and shift of every block, AdamW as torch makes it by
default (`foreach`, all tensors at once, on a GPU), and the exponential moving average as a Python loop over the named
parameters. `lrcore` is the step that a study takes: bfloat16 autocast with float32 weights, fused AdamW, the average in
one multi-tensor operation, no wait for the device between steps; with `--compile` the blocks go through torch.compile.
Its row in float32 is without TF32. All draw times and noise on the device and train on the same latents.

MFU, the share of the device's peak that goes into the model's own arithmetic (Chowdhery et al. 2022, arXiv 2204.02311):

    MFU = images per second x 3 x F / peak

with F the multiply-adds of one image's forward pass, counted twice each (a multiplication and an addition) over all
matrix products, attention's included; a backward pass costs twice the forward one, hence 3. No product is counted
twice, whatever is computed twice. The peak is NVIDIA's for dense bfloat16, of devices listed here; for others MFU stays
blank unless `--peak` gives it.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import platform
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn.functional import mse_loss
from torch.utils.flop_counter import FlopCounterMode

from lrcore.flow.linear import Linear
from lrcore.flow.objective import Batch, FlowMatching, draw
from lrcore.flow.shapes import SHAPES
from lrcore.flow.stacking import stack
from lrcore.flow.timesteps import density
from lrcore.flow.transformer import DiffusionTransformer, compile_blocks, parameter_count
from lrcore.training.checkpoints import TrainingState

PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12}
"""Dense bfloat16 operations per second, from NVIDIA's data sheets (SXM)."""

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


def lrcore_step(models: list[DiffusionTransformer], batch: Batch, precision: str) -> Callable[[], None]:
    """The step of a study, of one run or of a stack."""
    objective = stack([FlowMatching(model, precision=precision) for model in models])
    state = TrainingState.start(objective, 1e-4, DECAY)
    randomness = torch.Generator(batch.tokens.device)

    def step() -> None:
        drawn = draw(batch, [DENSITY] * len(models), CLASSES, 0.1, randomness)
        state.advance(state.model(drawn).objective.view(len(models), -1).mean(1).sum())

    return step


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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="DiT-B", choices=sorted(SHAPES))
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--channels", type=int, default=16, help="of a token")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--compile", action="store_true", help="one more row with the blocks compiled")
    parser.add_argument("--stack", type=int, default=0, help="one more row: so many runs as a stack")
    parser.add_argument("--rows", nargs="+", default=[""], help="only rows with one of these in their names")
    parser.add_argument("--peak", type=float, help="operations per second of the device in bfloat16")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()

    cuda = args.device == "cuda"
    side = int(args.tokens**0.5)
    tokens = torch.randn(args.batch, args.tokens, args.channels, device=args.device)
    batch = Batch(tokens, torch.randint(CLASSES, (args.batch,), device=args.device))

    def model() -> DiffusionTransformer:
        torch.manual_seed(0)
        return DiffusionTransformer(SHAPES[args.model], args.channels, (side, side), CLASSES).to(args.device)

    def compiled() -> DiffusionTransformer:
        whole = model()
        compile_blocks(whole)
        return whole

    makers = {
        "plain": lambda: plain_step(model(), batch),
        "lrcore, float32": lambda: lrcore_step([model()], batch, "float32"),
        "lrcore, bfloat16": lambda: lrcore_step([model()], batch, "bfloat16"),
    }
    runs = dict.fromkeys(makers, 1)
    if args.compile:
        makers["lrcore, bfloat16, compiled"] = lambda: lrcore_step([compiled()], batch, "bfloat16")
    if args.stack:
        name = f"lrcore, bfloat16, stack of {args.stack}"
        makers[name] = lambda: lrcore_step([model() for _ in range(args.stack)], batch, "bfloat16")
        runs[name] = args.stack
    steps = {name: make() for name, make in makers.items() if any(part in name for part in args.rows)}
    seconds = in_turns(steps, args.rounds, torch.cuda.synchronize if cuda else lambda: None)

    flops = forward_flops(args.model, args.tokens, args.channels)
    device = torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads"
    peak = args.peak or next((value for key, value in PEAKS.items() if cuda and key in device), None)
    with torch.device("meta"):
        parameters = parameter_count(DiffusionTransformer(SHAPES[args.model], args.channels, (side, side), CLASSES))
    print(f"{args.model}, {parameters / 1e6:.1f} M parameters, {args.tokens} tokens, batch {args.batch}")
    print(f"{device}; Python {platform.python_version()}, torch {torch.__version__}")
    print(f"forward pass {flops / 1e9:.2f} GFLOP an image; medians of {args.rounds} rounds in turns")
    print(f"{'step':<34}{'ms':>10}{'im/s':>10}{'ratio':>8}{'TFLOP/s':>10}{'MFU':>8}")
    plain = statistics.median(seconds.get("plain", [math.nan]))
    for name, measured in seconds.items():
        each = statistics.median(measured) / runs.get(name, 1)
        rate = args.batch / each
        mfu = f"{3 * flops * rate / peak:>8.1%}" if peak else f"{'':>8}"
        print(f"{name:<34}{each * 1e3:>10.1f}{rate:>10.1f}{plain / each:>8.2f}{3 * flops * rate / 1e12:>10.2f}{mfu}")


if __name__ == "__main__":
    main()
