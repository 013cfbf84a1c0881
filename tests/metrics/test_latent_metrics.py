"""Diagnostics of latents: cases with a known answer, standard errors against repeated sampling, and refusals."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import torch
from torch import Tensor
from torch.nn import functional

from lrcore.errors import LrcoreError
from lrcore.metrics import jackknife as jackknife_module
from lrcore.metrics.equivariance import equivariance_errors
from lrcore.metrics.jackknife import Estimate, jackknife
from lrcore.metrics.latents import LatentSample, diagnose
from lrcore.metrics.moments import GROUPS, channel_moments, effective_dimension, participation_ratio
from lrcore.metrics.probe import linear_probe, minimise
from lrcore.metrics.spectrum import power_spectrum


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def white(images: int = 64, tokens: int = 64, channels: int = 6, seed: int = 0) -> Tensor:
    return torch.randn(images, tokens, channels, generator=seeded(seed))


def field(images: int, grid: tuple[int, int], channels: int, exponent: float, seed: int = 0) -> Tensor:
    """Periodic Gaussian tokens with power 1 / f^exponent; without mean."""
    noise = torch.randn(images, channels, *grid, generator=seeded(seed), dtype=torch.float64)
    rows, columns = (torch.fft.fftfreq(side, dtype=torch.float64) for side in grid)
    radius = (rows[:, None].square() + columns.square()).sqrt()
    amplitude = torch.where(radius > 0, radius.clamp(min=1e-9) ** (-exponent / 2), 0.0)
    filtered = torch.fft.ifft2(torch.fft.fft2(noise) * amplitude).real
    return filtered.flatten(2).transpose(1, 2)


def clustered(seed: int) -> Tensor:
    """200 images of 4 x 4 tokens, the positions of an image alike, channels of variances 5, 2.25 and 1."""
    generator = seeded(seed)
    common, own = torch.randn(200, 1, 3, generator=generator), torch.randn(200, 16, 3, generator=generator)
    return (common + 0.5 * own) * torch.tensor([2.0, 1.3416, 0.8944])


def pixels(images: int = 8, side: int = 32, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, (images, 3, side, side), generator=seeded(seed), dtype=torch.uint8)


# --- moments


def test_moments_are_those_of_all_positions_of_all_images():
    tokens = white(channels=4).exp() * torch.tensor([1.0, 2.0, 0.1, 5.0]) + torch.tensor([0.0, 3.0, -1.0, 100.0])
    found = channel_moments(tokens)
    flat = tokens.double().flatten(0, 1).numpy()
    np.testing.assert_allclose(found.mean.value, flat.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(found.std.value, flat.std(axis=0), rtol=1e-10)
    np.testing.assert_allclose(found.kurtosis.value, scipy.stats.kurtosis(flat), rtol=1e-8)
    assert found.mean.n_images == 64


def test_kurtosis_of_known_distributions():
    shape = (200, 64)
    uniform = torch.rand(shape, generator=seeded())
    gaussian = torch.randn(shape, generator=seeded(1))
    signs = torch.randint(0, 2, shape, generator=seeded(2)).float()
    found = channel_moments(torch.stack([uniform, gaussian, signs], dim=2)).kurtosis
    for value, error, known in zip(found.value, found.standard_error, (-1.2, 0.0, -2.0), strict=True):
        assert abs(value - known) < 3 * error + 1e-3
    assert found.standard_error.max() < 0.1


def test_the_error_of_the_mean_is_that_of_means_of_images():
    tokens = clustered(0)
    found = channel_moments(tokens).mean
    expected = tokens.double().mean(dim=1).std(dim=0) / math.sqrt(200)
    torch.testing.assert_close(found.standard_error, expected)


def left_out_error(tokens: Tensor, statistic: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The jackknife by its definition: `statistic` of tokens (n, C), computed anew without each image in turn."""
    arrays = tokens.double().numpy()
    values = np.stack(
        [statistic(np.delete(arrays, i, axis=0).reshape(-1, arrays.shape[2])) for i in range(len(arrays))]
    )
    return np.sqrt((len(arrays) - 1) * values.var(axis=0))


def unlike_images() -> Tensor:
    """8 images of skewed tokens, the means of which are far apart: leaving one out moves the mean."""
    return white(8, 16, 3).exp() + torch.arange(8.0).reshape(8, 1, 1).square() * torch.tensor([1.0, 0.5, -0.3])


