"""From encoded images to pixels: ADM's crop, of pictures of any shape, in bounded memory."""

import threading
import time

import numpy
import pytest
import torch
from PIL import Image

from lrcore.datasets.decoding import WHOLE, _Room, centre_crop, read_image


def whole_crop(image, size):
    """ADM's crop as its authors wrote it: the whole image is resized."""
    while min(image.size) >= 2 * size:
        image = image.resize(tuple(side // 2 for side in image.size), resample=Image.Resampling.BOX)
    scale = size / min(image.size)
    image = image.resize(tuple(round(side * scale) for side in image.size), resample=Image.Resampling.BICUBIC)
    pixels = numpy.array(image)
    top, left = (pixels.shape[0] - size) // 2, (pixels.shape[1] - size) // 2
    return pixels[top : top + size, left : left + size]


def noise(width, height):
    draw = numpy.random.default_rng(width + height)
    return Image.fromarray(draw.integers(0, 256, (height, width, 3), dtype=numpy.uint8))


@pytest.mark.parametrize("size", [8, 16, 33])
@pytest.mark.parametrize("sides", [(16, 16), (17, 40), (90, 31), (5, 9), (200, 13), (13, 13 * WHOLE), (640, 480)])
def test_ordinary_pictures_are_cropped_as_adm_does(sides, size):
    assert (numpy.asarray(centre_crop(noise(*sides), size)) == whole_crop(noise(*sides), size)).all()


@pytest.mark.parametrize("sides", [(2000, 3), (3, 2001), (5000, 20), (31, 1000), (997, 1)])
@pytest.mark.parametrize("size", [8, 25])
def test_long_pictures_differ_by_rounding_alone(sides, size):
    """Of two passes, in either order: half a level in the first, times the filter's 1.25, and half in the second."""
    image = noise(*sides)
    found, expected = numpy.asarray(centre_crop(image, size)).astype(int), whole_crop(image, size).astype(int)
    assert found.shape == expected.shape == (size, size, 3)
    assert abs(found - expected).max() <= 2 * (0.5 * 1.25 + 0.5) + 1
    shifted = numpy.roll(expected, 1, axis=0 if sides[0] < sides[1] else 1)
    assert abs(found - expected).mean() < 0.3 < abs(shifted - expected).mean()


def test_a_long_picture_is_never_resized_whole(tmp_path, monkeypatch):
    noise(20_000, 2).save(tmp_path / "a.png")
    made, resize = [], Image.Image.resize

    def watched(image, size, *arguments, **named):
        made.append(size[0] * size[1])
        return resize(image, size, *arguments, **named)

    monkeypatch.setattr(Image.Image, "resize", watched)
    assert read_image(tmp_path / "a.png", 256).shape == (3, 256, 256)
    assert max(made) <= 256 * 256


def test_what_is_decoded_at_a_time_fits_in_the_room_or_is_alone():
    room, lock, inside, most = _Room(10), threading.Lock(), [], []

    def work(pixels):
        with room.taken(pixels):
            with lock:
                inside.append(pixels)
                most.append(list(inside))
            time.sleep(0.002)
            with lock:
                inside.remove(pixels)

    threads = [threading.Thread(target=work, args=(pixels,)) for pixels in (4, 25, 3, 3, 10, 6, 4, 30, 1, 9, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 11 and all(sum(held) <= 10 or len(held) == 1 for held in most)
    assert any(len(held) > 1 for held in most)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK", "L"])
def test_pictures_of_other_modes_are_rgb(tmp_path, mode):
    Image.new("RGB", (4, 4), "white").convert(mode).save(tmp_path / "a.tiff")
    assert torch.equal(read_image(tmp_path / "a.tiff", 4), torch.full((3, 4, 4), 255, dtype=torch.uint8))
