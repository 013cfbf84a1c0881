"""Which classes there are: those of the training images, whatever their labels are called."""

import numpy
import pyarrow
import pytest
import torch
from image_shards import encoded, parquet, samples, shards, tar

from lrcore.datasets import cifar10
from lrcore.datasets.classes import NO_CLASS
from lrcore.datasets.loading import fingerprint, load_splits
from lrcore.errors import LrcoreError
from lrcore.spec.study import Data


def in_stored_order(images):
    """The labels in the order in which the images were written: their values."""
    return images.labels[images.images[:, 0, 0, 0].argsort()].tolist()


@pytest.mark.parametrize("kind", ["parquet", "webdataset"])
@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([1, 2, 1, 2], [0, 1, 0, 1]),
        ([7, -3, 10**18, 7], [1, 0, 2, 1]),
        ([10, 9, 2, 10], [2, 1, 0, 2]),
        (["dog", "cat", "été", "cat"], [1, 0, 2, 0]),
        (["10", "9", "9", "2"], [2, 1, 1, 0]),
        (["9", "x", "10", "9"], [1, 2, 0, 1]),  # as text where one is no number
    ],
)
def test_labels_of_any_value_are_numbered(tmp_path, kind, labels, expected):
    splits = load_splits(shards(tmp_path, kind, labels, labels[:2]))
    assert splits.train.classes == len(set(labels)) == max(expected) + 1
    assert in_stored_order(splits.train) == expected
    assert in_stored_order(splits.validation) == expected[:2]
    assert splits.train.labels.dtype == torch.int64


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        (pyarrow.uint64(), [2**64 - 1, 5, 5, 2**64 - 1]),
        (pyarrow.dictionary(pyarrow.int8(), pyarrow.string()), ["b", "a", "a", "b"]),
        (pyarrow.large_string(), ["b", "a", "a", "b"]),
        (pyarrow.bool_(), [True, False, False, True]),
    ],
)
def test_columns_of_other_types_hold_classes_too(tmp_path, kind, labels):
    splits = load_splits(shards(tmp_path, "parquet", labels, labels[:2], column=kind))
    assert splits.train.classes == 2 and in_stored_order(splits.train) == [1, 0, 0, 1]


def test_the_same_integer_written_in_two_ways_is_one_class(tmp_path):
    splits = load_splits(shards(tmp_path, "webdataset", ["007", "7\n", "+8", "8"], ["7", "08"]))
    assert splits.train.classes == 2 and in_stored_order(splits.train) == [0, 0, 1, 1]


@pytest.mark.parametrize("kind", ["parquet", "webdataset"])
def test_classes_are_of_the_images_that_are_taken(tmp_path, kind):
    """A validation image of a class that only other training images have belongs to none."""
    data = shards(tmp_path, kind, [5, 8, 5, 8, 3], [8, 3])
    few = load_splits(Data(**vars(data) | {"train_images": 4}))
    assert few.train.classes == 2 and few.train.labels.tolist() == [0, 1, 0, 1]
    assert few.validation.labels.tolist() == [1, NO_CLASS]


@pytest.mark.parametrize(
    ("kind", "validation", "message"),
    [
        ("parquet", [1, 4], r"labels of '.*val.parquet' that no image of '.*train.parquet' has: 4"),
        ("webdataset", [1, "a b"], r"labels of '.*val.tar' that no image of '.*train.tar' has: 'a b'"),
        ("webdataset", [1, 10**50], "has: an integer of over 40 digits"),
    ],
)
def test_a_class_that_is_in_no_training_shard_is_refused(tmp_path, kind, validation, message):
    with pytest.raises(LrcoreError, match=message):
        load_splits(shards(tmp_path, kind, [1, 2], validation))


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (b"", "'000.cls' must hold a class as up to 1024 bytes of UTF-8, got b''"),
        (b"\xff\xfe", "must hold a class"),
        (b"1" * 2000, "must hold a class"),
    ],
)
def test_what_is_no_label_is_refused(tmp_path, label, message):
    data = shards(tmp_path, "webdataset", [1, 2], [1, 2])
    tar(tmp_path / "train.tar", samples(["1", "2"]) | {"000.cls": label})
    with pytest.raises(LrcoreError, match=message):
        load_splits(data)