def test_errors_of_moments_are_those_of_leaving_images_out():
    found = channel_moments(unlike_images())
    for estimate, statistic in (
        (found.mean, lambda x: x.mean(axis=0)),
        (found.std, lambda x: x.std(axis=0)),
        (found.kurtosis, scipy.stats.kurtosis),
    ):
        np.testing.assert_allclose(estimate.standard_error, left_out_error(unlike_images(), statistic), rtol=1e-8)


@pytest.mark.parametrize("images", [7, 64])
@pytest.mark.parametrize("constant", [0.0, 0.1, 0.7, 1e-20, 3.3e7, -1234.56])
def test_a_constant_channel_has_no_kurtosis(constant: float, images: int):
    tokens = white(images, 49, 3)
    tokens[..., 1] = constant
    found = channel_moments(tokens)
    assert found.std.value[1] == found.std.standard_error[1] == 0.0
    assert found.mean.value[1] == pytest.approx(constant, rel=1e-6, abs=0)
    assert found.kurtosis.value.isnan().tolist() == [False, True, False]
    assert found.kurtosis.standard_error.isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("constant", [0.0, 0.1, 5.7, -1234.56])
def test_a_channel_constant_in_all_images_but_one_has_a_kurtosis_without_error(constant: float):
    tokens = white(channels=2)
    tokens[1:, :, 0] = constant
    found = channel_moments(tokens).kurtosis
    assert found.value.isfinite().all()
    assert found.standard_error.isnan().tolist() == [True, False]


# --- effective dimension


def test_participation_ratio_is_that_of_eigenvalues():
    tokens = white(channels=5).flatten(0, 1).double() @ torch.rand(5, 5, generator=seeded(), dtype=torch.float64)
    covariance = tokens.T.cov()
    eigenvalues = torch.linalg.eigvalsh(covariance)
    expected = eigenvalues.sum() ** 2 / eigenvalues.square().sum()
    torch.testing.assert_close(participation_ratio(covariance), expected)


@pytest.mark.parametrize("offset", [0.0, 50.0])
def test_white_tokens_fill_all_channels(offset: float):
    found = effective_dimension(white(128, 64, 12) + offset)
    assert found.value == pytest.approx(12, abs=0.02)
    assert 0 < found.standard_error < 0.02


def test_one_direction_is_one_dimension():
    line = white(channels=1) * torch.tensor([1.0, -2.0, 0.5])
    found = effective_dimension(line)
    assert found.value == pytest.approx(1, abs=1e-6)
    assert found.standard_error < 1e-6


def test_the_dimension_of_known_variances():
    scale = torch.tensor([2.0, 1.0, 1.0, 0.5])
    expected = scale.square().sum() ** 2 / scale.pow(4).sum()
    found = effective_dimension(white(400, 64, 4) * scale)
    assert abs(found.value - expected) < 3 * found.standard_error < 0.1


def test_the_dimension_does_not_depend_on_the_number_of_images():
    """All positions of an image are the same: 100 independent tokens in 20 channels, without correction 20 / 1.2."""
    found = torch.stack([effective_dimension(white(100, 1, 20, seed).expand(-1, 4, -1)).value for seed in range(20)])
    assert found.mean() == pytest.approx(20, abs=0.8)


def test_the_error_of_the_dimension_is_that_of_leaving_images_out():
    def ratio(x: np.ndarray) -> np.ndarray:
        eigenvalues = np.linalg.eigvalsh(np.cov(x.T))
        return eigenvalues.sum() ** 2 / (eigenvalues**2).sum()

    found = effective_dimension(unlike_images())
    assert found.standard_error == pytest.approx(left_out_error(unlike_images(), ratio), rel=1e-8)


def test_more_images_than_groups_need_not_divide():
    assert effective_dimension(white(GROUPS + 7, 16, 3)).value == pytest.approx(3, abs=0.1)


# --- spectrum


@pytest.mark.parametrize("grid", [(8, 8), (16, 16), (8, 12), (5, 7)])
def test_white_tokens_have_power_one_and_no_slope(grid: tuple[int, int]):
    found = power_spectrum(white(256, grid[0] * grid[1], 4) + 3.0, grid)
    torch.testing.assert_close(found.power.value, torch.ones_like(found.power.value), rtol=0, atol=0.1)
    assert abs(found.slope.value) < 4 * found.slope.standard_error < 0.2
    assert len(found.frequency) == min(grid) // 2


