"""The Frechet distance between two sets of features, from streaming means and covariances.

    d^2 = |mu_a - mu_b|^2 + tr(S_a) + tr(S_b) - 2 tr((S_a S_b)^(1/2))

Dowson & Landau 1982, eq. 4; used on Inception features as FID by Heusel et al. 2017 (arXiv:1706.08500), eq. 6.

The eigenvalues of S_a S_b that are not zero are those of the symmetric F^T S_a F for any factor S_b = F F^T.
With F from a pivoted Cholesky factorisation, which stops at the rank, the trace of the root is the sum of
the square roots of rank-many symmetric eigenvalues: no root of a matrix that is not symmetric, and no
rounding noise from the null space when there are fewer samples than dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.linalg.lapack import dpstrf, dsygst
from torch import Tensor
from torch import distributed as dist

from lrcore.errors import LrcoreError
from lrcore.metrics.trace_roots import TraceRoots, trace_of_root
from lrcore.runtime.tensor_files import load_tensors, save_tensors


class GaussianStatistics:
    """Count, mean and sum of outer deviations of feature vectors, in float64, one batch at a time.

    Batches are merged by the update of Chan, Golub & LeVeque 1983, so the result does not depend, beyond
    rounding in float64, on how the features were cut into batches or spread over processes.
    """

    def __init__(self, dim: int, device: torch.device | str = "cpu") -> None:
        """No samples yet, of `dim` features, kept on `device` (which must have float64)."""
        self.count = 0
        self._mean = torch.zeros(dim, dtype=torch.float64, device=device)
        self._scatter = torch.zeros(dim, dim, dtype=torch.float64, device=device)

    @property
    def dim(self) -> int:
        """The number of features."""
        return len(self._mean)

    @property
    def mean(self) -> Tensor:
        """(D,) float64. Raises LrcoreError without samples."""
        self._require(1, "mean")
        return self._mean

    @property
    def covariance(self) -> Tensor:
        """(D, D) float64, unbiased (divided by n - 1). Raises LrcoreError with fewer than 2 samples."""
        self._require(2, "covariance")
        return self._scatter / (self.count - 1)

    def update(self, features: Tensor) -> None:
        """Add a batch of features (B, D), any floating-point type, B >= 0.

        Raises:
            LrcoreError: another shape, or a feature that is NaN or infinite; the statistics stay as they were.
        """
        if features.ndim != 2 or features.shape[1] != self.dim:
            raise LrcoreError(f"features must have shape (B, {self.dim}), got {tuple(features.shape)}")
        finite = torch.isfinite(features).all(dim=1)
        if not finite.all():
            bad = int((~finite).sum())
            raise LrcoreError(f"{bad} of {len(features)} feature vectors hold NaN or infinity; no statistics of them")
        if len(features) == 0:
            return
        values = features.detach().to(self._mean.device, torch.float64)
        mean = values.mean(dim=0)
        deviations = values - mean
        self._add(len(values), mean, deviations.T @ deviations)

    def merge(self, other: GaussianStatistics) -> None:
        """Add the samples that `other` has seen. Raises LrcoreError when the dimensions differ."""
        if other.dim != self.dim:
            raise LrcoreError(f"statistics of {other.dim} features cannot be merged into statistics of {self.dim}")
        if other.count:
            self._add(other.count, other._mean.to(self._mean.device), other._scatter.to(self._mean.device))

    def all_reduce(self) -> GaussianStatistics:
        """The statistics of the samples of all processes, the same on each; a copy where there is one process.

        Every process must call it; one that has seen no samples may.
        """
        total = GaussianStatistics(self.dim, self._mean.device)
        if not (dist.is_available() and dist.is_initialized()):
            total.merge(self)
            return total
        # NCCL moves tensors of a GPU only.
        device = torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else "cpu"
        mean = self._mean.to(device)
        sums = torch.cat([mean * self.count, torch.tensor([float(self.count)], dtype=torch.float64, device=device)])
        dist.all_reduce(sums)
        total.count = int(sums[-1])
        if total.count:
            total_mean = sums[:-1] / sums[-1]
            # About the common mean first: the difference of two large sums would lose the covariance.
            shift = mean - total_mean
            scatter = self._scatter.to(device) + self.count * torch.outer(shift, shift)
            dist.all_reduce(scatter)
            total._mean.copy_(total_mean)
            total._scatter.copy_(scatter)
        return total

    def save(self, path: Path) -> None:
        """Write the statistics as safetensors, atomically. Raises LrcoreError when they cannot be written."""
        tensors = {"count": torch.tensor(self.count), "mean": self._mean.cpu(), "scatter": self._scatter.cpu()}
        save_tensors(path, tensors)

    @classmethod
    def load(cls, path: Path) -> GaussianStatistics:
        """Read what `save` wrote. Raises LrcoreError naming a file that is missing, damaged or something else."""
        if not Path(path).exists():
            raise LrcoreError(f"no feature statistics at '{path}'")
        try:
            tensors = load_tensors(path)
            mean, scatter = tensors["mean"], tensors["scatter"]
            count = int(tensors["count"])
        except (KeyError, ValueError, RuntimeError) as error:
            raise LrcoreError(f"'{path}' does not hold feature statistics: {error}; delete it") from error
        if mean.ndim != 1 or scatter.shape != (len(mean), len(mean)) or count < 0:
            raise LrcoreError(f"'{path}' does not hold feature statistics: the shapes do not fit; delete it")
        loaded = cls(len(mean))
        loaded.count = count
        loaded._mean.copy_(mean)
        loaded._scatter.copy_(scatter)
        return loaded

    def _add(self, count: int, mean: Tensor, scatter: Tensor) -> None:
        total = self.count + count
        shift = mean - self._mean
        self._scatter += scatter
        self._scatter.addr_(shift, shift, alpha=self.count * count / total)
        self._mean += shift * (count / total)
        self.count = total

    def _require(self, least: int, what: str) -> None:
        if self.count < least:
            raise LrcoreError(f"a {what} of features needs at least {least} samples, got {self.count}")


class FrechetReference:
    """One side of many Frechet distances: its covariance is factorised once."""

    def __init__(self, statistics: GaussianStatistics) -> None:
        """Raises LrcoreError with fewer than 2 samples."""
        self.mean = statistics.mean.cpu()
        self.covariance = statistics.covariance.cpu()
        self._factor = _factor(self.covariance)
        self._sent: dict[torch.device, tuple[Tensor, Tensor]] = {}

    def distance(self, other: GaussianStatistics) -> float:
        """The squared Frechet distance of Heusel et al. 2017, eq. 6; at least 0, in units of features squared.

        Raises:
            LrcoreError: the dimensions differ, or `other` has fewer than 2 samples.
        """
        return self.begin(other)()

    def begin(self, other: GaussianStatistics, roots: TraceRoots | None = None) -> Callable[[], float]:
        """What gives the `distance` when it is called, with eigenvalues from `roots`, if there are such workers.

        Raises:
            LrcoreError: as `distance`, at once.
        """
        if other.dim != len(self.mean):
            raise LrcoreError(f"no Frechet distance between {len(self.mean)} and {other.dim} features")
        covariance = other.covariance
        shift = self.mean - other.mean.cpu()
        apart = float(shift @ shift + self.covariance.trace() + covariance.trace().cpu())
        product = self._product(other.count, covariance)
        if roots is None:
            root = _trace_root(product)
            return lambda: max(0.0, apart - 2.0 * root)
        found = roots.submit(product.cpu().numpy())
        return lambda: max(0.0, apart - 2.0 * found.result())

    def _product(self, count: int, covariance: Tensor) -> Tensor:
        """F^T S F, of which the lower half counts, with the factor of the smaller rank and the other covariance."""
        if count - 1 < self._factor.rank:
            return _product(_factor(covariance), self.covariance)
        if covariance.is_cuda:
            return _product_on_device(*self._factor_on(covariance.device), covariance)
        return _product(self._factor, covariance)

    def _factor_on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """The factor and its order on a GPU, sent there once."""
        if device not in self._sent:
            lower, order = np.tril(self._factor.lower), self._factor.order
            self._sent[device] = torch.from_numpy(lower).to(device), torch.from_numpy(order).long().to(device)
        return self._sent[device]


def frechet_distance(a: GaussianStatistics, b: GaussianStatistics) -> float:
    """The squared Frechet distance between `a` and `b`; symmetric. Raises as `FrechetReference`.

    With many distances to the same `a`, make a `FrechetReference(a)` and keep it.
    """
    return FrechetReference(a).distance(b)


@dataclass(frozen=True)
class _Factor:
    """`lower` (D, r), lower trapezoidal, whose product with its transpose is a covariance with rows in `order`.

    r is the numerical rank, 0 for constant features. What `lower` holds above the diagonal means nothing.
    """

    lower: np.ndarray
    order: np.ndarray

    @property
    def rank(self) -> int:
        return int(self.lower.shape[1])


def _factor(covariance: Tensor) -> _Factor:
    """Cholesky factorisation with complete pivoting: Higham 1990, Analysis of the Cholesky decomposition of a
    semi-definite matrix; LAPACK's tolerance, D * eps * the largest variance.
    """
    packed, pivots, rank, _ = dpstrf(covariance.cpu().numpy(), lower=1)
    return _Factor(packed[:, :rank], pivots - 1)


def _product(factor: _Factor, covariance: Tensor) -> Tensor:
    """L^T S L, of which the lower half counts, from a factor of one of the two and the other itself."""
    if factor.rank == 0:
        return torch.zeros(0, 0, dtype=torch.float64)
    ordered = np.asfortranarray(covariance.numpy()[np.ix_(factor.order, factor.order)])
    if factor.rank == len(ordered):
        # at a quarter of the work of two products
        product, _ = dsygst(ordered, factor.lower, itype=2, lower=1, overwrite_a=1)
    else:
        lower = np.tril(factor.lower)
        product = lower.T @ ordered @ lower
    return torch.from_numpy(product)


def _product_on_device(lower: Tensor, order: Tensor, covariance: Tensor) -> Tensor:
    """The same by torch, for a GPU."""
    return lower.T @ covariance[order[:, None], order] @ lower


def _trace_root(product: Tensor) -> float:
    """tr((S_a S_b)^(1/2)), where the product is: a CPU is faster by LAPACK's own routines than by torch's."""
    if product.is_cuda:
        return float(torch.linalg.eigvalsh(product).clamp(min=0.0).sqrt().sum())
    return trace_of_root(product.numpy())