def test_columns_of_no_labels_are_refused(tmp_path):
    with pytest.raises(LrcoreError, match=r"must be of integers or of text, got double"):
        load_splits(shards(tmp_path, "parquet", [1.5, 2.0], [1.5, 2.0]))
    with pytest.raises(LrcoreError, match=r"lacks 1 of 2 classes"):
        load_splits(shards(tmp_path, "parquet", [1, None], [1, 1]))
    data = shards(tmp_path, "parquet", [1, 2], [1, 2])
    parquet(tmp_path / "train-2.parquet", ["a", "b"])
    with pytest.raises(LrcoreError, match=r"is of integers in '.*train.parquet', of text in '.*train-2.parquet'"):
        load_splits(Data(**vars(data) | {"path": str(tmp_path / "train*.parquet")}))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {"img.v1.jpg": encoded(0, "jpg"), "img.cls": b"1"},
            r"'img', lacks its image; keys end at the first dot of the file name, so 'img.v1.jpg' is the 'v1.jpg' of",
        ),
        ({"img.jpg": encoded(0, "jpg"), "img.v1.cls": b"1"}, r"lacks its class \(cls\); keys end at the first dot"),
        ({"a/b.v1.jpg": encoded(0, "jpg"), "a/b.v1.cls": b"1"}, "hold no samples; keys end at the first dot of the"),
        ({"img.jpg": encoded(0, "jpg"), "x.seg.png": encoded(0)}, r"lacks its class \(cls\)$"),
    ],
)
def test_dots_in_the_names_of_a_shard_are_explained(tmp_path, members, message):
    data = shards(tmp_path, "webdataset", [1, 2], [1, 2])
    tar(tmp_path / "train.tar", members)
    with pytest.raises(LrcoreError, match=message):
        load_splits(data)


def test_members_that_are_passed_over_are_counted(tmp_path, capsys):
    data = shards(tmp_path, "webdataset", [1, 2], [1, 2])
    more = {"000.json": b"{}", "._000.png": b"of another system", "__MACOSX/000.png": b"", "x.v1.png": encoded(0)}
    tar(tmp_path / "train.tar", {f"./{name}": held for name, held in (samples(["1", "2"]) | more).items()})
    load_splits(data)
    said = capsys.readouterr().err
    assert "train.tar': 2 other members passed over (json, v1.png); keys end at the first dot" in said
    assert said.count("\n") == 1


@pytest.fixture
def folder(tmp_path):
    for name in ("b", "a", "c"):
        (tmp_path / name).mkdir()
        for number in range(3):
            (tmp_path / name / f"{number}.png").write_bytes(encoded(number + 10 * ord(name) % 200))
    return tmp_path


def test_an_empty_class_folder_is_refused(folder):
    assert load_splits(Data("folder", 8, 8, 1, path=str(folder))).train.classes == 3
    (folder / "d").mkdir()
    (folder / "d" / "notes.txt").write_text("no image")
    with pytest.raises(LrcoreError, match=r"class folders of '.*' hold no images: d; remove or fill them"):
        load_splits(Data("folder", 8, 8, 1, path=str(folder)))


def test_a_part_of_a_folder_has_the_classes_of_that_part(folder):
    splits = load_splits(Data("folder", 8, 2, 7, path=str(folder)))
    assert splits.train.labels.unique().tolist() == list(range(splits.train.classes))
    assert splits.train.classes < 3 and (splits.validation.labels == NO_CLASS).any()


def test_imagenet_has_the_classes_of_its_folders(folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("imagenet")
    for part in ("train", "val"):
        (root / part).symlink_to(folder)
    splits = load_splits(Data("imagenet", 8, 9, 9, path=str(root)))
    assert splits.train.classes == 3 and splits.train.labels.bincount().tolist() == [3, 3, 3]
    assert splits.validation.labels.bincount().tolist() == [3, 3, 3]


def test_cifar10_keeps_its_labels_and_its_fingerprint():
    data = Data("cifar10", 32, 30, 10)
    images, labels = cifar10.load("train", 30)
    splits = load_splits(data)
    assert torch.equal(splits.train.labels, labels) and torch.equal(splits.train.images, images)
    assert splits.train.classes == 10 and fingerprint(data) == "cifar10"
    assert len(cifar10.load("train", cifar10.HOLD_EVERY_CLASS)[1].unique()) == 10
    assert len(cifar10.load("train", cifar10.HOLD_EVERY_CLASS - 1)[1].unique()) == 9


def test_a_few_images_of_cifar10_have_fewer_classes():
    data = Data("cifar10", 32, 5, 10)  # 6, 9, 9, 4, 1
    splits = load_splits(data)
    assert splits.train.classes == 4 and splits.train.labels.tolist() == [2, 3, 3, 1, 0]
    assert splits.validation.labels.tolist() == [-1, -1, -1, -1, 2, 2, 0, 2, -1, 0]  # 3, 8, 8, 0, 6, 6, 1, 6, 3, 1
    assert fingerprint(data) == "cifar10, classes [1, 4, 6, 9]"


def test_classes_are_part_of_the_fingerprint(folder):
    data = Data("folder", 8, 8, 1, path=str(folder))
    before = fingerprint(data)
    (folder / "a").rename(folder / "other")
    assert fingerprint(data) != before


def test_images_of_a_large_label_take_no_memory_for_it(tmp_path):
    """Sorted shards look at how often each class occurs."""
    labels = numpy.repeat([0, 10**18], 10).tolist()
    splits = load_splits(shards(tmp_path, "parquet", labels, labels))
    assert splits.train.labels.sum() == 10 and splits.train.labels.tolist() != [0] * 10 + [1] * 10