@pytest.mark.parametrize("exponent", [1.0, 2.0, 3.0])
@pytest.mark.parametrize(("grid", "tolerance"), [((8, 8), 0.1), ((16, 16), 0.1), ((12, 16), 0.15)])
def test_the_slope_of_a_field_of_known_spectrum(grid: tuple[int, int], tolerance: float, exponent: float):
    found = power_spectrum(field(300, grid, 3, exponent), grid)
    assert found.slope.value == pytest.approx(-exponent, abs=tolerance)
    assert found.slope.standard_error < 0.05


@pytest.mark.parametrize(("rows", "columns", "ring"), [(1, 0, 0), (0, 2, 1), (3, 0, 2), (0, 4, 3), (2, 2, 2)])
def test_a_wave_is_in_the_ring_of_its_frequency(rows: int, columns: int, ring: int):
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    wave = torch.cos(2 * math.pi * (rows * y + columns * x) / 8).reshape(1, 64, 1).expand(3, -1, 2)
    found = power_spectrum(wave + 5.0, (8, 8))
    assert found.power.value.argmax() == ring
    assert found.power.value.sum() == pytest.approx(found.power.value[ring].item(), rel=1e-9)
    assert found.slope.value.isnan() and found.slope.standard_error.isnan()
    expected = math.hypot(rows, columns) / 8
    assert abs(found.frequency[ring] - expected) < 0.5 / 8


def test_the_ring_of_the_highest_frequency_ends_below_the_corners():
    """Nothing but the corner frequency (0.5, 0.5): its radius of 0.71 is in no ring."""
    y, x = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    checkers = (1.0 - 2.0 * ((y + x) % 2)).reshape(1, 64, 1).expand(3, -1, 1)
    assert power_spectrum(checkers, (8, 8)).power.value.max() < 1e-12


def test_a_token_that_is_the_same_everywhere_has_no_slope():
    same = white(20, 1, 3).expand(-1, 16, -1)
    assert power_spectrum(same, (4, 4)).slope.value.isnan()


@pytest.mark.parametrize(("grid", "message"), [((3, 8), "at least 4 x 4, got 3 x 8"), ((4, 5), "4 x 5 does not hold")])
def test_a_grid_without_a_spectrum_is_refused(grid: tuple[int, int], message: str):
    with pytest.raises(LrcoreError, match=message):
        power_spectrum(white(4, 24), grid)


# --- standard errors against repeated sampling


@pytest.mark.parametrize(
    ("metric", "truth", "least"),
    [
        (lambda t: channel_moments(t).mean, torch.zeros(3), 0.92),
        (lambda t: channel_moments(t).std, torch.tensor([5.0, 2.25, 1.0]).sqrt(), 0.92),
        # of few images the kurtosis is skewed: where it comes out too small, so does its error
        (lambda t: channel_moments(t).kurtosis, torch.zeros(3), 0.85),
        (effective_dimension, torch.tensor(8.25**2 / (25 + 2.25**2 + 1)), 0.9),
        (lambda t: power_spectrum(t, (4, 4)).slope, torch.tensor(0.0), 0.9),
    ],
    ids=["mean", "std", "kurtosis", "dimension", "slope"],
)
def test_standard_errors_are_the_spread_of_repeated_measurements(
    metric: Callable[[Tensor], Estimate], truth: Tensor, least: float
):
    """Positions are correlated: moments' errors as of independent positions would be 2 to 4 times too small."""
    measured = [metric(clustered(seed)) for seed in range(200)]
    values = torch.stack([m.value for m in measured])
    errors = torch.stack([m.standard_error for m in measured])
    ratio = errors.mean(dim=0) / values.std(dim=0)
    assert ((ratio > 0.8) & (ratio < 1.2)).all(), ratio
    covered = ((values - truth).abs() < 1.96 * errors).double().mean()
    assert least < covered < 0.985, covered


def test_jackknife_of_a_mean_over_unequal_groups():
    values = torch.randn(150, generator=seeded(), dtype=torch.float64)
    sums = torch.stack([torch.tensor([float(len(g)), g.sum()]) for g in (values[i::100] for i in range(100))]).double()
    found = jackknife(sums, lambda s: s[:, 1] / s[:, 0])
    assert found.value == pytest.approx(values.mean().item())
    assert found.standard_error == pytest.approx(values.std().item() / math.sqrt(150), rel=0.15)
    assert found.corrected(sums[:, 0]) == pytest.approx(values.mean().item())


