"""lrcore.results.findings: best settings, spreads and refusals, on a grid whose answers are known."""

from __future__ import annotations

import math

import numpy
import pandas
import pytest
from figure_rows import BASE, diverged, generation_rows, two_networks

from lrcore.errors import LrcoreError
from lrcore.results import findings, numbers, seed_noise


def test_of_study_names_the_nearest() -> None:
    rows = generation_rows()
    assert len(findings.of_study(rows, "toy")) == len(rows)
    with pytest.raises(LrcoreError, match="unknown study 'toi'; allowed: toy; did you mean 'toy'"):
        findings.of_study(rows, "toi")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("n_samples", 50_000),
        ("feature_network", "inception2015"),
        ("feature_protocol", "bicubic"),
        ("guidance", 2.0),
        ("score", "kid"),
        ("width", 96.0),
        ("skip", "linear"),
    ],
)
def test_two_protocols_are_refused(column: str, value: object) -> None:
    rows = generation_rows()
    with pytest.raises(LrcoreError, match=f"different {column} cannot be compared: .*{value}"):
        findings.mean_over_seeds(pandas.concat([rows, rows.assign(**{column: value})]))
    with pytest.raises(LrcoreError, match="different feature_network"):
        findings.mean_over_seeds(two_networks())


def test_rows_from_before_scores_were_by_the_frechet_distance_and_at_the_models_own_width() -> None:
    rows = generation_rows().assign(model="DiT-Micro")  # 128 wide
    old = rows.assign(score="", width=math.nan, skip="")
    settings = findings.mean_over_seeds(pandas.concat([rows, old.assign(train_seed=1)]))
    assert set(settings["seeds"]) == {2} and set(settings["score"]) == {"fid"}


def test_the_score_decides() -> None:
    rows = generation_rows("inception2015")
    settings = findings.mean_over_seeds(rows)
    assert settings["distance"].equals(settings["fid"]) and findings.label(settings) == findings.label(rows) == "FID"
    settings = findings.mean_over_seeds(rows.assign(score="kid", kid=1 - rows["kid"]))
    assert settings["distance"].tolist() == pytest.approx((1000 * settings["kid"]).tolist())
    assert findings.label(settings) == "KID × 1000"
    best = findings.best_per_ae(settings)
    assert set(best["trainp"]) == {"ts"} and best["distance"].tolist() == pytest.approx((1000 - best["fid"]).tolist())
    noise = seed_noise.noise_of_seeds(
        pandas.concat([rows, rows.assign(train_seed=1, fid=2 * rows["fid"])]).assign(score="kid")
    )
    assert set(noise["deviation"]) == {0.0}


def test_no_rows_is_said() -> None:
    with pytest.raises(LrcoreError, match="no rows"):
        findings.mean_over_seeds(generation_rows().head(0))


def test_mean_over_seeds() -> None:
    rows = generation_rows(aes=("sd",))
    second = rows.assign(train_seed=1, fid=rows["fid"] + 2)
    settings = findings.mean_over_seeds(pandas.concat([rows, second]))
    assert len(settings) == len(rows) and set(settings["seeds"]) == {2}
    one = settings[(settings["trainp"] == "ln") & (settings["trainshift"] == 1.78)].iloc[0]
    both = rows[(rows[findings.SETTING] == one[findings.SETTING]).all(axis=1) & (rows["step"] == one["step"])]
    assert one["distance"] == both["fid"].iloc[0] + 1
    broken = findings.mean_over_seeds(pandas.concat([rows, diverged(second, trainp="ln")]))
    assert (
        broken.loc[broken["trainp"] == "ln", "distance"].isna().all()
    )  # a mean over the seeds that survived would flatter


def test_best_settings_and_best_per_ae() -> None:
    settings = findings.mean_over_seeds(generation_rows())
    best = findings.best_settings(settings)
    assert len(best) == 4 * 2 * 2  # ae x repa x step
    assert set(best["trainp"]) == {"ln"} and set(best["trainshift"]) == {1.78} and set(best["sampleshift"]) == {1.0}
    per_ae = findings.best_per_ae(settings).set_index("ae")
    assert per_ae["distance"].to_dict() == pytest.approx({ae: 0.4 * base for ae, base in BASE.items()})
    assert set(per_ae["step"]) == {200} and set(per_ae["repa"]) == {"efficientnet_lite0"}


