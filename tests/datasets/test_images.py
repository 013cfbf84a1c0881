"""The one image convention."""

import numpy
import pytest
import torch
from PIL import Image

from lrcore.datasets.images import save_png, to_float, to_uint8


def test_every_pixel_value_survives_the_round_trip():
    pixels = torch.arange(256, dtype=torch.uint8)
    assert to_float(pixels).aminmax() == (-1.0, 1.0)
    assert torch.equal(to_uint8(to_float(pixels)), pixels)


def test_rounding_is_to_the_nearest_and_values_outside_are_clamped():
    step = 1 / 127.5
    values = torch.tensor([-1.5, 1.5, -1 + 0.49 * step, -1 + 0.51 * step, 0.0])
    assert to_uint8(values).tolist() == [0, 255, 0, 1, 128]


def test_the_wrong_kind_is_refused():
    with pytest.raises(TypeError, match="expected uint8 pixels"):
        to_float(torch.zeros(1))
    with pytest.raises(TypeError, match="expected floating-point images"):
        to_uint8(torch.zeros(1, dtype=torch.uint8))
    with pytest.raises(ValueError, match="NaN"):
        to_uint8(torch.tensor([torch.nan]))


def test_a_png_holds_the_pixels(tmp_path):
    pixels = torch.randint(256, (3, 5, 7), dtype=torch.uint8)
    save_png(tmp_path / "a.png", pixels)
    assert numpy.array_equal(numpy.asarray(Image.open(tmp_path / "a.png")), pixels.permute(1, 2, 0).numpy())