def test_results_do_not_depend_on_the_chunks(monkeypatch: pytest.MonkeyPatch):
    tokens = field(30, (4, 4), 3, 1.0)

    def everything() -> list[Tensor]:
        moments, spectrum = channel_moments(tokens), power_spectrum(tokens, (4, 4))
        estimates = [moments.std, moments.kurtosis, effective_dimension(tokens), spectrum.power, spectrum.slope]
        return [x for e in estimates for x in (e.value, e.standard_error)]

    whole = everything()
    monkeypatch.setattr(jackknife_module, "CHUNK", 100)
    for a, b in zip(everything(), whole, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-10)


# --- equivariance


def unshuffled(patch: int) -> Callable[[Tensor], Tensor]:
    """Every pixel kept, in tokens of 3 x patch x patch channels in (channel, row, column) order."""
    return lambda images: functional.pixel_unshuffle(images, patch).flatten(2).transpose(1, 2)


def averaged(images: Tensor) -> Tensor:
    return functional.avg_pool2d(images, 4).flatten(2).transpose(1, 2)


def test_an_equivariant_encoder_has_no_error():
    for encode, patch in ((averaged, 1), (unshuffled(4), 4)):
        found = equivariance_errors(encode, pixels(), (8, 8), patch)
        assert list(found) == ["flip_error", "shift_error"]
        for estimate in found.values():
            assert estimate.value < 1e-12 and estimate.standard_error < 1e-12
            assert estimate.n_images == 8


def test_without_the_columns_inside_tokens_a_flip_is_no_symmetry():
    found = equivariance_errors(unshuffled(4), pixels(), (8, 8), patch=1)
    assert found["flip_error"].value == pytest.approx(1, abs=0.05)
    assert found["shift_error"].value < 1e-12


def test_patches_of_a_grid_that_is_not_square():
    images = pixels(side=32)[:, :, :24]
    found = equivariance_errors(unshuffled(4), images, (6, 8), patch=4)
    assert max(float(estimate.value) for estimate in found.values()) < 1e-12


def test_the_columns_of_a_patch_are_the_last_of_its_three_axes():
    """Rows mirrored in place of columns: (channel, column, row) order is not what the error assumes."""

    def transposed(images: Tensor) -> Tensor:
        return unshuffled(4)(images).unflatten(2, (3, 4, 4)).transpose(3, 4).flatten(2)

    assert equivariance_errors(transposed, pixels(), (8, 8), patch=4)["flip_error"].value > 0.5


def test_unrelated_latents_have_an_error_of_one():
    generator = seeded()
    offset = torch.tensor([10.0, -5.0, 0.0])

    def noise(images: Tensor) -> Tensor:
        return torch.randn(len(images), 64, 3, generator=generator) + offset

    for estimate in equivariance_errors(noise, pixels(100), (8, 8)).values():
        assert abs(estimate.value - 1) < 3.5 * estimate.standard_error < 0.1


def test_a_random_map_of_the_pixels_has_an_error_of_about_one():
    weights = torch.randn(3 * 32 * 32, 64 * 4, generator=seeded())
    found = equivariance_errors(lambda x: (x.flatten(1) @ weights).unflatten(1, (64, 4)), pixels(100), (8, 8))
    for estimate in found.values():
        assert estimate.value == pytest.approx(1, abs=0.05)


def test_negated_latents_have_an_error_of_two():
    """A channel that measures left against right changes its sign with the flip."""

    def gradient(images: Tensor) -> Tensor:
        pooled = functional.avg_pool2d(images[:, :1], (4, 2)).unflatten(3, (-1, 2))
        return (pooled[..., 1] - pooled[..., 0]).flatten(2).transpose(1, 2)

    found = equivariance_errors(gradient, pixels(), (8, 8))
    assert found["flip_error"].value == pytest.approx(2, abs=0.05)
    assert found["shift_error"].value < 1e-12


def test_the_border_is_left_out_of_shifts():
    """Latents that differ in the outermost tokens alone: a flip maps them onto each other, a shift moves them."""
    frame = torch.zeros(8, 8)
    frame[0], frame[-1], frame[:, 0], frame[:, -1] = 9.0, 9.0, 9.0, 9.0

    def framed(images: Tensor) -> Tensor:
        return averaged(images) + frame.reshape(1, 64, 1)

    found = equivariance_errors(framed, pixels(), (8, 8))
    assert found["flip_error"].value < 1e-12 and found["shift_error"].value < 1e-12
    for inside in ((1, 1), (5, 5), (1, 5)):
        frame[inside] = 9.0
        assert equivariance_errors(framed, pixels(), (8, 8))["shift_error"].value > 0.1
        frame[inside] = 0.0


