"""lrcore.results.atlas and atlas_order: statistics over rows whose answers are known, and what they refuse."""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path

import pandas
import pytest
from scipy import stats

from lrcore.errors import LrcoreError
from lrcore.records.atlas_sources import Group, read_groups
from lrcore.records.reading import read_atlas
from lrcore.records.schema import AtlasRow
from lrcore.results import atlas, atlas_order

DATA = Path(__file__).parents[2] / "data"
EMPTY = {"str": "", "int": 0, "float": math.nan, "bool": False}
NAMES = list("abcdefghij")
FAMILIES = ["kl", "kl", "vq", "vq", "other", "other", "video", "video", "kl", "vq"]


def row(**values):
    blank = {field.name: EMPTY[str(field.type)] for field in dataclasses.fields(AtlasRow)}
    return {**blank, "source": "s", "quantity": "gfid", **values}


def frame(*rows):
    return pandas.DataFrame(list(rows))


def group_of(values, group="g", names=NAMES, **more):
    """A row a latent."""
    return [
        row(canonical=name, family=family, value=float(value), group=group, **more)
        for name, family, value in zip(names, FAMILIES, values, strict=False)
    ]


def groups(*names, autoencoders="", source="s"):
    return {name: Group(name, source, name.upper(), autoencoders, f"caveat of {name}") for name in names}


GFID = [9, 3, 4, 8, 1, 7, 2, 6, 5, 10]
RFID = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]


def both(gfid=GFID, rfid=RFID, group="g", aes="ae", **more):
    return frame(*group_of(gfid, group, **more), *group_of(rfid, aes, quantity="rfid", **more))


def test_ranking_of_one_group():
    found = atlas.ranking(frame(*group_of([3, 1, 2, 1])))
    assert found.to_dict("list") == {
        "place": [1, 1, 3, 4], "canonical": ["b", "d", "c", "a"], "value": [1.0, 1.0, 2.0, 3.0]
    }  # fmt: skip


def test_nothing_is_ranked_over_groups():
    for other in ("h", ""):
        with pytest.raises(LrcoreError, match="rows of gfid are of 2 protocol groups, which nothing compares"):
            atlas.ranking(frame(*group_of(GFID), *group_of([1.0], other)))
    with pytest.raises(LrcoreError, match="of no protocol group are compared with none"):
        atlas.ranking(frame(*group_of(GFID, "")))
    with pytest.raises(LrcoreError, match="two values of gfid for 'a' in one group"):
        atlas.ranking(frame(*group_of(GFID), *group_of([1.0])))
    with pytest.raises(LrcoreError, match="no rows: no primary gfid"):
        atlas.ranking(frame(*group_of(GFID, secondary=True)))


@pytest.mark.parametrize("method", atlas.METHODS)
def test_correlation_is_that_of_scipy(method):
    found = atlas.correlation(both(), "rfid", method=method)
    wanted = {"pearson": stats.pearsonr, "spearman": stats.spearmanr}[method](RFID, GFID).statistic
    assert found.value == pytest.approx(wanted, abs=1e-12)
    assert (found.group, found.n, found.families, found.latents) == ("g", 10, 4, tuple(NAMES))
    assert -1 <= found.low < found.value < found.high <= 1
    assert atlas.correlation(both(gfid=RFID), "rfid", method=method).value == pytest.approx(1)
    assert atlas.correlation(both(gfid=RFID[::-1]), "rfid", method=method).value == pytest.approx(-1)


