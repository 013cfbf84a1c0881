from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import processes
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lrcore.errors import LrcoreError
from lrcore.metrics.frechet import (
    FrechetReference,
    GaussianStatistics,
    _factor,
    _product,
    _product_on_device,
    _trace_root,
    frechet_distance,
)
from lrcore.metrics.trace_roots import TraceRoots
from lrcore.runtime.tensor_files import save_tensors


def gather(features: torch.Tensor, batch: int = 50) -> GaussianStatistics:
    found = GaussianStatistics(features.shape[1])
    for part in torch.split(features, batch):
        found.update(part)
    return found


def samples(n: int, dim: int, seed: int, rank: int | None = None) -> torch.Tensor:
    """Correlated features of the given rank with a mean that is not zero."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(rank or dim, dim, generator=generator, dtype=torch.float64)
    centre = torch.randn(dim, generator=generator, dtype=torch.float64)
    return torch.randn(n, rank or dim, generator=generator, dtype=torch.float64) @ mixing + centre


def by_eigenvalues(a: torch.Tensor, b: torch.Tensor) -> float:
    a, b = a.numpy(), b.numpy()
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(cov_a @ cov_b).astype(complex)).real
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a + cov_b) - 2 * roots.sum())


def by_singular_values(a: torch.Tensor, b: torch.Tensor) -> float:
    """tr((S_a S_b)^(1/2)) is the nuclear norm of A B^T with A, B the centred samples / sqrt(n - 1)."""
    shift = a.mean(0) - b.mean(0)
    a, b = (a - a.mean(0)) / (len(a) - 1) ** 0.5, (b - b.mean(0)) / (len(b) - 1) ** 0.5
    return float(shift @ shift + (a**2).sum() + (b**2).sum() - 2 * torch.linalg.svdvals(a @ b.T).sum())


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 60), max_size=6), offset=st.sampled_from([0.0, 1e4]))
def test_statistics_are_numpys_however_the_samples_are_cut(cuts, offset):
    features = samples(60, 5, seed=1) + offset
    found = GaussianStatistics(5)
    edges = [0, *sorted(cuts), 60]
    for start, end in itertools.pairwise(edges):
        part = GaussianStatistics(5)
        part.update(features[start:end])
        found.merge(part)
    assert found.count == 60
    np.testing.assert_allclose(found.mean, features.numpy().mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(features.numpy(), rowvar=False), rtol=1e-8, atol=1e-8)


def test_update_equals_merge_and_float32_is_widened():
    features = samples(40, 4, seed=2).float()
    np.testing.assert_allclose(
        gather(features, 7).covariance, np.cov(features.double().numpy(), rowvar=False), rtol=1e-10
    )


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_features_that_are_not_finite_are_refused_and_leave_no_trace(bad):
    found = gather(samples(10, 3, seed=0))
    before = found.covariance.clone()
    spoilt = torch.zeros(4, 3)
    spoilt[2, 1] = bad
    with pytest.raises(LrcoreError, match="1 of 4 feature vectors"):
        found.update(spoilt)
    assert found.count == 10 and torch.equal(found.covariance, before)


def test_too_few_samples_are_refused():
    empty = GaussianStatistics(3)
    with pytest.raises(LrcoreError, match=r"mean .* at least 1 samples, got 0"):
        _ = empty.mean
    empty.update(torch.ones(1, 3))
    with pytest.raises(LrcoreError, match="at least 2 samples, got 1"):
        _ = empty.covariance
    with pytest.raises(LrcoreError, match="at least 2 samples, got 1"):
        frechet_distance(gather(samples(9, 3, seed=0)), empty)


def test_dimensions_must_agree():
    a, b = gather(samples(9, 3, seed=0)), gather(samples(9, 4, seed=0))
    with pytest.raises(LrcoreError, match="between 3 and 4 features"):
        frechet_distance(a, b)
    with pytest.raises(LrcoreError, match="4 features cannot be merged into statistics of 3"):
        a.merge(b)
    with pytest.raises(LrcoreError, match=r"shape \(B, 3\), got \(2, 4\)"):
        a.update(torch.zeros(2, 4))


@pytest.mark.parametrize("dim", [1, 2, 10, 64])
def test_agrees_with_the_eigenvalues_of_the_product_where_that_is_well_conditioned(dim):
    a, b = samples(1000, dim, seed=3), samples(700, dim, seed=4)
    expected = by_eigenvalues(a, b) if dim > 1 else float(((a.mean() - b.mean()) ** 2) + (a.std() - b.std()) ** 2)
    assert frechet_distance(gather(a), gather(b)) == pytest.approx(expected, rel=1e-6)


def test_closed_form_for_covariances_that_commute():
    """d^2 = |shift|^2 + sum of (sqrt(l_a) - sqrt(l_b))^2 over the shared eigenvectors."""
    generator = torch.Generator().manual_seed(5)
    dim = 12
    basis = torch.linalg.qr(torch.randn(dim, dim, generator=generator, dtype=torch.float64))[0]
    white = samples(500, dim, seed=6)
    white = white - white.mean(0)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(white.T @ white / 499), white.T, upper=False).T
    scale_a, scale_b = (torch.rand(dim, generator=generator, dtype=torch.float64) + 0.1 for _ in range(2))
    shift = torch.randn(dim, generator=generator, dtype=torch.float64)
    found = frechet_distance(gather(white * scale_a @ basis), gather(white * scale_b @ basis + shift))
    assert found == pytest.approx(float(shift @ shift + ((scale_a - scale_b) ** 2).sum()), rel=1e-10)


@pytest.mark.parametrize(
    ("n_a", "rank_a", "n_b", "rank_b"),
    [
        (300, 80, 20, 80),
        (20, 80, 300, 80),
        (20, 80, 30, 80),
        (300, 5, 300, 80),
        (300, 80, 300, 5),
        (300, 5, 300, 9),
        (2, 80, 2, 80),
    ],
)
def test_rank_deficient_covariances(n_a, rank_a, n_b, rank_b):
    a, b = samples(n_a, 80, seed=7, rank=rank_a), samples(n_b, 80, seed=8, rank=rank_b)
    assert frechet_distance(gather(a), gather(b)) == pytest.approx(by_singular_values(a, b), rel=1e-6)


@pytest.mark.parametrize(("n", "rank"), [(300, 40), (20, 40), (300, 7)])
def test_distance_to_itself_is_zero(n, rank):
    a = gather(samples(n, 40, seed=9, rank=rank))
    assert 0.0 <= frechet_distance(a, a) < 1e-6 * float(a.covariance.trace())


def test_symmetric():
    a, b = gather(samples(200, 30, seed=10)), gather(samples(15, 30, seed=11))
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-9)


@pytest.mark.parametrize("count", [10, 400])
def test_what_a_gpu_computes_is_what_lapack_does(count):
    reference, other = FrechetReference(gather(samples(count, 32, seed=1))), gather(samples(300, 32, seed=2)).covariance
    sent = reference._factor_on(torch.device("cpu"))
    assert sent is reference._factor_on(torch.device("cpu"))  # once
    found = torch.linalg.eigvalsh(_product_on_device(*sent, other)).clamp(min=0).sqrt().sum()
    expected = _trace_root(_product(_factor(reference.covariance), other))
    assert float(found) == pytest.approx(expected, rel=1e-10)


def test_eigenvalues_by_workers_give_the_same_distances():
    reference, roots = FrechetReference(gather(samples(100, 20, seed=17))), TraceRoots(2)
    others = [gather(samples(n, 20, seed=n)) for n in (5, 300, 40)] + [gather(torch.ones(4, 20))]
    begun = [reference.begin(other, roots) for other in others]
    for finish, other in zip(begun, others, strict=True):
        assert finish() == pytest.approx(reference.distance(other), rel=1e-9)
    with pytest.raises(LrcoreError, match="no Frechet distance between 20 and 3 features"):
        reference.begin(gather(samples(9, 3, seed=1)), roots)
    roots.close()


def test_constant_features():
    constant, shifted = gather(torch.full((9, 6), 3.0)), gather(torch.full((5, 6), 1.0))
    assert frechet_distance(constant, constant) == 0.0
    assert frechet_distance(constant, shifted) == pytest.approx(6 * 4.0)
    spread = gather(samples(50, 6, seed=12))
    expected = float((spread.mean - 3).square().sum() + spread.covariance.trace())
    assert frechet_distance(spread, constant) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(constant, spread) == pytest.approx(expected, rel=1e-12)
    # One feature among others that never moves.
    a, b = samples(100, 6, seed=13), samples(90, 6, seed=14)
    a[:, 2] = b[:, 2] = 0.5
    assert frechet_distance(gather(a), gather(b)) == pytest.approx(by_singular_values(a, b), rel=1e-6)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_scales_with_the_square_of_the_features(scale):
    a, b = samples(100, 20, seed=15), samples(12, 20, seed=16)
    expected = scale**2 * frechet_distance(gather(a), gather(b))
    assert frechet_distance(gather(a * scale), gather(b * scale)) == pytest.approx(expected, rel=1e-7)


def test_reference_serves_many_distances_and_leaves_its_statistics_alone():
    a = gather(samples(100, 20, seed=17))
    reference = FrechetReference(a)
    for n in (5, 300):
        b = gather(samples(n, 20, seed=n))
        assert reference.distance(b) == reference.distance(b) == frechet_distance(a, b)
    a.update(samples(100, 20, seed=18))
    assert reference.distance(b) != frechet_distance(a, b)


def test_saved_statistics_come_back_whole(tmp_path: Path):
    a = gather(samples(30, 6, seed=19))
    a.save(tmp_path / "folder" / "a.safetensors")
    b = GaussianStatistics.load(tmp_path / "folder" / "a.safetensors")
    assert b.count == 30 and torch.equal(a.mean, b.mean) and torch.equal(a.covariance, b.covariance)
    b.update(torch.zeros(1, 6))
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["a.safetensors"]


def test_files_that_are_no_statistics_are_named(tmp_path: Path):
    with pytest.raises(LrcoreError, match=r"no feature statistics at '.*absent"):
        GaussianStatistics.load(tmp_path / "absent")
    (tmp_path / "half").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(LrcoreError, match="half' is damaged"):
        GaussianStatistics.load(tmp_path / "half")
    save_tensors(tmp_path / "other", {"weight": torch.zeros(2)})
    with pytest.raises(LrcoreError, match="other' does not hold feature statistics"):
        GaussianStatistics.load(tmp_path / "other")
    tensors = {"count": torch.tensor(3), "mean": torch.zeros(2), "scatter": torch.zeros(3, 3)}
    save_tensors(tmp_path / "shapes", tensors)
    with pytest.raises(LrcoreError, match="shapes do not fit"):
        GaussianStatistics.load(tmp_path / "shapes")


def test_all_reduce_in_one_process_is_a_copy():
    a = gather(samples(30, 6, seed=20))
    total = a.all_reduce()
    assert total.count == 30 and torch.equal(total.covariance, a.covariance)
    total.update(torch.zeros(1, 6))
    assert a.count == 30


def _reduce_in_process(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=3)
    # The third process has seen nothing; the features lie far from 0.
    part = [slice(0, 25), slice(25, 60), slice(0, 0)][rank]
    gather(samples(60, 5, seed=21)[part] + 1e4).all_reduce().save(Path(folder) / str(rank))
    torch.distributed.destroy_process_group()


def test_all_reduce_sums_over_processes(tmp_path: Path):
    processes.together(_reduce_in_process, 3, str(tmp_path))
    whole = gather(samples(60, 5, seed=21) + 1e4)
    for rank in range(3):
        found = GaussianStatistics.load(tmp_path / str(rank))
        assert found.count == 60
        np.testing.assert_allclose(found.mean, whole.mean, rtol=1e-13)
        np.testing.assert_allclose(found.covariance, whole.covariance, rtol=1e-8, atol=1e-8)
