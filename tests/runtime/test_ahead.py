"""What the next step needs is made while the present one is computed, and is the same."""

import threading
from contextlib import closing

import pytest

from lrcore.runtime.ahead import Ahead


def test_every_step_gets_its_own_in_any_order():
    made = []

    def make(step):
        made.append(step)
        return step * 10

    with closing(Ahead(make)) as ahead:
        assert [ahead(step) for step in (0, 1, 2, 7, 8, 3)] == [0, 10, 20, 70, 80, 30]
    assert made[:3] == [0, 1, 2] and made.count(1) == 1


def test_the_next_one_is_made_while_the_present_one_is_in_use():
    begun = threading.Event()

    def make(step):
        if step == 1:
            begun.set()
        return step

    with closing(Ahead(make)) as ahead:
        ahead(0)
        assert begun.wait(timeout=20)


def test_an_error_is_raised_at_its_step():
    def make(step):
        if step == 1:
            raise ValueError("broken")
        return step

    with closing(Ahead(make)) as ahead:
        assert ahead(0) == 0
        with pytest.raises(ValueError, match="broken"):
            ahead(1)