def test_ties_share_their_rank():
    gfid = [1, 1, 2, 2, 2, 3, 4, 4, 4, 4]
    found = atlas.correlation(both(gfid=gfid), "rfid", method="spearman")
    assert found.value == pytest.approx(stats.spearmanr(RFID, gfid).statistic, abs=1e-12)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (pandas.concat([both(), frame(*group_of([1.0], "h", names=["z"]))]), "rows of gfid are of 2 protocol groups"),
        (
            pandas.concat([both(), frame(*group_of([1.0], "other", names=["z"], quantity="rfid"))]),
            "rows of rfid are of 2 protocol groups",
        ),
        (pandas.concat([both(), frame(*group_of([1.0], "", names=["z"]))]), "2 protocol groups.*no group"),
        (both(group=""), "rows of gfid that are of no protocol group"),
        (both(aes=""), "rows of rfid that are of no protocol group"),
        (both(GFID[:7], RFID), "7 latents of group 'g' have rfid and gfid; needed: at least 8"),
        (both(gfid=[1] * 10), "rfid or gfid is the same for all latents"),
        (
            frame(*group_of(GFID), *group_of(RFID, "ae", quantity="rfid", source="t")),
            "no correlation over sources: s, t",
        ),
        (pandas.concat([both(), frame(*group_of([5.5]))]), "two values of gfid for 'a'"),
        (frame(*group_of(GFID)), "no rows: no primary rfid"),
    ],
)
def test_what_is_not_correlated(rows, said):
    with pytest.raises(LrcoreError, match=said):
        atlas.correlation(rows, "rfid")


def test_unknown_words_are_named():
    with pytest.raises(LrcoreError, match="unknown method 'kendall'"):
        atlas.correlation(both(), "rfid", method="kendall")
    with pytest.raises(LrcoreError, match="unknown quantity 'rFID'; allowed: gfid, is"):
        atlas.correlation(both(), "rFID")
    with pytest.raises(LrcoreError, match="unknown quantity 'rFID'"):
        atlas.forest(both(), groups("g"), "rFID")
    with pytest.raises(LrcoreError, match="unknown group 'x'"):
        atlas.of_group(both(), groups("g"), "x")
    with pytest.raises(LrcoreError, match="unknown change 'seed'; allowed: guidance, generator, steps, epochs"):
        atlas_order.crossings(both(), "s", "seed")
    with pytest.raises(LrcoreError, match="unknown source 'S'"):
        atlas_order.crossings(both(), "S", "steps")


def test_secondary_rows_and_bounds_are_in_no_statistic():
    rows = pandas.concat([both(), frame(*group_of([100.0, 200.0], names=["a", "y"], secondary=True))])
    rows = pandas.concat([rows, frame(*group_of([800.0], names=["z"], bound=">"))])
    assert atlas.correlation(rows, "rfid").n == 10
    assert len(atlas.ranking(rows)) == 10
    assert atlas.spread(rows, "a", "gfid").high == 9
    everything = both(secondary=True)
    assert atlas.forest(everything, groups("g", autoencoders="ae"), "rfid").empty


def test_sizes_are_correlated_with_as_quantities_are():
    rows = frame(*group_of(GFID)).assign(channels_per_token=[1, 2, 3, 4, 5, 6, 7, 8, 0, 0])
    found = atlas.correlation(rows, "channels_per_token")
    assert found.n == 8 and found.value == pytest.approx(stats.pearsonr(range(1, 9), GFID[:8]).statistic)


def forest_rows():
    """g and h share all ten latents, k shares two, small has seven."""
    shared = [*NAMES[:2], *(f"k{number}" for number in range(8))]
    return frame(
        *group_of(GFID, "g"),
        *group_of(GFID[::-1], "h"),
        *group_of(RFID, "ae", quantity="rfid"),
        *group_of(GFID, "k", names=shared, source="t"),
        *group_of(RFID[::-1], "kae", names=shared, source="t", quantity="rfid"),
        *group_of(GFID[:7], "small"),
    )


def forest_groups():
    return {
        **groups("g", "h", "small", autoencoders="ae"), **groups("ae"), **groups("k", autoencoders="kae", source="t"),
        **groups("kae", source="t"),
    }  # fmt: skip


