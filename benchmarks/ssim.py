"""Throughput of lrcore's SSIM and PSNR beside scikit-image's, over the same images in the same process.

    python benchmarks/ssim.py --images 1000 --size 256

Half of the pairs are random crops of scikit-image's photographs and the same crops after JPEG at a random quality, the
other half crops and the same with Gaussian noise. Each library measures all of them once a round, the two taking
turns, and the medians over the rounds are reported, so that what else runs on the machine weighs on both. The images
are decoded and in memory before the clock starts. scikit-image takes one image a call, on one core; lrcore takes the
whole batch, on as many cores as torch uses. `CPU` is the ratio of processor time summed over cores: what is left of
the ratio when both have one core. `max difference` is over all images, in dB for PSNR.
"""

from __future__ import annotations

import argparse
import io
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
import skimage
import skimage.data
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lrcore.metrics.reconstruction import psnr, ssim

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")


def image_pairs(count: int, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (count, 3, size, size): crops, and the same with JPEG's artefacts or with noise in turns."""
    generator = np.random.default_rng(seed)
    photographs = [Image.fromarray(getattr(skimage.data, name)()) for name in PHOTOGRAPHS]
    clean = np.empty((count, size, size, 3), np.uint8)
    spoilt = np.empty_like(clean)
    for i in range(count):
        photograph = photographs[generator.integers(len(photographs))]
        if min(photograph.size) < size:
            scale = size / min(photograph.size)
            photograph = photograph.resize([round(side * scale) for side in photograph.size], Image.Resampling.BICUBIC)
        left, top = (int(generator.integers(side - size + 1)) for side in photograph.size)
        crop = photograph.crop((left, top, left + size, top + size))
        clean[i] = crop
        if i % 2:
            noise = generator.normal(scale=generator.uniform(1, 20), size=clean[i].shape)
            spoilt[i] = np.clip(clean[i] + noise, 0, 255).round()
        else:
            file = io.BytesIO()
            crop.save(file, "JPEG", quality=int(generator.integers(10, 96)))
            spoilt[i] = Image.open(file)
    return tuple(np.ascontiguousarray(images.transpose(0, 3, 1, 2)) for images in (clean, spoilt))


def scikit_ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(B,) by the options that lrcore's SSIM_PROTOCOL states."""
    options = {"data_range": 255, "channel_axis": 0, "gaussian_weights": True, "sigma": 1.5}
    return np.array(
        [structural_similarity(x, y, use_sample_covariance=False, **options) for x, y in zip(a, b, strict=True)]
    )


def scikit_psnr(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(B,) in dB."""
    return np.array([peak_signal_noise_ratio(x, y, data_range=255) for x, y in zip(a, b, strict=True)])


def timed(measure: Callable[[], np.ndarray]) -> tuple[tuple[float, float], np.ndarray]:
    """Seconds on the clock and of processor time, and the result, of one call."""
    start = time.perf_counter(), time.process_time()
    result = measure()
    return (time.perf_counter() - start[0], time.process_time() - start[1]), result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--size", type=int, default=256, help="pixels a side")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()

    a, b = image_pairs(args.images, args.size)
    x, y = torch.from_numpy(a), torch.from_numpy(b)
    print(
        f"{args.images} pairs of {args.size} px RGB, {args.rounds} rounds, {torch.get_num_threads()} threads of torch"
    )
    print(
        f"Python {platform.python_version()}, torch {torch.__version__}, scikit-image {skimage.__version__}, "
        f"NumPy {np.__version__}"
    )
    print(f"{'metric':8}{'scikit-image':>16}{'lrcore':>16}{'ratio':>8}{'CPU':>8}{'max difference':>17}")
    for name, theirs, ours in (("SSIM", scikit_ssim, ssim), ("PSNR", scikit_psnr, psnr)):
        theirs(a[:2], b[:2]), ours(x[:2], y[:2])
        seconds: dict[str, list[tuple[float, float]]] = {"theirs": [], "ours": []}
        for _ in range(args.rounds):
            elapsed, expected = timed(lambda theirs=theirs: theirs(a, b))
            seconds["theirs"].append(elapsed)
            elapsed, found = timed(lambda ours=ours: ours(x, y).numpy())
            seconds["ours"].append(elapsed)
        speed = {who: args.images / statistics.median(wall for wall, _ in values) for who, values in seconds.items()}
        processor = {who: statistics.median(cpu for _, cpu in values) for who, values in seconds.items()}
        ratio = speed["ours"] / speed["theirs"]
        saved = processor["theirs"] / processor["ours"]
        print(
            f"{name:8}{speed['theirs']:>11.1f} im/s{speed['ours']:>11.1f} im/s{ratio:>8.1f}{saved:>8.1f}"
            f"{np.abs(found - expected).max():>17.1e}"
        )


if __name__ == "__main__":
    main()