def test_diverged_rows_are_never_best() -> None:
    settings = findings.mean_over_seeds(diverged(generation_rows(), trainp="ln"))
    assert set(findings.best_settings(settings)["trainp"]) == {"pln"}
    all_of_sd = findings.mean_over_seeds(diverged(generation_rows(), ae="sd"))
    assert set(findings.best_settings(all_of_sd)["ae"]) == {"flux1", "flux2", "rae"}


def test_best_at_each_step_and_no_shift() -> None:
    settings = findings.mean_over_seeds(generation_rows())
    line = findings.best_at_each_step(settings)
    assert len(line) == 4 * 2 * 2 and set(line["trainshift"]) == {1.78}
    late = (settings["step"] == 200) & (settings["trainshift"] == 1.78)
    turned = settings.assign(distance=settings["distance"].where(~late, settings["distance"] * 9))
    found = findings.best_at_each_step(turned)
    assert found.groupby("step")["trainshift"].unique().explode().to_dict() == {100: 1.78, 200: 1.0}
    alone = settings[~((settings["ae"] == "rae") & (settings["trainshift"] == 1.78))]  # which not all share
    assert set(findings.best_at_each_step(alone)["trainshift"]) == {1.0}
    assert len(findings.at(settings, {"trainp": "ts", "trainshift": 1.0, "sampleshift": 1.0})) == 4 * 2 * 2
    plain = findings.no_shift(settings)
    assert len(plain) == 4 * 3 * 2 * 2 and set(plain["trainshift"]) == set(plain["sampleshift"]) == {1.0}


def test_last_common_step() -> None:
    settings = findings.mean_over_seeds(generation_rows())
    assert findings.last_common_step(settings) == 200
    late = settings[~((settings["ae"] == "sd") & (settings["step"] == 200))]
    assert findings.last_common_step(late) == 100
    with pytest.raises(LrcoreError, match="no evaluated step in common"):
        findings.last_common_step(late[~((late["ae"] == "rae") & (late["step"] == 100))])


def test_sensitivity_moves_one_parameter_at_a_time() -> None:
    rows = findings.sensitivity(findings.mean_over_seeds(generation_rows()), step=200)
    sd = rows[rows["ae"] == "sd"]
    swept = {name: dict(zip(part["value"], part["distance"], strict=True)) for name, part in sd.groupby("parameter")}
    assert swept["trainp"] == pytest.approx({"ln": 20.0, "pln": 22.0, "ts": 30.0})
    assert swept["trainshift"] == pytest.approx({"1.00": 24.0, "1.78": 20.0})
    assert swept["sampleshift"] == pytest.approx({"1.00": 20.0, "1.78": 40.0})
    assert set(sd.loc[sd["best"], "value"]) == {"ln", "1.78", "1.00"} and sd["best"].sum() == 3
    assert findings.sensitivity(findings.mean_over_seeds(generation_rows()), step=999).empty


@pytest.mark.parametrize(
    ("distances", "spread"),
    [
        ([2.0, 3.0, 5.0], 1.5),
        ([4.0, 4.0], 0.0),
        ([2.0, math.nan, 3.0, math.inf], 0.5),
        ([2.0], math.nan),
        ([], math.nan),
    ],
)
def test_relative_spread(distances: list[float], spread: float) -> None:
    assert findings.relative_spread(distances) == pytest.approx(spread, nan_ok=True)


def test_relative_change_and_value_text() -> None:
    assert findings.relative_change(3.0, 4.0) == -0.25
    assert [numbers.value_text(value) for value in (1.0, numpy.float64(6.93), "pln")] == ["1.00", "6.93", "pln"]


def test_winning_densities() -> None:
    found = findings.winning_densities(findings.mean_over_seeds(generation_rows()))
    assert len(found) == 4 * 2 * 2  # ae x repa x step
    assert set(found["trainp"]) == {"ln"} and set(found["runner_up"]) == {"pln"}
    assert found["margin"].tolist() == pytest.approx([0.1] * len(found))
    only = generation_rows().query("trainp == 'ts'")
    alone = findings.winning_densities(findings.mean_over_seeds(only))
    assert set(alone["runner_up"]) == {""} and alone["margin"].isna().all()
    broken = findings.mean_over_seeds(diverged(generation_rows(), trainp="ln", ae="sd"))
    assert set(findings.winning_densities(broken).query("ae == 'sd'")["trainp"]) == {"pln"}


