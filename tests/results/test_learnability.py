"""lrcore.results.learnability: shares whose answers are known."""

from __future__ import annotations

import dataclasses
import math

import pandas
import pytest
from figure_rows import BASE, diverged, generation_rows, study, with_choice

from lrcore.results import learnability


def test_samples_as_good_as_reconstructions_have_learned_all_and_a_gaussian_nothing() -> None:
    rows = generation_rows().assign(gaussian_kid=0.4)
    for distance, share in ((0.0, 1.0), (0.4, 0.0), (0.1, 0.75), (0.8, -1.0)):
        found = learnability.learned(study(rows.assign(reconstruction_kid=distance)))
        assert found["g_kid"].tolist() == pytest.approx([share] * 4)


def test_each_is_taken_at_its_best_setting_of_the_grid_without_repa() -> None:
    found = learnability.learned(study(generation_rows()))
    assert sorted(found["ae"]) == sorted(BASE) and set(found["measured"]) == {learnability.GRID}
    for column, value in {"trainp": "ln", "trainshift": 1.78, "sampleshift": 1.0, "repa": "none", "step": 200}.items():
        assert set(found[column]) == {value}
    expected = {ae: 1 - (base / 2 - 2) / 250 for ae, base in BASE.items()}
    assert found.set_index("ae")["g_kid"].to_dict() == pytest.approx(expected)
    assert found.set_index("ae")["g_fid"].to_dict() == pytest.approx(expected)


def test_where_the_choice_was_measured_anew_it_counts_for_each_autoencoder_that_has_it() -> None:
    chosen = with_choice(study(generation_rows()))
    some = chosen.confirmed[chosen.confirmed["ae"] != "sd"]
    # three seeds, whose distances to reconstructions are 10, 20 and 30 of 100
    again = some.assign(reconstruction_kid=0.01 + 0.01 * some["train_seed"], gaussian_kid=0.1)
    found = learnability.learned(dataclasses.replace(chosen, confirmed=again))
    means = learnability.mean_of_trainings(found).set_index("ae")
    assert means["measured"].to_dict() == {"sd": "grid", "flux1": "choice", "flux2": "choice", "rae": "choice"}
    assert means["n_samples"].to_dict() == {"sd": 64, "flux1": 128, "flux2": 128, "rae": 128}
    assert means["trainings"]["rae"] == 3 and means["trainings"]["sd"] == 1
    assert means["g_kid"]["rae"] == pytest.approx(0.8)
    assert means["deviation"]["rae"] == pytest.approx(0.1) and math.isnan(means["deviation"]["sd"])
    assert means.index.tolist()[0] == "sd"  # 0.93: the best learned first


def test_rows_without_the_distances_have_no_share() -> None:
    old = generation_rows().assign(reconstruction_kid=math.nan, gaussian_kid=math.nan)
    assert learnability.learned(study(old)).empty
    lost = diverged(generation_rows(), ae="rae")
    lost = lost.assign(reconstruction_kid=lost["reconstruction_kid"].mask(lost["fid"].isna()))
    assert set(learnability.learned(study(lost))["ae"]) == {"sd", "flux1", "flux2"}
    assert learnability.learned(study(generation_rows().query("repa != 'none'"))).empty


def test_anchors_are_of_as_many_images_in_the_same_features() -> None:
    columns = ["ae", "anchor", "target", "feature_network", "feature_protocol", "n_samples", "kid"]
    made = [
        ("sd", "noise", "reference", network, protocol, count, 0.5)
        for network, protocol, count in (("efficientnet_lite0", "toy", 64), ("efficientnet_lite0", "toy", 128),
                                         ("efficientnet_lite0", "other", 64), ("inception2015", "toy", 64))
    ]  # fmt: skip
    rows = dataclasses.replace(study(generation_rows()), anchors=pandas.DataFrame(made, columns=columns))
    found = learnability.anchors_of(rows, learnability.mean_of_trainings(learnability.learned(rows)))
    assert found[columns].to_numpy().tolist() == [list(made[0])]
