"""What a result depends on, as eight digits."""

from dataclasses import dataclass

from lrcore.stages.workspace import recipe


@dataclass(frozen=True)
class Before:
    steps: int
    rate: float = 0.1


@dataclass(frozen=True)
class After:
    steps: int
    rate: float = 0.1
    sampler: str = "euler"


def test_a_new_key_with_its_default_leaves_earlier_work_as_it_is():
    assert recipe(Before(3), "x") == recipe(After(3), "x")
    assert recipe(After(3, sampler="heun"), "x") != recipe(After(3), "x")


def test_every_value_and_its_place_count():
    told = [recipe(Before(3)), recipe(Before(4)), recipe(Before(3, 0.2)), recipe(Before(3), 0), recipe(0, Before(3))]
    assert len(set(told)) == len(told)
    assert recipe(Before(3, 0.1)) == recipe(Before(3))
