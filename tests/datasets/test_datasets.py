"""Images of a study: CIFAR-10 and folders, readable or not."""

import dataclasses
import shutil

import numpy
import pytest
import torch
from PIL import Image

from lrcore.datasets.loading import fingerprint, load_splits, read_image
from lrcore.errors import LrcoreError
from lrcore.spec.study import Data

FOLDER = Data("folder", 16, 4, 2)


@pytest.fixture
def folder(tmp_path):
    draw = numpy.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(4):
            pixels = draw.integers(0, 256, (20, 24, 3), dtype=numpy.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    return tmp_path


def of(folder, **changes):
    return dataclasses.replace(FOLDER, path=str(folder), **changes)


def test_cifar10_splits_say_which_images_they_are():
    splits = load_splits(Data("cifar10", 32, 30, 10))
    assert splits.train.images.shape == (30, 3, 32, 32)
    assert splits.train.images.dtype == torch.uint8
    assert splits.train.labels[:5].tolist() == [6, 9, 9, 4, 1]
    assert (splits.train.name, splits.validation.name) == ("cifar10/train[:30]", "cifar10/test[:10]")


def test_cifar10_has_one_resolution_and_50000_images():
    with pytest.raises(LrcoreError, match="resolution must be 32 for cifar10, got 64"):
        load_splits(Data("cifar10", 64, 20, 10))
    with pytest.raises(LrcoreError, match="limit 50001 of CIFAR-10's train split; allowed: 1 to 50000"):
        load_splits(Data("cifar10", 32, 50_001, 10))


def test_a_folder_is_split_without_overlap(folder):
    splits = load_splits(of(folder, train_images=5, validation_images=3))
    images = torch.cat([splits.train.images, splits.validation.images])
    assert images.shape == (8, 3, 16, 16)
    assert len({tuple(image.flatten().tolist()) for image in images}) == 8
    assert sorted([*splits.train.labels.tolist(), *splits.validation.labels.tolist()]) == [0] * 4 + [1] * 4
    assert splits.train.classes == 2


def test_validation_images_may_have_a_folder_of_their_own(folder, tmp_path):
    (other := tmp_path / "other" / "more").mkdir(parents=True)
    for name in ("cat", "dog"):
        shutil.copytree(folder / name, other / name)
        shutil.move(folder / name, folder / "first" / name)
    (other / "cat" / "0.png").unlink()
    both = dataclasses.replace(FOLDER, path=str(folder / "first"), validation_path=str(other), train_images=8)
    splits = load_splits(dataclasses.replace(both, validation_images=7))
    assert (splits.train.name, splits.validation.name) == ("first/train[:8]", "more/validation[:7]")
    assert sorted(splits.validation.labels.tolist()) == [0] * 3 + [1] * 4
    assert fingerprint(both) != fingerprint(dataclasses.replace(both, validation_path=""))
    with pytest.raises(LrcoreError, match=r"more' holds 7 readable images, data.validation_images asks for 8"):
        load_splits(dataclasses.replace(both, validation_images=8))
    same = load_splits(dataclasses.replace(both, validation_path=both.path, validation_images=8))
    assert torch.equal(same.train.images, same.validation.images)
    shutil.copytree(other / "cat", other / "ant")
    with pytest.raises(LrcoreError, match=r"must hold the same class folders; .* first: \(none\); .* second: ant"):
        load_splits(dataclasses.replace(both, validation_images=7))
    with pytest.raises(LrcoreError, match=r"data.validation_path '.*nowhere' is not a folder"):
        load_splits(dataclasses.replace(both, validation_path=str(other / "nowhere")))


def test_the_fingerprint_follows_the_files(folder):
    before = fingerprint(of(folder))
    assert fingerprint(of(folder)) == before
    (folder / "cat" / "0.png").unlink()
    assert fingerprint(of(folder)) != before


def test_an_unreadable_image_is_named_and_counted(folder, capsys):
    (folder / "cat" / "0.png").write_bytes(b"not a picture")
    whole = (folder / "dog" / "1.png").read_bytes()
    (folder / "dog" / "1.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        LrcoreError, match=r"2 of 8 images cannot be read: '.*cat.0.png' .*dog.1.png.*unreadable = \"skip\""
    ):
        load_splits(of(folder))
    assert len(load_splits(of(folder, unreadable="skip")).train.images) == 4
    assert "skipped: 2 of 8 images cannot be read" in capsys.readouterr().err


def test_too_few_images_and_no_images_are_refused(folder, tmp_path):
    with pytest.raises(LrcoreError, match="holds 8 readable images, the study asks for 9"):
        load_splits(of(folder, train_images=7))
    (tmp_path / "empty").mkdir()
    with pytest.raises(LrcoreError, match="holds no images in sub-folders"):
        load_splits(of(tmp_path / "empty"))
    with pytest.raises(LrcoreError, match="is not a folder"):
        load_splits(of(tmp_path / "nowhere"))


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    Image.fromarray(numpy.full((8, 8), 100 * 257, dtype=numpy.uint16)).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png", 4) == 100).all()


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_other_colour_modes_become_rgb(mode, tmp_path):
    Image.new("RGB", (8, 8), "white").convert(mode).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png", 4)
    assert read.shape == (3, 4, 4)
    assert (read == 255).all()


def test_the_centre_is_what_is_kept(tmp_path):
    pixels = numpy.zeros((8, 24, 3), dtype=numpy.uint8)
    pixels[:, 8:16] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png", 8) == 255).all()
