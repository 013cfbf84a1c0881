"""Sampling with a diffusion transformer beside diffusers' own, at the same shapes, steps and batch, in turns.

    python benchmarks/sampling.py --model DiT-S --batch 8 --steps 10
    python benchmarks/sampling.py --model DiT-XL --batch 250 --steps 50        # what a large GPU is for

`diffusers` is its DiTTransformer2DModel under FlowMatchEulerDiscreteScheduler, in float32 as its pipeline runs it;
`lrcore` is what a study does for its samples, with Euler steps. Weights are random: speed does not depend on them. The
noise of each image is drawn by its number in both. TFLOP/s and MFU count the transformer alone, as in
`training_step.py`.
"""

from __future__ import annotations

import argparse
import platform
import statistics
from collections.abc import Callable

import torch
from diffusers import DiTTransformer2DModel, FlowMatchEulerDiscreteScheduler
from torch import Tensor
from training_step import CLASSES, PEAKS, forward_flops, in_turns

from lrcore.flow.guidance import Guidance, guided
from lrcore.flow.sampling import integrate, sampler_grid, starting_noise
from lrcore.flow.shapes import SHAPES
from lrcore.flow.transformer import DiffusionTransformer, parameter_count

PATCH = 2


def diffusers_sampler(name: str, side: int, channels: int, batch: int, steps: int, device: str) -> Callable[[], Tensor]:
    """Samples (batch, channels / 4, 2 side, 2 side) by diffusers."""
    shape = SHAPES[name]
    model = DiTTransformer2DModel(
        num_attention_heads=shape.heads,
        attention_head_dim=shape.width // shape.heads,
        in_channels=channels // PATCH**2,
        out_channels=channels // PATCH**2,
        num_layers=shape.depth,
        sample_size=side * PATCH,
        patch_size=PATCH,
        num_embeds_ada_norm=CLASSES,
    )
    model = model.to(device).eval()
    labels = torch.zeros(batch, dtype=torch.long, device=device)

    @torch.no_grad()
    def sample() -> Tensor:
        scheduler = FlowMatchEulerDiscreteScheduler()
        scheduler.set_timesteps(sigmas=torch.linspace(1, 1 / steps, steps).tolist(), device=device)
        noise = starting_noise(0, range(batch), side * side, channels).to(device)
        x = noise.reshape(batch, channels // PATCH**2, side * PATCH, side * PATCH)
        for t in scheduler.timesteps:
            velocity = model(x, timestep=t.expand(batch), class_labels=labels).sample
            x = scheduler.step(velocity, t, x).prev_sample
        return x

    return sample


def lrcore_sampler(
    name: str, side: int, channels: int, batch: int, steps: int, device: str, precision: str
) -> Callable[[], Tensor]:
    """Samples (batch, side^2, channels) as a study draws them."""
    model = DiffusionTransformer(SHAPES[name], channels, (side, side), CLASSES).to(device).eval()
    velocity = guided(model, torch.zeros(batch, dtype=torch.long, device=device), Guidance(1.0))
    grid = sampler_grid("euler", steps, 1.0)

    @torch.no_grad()
    def sample() -> Tensor:
        noise = starting_noise(0, range(batch), side * side, channels).to(device)
        with torch.autocast(noise.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            return integrate("euler", velocity, noise, grid, 0, range(batch))

    return sample


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="DiT-S", choices=sorted(SHAPES))
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--channels", type=int, default=16, help="of a token, a multiple of 4")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peak", type=float, help="operations per second of the device in bfloat16")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()

    cuda, side = args.device == "cuda", int(args.tokens**0.5)
    shapes = args.model, side, args.channels, args.batch, args.steps, args.device
    samplers = {
        "diffusers, float32": diffusers_sampler(*shapes),
        "lrcore, float32": lrcore_sampler(*shapes, "float32"),
        "lrcore, bfloat16": lrcore_sampler(*shapes, "bfloat16"),
    }
    seconds = in_turns(samplers, args.rounds, torch.cuda.synchronize if cuda else lambda: None)

    flops = args.steps * forward_flops(args.model, args.tokens, args.channels)
    device = torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads"
    peak = args.peak or next((value for key, value in PEAKS.items() if cuda and key in device), None)
    with torch.device("meta"):
        model = DiffusionTransformer(SHAPES[args.model], args.channels, (side, side), CLASSES)
    print(f"{args.model}, {parameter_count(model) / 1e6:.1f} M parameters, {args.tokens} tokens, batch {args.batch}")
    print(f"{args.steps} Euler steps; {device}; Python {platform.python_version()}, torch {torch.__version__}")
    print(
        f"{'sampler':<24}{'im/s':>10}{'ratio':>8}{'TFLOP/s':>10}{'MFU':>8}   medians of {args.rounds} rounds in turns"
    )
    first = statistics.median(seconds["diffusers, float32"])
    for name, measured in seconds.items():
        each = statistics.median(measured)
        rate = args.batch / each
        mfu = f"{flops * rate / peak:>8.1%}" if peak else ""
        print(f"{name:<24}{rate:>10.3f}{first / each:>8.2f}{flops * rate / 1e12:>10.3f}{mfu}")


if __name__ == "__main__":
    main()
