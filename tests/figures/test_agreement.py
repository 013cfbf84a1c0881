"""lrcore.figures.agreement: what is compared, and what is left out."""

from __future__ import annotations

import dataclasses
import math

import pandas
import pytest
from figure_rows import begun, diverged, generation_rows, published_rows, study, with_choice, with_seeds, without

from lrcore.errors import LrcoreError
from lrcore.figures import agreement, agreement_prose, differences, predictors
from lrcore.results import claims, numbers

PUBLISHED = published_rows()
LAST = "study toy"


def test_claims_table_says_the_verdict_in_words() -> None:
    found = claims.judged(study(generation_rows()), PUBLISHED)
    table = agreement.claims_table("toy", found)
    assert list(table.frame.columns) == ["finding", "verdict", "published", LAST, "source"]
    assert table.frame["verdict"].tolist() == [claim.verdict for claim in found]
    assert set(table.frame["source"]) == {"FLUX.2 representation comparison", "REPA", "iFID paper"}
    pandas.testing.assert_frame_equal(table.rows, claims.as_frame(found))
    assert not table.frame[LAST].str.contains(r"\d %").any()  # a number and its sign on two lines


def test_ranks() -> None:
    shown = agreement.ranks(with_choice(study(generation_rows()), feature_network="inception2015"), PUBLISHED)
    places = shown.rows.pivot(index="row", columns="ae", values="rank")
    assert len(places) == 5 + 2
    grid = places.filter(like="EfficientNet", axis=0).iloc[0]
    assert grid.to_dict() == {"rae": 1, "flux2": 2, "sd": 3, "flux1": 4}
    again = places.filter(like="again", axis=0)
    assert again.index.tolist() == ["Study toy: FID, again, 128 samples"]
    assert again.iloc[0].to_dict() == {"rae": 1, "flux2": 2, "sd": 3, "flux1": 4}
    guided = places.filter(like="best guidance", axis=0).iloc[0]
    assert guided.to_dict() == {"flux2": 1, "rae": 2, "sd": 3, "flux1": 4}
    three = places.filter(like="iFID paper: gFID", axis=0).iloc[0]
    assert math.isnan(three["flux2"]) and three.drop("flux2").to_dict() == {"rae": 1, "sd": 2, "flux1": 3}
    assert "RAE, FLUX.2, SD, FLUX.1" in shown.alt
    assert {trace.name for trace in shown.figure.data if trace.name} == {"RAE", "FLUX.2", "SD", "FLUX.1"}


def test_lines_lead_from_mark_to_mark_and_break_where_an_autoencoder_was_not_measured() -> None:
    shown = agreement.ranks(study(generation_rows()), PUBLISHED)
    settings = list(shown.figure.layout.yaxis.ticktext)
    lines, marks = shown.figure.data[::2], shown.figure.data[1::2]
    assert [trace.name for trace in marks] == ["SD", "FLUX.1", "FLUX.2", "RAE"]
    for line, mark in zip(lines, marks, strict=True):
        measured = set(mark.y)
        assert set(line.y[::3]) == {y for y in measured if y + 1 in measured} and not line.connectgaps
        marked = set(zip(mark.x, mark.y, strict=True))
        assert {(x, y) for x, y in zip(line.x, line.y, strict=True) if y is not None} <= marked
    names = shown.figure.layout.annotations
    assert len(names) == sum(len(mark.x) for mark in marks)
    assert {name.templateitemname for name in names} == {"on-page"}  # a line passes behind a name
    lacking = [number for number, row in enumerate(settings) if row.replace("<br>", " ").startswith("iFID paper")]
    assert lacking and not set(lacking) & set(marks[2].y) and set(lacking) <= set(marks[3].y)


def test_equal_distances_stand_side_by_side_in_one_place() -> None:
    rows = generation_rows()
    flat = agreement.ranks(study(rows.assign(fid=100.0)), PUBLISHED)
    own = flat.rows[flat.rows["row"].str.startswith("Study")]
    assert set(own["rank"]) == {1}
    at = [trace.x[-1] for trace in flat.figure.data if trace.name]
    assert sorted(at) == [1, 2, 3, 4]
    assert flat.words.title.endswith("published settings, no single one in study toy")


def test_many_are_named_by_a_legend() -> None:
    rows = generation_rows(aes=tuple(f"mine{number}" for number in range(13)))
    shown = agreement.ranks(study(rows), PUBLISHED)
    assert shown.figure.layout.showlegend and {trace.mode for trace in shown.figure.data} == {"lines", "markers"}


@pytest.mark.parametrize(
    ("settings", "ours", "said"),
    [
        (
            [{"sd": 1, "rae": 2}, {"sd": 1, "rae": 2}],
            ["sd"],
            "SD is first in 2 of 2 published settings, and in study a",
        ),
        (
            [{"sd": 1, "rae": 2}, {"sd": 1, "rae": 2}],
            ["rae"],
            "SD is first in 2 of 2 published settings; among these autoencoders, RAE is in study a",
        ),
        (
            [{"sd": 1, "rae": 2}, {"sd": 2, "rae": 1}],
            ["sd", "rae"],
            "SD and RAE are each first in 1 of 2 published settings; among these autoencoders, SD or RAE is in study a",
        ),
        ([{"sd": 1, "rae": 1}], [], "SD and RAE are each first in 1 of 1 published settings"),
    ],
)
def test_who_is_first(settings: list[dict[str, float]], ours: list[str], said: str) -> None:
    assert agreement.first_places(settings, ours, "a") == said


