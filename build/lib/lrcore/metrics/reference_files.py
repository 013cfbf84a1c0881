"""Files in which programs for the Frechet distance exchange statistics of features.

    NAME.npz            `mu` (D,) and `sigma` (D, D), beside images or not, as guided-diffusion (ADM; Dhariwal & Nichol
                        2021, arXiv:2105.05233) and pytorch-fid write them
    NAME.parquet        statistics with what they are of: smaller, and no guessing
    NAME.safetensors    statistics of `GaussianStatistics.save`

    >>> statistics = read_statistics(Path("reference.parquet"))   # doctest: +SKIP
    >>> frechet_distance(statistics.gaussian, other.gaussian)     # doctest: +SKIP

The Parquet file has one row a feature: `mean`, and `covariance`, a list with that row of the covariance from the
diagonal on, both float64, which is the upper triangle packed by rows. Feature network, its sha256, protocol and number
of images are in the metadata of the schema, with a digest of all that (`lrcore.records.digests`); pages carry
checksums. A file from before there was a digest is read without.

The npz written here carry the same as the arrays `network`, `network_sha256`, `protocol` and `count`, which other
programs pass over. The npz of others say nothing of the kind. Nothing is unpickled.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import torch
from safetensors import safe_open
from scipy.linalg.lapack import dpstrf
from torch import Tensor

from lrcore.errors import LrcoreError, unknown
from lrcore.metrics.file_errors import listed, naming_errors
from lrcore.metrics.frechet import GaussianStatistics
from lrcore.metrics.npz_arrays import headers
from lrcore.records.digests import has_digest, read_table, require_digest, seal, signed
from lrcore.runtime.files import atomic_path

STATISTICS_ENDINGS = (".npz", ".parquet", ".safetensors")
"""What statistics are read from; they are written to the first two."""

SCHEMA = "FeatureStatistics"
SCHEMA_VERSION = 1
"""The kind of the Parquet file and its version, in its metadata as for every Parquet file of the package."""

_NETWORK_OF_DIM = {2048: "inception2015", 1280: "efficientnet_lite0"}
"""The network that a file is taken to be of when it names none, by the number of features."""

_ABOUT = ("network", "network_sha256", "protocol")


@dataclass(frozen=True)
class FeatureStatistics:
    """Mean and covariance of the features of a set of images, and what is known about them.

    Attributes:
        gaussian: the statistics; its own count stands in for one that is not known.
        count: number of images, None where the file does not say.
        network: name of the feature network.
        network_sha256, protocol: of that network, as in `FeatureNetwork`; "" where the file does not say.
        note: what had to be taken for granted about the file; "" for nothing.
    """

    gaussian: GaussianStatistics
    count: int | None
    network: str
    network_sha256: str = ""
    protocol: str = ""
    note: str = ""


class _Moments(GaussianStatistics):
    """Statistics of which mean and covariance are known rather than samples."""

    def __init__(self, mean: Tensor, covariance: Tensor, count: int) -> None:
        super().__init__(len(mean))
        self.count = count
        self._mean.copy_(mean)
        self._scatter.copy_(covariance).mul_(count - 1)


def gaussian_of(mean: np.ndarray, covariance: np.ndarray, count: int | None) -> GaussianStatistics:
    """Statistics with this mean (D,) and unbiased covariance (D, D), of any floating-point type.

    Without a count they get one more than the rank of the covariance, the least that it can be of: Frechet distances
    depend on nothing but which of two ranks is the smaller.

    Raises:
        LrcoreError: the shapes or types do not fit, a value is not finite, the covariance is not symmetric or has a
            negative variance, or the count is below 2.
    """
    if mean.ndim != 1 or not len(mean) or covariance.shape != (len(mean), len(mean)):
        raise LrcoreError(f"mean and covariance have shapes {mean.shape} and {covariance.shape}, not (D,) and (D, D)")
    if mean.dtype.kind != "f" or covariance.dtype.kind != "f":
        raise LrcoreError(f"mean and covariance are {mean.dtype} and {covariance.dtype}, not floating-point numbers")
    if count is not None and count < 2:
        raise LrcoreError(f"a covariance is of at least 2 images, not of {count}")
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise LrcoreError("mean or covariance holds NaN or infinity")
    # float32 files are symmetric to rounding only
    if np.abs(covariance - covariance.T).max() > 1e-5 * np.abs(covariance).max() or (covariance.diagonal() < 0).any():
        raise LrcoreError("the covariance is not symmetric or has a negative variance")
    covariance = covariance.astype(np.float64)
    if count is None:
        *_, rank, _ = dpstrf(covariance, lower=1)
        count = max(rank + 1, 2)
    return _Moments(torch.from_numpy(mean.astype(np.float64)), torch.from_numpy(covariance), count)


def read_statistics(path: Path, network: str = "") -> FeatureStatistics:
    """The statistics in a file of one of `STATISTICS_ENDINGS`.

    An npz that names no network is taken to be of `inception2015`, if it has 2048 features, as is the custom. Our own
    safetensors never name one: they are taken to be of `network`, or without it by their number of features, 2048 or
    the 1280 of `efficientnet_lite0`. Either way `note` says so.

    Raises:
        LrcoreError: naming a file that is missing, damaged or something else.
    """
    ending = path.suffix.lower()
    if ending not in STATISTICS_ENDINGS:
        raise unknown("ending of a statistics file", path.suffix, STATISTICS_ENDINGS)
    if not path.is_file():
        raise LrcoreError(f"there is no file '{path}'")
    with naming_errors(path, "feature statistics"):
        if ending == ".safetensors":
            return _read_safetensors(path, network)
        return _read_npz_statistics(path) if ending == ".npz" else _read_parquet(path)


def write_statistics(path: Path, statistics: FeatureStatistics) -> None:
    """Write statistics to `path`, NAME.npz or NAME.parquet, atomically.

    Raises:
        LrcoreError: another ending, fewer than 2 images, or the file cannot be written.
    """
    writers = {".npz": _write_npz_statistics, ".parquet": _write_parquet}
    if path.suffix.lower() not in writers:
        raise unknown("ending of a statistics file to write", path.suffix, writers)
    covariance = statistics.gaussian.covariance.cpu().numpy()
    with atomic_path(path) as temporary:
        writers[path.suffix.lower()](temporary, statistics, statistics.gaussian.mean.cpu().numpy(), covariance)


def _read_npz_statistics(path: Path) -> FeatureStatistics:
    names = frozenset(headers(path))
    if missing := {"mu", "sigma"} - names:
        raise LrcoreError(f"it has no array {' and '.join(sorted(map(repr, missing)))}, but {listed(names)}")
    with np.load(path, allow_pickle=False) as arrays:
        count = int(arrays["count"].item()) if "count" in names else None
        gaussian = gaussian_of(arrays["mu"], arrays["sigma"], count)
        about = {name: str(arrays[name]) for name in _ABOUT if name in names}
    if about.get("network"):
        return FeatureStatistics(gaussian, count, **about)
    if _NETWORK_OF_DIM.get(gaussian.dim) != "inception2015":
        raise LrcoreError(
            f"it does not name its feature network and has {gaussian.dim} features, not the 2048 of inception2015"
        )
    return _unnamed(gaussian, count, "inception2015")


def _write_npz_statistics(path: Path, statistics: FeatureStatistics, mean: np.ndarray, covariance: np.ndarray) -> None:
    about: dict[str, np.ndarray] = {name: np.array(getattr(statistics, name)) for name in _ABOUT}
    if statistics.count is not None:
        about["count"] = np.array(statistics.count)
    with path.open("wb") as file:  # a path would be given the ending .npz
        np.savez(file, mu=mean, sigma=covariance, **about)  # type: ignore[arg-type]


def _unnamed(gaussian: GaussianStatistics, count: int | None, network: str) -> FeatureStatistics:
    return FeatureStatistics(gaussian, count, network, note=f"network not recorded in the file: taken as {network}")


def _read_safetensors(path: Path, network: str) -> FeatureStatistics:
    with safe_open(path, "pt") as file:
        names = set(file.keys())
    if not {"count", "mean", "scatter"} <= names:
        raise LrcoreError(f"it has the tensors {listed(names)[:200]}, not count, mean and scatter")
    gaussian = GaussianStatistics.load(path)
    gaussian = gaussian_of(gaussian.mean.numpy(), gaussian.covariance.numpy(), gaussian.count)
    network = network or _NETWORK_OF_DIM.get(gaussian.dim, "")
    if not network:
        known = ", ".join(f"{dim} ({name})" for dim, name in _NETWORK_OF_DIM.items())
        raise LrcoreError(f"it does not name its feature network and has {gaussian.dim} features; known are {known}")
    return _unnamed(gaussian, gaussian.count, network)


def _write_parquet(path: Path, statistics: FeatureStatistics, mean: np.ndarray, covariance: np.ndarray) -> None:
    about = {name: getattr(statistics, name) for name in _ABOUT}
    about |= {"lrcore_schema": SCHEMA, "lrcore_schema_version": str(SCHEMA_VERSION)}
    if statistics.count is not None:
        about["count"] = str(statistics.count)
    triangle = pa.array(covariance[np.triu_indices(len(mean))])
    starts = np.concatenate([[0], np.cumsum(np.arange(len(mean), 0, -1))])
    rows = pa.ListArray.from_arrays(pa.array(starts, pa.int32()), triangle)
    table = signed(pa.table({"mean": pa.array(mean), "covariance": rows}).replace_schema_metadata(about))
    # the bytes of floating-point numbers of like size compress better one place at a time
    pa.parquet.write_table(
        table, path, compression="zstd", use_dictionary=False, use_byte_stream_split=True, write_page_checksum=True
    )
    seal(path)


def _read_parquet(path: Path) -> FeatureStatistics:
    stored = read_table(path)
    about = {key.decode(): value.decode() for key, value in (stored.schema.metadata or {}).items()}
    if about.get("lrcore_schema") != SCHEMA:
        raise LrcoreError("it is a Parquet file of something else")
    if about.get("lrcore_schema_version") != str(SCHEMA_VERSION):
        version = about.get("lrcore_schema_version", "unknown")
        raise LrcoreError(f"schema version {version}; this lrcore reads version {SCHEMA_VERSION}")
    table = stored.select(["mean", "covariance"]).combine_chunks()
    mean = table["mean"].to_numpy()
    lengths = table["covariance"].combine_chunks().value_lengths().to_pylist()
    if lengths != list(range(len(mean), 0, -1)):
        raise LrcoreError("its rows are not those of an upper triangle")
    if has_digest(stored):
        require_digest(stored)
    upper = np.zeros((len(mean), len(mean)))
    upper[np.triu_indices(len(mean))] = table["covariance"].combine_chunks().flatten().to_numpy()
    count = int(about["count"]) if "count" in about else None
    gaussian = gaussian_of(mean, upper + np.triu(upper, 1).T, count)
    return FeatureStatistics(gaussian, count, **{name: about[name] for name in _ABOUT})
