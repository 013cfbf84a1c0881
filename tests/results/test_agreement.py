"""Orders of autoencoders against published ones and against predictors, on orders that are known."""

from __future__ import annotations

import itertools
import math

import pandas
import pytest
from figure_rows import BASE, generation_rows, published_rows

from lrcore.results import findings
from lrcore.results.agreement import PREDICTORS, among_published, chance, kendall, of_predictors, pairs, with_published


@pytest.fixture
def best() -> pandas.DataFrame:
    """rae < flux2 < sd < flux1."""
    return findings.best_per_ae(findings.mean_over_seeds(generation_rows()))


def test_kendall() -> None:
    one = {"a": 1.0, "b": 2.0, "c": 3.0}
    assert kendall(one, {"a": 10.0, "b": 20.0, "c": 30.0, "d": 0.0}) == (pytest.approx(1.0), 3)
    assert kendall(one, {"a": 3.0, "b": 2.0, "c": 1.0}) == (pytest.approx(-1.0), 3)
    assert kendall(one, {"a": 2.0, "b": 1.0, "c": 3.0}) == (pytest.approx(1 / 3), 3)
    tau, count = kendall(one, {"a": 1.0, "b": math.nan, "c": 3.0})
    assert math.isnan(tau) and count == 2


def test_the_published_studies_agree_with_the_order_that_is_theirs(best: pandas.DataFrame) -> None:
    found = with_published(best, published_rows()).set_index(["source", "setting"])
    assert set(found.index.get_level_values(0)) == {"bfl2025representation", "leng2026diffusionbench", "xu2026ifid"}
    unguided = found[~found.index.get_level_values(1).str.contains("best guidance")]
    assert unguided["tau"].tolist() == pytest.approx([1.0] * len(unguided))
    assert unguided["autoencoders"].to_dict()[("xu2026ifid", "no training")] == 3
    # with the best guidance FLUX.2 is before RAE: one pair of six the other way round
    guided = found.loc[("leng2026diffusionbench", "80 epochs, 50 Euler steps, best guidance")]
    assert guided["tau"] == pytest.approx(4 / 6)
    reverse = with_published(best.assign(distance=-best["distance"]), published_rows())
    assert reverse["tau"].max() < 0


def test_a_predictor_with_the_order_of_the_distances_has_tau_1(best: pandas.DataFrame) -> None:
    rows = [("ifd", -1, ae, 2 * value) for ae, value in BASE.items()]
    rows += [("probe_accuracy", -1, ae, 1 / value) for ae, value in BASE.items()]
    rows += [("spectrum_slope", -1, ae, -value) for ae, value in BASE.items()]
    rows += [("flip_error", -1, ae, value) for ae, value in list(BASE.items())[:2]]
    rows += [("channel_std", 0, ae, value) for ae, value in BASE.items()]
    latents = pandas.DataFrame(rows, columns=["metric", "index", "ae", "value"])
    found = of_predictors(best, latents).set_index("predictor")
    assert found["tau"].to_dict() == pytest.approx({"ifd": 1.0, "spectrum_slope": -1.0, "probe_accuracy": 1.0})
    assert found["spearman"].to_dict() == pytest.approx(found["tau"].to_dict())
    assert set(found["autoencoders"]) == {4} and set(found.index) <= set(PREDICTORS)


def test_chance_is_the_share_of_orders_that_agree_at_least_as_well() -> None:
    for count in (3, 4, 5):
        told = dict(enumerate(range(count)))
        orders = [dict(enumerate(order)) for order in itertools.permutations(range(count))]
        taus = [kendall(order, told)[0] for order in orders]
        for order, tau in zip(orders, taus, strict=True):
            assert chance(order, told) == pytest.approx(sum(other >= tau - 1e-9 for other in taus) / len(taus))
    assert math.isnan(chance({0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0}))
    assert math.isnan(chance({0: 1.0, 1: 2.0, 2: math.nan}, {0: 1.0, 1: 2.0, 2: 3.0}))


def test_the_published_orders_against_one_another() -> None:
    found = among_published(published_rows())
    assert len(found) == 10  # pairs of five settings
    # only guidance turns a pair round, and only FLUX.2 and RAE, which the interpolation study does not have
    turned = found[found["tau"] < 1]
    assert turned["tau"].tolist() == pytest.approx([4 / 6] * len(turned)) and len(turned) == 2
    assert all("best guidance" in str(pair) for pair in turned[["first", "second"]].to_numpy().tolist())
    assert among_published(published_rows().head(0)).empty


def test_too_few_autoencoders_of_ours_have_no_agreement(best: pandas.DataFrame) -> None:
    found = with_published(best[best["ae"].isin(("sd", "flux1"))], published_rows())
    assert len(found) == 5 and found["tau"].isna().all() and set(found["autoencoders"]) == {2}


def test_a_predictor_that_is_the_same_for_all_tells_nothing(best: pandas.DataFrame) -> None:
    latents = pandas.DataFrame([("ifd", -1, ae, 5.0) for ae in BASE], columns=["metric", "index", "ae", "value"])
    found = of_predictors(best, latents)
    assert len(found) == 1 and found[["tau", "spearman"]].isna().all(axis=None)


def test_pairs_count_the_settings_that_put_one_before_the_other() -> None:
    found = pairs(published_rows()).set_index(["first", "second"])[["agreeing", "settings"]]
    counts = {pair: tuple(row) for pair, row in zip(found.index, found.to_numpy().tolist(), strict=True)}
    # guidance turns RAE and FLUX.2 round; the interpolation study, with two settings, lacks FLUX.2
    assert counts == {
        ("rae", "flux2"): (2, 3), ("rae", "sd"): (5, 5), ("rae", "flux1"): (5, 5), ("flux2", "sd"): (3, 3),
        ("flux2", "flux1"): (3, 3), ("sd", "flux1"): (5, 5),
    }  # fmt: skip
    assert pairs(published_rows().head(0)).empty
