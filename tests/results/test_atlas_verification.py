"""lrcore.results.atlas_verification: rates against intervals that are known, and what pages say of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrcore import atlas as command
from lrcore.errors import LrcoreError
from lrcore.figures import atlas_verification as shown
from lrcore.records.atlas_second_reading import Record, drawn, read_second_reading
from lrcore.records.reading import read_atlas
from lrcore.results import atlas_verification as verification

ROOT = Path(__file__).parents[2]


def records(*outcomes, part="drawn", kind="value"):
    other = {"value": "protocol", "protocol": "value"}[kind]
    blank = dict.fromkeys(Record.__dataclass_fields__, "")
    return [
        Record(**{**blank, "row": f"{n:012x}", "part": part, kind: one, other: "agrees", "quantity": "gfid"})
        for n, one in enumerate(outcomes)
    ]


@pytest.mark.parametrize(
    "errors, read, low, high",
    [
        (0, 10, 0.0, 0.3084971),  # 1 - 0.025^(1/10)
        (10, 10, 0.6915029, 1.0),
        (1, 2, 0.0125791, 0.9874209),  # 1 - 0.975^(1/2), and its mirror image
        (0, 0, 0.0, 1.0),
        (4, 20, 0.0573340, 0.4366140),  # Clopper and Pearson's charts
    ],
)
def test_intervals_are_exact(errors, read, low, high):
    assert verification.interval(errors, read) == pytest.approx((low, high), abs=1e-6)


@pytest.mark.parametrize("kind", list(verification.KINDS))
def test_what_was_not_reached_counts_neither_way(kind):
    found = records("agrees", "differs", "not reachable", "not reachable", "not read", "agrees", kind=kind)
    one = verification.rate(found, kind, verification.RANDOM)
    assert (one.errors, one.read, one.unreached, one.unread) == (1, 3, 2, 1)
    assert (one.low, one.high) == verification.interval(1, 3)


def test_parts_are_told_apart():
    found = records("differs") + records("agrees", part="stated") + records("agrees", part="both")
    assert verification.rate(found, "value", verification.RANDOM).errors == 1
    assert verification.rate(found, "value", verification.STATED).read == 2
    with pytest.raises(LrcoreError, match="kind 'values'"):
        verification.rate(found, "values", verification.RANDOM)


def test_the_committed_figures_that_pages_state_were_all_looked_at():
    read = {record.row for record in read_second_reading(ROOT / "data")}
    stated = verification.stated(read_atlas(ROOT / "data"), 8)
    assert len(stated) > 300 and set(stated["row"]) <= read


def test_the_check_refuses_a_rate_that_does_not_follow(tmp_path, capsys):
    found = records(*["agrees"] * 9, "differs")
    said = verification.sentence(found)
    assert "the value was wrong in 1 of 10 (0.3 to 44.5 %)" in said
    assert verification.problems(found, f"x\n{said.replace(' of ', chr(10) + 'of ')}") == []
    [fault] = verification.problems(found, said.replace("1 of 10", "0 of 10"))
    assert said in fault
    assert verification.problems([], "") == []
    assert command.main(["check", "--data", str(ROOT / "data"), "--bib", str(ROOT / "posts/references.bib")]) == 0


def test_the_page_says_what_follows_from_the_file():
    found = read_second_reading(ROOT / "data")
    atlas = read_atlas(ROOT / "data")
    assert verification.sentence(found) in shown.said(found, atlas)
    since = len(set(drawn(atlas)["row"]) - {one.row for one in found})
    assert f"Not read again yet: {since} rows that changed or came later." in shown.said(found, atlas)
    assert " In all, one row differed; all differences are corrected." in shown.said(
        records("agrees", "differs"), atlas
    )
    assert "corrected" not in shown.said(records("agrees"), atlas)
    assert "later" not in shown.said(found, atlas.iloc[:0])
    table = shown.rates(found).markup
    for part in shown.PARTS.values():
        one = verification.rate(found, "value", part)
        assert f"{100 * one.low:.1f} to {100 * one.high:.1f} %" in table
    corrected = shown.corrections(found, {}).markup
    assert corrected.count("<tr>") - 1 == sum("differs" in (one.value, one.protocol) for one in found)
    assert "yet" in shown.said([], atlas)