def test_the_error_by_its_definition():
    """Against the formula written out for two images, where position matters a little."""
    images = pixels(2)
    slope = torch.linspace(0, 0.5, 64).reshape(1, 64, 1)

    def encode(x: Tensor) -> Tensor:
        return averaged(x) + slope

    a = encode(images.flip(3).float() / 127.5 - 1).double()
    b = encode(images.float() / 127.5 - 1).double().unflatten(1, (8, 8)).flip(2).flatten(1, 2)
    mean = torch.cat([a, b]).mean(dim=(0, 1))
    spread = ((a - mean) ** 2).sum(dim=(1, 2)) + ((b - mean) ** 2).sum(dim=(1, 2))
    expected = ((a - b) ** 2).sum(dim=(1, 2)) / spread
    found = equivariance_errors(encode, images, (8, 8), names=["flip_error"])
    assert list(found) == ["flip_error"]
    assert found["flip_error"].value == pytest.approx(expected.mean().item(), rel=1e-6)
    assert found["flip_error"].standard_error == pytest.approx(expected.std().item() / math.sqrt(2), rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": pixels().float()}, "uint8 images"),
        ({"images": pixels(1)}, "at least 2 images, got 1"),
        ({"grid": (5, 8)}, "does not divide images of 32 x 32 px"),
        ({"grid": (4, 4)}, "4 x 4 does not hold 64 tokens"),
        ({"grid": (2, 2)}, "at least 4 x 4, got 2 x 2"),
        ({"patch": 2}, "tokens of 3 channels do not hold patches of 2 x 2"),
        ({"names": ["flip"]}, "unknown symmetry 'flip'.*did you mean 'flip_error'"),
        ({"encode": lambda x: averaged(x)[:1]}, "latents of 1 images out of 8"),
        ({"encode": lambda x: averaged(x) * torch.nan}, "8 of 8 images hold NaN"),
        ({"encode": lambda x: averaged(x) * 0 + 0.1}, "flip_error: the latents of 8 of 8 images are the mean"),
    ],
)
def test_encoders_and_images_that_do_not_fit_are_named(changes: dict[str, object], message: str):
    arguments = {"encode": averaged, "images": pixels(), "grid": (8, 8), "patch": 1, **changes}
    with pytest.raises(LrcoreError, match=message):
        equivariance_errors(**arguments)


# --- probe


def labelled(images: int, gap: float, seed: int, classes: int = 4) -> tuple[Tensor, Tensor]:
    """Tokens (images, 6, 8) whose mean lies `gap` from the origin in the direction of the class."""
    labels = torch.randint(0, classes, (images,), generator=seeded(seed + 1000))
    tokens = white(images, 6, 8, seed) + gap * functional.one_hot(labels, 8)[:, None]
    return tokens, labels


def test_separable_classes_are_all_found():
    found = linear_probe(*labelled(200, 20.0, 0), *labelled(100, 20.0, 1), classes=4)
    assert (found.value, found.standard_error, found.n_images) == (1.0, 0.0, 100)


def test_labels_without_meaning_are_guessed():
    found = linear_probe(*labelled(400, 0.0, 0), *labelled(1000, 0.0, 1), classes=4)
    assert abs(found.value - 0.25) < 3.5 * found.standard_error
    p = found.value.item()
    assert found.standard_error == pytest.approx(math.sqrt(p * (1 - p) / 1000))


def test_accuracy_of_overlapping_classes_is_that_of_the_best_classifier():
    """Two unit Gaussians, of means one gap apart along each of two axes; pooling 6 tokens divides the deviation."""
    train, test = labelled(4000, 0.5, 0, classes=2), labelled(4000, 0.5, 1, classes=2)
    best = scipy.stats.norm.cdf(0.5 * math.sqrt(2) / 2 * math.sqrt(6))
    found = linear_probe(*train, *test, classes=2)
    assert abs(found.value - best) < 3 * found.standard_error + 0.01


