"""lrcore.results.root_rule: what the root of the channels predicts, beside what was best."""

from __future__ import annotations

import dataclasses

import pandas
import pytest
from figure_rows import atlas_rows, generation_rows, published_rows, study

from lrcore.errors import LrcoreError
from lrcore.results.root_rule import Prediction, predictions
from lrcore.results.study_rows import StudyRows

ATLAS, PUBLISHED = atlas_rows(), published_rows()


def found_in(studies: dict[str, StudyRows]) -> dict[tuple[str, str], Prediction]:
    return {(one.study, one.ae): one for one in predictions(ATLAS, PUBLISHED, studies)}


def test_published() -> None:
    found = found_in({})
    assert [ae for _, ae in found] == ["sd", "flux1", "flux2", "rae"]
    told = {ae: (one.channels, round(one.predicted, 2), one.nearest) for (_, ae), one in found.items()}
    assert told == {
        "sd": (16, 1.0, 1.0), "flux1": (64, 2.0, 1.78), "flux2": (128, 2.83, 2.95), "rae": (768, 6.93, 6.93)
    }  # fmt: skip
    best = {ae: (one.without, one.with_repa) for (_, ae), one in found.items()}
    assert best == {
        "sd": ((1.0,), (1.0,)), "flux1": ((1.78,), (1.0,)), "flux2": ((4.63,), (4.63,)), "rae": ((6.93,), (6.93,))
    }  # fmt: skip
    assert found["", "flux1"].agrees == {"without REPA": True, "with REPA": False}
    assert not any(found["", "flux2"].agrees.values())


def test_of_a_study() -> None:
    """4, 16, 32 and 112 channels, of which 1.78 is best everywhere; shifts 1.00 and 1.78 were tried."""
    found = found_in({"toy": study(generation_rows())})
    rae = found["toy", "rae"]
    assert (rae.channels, round(rae.predicted, 2), rae.nearest) == (112, 5.29, 1.78)
    assert (rae.without, rae.with_repa) == ((1.78,), (1.78,))
    assert not rae.tried and rae.agrees == {}  # 5.29 is far from what was tried: nothing can agree with it
    assert found["toy", "flux1"].tried and all(found["toy", "flux1"].agrees.values())
    assert found["toy", "sd"].nearest == 1.0 and not any(found["toy", "sd"].agrees.values())


def test_the_narrowest_counts_before_it_has_rows() -> None:
    found = found_in({"toy": study(generation_rows(aes=("flux2", "rae")))})
    assert [ae for name, ae in found if name] == ["flux2", "rae"]
    assert round(found["toy", "rae"].predicted, 2) == 5.29  # of the 4 channels of SD


def test_what_was_not_tried_with_all_shifts_is_not_known() -> None:
    rows = generation_rows()
    rows = rows[(rows["ae"] != "flux1") | (rows["trainshift"] == 1.0)]
    rows = rows[(rows["ae"] != "sd") | (rows["repa"] == "none")]
    found = found_in({"toy": study(rows)})
    assert found["toy", "flux1"].agrees == {} and found["toy", "flux1"].without == ()
    assert found["toy", "sd"].agrees == {"without REPA": False}


def test_repa_towards_itself_is_no_repa_towards_an_encoder() -> None:
    rows = generation_rows()
    own = rows[rows["repa"] != "none"].assign(repa="self")
    found = found_in({"toy": study(pandas.concat([rows[rows["repa"] == "none"], own]))})
    assert {one.with_repa for (name, _), one in found.items() if name} == {()}


def test_what_noise_does_not_tell_apart_counts_as_best() -> None:
    one = dataclasses.replace(found_in({})["", "flux2"], without=(4.63, 2.95), with_repa=())
    assert one.agrees == {"without REPA": True}


def test_refusal() -> None:
    with pytest.raises(LrcoreError, match="no rows: no published gfid"):
        predictions(ATLAS.head(0), PUBLISHED, {})
