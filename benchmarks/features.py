"""Throughput of the 2015 Inception's features beside torch-fidelity's own extractor: same weights, device and images.

    python benchmarks/features.py --images 256 --size 32

Both take uint8 batches, resize by TensorFlow 1's rule and give the 2048 pool features. They take turns, batch by batch,
and all batches of either are summed, so that what else runs on the machine weighs on both; the first batch of each
does not count. `largest difference` is over all features. `FID` is between the images and the same with Gaussian noise,
once with each extractor. `--json` keeps what is printed, with the processor and how busy it was when this began.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path

import torch
from torch import Tensor

from lrcore.assets import pretrained
from lrcore.datasets import cifar10
from lrcore.metrics.features import all_features, load_features, statistics_of
from lrcore.metrics.frechet import frechet_distance
from lrcore.metrics.inception import resize_tensorflow1
from lrcore.runtime.numerical_path import numerical_path


def images(count: int, size: int) -> Tensor:
    """uint8 (2 * count, 3, size, size): images of CIFAR-10's test split, and the same with noise."""
    clean = cifar10.load("test", count)[0]
    if size != clean.shape[-1]:
        clean = resize_tensorflow1(clean.float(), size).round().to(torch.uint8)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    return torch.cat([clean, (clean + 20 * noise).clamp(0, 255).to(torch.uint8)])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=256, help="clean ones; as many with noise")
    parser.add_argument("--size", type=int, default=32, help="pixels a side")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures here, too")
    args = parser.parse_args()
    busy = os.getloadavg()[0]

    pixels = images(args.images, args.size).to(args.device)
    theirs, ours = pretrained.inception2015().to(args.device), load_features("inception2015", args.device)
    extractors = {"torch-fidelity": lambda batch: theirs(batch)[0], "lrcore": lambda batch: all_features(ours, [batch])}
    seconds, features = dict.fromkeys(extractors, 0.0), {name: [] for name in extractors}
    with torch.no_grad():
        for extract in extractors.values():
            extract(pixels[: args.batch])
        for batch in pixels.split(args.batch):
            for name, extract in extractors.items():
                start = time.perf_counter()
                features[name].append(extract(batch).cpu())  # the copy waits for the device
                seconds[name] += time.perf_counter() - start

    device = torch.cuda.get_device_name() if args.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{len(pixels)} images of {args.size} px in batches of {args.batch}; {device}")
    print(f"Python {platform.python_version()}, torch {torch.__version__}")
    print(f"{'extractor':<16}{'im/s':>8}{'ratio':>8}{'FID':>14}")
    rows = []
    for name, parts in features.items():
        clean, noisy = torch.cat(parts).split(args.images)
        distance = frechet_distance(statistics_of(clean), statistics_of(noisy))
        rate, ratio = len(pixels) / seconds[name], seconds["torch-fidelity"] / seconds[name]
        rows.append({"extractor": name, "images_a_second": rate, "ratio": ratio, "fid": distance})
        print(f"{name:<16}{rate:>8.1f}{ratio:>8.2f}{distance:>14.5f}")
    difference = max(float((a - b).abs().max()) for a, b in zip(*features.values(), strict=True))
    print(f"largest difference of a feature: {difference:.1e}")
    if args.json:
        told = {
            "benchmark": "features", "images": len(pixels), "size": args.size, "batch": args.batch, "device": device,
            "computed_on": numerical_path(torch.device(args.device), "float32"), "load_before": busy,
            "python": platform.python_version(), "rows": rows, "largest_difference": difference,
        }  # fmt: skip
        args.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