def test_images_of_classes_that_were_not_trained_on_count_as_wrong():
    tokens, labels = labelled(100, 20.0, 1)
    found = linear_probe(*labelled(200, 20.0, 0), tokens, labels.where(labels != 3, -1), classes=4)
    assert found.value == (labels != 3).double().mean() and found.n_images == 100


def test_the_probe_does_not_depend_on_scale_or_constant_channels():
    (train, labels), (test, test_labels) = labelled(200, 0.7, 0), labelled(200, 0.7, 1)
    found = linear_probe(train, labels, test, test_labels, 4)
    scale, shift = torch.logspace(-2, 2, 8), torch.linspace(-5, 5, 8)
    train, test = (
        torch.cat([t.double() * scale + shift, torch.full((*t.shape[:2], 1), 0.1)], dim=2) for t in (train, test)
    )
    assert linear_probe(train, labels, test, test_labels, 4) == found
    assert 0.4 < found.value < 0.95


def test_the_probe_runs_where_gradients_are_off():
    with torch.no_grad():
        assert linear_probe(*labelled(50, 20.0, 0), *labelled(50, 20.0, 1), classes=4).value == 1.0


@pytest.mark.parametrize("penalty", [1.0, 1e-2, 1e-4])
def test_the_optimum_is_scipys(penalty: float):
    tokens, labels = labelled(120, 1.0, 0)
    features = tokens.mean(dim=1).double()

    def objective(flat: np.ndarray) -> float:
        weights = torch.from_numpy(flat).reshape(4, 9)
        loss = functional.cross_entropy(features @ weights[:, :-1].T + weights[:, -1], labels)
        return float(loss + penalty / 2 * weights[:, :-1].square().sum())

    expected = scipy.optimize.minimize(objective, np.zeros(36), options={"maxiter": 2000, "gtol": 1e-6})
    found = objective(minimise(features, labels, 4, penalty).numpy().ravel())
    assert found == pytest.approx(expected.fun, abs=1e-6)
    assert found < objective(np.zeros(36)) - 0.01


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": 1}, "at least 2 classes, got 1"),
        ({"classes": 3}, "training labels must be from 0 to 2, got 0 to 3"),
        ({"train_labels": torch.zeros(40, dtype=torch.int64)}, "all training images are of one class"),
        ({"train_labels": torch.zeros(39, dtype=torch.int64)}, "training labels must be 40 integers"),
        ({"train_labels": torch.zeros(40)}, "training labels must be 40 integers, one an image, got torch.float32"),
        ({"test_labels": torch.full((20,), -2)}, "test labels must be from -1 to 3, got -2 to -2"),
        ({"test_tokens": white(20, 6, 7)}, "8 channels in training, of 7 in test"),
        ({"train_tokens": white(9, 6, 8)}, "at least 10 training images, got 9"),
        ({"test_tokens": white(20, 6, 8) * torch.nan}, "20 of 20 images hold NaN"),
    ],
)
def test_what_cannot_be_probed_is_named(changes: dict[str, object], message: str):
    (train, labels), (test, test_labels) = labelled(40, 1.0, 0), labelled(20, 1.0, 1)
    arguments = {"train_tokens": train, "train_labels": labels, "test_tokens": test, "test_labels": test_labels}
    with pytest.raises(LrcoreError, match=message):
        linear_probe(**{**arguments, "classes": 4, **changes})


# --- refusals of all metrics of tokens


@pytest.mark.parametrize("metric", [channel_moments, effective_dimension, lambda t: power_spectrum(t, (8, 8))])
def test_latents_without_a_metric_are_named(metric: Callable[[Tensor], object]):
    with pytest.raises(LrcoreError, match=r"float tokens \(images, T, C\), got torch.float32 \(64, 6\)"):
        metric(white()[0])
    with pytest.raises(LrcoreError, match=r"got torch\.int64"):
        metric(white().long())
    with pytest.raises(LrcoreError, match="at least 2 images, got 1"):
        metric(white(1))
    with pytest.raises(LrcoreError, match="at least 2 images, got 0"):
        metric(white()[:0])
    bad = white()
    bad[3, 5, 0], bad[7, 0, 1], bad[7, 1, 1] = torch.nan, torch.inf, -torch.inf
    with pytest.raises(LrcoreError, match="2 of 64 images hold NaN or infinity"):
        metric(bad)


