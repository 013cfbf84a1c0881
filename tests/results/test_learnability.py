"""lrcore.results.learnability: shares whose answers are known."""

from __future__ import annotations

import dataclasses
import math

import pandas
import pytest
import torch
from figure_rows import BASE, diverged, generation_rows, study, with_choice

from lrcore.metrics.pairs import FeatureSet, unbiased_kernel_distance
from lrcore.results import learnability
from lrcore.results.study_rows import StudyRows


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


def with_test_images(rows: StudyRows, *distances: tuple[int, float]) -> StudyRows:
    """The study with distances of so many test images to 10,000 reference images, of one autoencoder."""
    made = [("sd", "test", "reference", "efficientnet_lite0", "toy", count, 10_000, kid) for count, kid in distances]
    columns = ["ae", "anchor", "target", "feature_network", "feature_protocol", "n_samples", "n_reference", "kid"]
    return dataclasses.replace(rows, anchors=pandas.DataFrame(made, columns=columns))


@pytest.mark.parametrize(
    ("gaussian", "samples", "told"),
    [
        (0.4, 0.1, True),
        (0.4, 1.5, True),  # far worse than a Gaussian, and clearly so
        (0.0101, 0.005, True),
        (0.0099, 0.005, False),  # no more than what images of one distribution are apart
        (0.05, 1.5, False),  # noise of the samples' distance is as large as the scale: G would be -29
        (0.0, 0.1, False),
        (-0.001, 0.1, False),
    ],
)
def test_g_is_told_where_its_denominator_is_clearly_above_noise(gaussian: float, samples: float, told: bool) -> None:
    rows = generation_rows().assign(gaussian_kid=gaussian, reconstruction_kid=samples)
    # noise of two sets of 64 images that makes Student's t of one degree of freedom 0.01
    one_set = 0.01 / math.tan(math.pi * 0.475) * (1 / 64 + 1 / 10_000) * 64 / 2
    found = learnability.learned(with_test_images(study(rows), (64, one_set)))
    assert set(found["told"]) == {told} and found["g_kid"].notna().all() == told == found["g_fid"].notna().all()
    means = learnability.mean_of_trainings(found)
    assert len(means) == 4 and (means["g_low"].isna().all())
    said = learnability.not_told_in_words(means)
    assert said == "" if told else said.startswith("G cannot be told of SD, FLUX.1, FLUX.2, RAE: the distance of")


def test_the_noise_is_that_of_the_distance_to_reconstructions() -> None:
    """Seeds that hardly move the distance that decides may move the one that G is made of by far more."""
    chosen = with_choice(study(generation_rows()))
    for apart, told in ((0.0, True), (0.9, False)):
        factor = chosen.confirmed["train_seed"].map({0: 1 - apart, 1: 1.0, 2: 1 + apart})
        mean = chosen.confirmed["reconstruction_kid"]
        moved = chosen.confirmed.assign(reconstruction_kid=mean * factor, gaussian_kid=mean)
        found = learnability.learned(dataclasses.replace(chosen, confirmed=moved))
        assert set(found["told"]) == {told}


def test_some_may_be_told_and_others_not() -> None:
    rows = generation_rows()
    rows = rows.assign(gaussian_kid=rows["gaussian_kid"].mask(rows["ae"] == "rae", 1e-6))
    means = learnability.mean_of_trainings(learnability.learned(study(rows)))
    assert means["ae"].iloc[-1] == "rae" and means.set_index("ae")["told"].to_dict() == {
        "sd": True, "flux1": True, "flux2": True, "rae": False,
    }  # fmt: skip
    assert math.isnan(means["g_kid"].iloc[-1]) and means["g_kid"].notna().sum() == 3
    assert learnability.not_told_in_words(means).startswith("G cannot be told of RAE:")


def test_noise_of_zero_is_that_of_sets_of_one_distribution() -> None:
    """Against kernel distances of features drawn from one Gaussian; the estimates are of nested sets, as in rows."""
    drawn, counts, repeats = torch.Generator().manual_seed(0), (12, 24, 48), 100

    def features(count: int) -> FeatureSet:
        return FeatureSet(torch.randn(count, 4, generator=drawn, dtype=torch.float64))

    reference, rows = features(240), study(generation_rows())
    estimates, distances = [], []
    for _ in range(repeats):
        images = features(counts[-1])
        nested = [(n, unbiased_kernel_distance(FeatureSet(images.features[:n]), reference)) for n in counts]
        anchors = with_test_images(rows, *nested)
        noise, freedom = learnability.noise_of_zero(
            dataclasses.replace(anchors, anchors=anchors.anchors.assign(n_reference=240)), 24
        )
        estimates.append(noise**2)
        distances.append(unbiased_kernel_distance(features(24), features(24)))
    assert freedom == 3
    true = sum(distance**2 for distance in distances) / repeats
    # both variances are known to about sqrt(2 / 100), of a distribution with heavier tails than the normal
    assert sum(estimates) / repeats == pytest.approx(true, rel=0.5)
    assert learnability.noise_of_zero(rows, 24) == (0.0, 0)


def test_interval_is_students_over_trainings() -> None:
    chosen = with_choice(study(generation_rows()))
    means = learnability.mean_of_trainings(learnability.learned(chosen)).set_index("ae")
    reach = 4.302653 * means["deviation"] / math.sqrt(3)
    assert (means["g_high"] - means["g_kid"]).to_dict() == pytest.approx(reach.to_dict(), rel=1e-6)
    assert (means["g_kid"] - means["g_low"]).to_dict() == pytest.approx(reach.to_dict(), rel=1e-6)
