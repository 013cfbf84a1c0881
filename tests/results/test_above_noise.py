"""Whether a best is clearly better than noise: anchors, seeds and the number of settings whose answers are known."""

from __future__ import annotations

import dataclasses
import math

import numpy
import pandas
import pytest
from figure_rows import BASE, generation_rows, study, with_choice, with_seeds

from lrcore.results import above_noise
from lrcore.results.above_noise import AT_GAUSSIAN, AT_NOISE, CLEAR, UNKNOWN
from lrcore.results.study_rows import StudyRows


def last() -> pandas.DataFrame:
    """The grid's last step, of one density."""
    return generation_rows().query("step == 200 and trainp == 'ln'")


def last_with_seeds(deviation: float) -> pandas.DataFrame:
    return with_seeds(deviation).query("step == 200 and repa == 'efficientnet_lite0'").reset_index(drop=True)


def anchored(rows: StudyRows, n_samples: int = 64, **distances: float) -> StudyRows:
    """With anchors of every autoencoder: FID to the reference as given, KID a thousandth of it."""
    run = rows.compared.iloc[0]
    made = [
        {
            "ae": ae, "anchor": anchor, "target": target, "fid": fid * factor, "kid": fid * factor / 1000,
            "n_samples": count, **run[["feature_network", "feature_protocol"]], "reference": reference,
        }
        for ae in BASE for anchor, fid in distances.items()
        for target, reference, factor in (("reference", run["reference"], 1), ("reconstructions", "others", 100))
        for count, factor in ((n_samples, factor), (2 * n_samples, 7 * factor))
    ]  # fmt: skip
    return dataclasses.replace(rows, anchors=pandas.DataFrame(made))


def standings(rows: StudyRows) -> dict[str, str]:
    found = above_noise.above_noise(rows)
    return dict(zip(found["ae"], found["standing"], strict=True))


def test_a_best_is_held_against_both_anchors_of_as_many_images() -> None:
    """The grid's lowest are 20, 25, 10 and 5, with REPA 16, 20, 8 and 4: of 8 settings each at the last step."""
    rows = anchored(study(last()), noise=29.0, gaussian=21.0, reconstructions=2.0, test=1.0)
    found = above_noise.above_noise(rows).set_index("ae")
    assert found["distance"].to_dict() == pytest.approx({"sd": 16, "flux1": 20, "flux2": 8, "rae": 4})
    assert set(found["tried"]) == {8} and set(found["n_samples"]) == {64}
    assert found.loc["rae", [*above_noise.ANCHORS]].tolist() == [29, 21, 2, 1]
    # no setting has two seeds: 0.04 x sqrt(400 / 64) = 0.1, and 2.8 deviations of the lowest of 8
    assert set(found["deviation"]) == {0.1} and found["assumed"].all()
    assert found["standing"].to_dict() == {"sd": AT_GAUSSIAN, "flux1": AT_NOISE, "flux2": CLEAR, "rae": CLEAR}
    assert above_noise.is_clear(found).to_dict() == {"sd": False, "flux1": False, "flux2": True, "rae": True}
    said = above_noise.in_words(above_noise.above_noise(rows), rows.distance)
    assert said.startswith(
        "Not clearly better than decoded noise by FD (EfficientNet-Lite0): FLUX.1 (20 against 29). Not clearly better "
        "than decoded Gaussian latents by FD (EfficientNet-Lite0): SD (16 against 21). Too few trainings differ in "
        "their seed alone; it is taken to move a distance by 10 %, and these are the lowest of 8 settings."
    )
    assert "RAE" not in said and "FLUX.2" not in said


def test_what_is_clearly_worse_than_an_anchor_is_said_to_be() -> None:
    rows = anchored(study(last()), noise=99.0, gaussian=9.0)
    said = above_noise.in_words(above_noise.above_noise(rows), rows.distance)
    assert (
        "Worse than decoded Gaussian latents by FD (EfficientNet-Lite0): FLUX.1 (20 against 9), SD (16 against 9)."
        in said
    )
    assert "Not clearly better than decoded Gaussian latents by FD (EfficientNet-Lite0): FLUX.2 (8 against 9)." in said


