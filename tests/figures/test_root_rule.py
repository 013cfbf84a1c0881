"""lrcore.figures.root_rule: the table and its sentence against the rows."""

from __future__ import annotations

import dataclasses

import pytest
from figure_rows import atlas_rows, generation_rows, published_rows, study

from lrcore.errors import LrcoreError
from lrcore.figures.root_rule import root_in_words, root_table
from lrcore.results.root_rule import predictions

PUBLISHED = predictions(atlas_rows(), published_rows(), {})


def test_table() -> None:
    made = root_table(PUBLISHED)
    table = made.frame.set_index("autoencoder")
    assert table["predicted shift"].to_dict() == {"SD": "1.00", "FLUX.1": "2.00", "FLUX.2": "2.83", "RAE": "6.93"}
    assert table.loc["FLUX.1", ["nearest of the grid", "best without REPA", "best with REPA"]].tolist() == [
        "1.78", "1.78", "1.00"
    ]  # fmt: skip
    assert table["agrees"].tolist() == ["yes", "without REPA only", "no", "yes"]
    assert set(table["study"]) == {"published"} and made.note == ""


def test_sentence() -> None:
    assert root_in_words(PUBLISHED) == (
        "The root predicts the published best train shift of SD and RAE; FLUX.1 has the predicted 2.00 (1.78 on the "
        "grid) without REPA and 1.00 with REPA; FLUX.2 prefers 4.63 to 2.83 (2.95 on the grid)."
    )


def test_a_study_stands_below_with_what_is_not_known() -> None:
    rows = generation_rows()
    toy = study(rows[(rows["ae"] != "flux1") | (rows["trainshift"] == 1.0)])
    found = predictions(atlas_rows(), published_rows(), {"toy": toy})
    made = root_table(found)
    own = made.frame[made.frame["study"] == "toy"].set_index("autoencoder")
    assert own.loc["FLUX.1", ["best without REPA", "best with REPA", "agrees"]].tolist() == ["–"] * 3
    assert made.note == "–: not all train shifts were tried, or none near the predicted one."
    assert root_in_words(found).split("\n\n")[1] == (
        "In study `toy`: the root predicts the best train shift of none; SD prefers 1.78 to 1.00; no shift near the "
        "predicted one was tried of FLUX.2 (2.83) and RAE (5.29); not all shifts were tried of FLUX.1."
    )


def test_none_agrees_and_nothing_is_known() -> None:
    wrong = [dataclasses.replace(one, without=(9.0,), with_repa=()) for one in PUBLISHED]
    assert root_in_words(wrong).startswith("The root predicts the published best train shift of none; SD prefers 9.00")
    blank = [dataclasses.replace(one, without=(), with_repa=()) for one in PUBLISHED]
    assert root_in_words(blank) == "No latent space was tried with all train shifts, and with the predicted one."
    several = root_table([dataclasses.replace(PUBLISHED[0], without=(1.0, 1.78))])
    assert several.frame["best without REPA"].tolist() == ["1.00 or 1.78"] and "noise" in several.note


def test_a_best_that_noise_does_not_single_out_is_no_prediction_come_true() -> None:
    unsure = [dataclasses.replace(PUBLISHED[3], without=(6.93,), with_repa=(6.93, 2.95))]
    assert root_in_words([*unsure, PUBLISHED[0]]) == (
        "The root predicts the published best train shift of SD; 6.93 or 2.95 may be best for RAE, which the root "
        "allows."
    )
    assert root_in_words(unsure) == "6.93 or 2.95 may be best for RAE, which the root allows."


def test_names_of_strangers_are_text() -> None:
    odd = [dataclasses.replace(PUBLISHED[2], ae="a*b[c](d)", study="x")]
    assert "a\\*b\\[c\\](d) prefers" in root_in_words(odd)


def test_refusal() -> None:
    with pytest.raises(LrcoreError, match="no rows"):
        root_table([])
