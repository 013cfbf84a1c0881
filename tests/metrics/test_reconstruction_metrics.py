from __future__ import annotations

import functools
import math
import warnings

import lpips
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rounding import assert_as_exact, in_float64
from scipy.ndimage import gaussian_filter
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from skimage.transform import resize

from lrcore.assets import pretrained
from lrcore.datasets.images import to_float
from lrcore.errors import LrcoreError
from lrcore.metrics.reconstruction import (
    LPIPS_PROTOCOL,
    PSNR_PROTOCOL,
    SSIM_PROTOCOL,
    Lpips,
    load_lpips,
    lpips_together,
    psnr,
    ssim,
    summarise,
)


def pair(n: int = 3, height: int = 32, width: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth colour images, and the same with noise of growing strength."""
    generator = np.random.default_rng(0)
    clean = gaussian_filter(generator.normal(size=(n, 3, height, width)), (0, 0, 3, 3))
    clean = 127 + 60 * clean / clean.std()
    strength = np.arange(2, n + 2).reshape(n, 1, 1, 1) * 5.0
    noisy = clean + strength * generator.normal(size=clean.shape)
    a, b = (torch.from_numpy(np.clip(x, 0, 255).astype(np.uint8)) for x in (clean, noisy))
    return a, b


def test_psnr_is_scikit_images():
    a, b = pair()
    expected = [peak_signal_noise_ratio(x, y, data_range=255) for x, y in zip(a.numpy(), b.numpy(), strict=True)]
    np.testing.assert_allclose(psnr(a, b), expected, rtol=1e-6)


def test_psnr_of_a_known_error():
    a = torch.full((1, 3, 4, 4), 100, dtype=torch.uint8)
    assert psnr(a, a + 5).item() == pytest.approx(20 * math.log10(255 / 5), rel=1e-12)


def test_psnr_of_identical_images_is_finite_and_that_of_one_value_off_by_one():
    a, b = pair()
    off_by_one = a.clone()
    off_by_one[:, 0, 0, 0] ^= 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = psnr(a, a)
    np.testing.assert_allclose(found, psnr(a, off_by_one), rtol=1e-12)
    assert (found > psnr(a, b)).all()
    assert "identical" in PSNR_PROTOCOL


def test_ssim_is_scikit_images_with_the_window_of_wang_2004():
    a, b = pair()
    expected = [
        structural_similarity(
            x.transpose(1, 2, 0), y.transpose(1, 2, 0), data_range=255, channel_axis=-1,
            gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        )
        for x, y in zip(a.numpy(), b.numpy(), strict=True)
    ]  # fmt: skip
    np.testing.assert_allclose(ssim(a, b), expected, rtol=1e-6)


def photographs(height: int, width: int) -> np.ndarray:
    """uint8 (2, 3, height, width)."""
    shown = [resize(image, (height, width), anti_aliasing=True) for image in (data.astronaut(), data.coffee())]
    return (255 * np.stack(shown)).round().astype(np.uint8).transpose(0, 3, 1, 2)


def scikit_images(a: np.ndarray, b: np.ndarray) -> tuple[list[float], list[float]]:
    """PSNR in dB and SSIM of each pair, none of them identical for the PSNR to be finite."""
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return (
        [peak_signal_noise_ratio(x, y, data_range=255) for x, y in zip(a, b, strict=True)],
        [structural_similarity(x, y, data_range=255, channel_axis=0, **window) for x, y in zip(a, b, strict=True)],
    )


def assert_are_scikit_images(a: np.ndarray, b: np.ndarray) -> None:
    expected_psnr, expected_ssim = scikit_images(a, b)
    np.testing.assert_allclose(psnr(torch.from_numpy(a), torch.from_numpy(b)), expected_psnr, rtol=0, atol=1e-9)
    np.testing.assert_allclose(ssim(torch.from_numpy(a), torch.from_numpy(b)), expected_ssim, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("height", "width"), [(11, 11), (32, 32), (64, 48), (48, 64), (131, 97), (256, 256), (12, 3000)]
)
def test_both_are_scikit_images_at_every_size(height, width):
    generator = np.random.default_rng(0)
    clean = photographs(height, width)
    off_by_one = clean ^ (generator.random(clean.shape) < 0.1).astype(np.uint8)
    off_by_one[..., 0, 0] = clean[..., 0, 0] ^ 1
    noisy = np.clip(clean + generator.normal(scale=12, size=clean.shape), 0, 255).round().astype(np.uint8)
    noise = generator.integers(0, 256, clean.shape, dtype=np.uint8)
    constant = np.full_like(clean, 255)
    others = (off_by_one, noisy, noise, constant, clean[::-1])
    assert_are_scikit_images(np.concatenate([clean] * len(others)), np.ascontiguousarray(np.concatenate(others)))
    assert_are_scikit_images(np.concatenate([constant, noise]), np.concatenate([constant - 100, 255 - noise]))


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), st.integers(11, 70), st.integers(11, 70), st.integers(1, 255), st.integers(0, 2**32 - 1))
def test_both_are_scikit_images_of_any_noise(n, height, width, contrast, seed):
    generator = np.random.default_rng(seed)
    a, b = generator.integers(0, contrast + 1, (2, n, 3, height, width), dtype=np.uint8)
    b[:, 0, 0, 0] = a[:, 0, 0, 0] ^ 1
    assert_are_scikit_images(a, b)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_neither_depends_on_the_batch_or_on_how_it_lies_in_memory(metric):
    a, b = pair(n=40)
    one_by_one = torch.cat([metric(a[[i]], b[[i]]) for i in range(40)])
    np.testing.assert_allclose(metric(a, b), one_by_one, rtol=1e-12)
    a, b = (images.contiguous(memory_format=torch.channels_last) for images in (a, b))
    np.testing.assert_allclose(metric(a, b), one_by_one, rtol=1e-12)


def test_ssim_leaves_the_number_of_threads_as_it_was():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        several = ssim(*pair(n=8))
        assert torch.get_num_threads() == 3
        torch.set_num_threads(1)
        np.testing.assert_allclose(ssim(*pair(n=8)), several, rtol=1e-12)
    finally:
        torch.set_num_threads(before)


def test_ssim_by_its_formula():
    """Wang et al. 2004, eq. 13, with the window and the border that SSIM_PROTOCOL states."""
    a, b = pair(n=1)
    x, y = a[0].double().numpy(), b[0].double().numpy()

    def blur(image: np.ndarray) -> np.ndarray:
        return gaussian_filter(image, (0, 1.5, 1.5), radius=(0, 5, 5))

    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y, cov = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2, blur(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = (2 * mean_x * mean_y + c1) * (2 * cov + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    assert ssim(a, b).item() == pytest.approx(values[:, 5:-5, 5:-5].mean(), rel=1e-6)
    assert "11 px sigma 1.5" in SSIM_PROTOCOL and "5 px from the border" in SSIM_PROTOCOL


def test_ssim_of_identical_images_is_one():
    a, _ = pair()
    np.testing.assert_allclose(ssim(a, a), 1.0, rtol=1e-12)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_pairs_that_cannot_be_compared_are_named(metric):
    a, b = pair()
    with pytest.raises(LrcoreError, match=r"two batches of one shape, got \(3, 3, 32, 40\) and \(2, 3, 32, 40\)"):
        metric(a, b[:2])
    with pytest.raises(LrcoreError, match=r"uint8 images .* got torch.float32"):
        metric(a, b.float())
    with pytest.raises(LrcoreError, match=r"got torch.uint8 \(3, 32, 40\)"):
        metric(a[0], b[0])
    assert metric(a[:0], b[:0]).shape == (0,)


def test_ssim_refuses_images_smaller_than_its_window():
    a, b = pair(height=11, width=11)
    assert ssim(a, b).shape == (3,)
    with pytest.raises(LrcoreError, match="ssim needs images of at least 11 px, got 10 x 11"):
        ssim(a[:, :, :10], b[:, :, :10])


@functools.cache  # torchvision draws VGG's classifier, too: seconds
def random_lpips(net: str = "vgg", weighted: bool = True) -> lpips.LPIPS:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision's note on the package's use of `pretrained`
        return lpips.LPIPS(net=net, lpips=weighted, pnet_rand=True, verbose=False).eval()


@pytest.fixture
def random_trunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "lpips_metric", random_lpips)
    monkeypatch.setattr(pretrained, "sha256", lambda name: f"hash of {name}")


@pytest.mark.usefixtures("random_trunks")
@pytest.mark.parametrize(
    ("name", "net", "weighted", "asset"),
    [
        ("lpips_vgg", "vgg", True, "lpips_vgg16"),
        ("lpips_alex", "alex", True, "lpips_alexnet"),
        ("lpips_vgg_unweighted", "vgg", False, "lpips_vgg16"),
    ],
)
def test_lpips_is_the_packages_at_32_px_image_by_image(name, net, weighted, asset):
    a, b = pair(n=18, height=32, width=32)
    metric = load_lpips(name)
    assert (metric.name, metric.sha256, metric.protocol) == (name, f"hash of {asset}", LPIPS_PROTOCOL[name])
    found = metric(a, b)
    assert found.shape == (18,) and found.dtype == torch.float64
    module = pretrained.lpips_metric(net, weighted)
    with torch.no_grad():
        single = torch.cat([module(to_float(a[[i]]), to_float(b[[i]])).flatten() for i in range(18)])
        exact = in_float64(module)(to_float(a).double(), to_float(b).double()).flatten()
    assert_as_exact(found.float(), single, exact)
    torch.testing.assert_close(metric(a, a), torch.zeros(18, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "net", "weighted"),
    [("lpips_vgg", "vgg", True), ("lpips_alex", "alex", True), ("lpips_vgg_unweighted", "vgg", False)],
)
def test_lpips_is_the_packages_with_the_pinned_trunks(name, net, weighted):
    """The package builds the metric and loads its own linear weights; the trunk is torchvision's, by its names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision's note on the package's use of `pretrained`
        module = lpips.LPIPS(net=net, lpips=weighted, pnet_rand=True, verbose=False).eval()
    trunk = pretrained.lpips_backbone(net)
    for key, parameter in module.net.named_parameters():
        parameter.data.copy_(trunk["features." + key.split(".", 1)[1]])
    clean = photographs(64, 48)
    a, b = torch.from_numpy(clean), torch.from_numpy(gaussian_filter(clean, (0, 0, 1, 1)))
    with torch.no_grad():
        single = module(to_float(a), to_float(b)).flatten()
        exact = in_float64(module)(to_float(a).double(), to_float(b).double()).flatten()
    assert (exact > 0.05).all()
    assert_as_exact(load_lpips(name)(a, b).float(), single, exact)


@pytest.mark.usefixtures("random_trunks")
def test_several_variants_together_are_what_each_gives_and_a_network_runs_once():
    variants = [load_lpips(name) for name in LPIPS_PROTOCOL]
    by_network = {variant.network: variant.module.net.state_dict() for variant in reversed(variants)}
    passes = []
    for variant in variants:  # trunks are drawn at random: one for each network
        variant.module.net.load_state_dict(by_network[variant.network])
        variant.module.net.register_forward_pre_hook(lambda net, images, of=variant.network: passes.append(of))
    a, b = pair(n=18, height=32, width=32)
    together = lpips_together(variants, a, b)
    assert sorted(passes) == ["alex"] * 4 + ["vgg"] * 4  # two batches in two chunks
    for variant, values in zip(variants, together, strict=True):
        assert torch.equal(values, variant(a, b))
    assert [len(values) for values in lpips_together(variants, a[:0], b[:0])] == [0, 0, 0]
    with pytest.raises(LrcoreError, match="lpips_vgg needs images of at least 16 px"):
        lpips_together(variants, a[..., :8, :8], b[..., :8, :8])


@pytest.mark.usefixtures("random_trunks")
@pytest.mark.parametrize(("name", "smallest"), [("lpips_vgg", 16), ("lpips_alex", 31)])
def test_lpips_takes_images_down_to_what_its_trunk_can_pool(name, smallest):
    metric = load_lpips(name)
    a, b = pair(n=1, height=smallest, width=smallest)
    assert metric(a, b).item() > 0
    with pytest.raises(LrcoreError, match=f"{name} needs images of at least {smallest} px, got {smallest - 1} x"):
        metric(a[:, :, 1:], b[:, :, 1:])
    with pytest.raises(RuntimeError):
        metric.module(to_float(a[:, :, 1:]), to_float(b[:, :, 1:]))


@pytest.mark.usefixtures("random_trunks")
def test_lpips_refuses_floats_and_unknown_variants():
    metric = load_lpips("lpips_vgg")
    assert isinstance(metric, Lpips)
    a, b = pair()
    with pytest.raises(LrcoreError, match="lpips_vgg takes uint8 images"):
        metric(to_float(a), b)
    with pytest.raises(LrcoreError, match=r"unknown LPIPS variant 'lpips_vg'; .* did you mean 'lpips_vgg'"):
        load_lpips("lpips_vg")


def test_summary_is_mean_and_standard_error_of_the_mean():
    found = summarise(torch.tensor([1.0, 2.0, 3.0, 6.0], dtype=torch.float64))
    assert (found.mean, found.n) == (3.0, 4)
    assert found.standard_error == pytest.approx(math.sqrt(14 / 3) / 2)
    assert summarise([1.0, 2.0, 3.0, 6.0]) == found


def test_summary_of_one_value_has_no_standard_error():
    found = summarise([2.5])
    assert (found.mean, found.n) == (2.5, 1) and math.isnan(found.standard_error)


@pytest.mark.parametrize(("values", "message"), [([], "no values"), ([1.0, math.nan, math.inf], "2 of 3 values")])
def test_summary_refuses_nothing_and_what_is_not_finite(values, message):
    with pytest.raises(LrcoreError, match=message):
        summarise(values)