def test_the_noise_of_the_seed_is_that_of_the_rows_where_they_tell() -> None:
    rows = last_with_seeds(0.05)
    # two seeds 5 % below and above: a deviation of 0.05 sqrt(2)
    assert above_noise.relative_deviation(rows) == pytest.approx(0.05 * 2**0.5)
    found = above_noise.above_noise(anchored(study(rows), noise=30.0, gaussian=30.0))
    assert found["deviation"].tolist() == pytest.approx([0.05 * 2**0.5] * 4) and not found["assumed"].any()
    calm = anchored(study(last_with_seeds(0.001)), noise=16.4, gaussian=16.4)
    assert standings(calm)["sd"] == CLEAR
    assert standings(anchored(study(rows), noise=16.4, gaussian=16.4))["sd"] == AT_NOISE


def test_distances_near_nothing_do_not_make_all_look_like_noise() -> None:
    """A kernel distance of 0 on average, give or take 0.001, says nothing of anchors at 0.3."""
    rows = last_with_seeds(0.01)
    near = rows["ae"] == "rae"
    rows["kid"] = rows["fid"] / 1000
    rows.loc[near, "kid"] = 0.001 * (2 * rows.loc[near, "train_seed"] - 1)
    found = above_noise.above_noise(anchored(study(rows.assign(score="kid")), noise=300.0, gaussian=300.0))
    assert found.set_index("ae")["standing"]["rae"] == CLEAR
    assert above_noise.relative_deviation(rows.assign(score="kid")) < 0.05


def test_what_was_measured_anew_is_the_lowest_of_one() -> None:
    chosen = with_choice(study(last()))
    rows = anchored(chosen, 128, noise=24.0, gaussian=24.0)
    found = above_noise.above_noise(rows).set_index("ae")
    assert set(found["tried"]) == {1} and set(found["n_samples"]) == {128} and set(found["seeds"]) == {3}
    assert found["deviation"].iloc[0] == pytest.approx(0.01 / 1.1, rel=1e-6) and not found["assumed"].any()
    # 22 and 27.5 measured anew; 24 is more than two deviations above the one
    assert found["standing"].to_dict() == {"sd": CLEAR, "flux1": AT_NOISE, "flux2": CLEAR, "rae": CLEAR}
    assert above_noise.in_words(found.reset_index(), rows.distance).endswith(
        "FLUX.1 (27.5 against 24). One seed moves a distance by 1 %."
    )
    # four pairs of trainings are too few to know it: 0.04 x sqrt(400 / 128)
    pairs = dataclasses.replace(rows, confirmed=rows.confirmed[rows.confirmed["train_seed"] < 2])
    few = above_noise.above_noise(pairs)
    assert few["deviation"].tolist() == pytest.approx([0.0707] * 4, abs=1e-4) and few["assumed"].all()


def test_rows_without_anchors_are_said_to_have_none() -> None:
    rows = study(last())
    assert set(standings(rows).values()) == {UNKNOWN}
    found = above_noise.above_noise(rows)
    assert above_noise.in_words(found, rows.distance).startswith("No anchors in these rows: FLUX.1, FLUX.2, RAE, SD.")
    # of another number of images they are none
    assert set(standings(anchored(rows, 63, noise=1.0, gaussian=1.0)).values()) == {UNKNOWN}
    half = anchored(rows, noise=1e3)
    assert set(standings(half).values()) == {UNKNOWN}
    assert math.isnan(above_noise.above_noise(half)["gaussian"].iloc[0])


@pytest.mark.parametrize("tried", [1, 5, 40])
def test_of_nothing_but_noise_one_in_44_passes_however_many_were_tried(tried: int) -> None:
    random = numpy.random.default_rng(0)
    draws, deviation = 4000, 0.01
    best = (100 * (1 + deviation * random.standard_normal((draws, tried)))).min(1)
    anchors = 100 * (1 + deviation * random.standard_normal(draws))
    passed = sum(above_noise.clearly_better(*pair, deviation, tried) for pair in zip(best, anchors, strict=True))
    # Sidak's bound: exact of one, above what passes of several that share their anchor; five standard errors of a count
    expected = draws * 0.02275
    assert passed < expected + 5 * expected**0.5
    assert tried > 1 or passed > expected - 5 * expected**0.5


def test_what_is_missing_is_never_clear() -> None:
    assert not above_noise.clearly_better(math.nan, 1.0, 0.1) and not above_noise.clearly_better(1.0, math.nan, 0.1)
    assert not above_noise.clearly_better(2.0, 1.0, 0.0) and above_noise.clearly_better(1.0, 2.0, 0.0)