def test_shifts_and_prediction() -> None:
    settings = findings.mean_over_seeds(generation_rows())  # best: train shift 1.78, sample shift 1
    found = findings.shifts_and_prediction(settings, {"sd": 4, "flux1": 16, "flux2": 32, "rae": 112, "other": 1})
    predicted = found.groupby("ae")["predicted"].first().to_dict()
    assert predicted == pytest.approx({"sd": 1.0, "flux1": 2.0, "flux2": 8**0.5, "rae": 28**0.5})
    agree = found.groupby("ae")[["trainshift_predicted", "sampleshift_predicted"]].first()
    # of the two that were tried 1.78 is nearest to every prediction but SD's 1
    assert agree["trainshift_predicted"].to_dict() == {"sd": False, "flux1": True, "flux2": True, "rae": True}
    assert agree["sampleshift_predicted"].to_dict() == {"sd": True, "flux1": False, "flux2": False, "rae": False}
    with pytest.raises(LrcoreError, match="not known of: rae"):
        findings.shifts_and_prediction(settings, {"sd": 4, "flux1": 16, "flux2": 32})


def test_spreads() -> None:
    settings = findings.mean_over_seeds(generation_rows())
    found = findings.spreads(settings, step=200).set_index(["ae", "parameter"])
    assert len(found) == 4 * 3
    for ae in BASE:
        assert found.loc[ae]["spread"].to_dict() == pytest.approx({"trainp": 0.5, "trainshift": 0.2, "sampleshift": 1})
        assert found.loc[ae]["values"].to_dict() == {"trainp": 3, "trainshift": 2, "sampleshift": 2}
    # SD's best is 20: without what is above 25, `ts` (30) and sample shift 1.78 (40) are left out
    cut = findings.spreads(settings, step=200, outlier=25).set_index(["ae", "parameter"]).loc["sd"]
    assert cut["spread"]["trainp"] == pytest.approx(0.1) and math.isnan(cut["spread"]["sampleshift"])


def test_a_spread_is_whole_where_every_value_was_tried() -> None:
    rows = generation_rows()
    lacking = rows[~((rows["ae"] == "sd") & (rows["trainp"] == "ts"))]
    found = findings.spreads(findings.mean_over_seeds(lacking), step=200).set_index(["ae", "parameter"])
    assert found["whole"].drop(("sd", "trainp")).all() and not found["whole"]["sd", "trainp"]
    assert (found["tried"]["sd", "trainp"], found["of"]["sd", "trainp"]) == (2, 3)
    assert found["spread"]["sd", "trainp"] == pytest.approx(0.1)
    broken = findings.spreads(findings.mean_over_seeds(diverged(rows, ae="sd", trainp="ts")), step=200)
    of_sd = broken.set_index(["ae", "parameter"]).loc[("sd", "trainp")]
    assert of_sd["whole"] and (of_sd["values"], of_sd["tried"]) == (2, 3)  # what diverged was tried


def test_while_a_grid_is_half_done_autoencoders_are_compared_at_what_all_have() -> None:
    rows = generation_rows()
    best = findings.best_per_ae(findings.mean_over_seeds(rows)).set_index("ae").loc["sd"]
    one = (rows["ae"] == "rae") & (rows["trainshift"] == best["trainshift"])
    left = findings.mean_over_seeds(rows[~one])
    assert set(findings.best_per_ae(left)["trainshift"]) == {1.0}
    assert set(findings.best_per_ae(left[left["ae"] != "rae"])["trainshift"]) == {best["trainshift"]}
    none_shared = left[(left["ae"] == "sd") == (left["trainp"] == "ts")]
    assert set(findings.best_per_ae(none_shared)["ae"]) == set(BASE)


def test_groups_that_lack_values_are_no_whole_groups() -> None:
    settings = findings.mean_over_seeds(generation_rows())
    every = {(ae, repa) for ae in settings["ae"].unique() for repa in settings["repa"].unique()}
    assert findings.whole_groups(settings, "trainshift") == every
    lacking = settings[~((settings["ae"] == "sd") & (settings["trainshift"] == 1.0))]
    assert findings.whole_groups(lacking, "trainshift") == {(ae, repa) for ae, repa in every if ae != "sd"}


def test_effect_of_repa() -> None:
    rows = generation_rows()
    found = findings.effect_of_repa(findings.mean_over_seeds(rows))
    assert len(found) == 4 * 2  # ae x step
    assert found["best"].tolist() == pytest.approx([-0.2] * 8) and found["paired"].tolist() == pytest.approx([-0.2] * 8)
    assert set(found["pairs"]) == {12}
    # only the best setting gets worse by REPA: the median over pairs does not change
    best = (rows[["trainp", "trainshift", "sampleshift"]] == ["ln", 1.78, 1.0]).all(axis=1) & (rows["repa"] != "none")
    spoilt = rows.assign(fid=rows["fid"].mask(best, rows["fid"] * 10))
    found = findings.effect_of_repa(findings.mean_over_seeds(spoilt))
    assert (found["best"] > -0.2).all() and found["paired"].tolist() == pytest.approx([-0.2] * 8)
    assert findings.effect_of_repa(findings.mean_over_seeds(rows.query("repa == 'none'"))).empty


