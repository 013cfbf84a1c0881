"""From JPEG files to stored latents: decoding beside torchvision's ImageFolder and DataLoader, then the encoder.

    python benchmarks/encoding.py --images 256 --size 256

Files are photographs of scikit-image, cut at random to 500 x 375 px, ImageNet's usual size. `torchvision` resizes the
shorter side by Pillow's antialiased bicubic filter and crops, in as many worker processes as there are cores; `lrcore`
crops by ADM's rule in threads, as `lrcore.datasets` does for every large set. Below twice the size the rules agree;
larger images ADM halves by box averaging first. The mean difference of a pixel is told.

The encoder is an AutoencoderKL of SD's size with random weights, run as diffusers runs it (float32) and as a study
fills its latent shards, in float32 and bfloat16; posterior mean and deviation are stored. `store` is from files to
shards on disk, decoding ahead of the encoder.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy
import skimage.data
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, PILToTensor, Resize

from lrcore.autoencoders.kl import KLAutoencoder
from lrcore.datasets.folders import FolderImages
from lrcore.datasets.images import to_float
from lrcore.datasets.lazy import LazyImages
from lrcore.stages.latent_shards import ShardPlan, ensure_shards

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
BATCH = 64


def write_photographs(folder: Path, count: int) -> list[str]:
    """JPEG files of 500 x 375 px; their names."""
    draw = numpy.random.default_rng(0)
    (folder / "class").mkdir(parents=True)
    names = []
    for number in range(count):
        photograph = getattr(skimage.data, PHOTOGRAPHS[number % len(PHOTOGRAPHS)])
        whole = Image.fromarray(photograph()).resize((750, 563))
        left, top = draw.integers(0, 250), draw.integers(0, 188)
        names.append(f"class/{number:05d}.jpg")
        whole.crop((left, top, left + 500, top + 375)).save(folder / names[-1], quality=90)
    return names


def sd_sized() -> AutoencoderKL:
    """Randomly initialised."""
    widths = (128, 256, 512, 512)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=widths,
        layers_per_block=2,
        latent_channels=4,
        sample_size=256,
    ).eval()


def of_torchvision(folder: Path, size: int) -> Iterator[Tensor]:
    """Batches of pixels."""
    steps = [Resize(size, InterpolationMode.BICUBIC), CenterCrop(size), PILToTensor()]
    loader = DataLoader(ImageFolder(str(folder), Compose(steps)), BATCH, num_workers=os.cpu_count() or 1)
    for pixels, _ in loader:
        yield pixels


def timed(batches: Iterator[Tensor]) -> tuple[Tensor, float]:
    """All of them, and seconds."""
    start = time.perf_counter()
    return torch.cat(list(batches)), time.perf_counter() - start


def synchronised(device: str) -> float:
    """The time when the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


@torch.no_grad()
def encoding_seconds(model: AutoencoderKL, pixels: Tensor, device: str) -> dict[str, float]:
    """Of the encoders in turns, chunk by chunk, after one that does not count."""
    ways = {"diffusers, float32": lambda chunk: model.encode(to_float(chunk.to(device))).latent_dist.parameters.cpu()}
    for precision in ("float32", "bfloat16"):
        autoencoder = KLAutoencoder(model, pixels.shape[-1], patch=2, precision=precision)
        ways[f"lrcore, {precision}"] = lambda chunk, ours=autoencoder: [part.cpu() for part in ours.posterior(chunk)]
    seconds = dict.fromkeys(ways, 0.0)
    chunks = pixels.split(16 if device == "cuda" else 2)
    for chunk, counts in [(chunks[0], False), *((chunk, True) for chunk in chunks)]:
        for name, encode in ways.items():
            start = synchronised(device)
            encode(chunk)
            seconds[name] += (synchronised(device) - start) * counts
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--encoded", type=int, default=10, help="images for the encoder, of these")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()

    device = torch.cuda.get_device_name() if args.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{device}; {os.cpu_count()} cores; Python {platform.python_version()}, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        names = write_photographs(folder / "images", args.images)
        lazy = LazyImages(
            FolderImages(folder / "images", names, torch.zeros(len(names))), torch.arange(len(names)), args.size
        )
        for _ in range(2):  # the files are in memory the second time
            theirs, their_seconds = timed(of_torchvision(folder / "images", args.size))
            ours, our_seconds = timed(lazy.split(BATCH))
        difference = (theirs.float() - ours.float()).abs().mean().item()
        print(f"{'decoding':<24}{'im/s':>10}{'ratio':>8}   mean difference of a pixel {difference:.2f}")
        for name, seconds in (("torchvision", their_seconds), ("lrcore", our_seconds)):
            print(f"{name:<24}{len(names) / seconds:>10.1f}{their_seconds / seconds:>8.2f}")

        model, some = sd_sized().to(args.device), ours[: args.encoded]
        encoded = encoding_seconds(model, some, args.device)
        print(f"{'encoding':<24}{'im/s':>10}{'ratio':>8}")
        for name, seconds in encoded.items():
            print(f"{name:<24}{len(some) / seconds:>10.2f}{encoded['diffusers, float32'] / seconds:>8.2f}")

        plan = ShardPlan(folder / "shards", len(some), "float16", False)
        start = time.perf_counter()
        autoencoder = KLAutoencoder(model, args.size, patch=2, precision="bfloat16")
        ensure_shards(plan, autoencoder, lazy.narrow(0, 0, len(some)), "SD's size", lambda: None)
        print(f"{'store, bfloat16':<24}{len(some) / (time.perf_counter() - start):>10.2f}")


if __name__ == "__main__":
    main()
