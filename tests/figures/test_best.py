"""lrcore.figures.best: the table holds the settings that are best by construction."""

from __future__ import annotations

import pandas
import pytest
from figure_rows import diverged, generation_rows, two_networks

from lrcore.errors import LrcoreError
from lrcore.figures.best import best_parameters


def test_best_parameters() -> None:
    table = best_parameters(generation_rows()).frame
    assert len(table) == 4 * 2 * 2 and table["autoencoder"].iloc[0] == "SD" and table["autoencoder"].iloc[-1] == "RAE"
    assert (
        set(table["density"]) == {"ln"}
        and set(table["train shift"]) == {"1.78"}
        and set(table["sample shift"]) == {"1.00"}
    )
    assert set(table["best of"]) == {"shared settings"}
    last = table[(table["autoencoder"] == "RAE") & (table["REPA"] == "no") & (table["step"] == 200)]
    assert last["FD (EfficientNet-Lite0)"].item() == pytest.approx(5.0)
    assert last["kernel distance"].item() == pytest.approx(0.005)
    assert last[["precision", "recall"]].to_numpy().tolist() == [[0.6, 0.3]]
    assert "FID" in best_parameters(generation_rows("inception2015")).frame


def test_diverged_settings_are_passed_over() -> None:
    assert set(best_parameters(diverged(generation_rows(), trainshift=1.78)).frame["train shift"]) == {"1.00"}


def test_the_best_of_its_own_settings_stands_beside_that_of_shared_ones_by_its_name() -> None:
    rows = generation_rows().query("repa == 'none' and step == 200")
    found = best_parameters(rows[(rows["ae"] == "rae") | (rows["trainshift"] == 1.0)])
    table = found.frame[["autoencoder", "best of", "train shift"]]
    assert table[table["autoencoder"] == "RAE"].to_numpy().tolist() == [
        ["RAE", "shared settings", "1.00"],
        ["RAE", "all its own settings", "1.78"],
    ]
    others = table[table["autoencoder"] != "RAE"]
    assert set(others["best of"]) == {"shared settings"} and set(others["train shift"]) == {"1.00, of 1 tried"}
    shared, *tried = found.note.split(" “")
    assert shared == (
        "At step 200 all autoencoders share 6 settings: training density ln, pln, ts; train shift 1.00; "
        "sample shift 1.00, 1.78."
    )
    assert tried[0].startswith("Of 1 tried”: with this autoencoder and REPA, fewer values")
    alone = best_parameters(rows[(rows["ae"] == "rae") == (rows["trainp"] == "ln")])
    assert set(alone.frame["best of"]) == {"all its own settings"}
    assert alone.note.startswith("No setting is shared by all autoencoders yet.")


def test_best_shifts_at_the_end_of_what_was_tried_are_counted() -> None:
    rows = generation_rows().query("repa == 'none' and step == 200 and trainp == 'ln'")
    between = pandas.concat([rows, rows.assign(trainshift=rows["trainshift"] + 4, fid=rows["fid"] + 90)])
    ends, inside = best_parameters(rows).note, best_parameters(between).note
    assert "so that the best may lie beyond: the train shift in all 4 rows" in ends
    assert "so that the best may lie beyond: the train shift" not in inside


def test_shared_settings_stand_first_and_without_repa_before_with() -> None:
    rows = generation_rows().query("step == 200")
    some = rows[(rows["repa"] == "none") | (rows["ae"] == "sd")]
    own = best_parameters(some[(some["ae"] == "rae") | (some["repa"] != "none") | (some["trainshift"] == 1.0)]).frame
    of_sd = own[own["autoencoder"] == "SD"][["best of", "REPA"]].to_numpy().tolist()
    assert of_sd[0] == ["shared settings", "no"] and of_sd[-1] == ["all its own settings", "yes"]


def test_a_grid_with_holes_is_told() -> None:
    rows = generation_rows().query("repa == 'none' and step == 200")
    holes = rows[~((rows["trainshift"] == 1.78) & (rows["sampleshift"] == 1.78))]
    note = best_parameters(holes).note
    assert note.endswith("Train shifts that were sampled with fewer than 2 sample shifts: 1.78 without REPA (1).")
    assert "fewer than" not in best_parameters(rows).note


def test_refusals() -> None:
    with pytest.raises(LrcoreError, match="cannot be compared"):
        best_parameters(two_networks())
    with pytest.raises(LrcoreError, match="no rows"):
        best_parameters(generation_rows().head(0))
    with pytest.raises(LrcoreError, match="every run diverged"):
        best_parameters(diverged(generation_rows(), study="toy"))
