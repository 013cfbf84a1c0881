"""The folded Inception against torch-fidelity's own extractor, and its resize against TensorFlow 1's rule."""

import numpy as np
import pytest
import torch
from rounding import assert_as_exact
from skimage import data
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from lrcore.assets import pretrained
from lrcore.datasets import cifar10
from lrcore.metrics.half_precision import HalfInception
from lrcore.metrics.inception import Inception2015, resize_tensorflow1


@pytest.fixture(scope="module")
def theirs():
    return pretrained.inception2015()


@pytest.fixture(scope="module")
def exact():
    """Theirs in float64, but for its last line, which rounds to float32: a hundredth of what its layers do."""
    network = pretrained.inception2015().double()
    network.feature_extractor_internal_dtype = torch.float64
    return network


@pytest.fixture(scope="module")
def ours():
    return Inception2015(pretrained.inception2015())


def photographs():
    """A smooth, a detailed and a noisy image, uint8 (3, 3, 128, 128)."""
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3))
    pictures = [data.astronaut()[::4, ::4], data.coffee()[:256:2, :256:2], noise]
    return torch.stack([torch.from_numpy(p.copy()).permute(2, 0, 1).to(torch.uint8) for p in pictures])


def test_features_are_torch_fidelitys(ours, theirs, exact):
    for pixels in (photographs(), cifar10.load("test", 5)[0]):
        found = ours(pixels)
        assert found.shape == (len(pixels), 2048)
        assert_as_exact(found, theirs(pixels)[0], exact(pixels)[0].double())


def test_features_of_resized_images_skip_the_resize(ours):
    pixels = photographs()[:1]
    assert torch.equal(ours.of_resized(resize_tensorflow1(pixels.float(), 299)), ours(pixels))


def by_tensorflow1(image, size):
    """(H, W) by the loops of TensorFlow 1's resize_bilinear kernel, every operation in float32."""
    height, width = image.shape
    f32 = np.float32
    out = np.empty((size, size), f32)
    for i in range(size):
        y = f32(i) * f32(height / size)
        top, down = int(y), f32(y - f32(int(y)))
        bottom = min(top + 1, height - 1)
        for j in range(size):
            x = f32(j) * f32(width / size)
            left, across = int(x), f32(x - f32(int(x)))
            right = min(left + 1, width - 1)
            above = image[top, left] + (image[top, right] - image[top, left]) * across
            below = image[bottom, left] + (image[bottom, right] - image[bottom, left]) * across
            out[i, j] = above + (below - above) * down
    return out


@pytest.mark.parametrize("shape", [(32, 32), (40, 61), (7, 90), (1, 5), (53, 53)])
def test_resize_is_tensorflows_bit_for_bit(shape):
    image = np.random.default_rng(1).uniform(0, 255, shape).astype(np.float32)
    found = resize_tensorflow1(torch.from_numpy(image)[None, None], 53)
    np.testing.assert_array_equal(found[0, 0].numpy(), by_tensorflow1(image, 53))


@pytest.mark.parametrize("shape", [(32, 32), (256, 256), (512, 300), (17, 640)])
def test_resize_is_torch_fidelitys_bit_for_bit(shape):
    images = torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(2)) * 255
    expected = interpolate_bilinear_2d_like_tensorflow1x(images, size=(299, 299), align_corners=False)
    assert torch.equal(resize_tensorflow1(images, 299), expected)


def test_in_half_precision_features_are_near(ours):
    """bfloat16 rounds to 2^-9; errors of 94 layers partly cancel."""
    pixels = photographs()
    half = HalfInception(ours, torch.bfloat16, pixels[:1])(pixels)
    assert half.dtype == torch.float32 and half.shape == (3, 2048)
    assert (half - ours(pixels)).norm() < 0.1 * ours(pixels).norm()