def test_where_the_kernel_distance_decides_the_fid_stands_beside_it() -> None:
    rows = generation_rows("inception2015").assign(score="kid", fid=lambda rows: 100 - rows["fid"])
    chosen = with_choice(study(rows), score="kid")
    more = dataclasses.replace(
        chosen, confirmed=with_choice(chosen, 256, score="kid").confirmed.query("train_seed == 0")
    )
    shown = agreement.ranks(chosen, PUBLISHED).rows
    assert set(shown["row"]) >= {"Study toy: KID × 1000", "Study toy: KID × 1000, again, 128 samples"}
    fid = agreement.ranks(
        dataclasses.replace(chosen, confirmed=pandas.concat([chosen.confirmed, more.confirmed])), PUBLISHED
    )
    last = fid.rows[fid.rows["row"] == "Study toy: FID, again, 256 samples"].set_index("ae")["rank"]
    assert last.to_dict() == {"rae": 4, "flux2": 3, "sd": 2, "flux1": 1}


def test_what_no_published_setting_has_stands_in_no_row_and_takes_no_place() -> None:
    mine = generation_rows(aes=("mine",))
    rows = pandas.concat([generation_rows(), mine.assign(fid=mine["fid"] / 100)], ignore_index=True)
    shown = agreement.ranks(study(rows), PUBLISHED).rows.query("row.str.startswith('Study')")
    assert shown.set_index("ae")["rank"].to_dict() == {"rae": 1, "flux2": 2, "sd": 3, "flux1": 4}
    assert set(agreement.ranks(study(mine), PUBLISHED).rows.query("row.str.startswith('Study')")["ae"]) == {"mine"}


def test_ranks_of_a_study_that_has_hardly_begun() -> None:
    shown = agreement.ranks(begun(), PUBLISHED)
    assert len(shown.rows[shown.rows["row"].str.startswith("Study toy")]) == 1
    with pytest.raises(LrcoreError, match="no published study compares"):
        agreement.ranks(begun(), PUBLISHED.head(0))


def test_rank_correlations() -> None:
    table = agreement.rank_correlations(study(generation_rows()), PUBLISHED).frame
    assert len(table) == 5
    guided = table[table["setting"].str.contains("best guidance")].iloc[0]
    assert guided[["rank correlation", "orders that agree as well"]].tolist() == ["0.67", "4 of 24"]
    without_training = table[table["distance"] == "interpolated FID"].iloc[0]
    assert without_training[["rank correlation", "orders that agree as well"]].tolist() == ["1.00", "1 of 6"]
    little = agreement.rank_correlations(begun(), PUBLISHED).frame
    assert set(little["rank correlation"]) == {"–"} and set(little["orders that agree as well"]) == {"–"}


def test_pairs() -> None:
    table = agreement.pairs(study(with_seeds(0.1)), PUBLISHED)
    rows = table.rows.set_index(["first", "second"])
    assert len(rows) == 6 and rows.loc[("rae", "flux2"), ["agreeing", "settings"]].tolist() == [2, 3]
    assert rows.loc[("sd", "flux1"), ["agreeing", "settings"]].tolist() == [5, 5]
    assert rows["ahead"].to_dict()[("sd", "flux1")] == pytest.approx(0.25)
    assert rows["verdict"].to_dict()[("sd", "flux1")] == "within noise"  # of 40 %
    assert rows["verdict"].to_dict()[("flux2", "sd")] == "holds"
    most = rows["ahead"].abs().max()
    assert table.note.startswith("A lead is relative to the better distance: ")
    assert table.note.endswith(f"this is {numbers.percent(1 / (1 + most) - 1)}.")
    assert agreement.pairs(begun(), PUBLISHED).note == ""
    assert set(agreement.pairs(begun(), PUBLISHED).frame["verdict"]) == {"incomplete", "no rows yet"}


@pytest.mark.parametrize(
    "draw", [differences.against_noise, predictors.predictors, lambda rows: agreement.ranks(rows, PUBLISHED)]
)
def test_two_protocols_and_no_rows_are_refused(draw) -> None:  # type: ignore[no-untyped-def]
    mixed = pandas.concat([generation_rows(), generation_rows("inception2015")])
    with pytest.raises(LrcoreError, match="cannot be compared"):
        draw(study(mixed))
    with pytest.raises(LrcoreError, match="no rows"):
        draw(study(generation_rows().head(0)))


def test_diverged_and_missing_autoencoders_do_not_stop_the_page() -> None:
    for rows in (diverged(generation_rows(), ae="rae"), without(ae="rae"), without(ae="rae", step=200)):
        some = study(rows)
        found = claims.judged(some, PUBLISHED)
        for shown in (
            agreement.claims_table("toy", found),
            agreement.ranks(some, PUBLISHED),
            agreement.rank_correlations(some, PUBLISHED),
            agreement.pairs(some, PUBLISHED),
            predictors.predictors(some),
            differences.against_noise(some),
            differences.spreads_beside_published(some, PUBLISHED),
        ):
            assert shown.markup
        assert agreement_prose.order_in_words(some, PUBLISHED) and agreement_prose.samples_in_words(some)