def test_effect_of_repa_towards_itself_is_apart() -> None:
    rows = generation_rows()
    own = rows[rows["repa"] != "none"].assign(repa="self", fid=0.5 * rows["fid"])
    settings = findings.mean_over_seeds(pandas.concat([rows, own]))
    itself, encoder = (findings.effect_of_repa(settings, itself) for itself in (True, False))
    assert itself["paired"].tolist() == pytest.approx([-0.6] * 8) and set(itself["pairs"]) == {12}
    assert encoder["paired"].tolist() == pytest.approx([-0.2] * 8)
    assert findings.effect_of_repa(findings.mean_over_seeds(rows), itself=True).empty


def partly(rows: pandas.DataFrame, **missing: object) -> pandas.DataFrame:
    """The rows without those that have all the given values."""
    return rows[~(rows[list(missing)] == pandas.Series(missing)).all(axis=1)]


def test_shared_settings_are_those_that_every_value_was_measured_with() -> None:
    settings = findings.mean_over_seeds(generation_rows())
    assert len(findings.shared_settings(settings, "ae")) == len(settings)
    half = partly(settings, ae="rae", trainp="ln")
    assert set(findings.shared_settings(half, "ae")["trainp"]) == {"pln", "ts"}
    assert set(findings.shared_settings(half, "ae")["ae"]) == set(BASE)
    assert findings.shared_settings(settings.head(0), "ae").empty


def test_comparable_best_gives_nobody_more_settings_or_steps() -> None:
    settings = findings.mean_over_seeds(generation_rows())
    half = partly(partly(settings, ae="rae", trainp="ln"), ae="sd", step=200)
    found = findings.comparable_best(half).set_index("ae")
    assert set(found["trainp"]) == {"pln"} and set(found["step"]) == {100}
    assert found["distance"].to_dict() == pytest.approx({ae: 1.1 * 0.8 * base for ae, base in BASE.items()})
    late = settings.assign(distance=settings["distance"].where(settings["step"] == 100, settings["distance"] * 9))
    assert set(findings.comparable_best(late)["step"]) == {200}  # the last step, also where an earlier one was better
    whole = findings.comparable_best(settings)["distance"]
    assert whole.tolist() == pytest.approx(findings.best_per_ae(settings)["distance"].tolist())


def test_by_value_compares_values_at_what_they_share() -> None:
    settings = findings.mean_over_seeds(generation_rows())
    found = findings.by_value(settings, "trainp")
    assert len(found) == 4 * 2 * 2 * 3
    first = found.groupby(["ae", "repa", "step"]).agg(list).reset_index()
    assert first["value"].map(tuple).unique().tolist() == [("ln", "pln", "ts")]
    assert first["behind"].iloc[0] == pytest.approx([0, 0.1, 0.5])
    # without ts at the better train shift, all densities are compared at the other one
    half = findings.by_value(partly(settings, trainp="ts", trainshift=1.78, ae="sd"), "trainp")
    sd = half[(half["ae"] == "sd") & (half["repa"] == "none") & (half["step"] == 200)]
    assert sd["distance"].tolist() == pytest.approx([24.0, 26.4, 36.0])
    assert findings.by_value(settings.head(0), "trainp").empty


def test_predicted_shifts() -> None:
    assert findings.predicted_shifts(["sd", "rae"], {"sd": 16, "flux1": 4, "rae": 64}) == {"sd": 1.0, "rae": 2.0}
    assert findings.predicted_shifts([], {}) == {}


def test_narrow_transformers_are_named_by_both_widths() -> None:
    rows = generation_rows()  # 128 wide, tokens of up to 112 channels
    assert findings.narrow(rows).empty
    few = rows.assign(width=64.0)
    assert findings.narrow(few).to_numpy().tolist() == [["rae", 64.0, 112]]
    assert findings.narrow(few.assign(skip="linear")).empty
    old = rows.assign(width=math.nan, skip="", model="DiT-Nano")
    assert findings.narrow(old).to_numpy().tolist() == [["rae", 64.0, 112]]
    both = findings.narrow(pandas.concat([few, rows.assign(width=16.0)]))
    assert both[["ae", "width"]].to_numpy().tolist() == [["flux2", 16.0], ["rae", 16.0], ["rae", 64.0]]