def test_a_forest_passes_over_too_few_latents_and_nothing_else():
    few = both(gfid=GFID[:7], rfid=RFID[:7], names=NAMES[:7])
    known = groups("g", autoencoders="ae")
    assert atlas.forest(few, known, "rfid").empty
    assert atlas.forest(both(rfid=[1] * 10), known, "rfid").empty  # the same for all: nothing to correlate
    twice = pandas.concat([both(), frame(*group_of([99.0], "g"))])
    with pytest.raises(LrcoreError, match="two values of gfid for 'a' in one group"):
        atlas.forest(twice, known, "rfid")
    mixed = pandas.concat([both(), frame(*group_of(RFID, "g", quantity="rfid"))])
    with pytest.raises(LrcoreError, match="rows of rfid are of 2 protocol groups"):
        atlas.forest(mixed, known, "rfid")


def test_a_forest_has_a_line_for_each_group_and_none_for_all():
    found = atlas.forest(forest_rows(), forest_groups(), "rfid").set_index("group")
    assert list(found.index) == ["g", "h", "k"] and (found["n"] == 10).all()
    assert found["value"]["g"] == pytest.approx(stats.pearsonr(RFID, GFID).statistic)
    assert found["value"]["h"] == pytest.approx(stats.pearsonr(RFID, GFID[::-1]).statistic)
    assert found["value"]["k"] == pytest.approx(stats.pearsonr(RFID[::-1], GFID).statistic)
    assert found["caveat"]["k"] == "caveat of k" and found["label"]["k"] == "K" and found["source"]["k"] == "t"
    assert (found["low"] <= found["value"]).all() and (found["value"] <= found["high"]).all()


def test_a_latent_that_two_groups_share_counts_once():
    found = atlas.forest(forest_rows(), forest_groups(), "rfid").set_index("group")
    assert found["unshared"].to_dict() == {"g": 10, "h": 0, "k": 8}
    assert found["counted"].to_dict() == {"g": True, "h": False, "k": True}


def test_a_group_of_one_family_says_so():
    rows = forest_rows().assign(family="kl")
    found = atlas.forest(rows, forest_groups(), "rfid")
    assert (found["families"] == 1).all() and found["caveat"].str.endswith("; all latents of one family").all()


def test_nothing_pools():
    """No function of the module gives one correlation over all of the atlas."""
    rows, names = forest_rows(), forest_groups()
    with pytest.raises(LrcoreError, match="protocol groups, which nothing compares"):
        atlas.correlation(rows, "rfid")
    with pytest.raises(LrcoreError, match="protocol groups, which nothing compares"):
        atlas.ranking(rows)
    assert set(atlas.forest(rows, names, "rfid")["group"]) <= set(names)


SETTING = {"generator": "SiT-XL", "steps": 25, "images_seen": 80 * atlas.IMAGENET, "guidance": "none", "n": 50000}
CHANGES = {"guidance": "cfg_best", "generator": "DiT-XL", "steps": 250, "epochs": 800 * atlas.IMAGENET}
COLUMN = {**atlas_order.OVER, "epochs": "images_seen"}


@pytest.mark.parametrize("over", atlas_order.OVER)
def test_ranks_cross_where_one_thing_changes(over):
    changed = {**SETTING, COLUMN[over]: CHANGES[over]}
    rows = frame(
        *group_of([1, 2, 3, 4], **SETTING), *group_of([2, 1, 3, 4], **changed), *group_of([9, 8], source="t", **changed)
    )
    found = atlas_order.crossings(rows, "s", over)
    (swap,) = found.to_dict("records")
    assert {swap["first"], swap["second"]} == {"a", "b"}
    assert (swap["first_low"] - swap["second_low"]) * (swap["first_high"] - swap["second_high"]) < 0
    assert swap["first_low"] < swap["second_low"]
    (agreement,) = atlas_order.rank_agreement(rows, "s", over).to_dict("records")
    assert (agreement["latents"], agreement["pairs"], agreement["crossing"]) == (4, 6, 1)
    assert math.isnan(agreement["spearman"])  # of four
    for other in set(atlas_order.OVER) - {over}:
        assert atlas_order.crossings(rows, "s", other).empty