@pytest.mark.parametrize("constant", [0.0, 0.1, -1234.56])
def test_constant_latents_have_no_dimension(constant: float):
    tokens = torch.full((7, 49, 3), constant)
    with pytest.raises(LrcoreError, match="same at all positions"):
        effective_dimension(tokens)
    tokens[3] = white(1, 49, 3)[0]
    with pytest.raises(LrcoreError, match="but for one image in 7 at most"):
        effective_dimension(tokens)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_floating_point_type_is_summed_in_float64(dtype: torch.dtype):
    tokens = white(channels=3).to(dtype)
    for metric in (lambda t: channel_moments(t).std, effective_dimension, lambda t: power_spectrum(t, (8, 8)).slope):
        found = metric(tokens)
        assert found.value.dtype == torch.float64
        torch.testing.assert_close(found.value, metric(tokens.double()).value)


# --- everything at once


def sample(side: int = 32, **changes: object) -> LatentSample:
    train, images = pixels(40, side, 1), pixels(20, side, 2)
    labels = torch.arange(40) % 2
    step = side // 8

    def encode(x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, step).flatten(2).transpose(1, 2)

    parts = {
        "train_tokens": encode(train.float() / 127.5 - 1), "train_labels": labels,
        "tokens": encode(images.float() / 127.5 - 1), "labels": labels[:20], "images": images,
        "encode": encode, "grid": (8, 8), "patch": 1, "classes": 2, **changes,
    }  # fmt: skip
    return LatentSample(**parts)


def test_all_diagnostics_at_once():
    latents = sample()
    found = diagnose(latents)
    counts: dict[str, list[int]] = {}
    for row in found:
        counts.setdefault(row.metric, []).append(row.index)
        assert row.n_images == 20 and row.protocol
        assert math.isfinite(row.value) and row.standard_error >= 0
        assert math.isnan(row.x) == (row.metric != "spectrum_power")
    assert counts == {
        "channel_mean": [0, 1, 2], "channel_std": [0, 1, 2], "channel_kurtosis": [0, 1, 2],
        "effective_dimension": [-1], "spectrum_power": [0, 1, 2, 3], "spectrum_slope": [-1],
        "flip_error": [-1], "shift_error": [-1], "probe_accuracy": [-1],
    }  # fmt: skip
    values = {(row.metric, row.index): row for row in found}
    assert values["effective_dimension", -1].value == effective_dimension(latents.tokens).value
    assert values["channel_std", 1].standard_error == channel_moments(latents.tokens).std.standard_error[1]
    spectrum = power_spectrum(latents.tokens, (8, 8))
    assert values["spectrum_power", 2].x == spectrum.frequency[2]
    assert values["spectrum_power", 2].value == spectrum.power.value[2]
    assert values["shift_error", -1].value < 1e-12


def test_diagnoses_are_the_same_every_time():
    once, twice = ([dataclasses.replace(row, x=0.0) for row in diagnose(sample())] for _ in range(2))
    assert once == twice


def test_a_channel_that_is_constant_is_one_row_of_nan():
    latents = sample()
    for tokens in (latents.tokens, latents.train_tokens):
        tokens[..., 2] = 0.3
    undefined = [(row.metric, row.index) for row in diagnose(latents) if math.isnan(row.value)]
    assert undefined == [("channel_kurtosis", 2)]


def test_a_grid_too_small_for_spectrum_and_shift_leaves_them_out():
    def encode(x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, 16).flatten(2).transpose(1, 2)

    train, images = pixels(40, 32, 1), pixels(20, 32, 2)
    small = sample(
        train_tokens=encode(train.float()), tokens=encode(images.float()), images=images, encode=encode, grid=(2, 2)
    )
    metrics = {row.metric for row in diagnose(small)}
    assert "flip_error" in metrics and "effective_dimension" in metrics
    assert not metrics & {"spectrum_power", "spectrum_slope", "shift_error"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": pixels(19)}, "19 images do not go with latents of 20"),
        ({"grid": (4, 8)}, "4 x 8 does not hold 64 tokens"),
        ({"labels": torch.zeros(19, dtype=torch.int64)}, "test labels must be 20 integers"),
        ({"classes": 1}, "at least 2 classes"),
        ({"train_tokens": white(40, 63, 3)}, "8 x 8 does not hold 63 tokens"),
    ],
)
def test_parts_that_do_not_fit_are_named(changes: dict[str, object], message: str):
    with pytest.raises(LrcoreError, match=message):
        diagnose(sample(**changes))
