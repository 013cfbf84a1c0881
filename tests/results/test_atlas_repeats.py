"""lrcore.results.atlas_repeats: which figures contradict one another, and which do not."""

import pandas
import pytest
from atlas_rows import row

from lrcore.results.atlas_repeats import differences, stated_alike

ONE = {"canonical": "x", "quantity": "psnr", "unit": "dB", "dataset": "imagenet", "split": "val"}


def frame(**other):
    return pandas.DataFrame([row(**ONE, value=20.0), row(**{**ONE, "source": "r", "value": 25.0, **other})])


def test_two_sources_that_state_the_same():
    [found] = differences(frame()).itertuples(index=False)
    assert (found.canonical, found.quantity, found.sources, found.low, found.high) == ("x", "psnr", 2, 20.0, 25.0)
    assert found.difference == pytest.approx(0.25) and found.told == "s 20 (Table 1); r 25 (Table 1)"


@pytest.mark.parametrize(
    "other",
    [
        {"split": "train"}, {"n": 5000}, {"decoder": "d"}, {"guidance_scale": 2.0}, {"canonical": "y"},  # another thing
        {"source": "s"},  # of one source: an ablation
        {"secondary": True}, {"repeats": True}, {"quoted_from": "s"}, {"bound": ">"},  # no measurement of its own
    ],
)  # fmt: skip
def test_what_contradicts_nothing(other):
    assert differences(frame(**other)).empty and stated_alike(frame(**other)).empty


def test_an_autoencoder_that_nobody_names_contradicts_nothing():
    assert differences(frame().assign(canonical="SD-VAE, checkpoint not stated")).empty


def test_a_ratio_needs_values_above_0():
    made = frame().assign(value=[0.0, 1.0])
    assert differences(made).empty and len(stated_alike(made)) == 2
