"""Time of the Frechet distance between two sets of statistics beside scipy's matrix root and two public evaluators.

    python -m pip install -e '.[benchmarks]'
    python benchmarks/frechet.py --dim 2048 --rounds 3

Every function gets the same means and covariances in float64, as NumPy arrays or as `GaussianStatistics`, so nothing
but the distance is timed. The covariances decay as those of Inception features do; `--samples` below `--dim` makes
them singular. The functions take turns, and medians over the rounds are reported; `difference` is that from the
distance by singular values of the centred features, which needs no root of a matrix.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import platform
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
import scipy
import scipy.linalg
import torch
from pytorch_fid.fid_score import calculate_frechet_distance
from torch_fidelity.metric_fid import fid_statistics_to_metric

from lrcore.metrics.frechet import GaussianStatistics, frechet_distance

Side = tuple[np.ndarray, np.ndarray]


def features(samples: int, dim: int, seed: int) -> torch.Tensor:
    """Correlated features (samples, dim), float64, whose variances fall over four decades."""
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(dim, dim, generator=generator, dtype=torch.float64))[0]
    scales = torch.logspace(0, -2, dim, dtype=torch.float64)
    return torch.randn(samples, dim, generator=generator, dtype=torch.float64) * scales @ basis + 0.01 * seed


def by_singular_values(a: torch.Tensor, b: torch.Tensor) -> float:
    """The distance with tr((S_a S_b)^(1/2)) as the nuclear norm of A B^T, A and B the centred features."""
    shift = a.mean(0) - b.mean(0)
    a, b = ((x - x.mean(0)) / (len(x) - 1) ** 0.5 for x in (a, b))
    # the nuclear norm through triangular factors, so that it is taken of (dim, dim) at most
    triangles = [torch.linalg.qr(x, mode="r")[1] for x in (a, b)]
    nuclear = torch.linalg.svdvals(triangles[0] @ triangles[1].T).sum()
    return float(shift @ shift + (a**2).sum() + (b**2).sum() - 2 * nuclear)


def by_scipy(a: Side, b: Side) -> float:
    """With `scipy.linalg.sqrtm`, as most published evaluators do."""
    root = scipy.linalg.sqrtm(a[1] @ b[1])
    return float(((a[0] - b[0]) ** 2).sum() + np.trace(a[1]) + np.trace(b[1]) - 2 * np.trace(root).real)


def by_pytorch_fid(a: Side, b: Side) -> float:
    """pytorch-fid's function."""
    with contextlib.redirect_stdout(io.StringIO()):
        return float(calculate_frechet_distance(*a, *b))


def by_torch_fidelity(a: Side, b: Side) -> float:
    """torch-fidelity's function."""
    sides = ({"mu": mean, "sigma": covariance} for mean, covariance in (a, b))
    return float(fid_statistics_to_metric(*sides, verbose=False)["frechet_inception_distance"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--samples", type=int, default=5000, help="on either side")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=DeprecationWarning)

    samples = [features(args.samples, args.dim, seed) for seed in (1, 2)]
    gathered = []
    for part in samples:
        gathered.append(GaussianStatistics(args.dim))
        gathered[-1].update(part)
    sides: list[Side] = [(s.mean.numpy(), s.covariance.numpy()) for s in gathered]
    exact = by_singular_values(*samples)

    print(f"{args.dim} features, {args.samples} samples a side, {args.rounds} rounds")
    print(f"Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads; ", end="")
    print(f"scipy {scipy.__version__}, NumPy {np.__version__}")
    functions: dict[str, Callable[[], float]] = {
        "lrcore": lambda: frechet_distance(*gathered),
        "scipy sqrtm": lambda: by_scipy(*sides),
        "pytorch-fid": lambda: by_pytorch_fid(*sides),
        "torch-fidelity": lambda: by_torch_fidelity(*sides),
    }
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    found: dict[str, float | str] = {}
    for _ in range(args.rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            try:
                found[name] = function()
            except (TypeError, ValueError) as error:  # a peer that this scipy or these covariances break
                found[name] = f"{type(error).__name__}: {error}"
            seconds[name].append(time.perf_counter() - start)
    print(f"{'function':<16}{'seconds':>10}{'ratio':>8}{'distance':>18}{'difference':>13}")
    fastest = statistics.median(seconds["lrcore"])
    for name, value in found.items():
        median = statistics.median(seconds[name])
        if isinstance(value, str):
            print(f"{name:<16}{'-':>10}{'-':>8}  failed, {value}")
        else:
            difference = abs(value - exact) / exact
            print(f"{name:<16}{median:>10.2f}{median / fastest:>8.1f}{value:>18.10f}{difference:>13.1e}")


if __name__ == "__main__":
    main()
