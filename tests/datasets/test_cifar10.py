from __future__ import annotations

import pytest
import torch

from lrcore.datasets import cifar10
from lrcore.errors import LrcoreError


def test_train_split_is_the_data_set() -> None:
    images, labels = cifar10.load("train")
    assert images.shape == (50_000, 3, 32, 32) and images.dtype == torch.uint8
    assert labels.dtype == torch.int64 and labels[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    assert labels.bincount().tolist() == [5000] * 10
    sums = sum(block.sum((0, 2, 3), dtype=torch.int64) for block in images.split(5000))
    means = sums.double() / (50_000 * 1024 * 255)
    torch.testing.assert_close(means, torch.tensor([0.4914, 0.4822, 0.4465], dtype=torch.float64), rtol=0, atol=5e-5)


def test_limit_gives_the_first_images() -> None:
    images, labels = cifar10.load("test", limit=10)
    assert labels.tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]
    assert [cifar10.CLASSES[label] for label in labels[:4]] == ["cat", "ship", "ship", "airplane"]
    everything, _ = cifar10.load("test")
    assert len(everything) == 10_000 and torch.equal(images, everything[:10])


@pytest.mark.parametrize(
    ("split", "limit", "message"),
    [
        ("tests", None, "unknown split 'tests'; allowed: train, test; did you mean 'test'?"),
        ("test", 10_001, "allowed: 1 to 10000"),
        ("train", 0, "limit 0 of CIFAR-10's train split"),
    ],
)
def test_says_what_is_allowed(split: str, limit: int | None, message: str) -> None:
    with pytest.raises(LrcoreError) as error:
        cifar10.load(split, limit)
    assert message in str(error.value)
