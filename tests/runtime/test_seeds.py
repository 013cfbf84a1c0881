"""Randomness is a function of words, and an epoch shows each image once."""

import torch

from lrcore.runtime.seeds import batch_indices, generator


def test_generators_repeat_and_differ():
    first, again, other = (torch.rand(4, generator=generator(*w)) for w in ((0, "a"), (0, "a"), (0, "b")))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_every_epoch_holds_every_image_once_in_another_order():
    drawn = torch.cat([batch_indices(0, step, 4, 10) for step in range(5)])
    first, second = drawn[:10], drawn[10:]
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(10))
    assert not torch.equal(first, second)


def test_a_batch_may_be_larger_than_the_data():
    assert torch.bincount(batch_indices(0, 0, 25, 10)).min() >= 2