def test_rank_agreement_of_eight_and_more():
    rows = frame(*group_of(RFID, **SETTING), *group_of(GFID, **{**SETTING, "guidance": "cfg"}))
    (found,) = atlas_order.rank_agreement(rows, "s", "guidance").to_dict("records")
    assert found["spearman"] == pytest.approx(stats.spearmanr(RFID, GFID).statistic)
    assert found["spearman_low"] < found["spearman"] < found["spearman_high"]
    discordant = sum(
        (a - b) * (c - d) < 0 for (a, c), (b, d) in itertools.combinations(zip(RFID, GFID, strict=True), 2)
    )
    assert found["crossing"] == discordant and found["pairs"] == 45


@pytest.mark.parametrize(
    "second",
    [
        {"guidance": ""},  # not stated is not another
        {"guidance": "cfg", "steps": 50},  # two things changed
        {"guidance": "cfg", "label_rule": "random"},
        {"guidance": "cfg", "secondary": True},
        {"guidance": "cfg", "source": "t"},
    ],
)
def test_ranks_do_not_cross_where_more_than_one_thing_changes(second):
    rows = frame(*group_of([1, 2], **SETTING), *group_of([2, 1], **{**SETTING, **second}))
    assert (
        atlas_order.crossings(rows, "s", "guidance").empty and atlas_order.rank_agreement(rows, "s", "guidance").empty
    )


def test_steps_that_make_the_same_epochs_are_no_change():
    by_steps = {**SETTING, "images_seen": 100_000 * 1024}
    rows = frame(*group_of([1, 2], **SETTING), *group_of([2, 1], **by_steps))
    assert atlas_order.crossings(rows, "s", "epochs").empty
    assert len(atlas.spread(frame(row(canonical="a", value=1.0, **by_steps)), "a", "gfid", epochs=80).rows) == 1


def test_ties_and_latents_with_two_values_do_not_cross():
    later = {**SETTING, "steps": 50}
    tied = frame(*group_of([1, 1, 2], **SETTING), *group_of([2, 1, 3], **later))
    assert atlas_order.crossings(tied, "s", "steps").empty
    double = frame(*group_of([1, 2, 3], **SETTING), *group_of([5], **SETTING), *group_of([3, 2, 1], **later))
    assert set(atlas_order.crossings(double, "s", "steps")["first"]) == {"b"}


def test_densities_of_one_latent_are_told_apart_where_nothing_else_does():
    first = [row(canonical="a", value=value, density=name, **SETTING) for name, value in (("ts", 1.0), ("ln", 2.0))]
    later = {**SETTING, "generator": "DiT-XL"}
    second = [row(canonical="a", value=value, density=name, **later) for name, value in (("ts", 2.0), ("ln", 1.0))]
    (swap,) = atlas_order.crossings(frame(*first, *second), "s", "generator").to_dict("records")
    assert {swap["first"], swap["second"]} == {"a · ts", "a · ln"}


def test_decoders_of_one_latent_are_two():
    first = [row(canonical="a", value=value, decoder=name, **SETTING) for name, value in (("p", 1.0), ("q", 2.0))]
    later = {**SETTING, "steps": 50}
    second = [row(canonical="a", value=value, decoder=name, **later) for name, value in (("p", 2.0), ("q", 1.0))]
    (swap,) = atlas_order.crossings(frame(*first, *second), "s", "steps").to_dict("records")
    assert {swap["first"], swap["second"]} == {"a · p", "a · q"}


def test_spread_over_sources_is_labelled_and_counts_a_figure_once():
    budget = {"images_seen": 800 * atlas.IMAGENET, "guidance": "none"}
    rows = frame(
        row(canonical="a", value=2.17, **budget), row(canonical="a", value=2.05, source="t", **budget),
        row(canonical="a", value=2.17, source="u", repeats=True, **budget),
        row(canonical="a", value=1.35, source="u", images_seen=budget["images_seen"], guidance="cfg"),
        row(canonical="a", value=9.0, source="v", images_seen=80 * 1_281_167, guidance="none"),
        row(canonical="b", value=0.1, **budget), row(canonical="a", value=0.1, quantity="rfid"),
    )  # fmt: skip
    found = atlas.spread(rows, "a", "gfid", guided=False, epochs=800)
    assert found.rows["value"].tolist() == [2.05, 2.17] and (found.low, found.high) == (2.05, 2.17)
    assert found.label == atlas.EXEMPT
    assert atlas.spread(rows, "a", "gfid", guided=True).rows["source"].tolist() == ["u"]
    assert atlas.spread(rows, "a", "gfid").high == 9.0
    with pytest.raises(LrcoreError, match="no gfid of 'c' as asked for"):
        atlas.spread(rows, "c", "gfid")


def test_shifts_and_scales_are_labelled():
    rows = frame(
        row(canonical="a", value=1.0, trainshift=2.0), row(canonical="a", value=1.5, trainshift=2.0),
        row(canonical="b", value=3.0, quantity="best_cfg_scale", guidance="cfg_best"),
        row(canonical="c", value=1.0, guidance="cfg", guidance_scale=1.5), row(canonical="d", value=1.0),
    )  # fmt: skip
    shifts, scales = atlas.shifts_used(rows), atlas.scales_used(rows)
    assert shifts["trainshift"].tolist() == [2.0] and scales["scale"].tolist() == [3.0, 1.5]
    assert set(shifts["label"]) == set(scales["label"]) == {atlas.EXEMPT}


def test_printed_correlations_stand_as_they_are():
    rows = frame(
        row(value=0.87, quantity="pearson_abs_with_gfid", predictor="viv", n=43),
        row(value=-0.8, quantity="pearson_with_gfid", predictor="viv", secondary=True),
        row(value=0.8, quantity="pearson_with_gfid", predictor="ifid"),
    )
    assert atlas.printed(rows, "viv")[["value", "n"]].values.tolist() == [[0.87, 43]]


@pytest.fixture(scope="module")
def committed():
    return read_atlas(DATA), read_groups(DATA)


def test_rfid_does_not_order_generators(committed):
    found = atlas.forest(*committed, "rfid").set_index("group")
    counted = found[found["counted"]]
    wanted = {
        "ifid-board-sit-xl": (22, -0.07), "maetok-sit-l": (20, 0.26), "vavae-lightningdit-b": (9, -0.69),
        "dmvae-table1": (8, -0.50),
    }  # fmt: skip
    assert {name: (one["n"], round(one["value"], 2)) for name, one in counted.iterrows()} == wanted
    assert not found["counted"]["ifid-board-sit-b"]


def test_guidance_changes_the_order_of_seventeen_latents(committed):
    found = atlas_order.rank_agreement(committed[0], "leng2026diffusionbench", "guidance")
    whole = found.loc[found["latents"].idxmax()]
    assert (whole["latents"], round(whole["spearman"], 2), whole["crossing"]) == (17, 0.42, 46)


def test_one_latent_at_one_budget_has_several_figures(committed):
    guided = atlas.spread(committed[0], "VA-VAE f16d32", "gfid", guided=True, epochs=800)
    assert guided.rows["value"].tolist() == [1.25, 1.35, 1.42, 1.52]
    assert guided.rows["source"].nunique() == 4


def test_sources_can_be_asked_for_crossings(committed):
    for source in ("li2025jit", "zheng2025rae"):
        assert set(atlas_order.crossings(committed[0], source, "generator").columns) >= {
            "first",
            "second",
            "low",
            "high",
        }


def test_every_ranked_group_of_the_committed_atlas_can_be_ranked(committed):
    rows = atlas.primary(committed[0])
    for (_, quantity), part in rows[rows["group"] != ""].groupby(["group", "quantity"]):
        assert len(atlas.ranking(part, quantity)) >= 1
