"""lrcore.records.atlas_second_reading: rows are drawn alike by everybody, and the file can only say what is so."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pandas
import pytest

from lrcore.records import atlas_second_reading as reading
from lrcore.records.atlas_second_reading import Record
from lrcore.records.reading import read_atlas
from lrcore.records.schema import AtlasRow

DATA = Path(__file__).parents[2] / "data"
EMPTY = {"str": "", "int": 0, "float": math.nan, "bool": False}


def row(**values):
    blank = {field.name: EMPTY[str(field.type)] for field in dataclasses.fields(AtlasRow)}
    return AtlasRow(**{**blank, "source": "s", "place": "Table 1", "quantity": "gfid", "value": 1.0, **values})


def many(count=4000):
    return pandas.DataFrame([dataclasses.asdict(row(autoencoder=f"a{number}")) for number in range(count)])


def record(one, **values):
    told = {
        "row": reading.identity(one), "drawn": "", "source": "s", "autoencoder": one.autoencoder, "quantity": "gfid",
        "part": "drawn", "date": "2026-11-30", "read": "https://x.org", "place": "Table 1", "value": "agrees",
        "protocol": "agrees", "columns": "", "mended": "",
    }  # fmt: skip
    return Record(**{**told, **values})


def pick(drawn, **values):
    """A row that is drawn, or one that is not."""
    rows = (row(autoencoder=f"b{number}", **values) for number in range(1000))
    return next(one for one in rows if (reading.place_in_draw(reading.identity(one)) < reading.SHARE) == drawn)


def found(*records, rows):
    return list(reading.faults(list(enumerate(records, 2)), {reading.identity(one): one for one in rows}))


def test_an_identity_is_that_of_what_tells_rows_apart_not_of_their_value():
    assert reading.identity(row(trainshift=2.0)) == reading.identity(row(trainshift=2.0, value=7.0, note="x"))
    assert len({reading.identity(row(**{name: value})) for name, value in [
        ("place", "Table 2"), ("steps", 50), ("trainshift", 2.0), ("sampleshift", 2.0), ("variant", "v"), ("n", 5)
    ]}) == 6  # fmt: skip


def test_a_row_and_its_line_in_the_table_have_one_identity():
    rows = [row(steps=50, trainshift=0.75, n=50000, guidance_scale=1.0), row(autoencoder="é,x")]
    frame = pandas.DataFrame([dataclasses.asdict(one) for one in rows])
    assert list(reading.with_identity(frame)["row"]) == [reading.identity(one) for one in rows]


def test_a_tenth_is_drawn_and_stays_when_rows_come_or_are_reordered():
    rows = many()
    drawn = reading.drawn(rows)
    assert abs(len(drawn) / len(rows) - reading.SHARE) < 3 * math.sqrt(0.1 * 0.9 / len(rows))
    assert drawn["at"].is_monotonic_increasing and (drawn["at"] < reading.SHARE).all()
    later = pandas.concat([many(100).assign(source="t"), rows.sample(frac=1, random_state=0)])
    again = reading.drawn(later)
    assert list(again[again["source"] == "s"]["row"]) == list(drawn["row"])


def test_the_draw_is_uniform():
    at = pandas.Series([reading.place_in_draw(name) for name in reading.with_identity(many())["row"]])
    assert ((at.sort_values().reset_index(drop=True) - (at.index + 0.5) / len(at)).abs() < 1.63 / len(at) ** 0.5).all()


def test_the_committed_file_is_whole_and_has_the_tenth():
    records = reading.read_second_reading(DATA)
    rows = [AtlasRow(**line) for line in read_atlas(DATA).to_dict("records")]
    assert reading.problems(DATA, rows) == []
    assert sum(one.part in ("drawn", "both") for one in records) == 231
    assert {one.value for one in records} == set(reading.OUTCOMES)


def test_what_the_file_says_is_so_passes():
    drawn, other = pick(True), pick(False, table="t")
    assert found(record(drawn), record(other, part="stated"), rows=[drawn, other]) == []


GONE = {"value": "differs", "mended": "removed"}


@pytest.mark.parametrize(
    "change, said",
    [
        ({"row": "0123456789ab"}, "no row of the atlas is '0123456789ab'"),
        ({"row": "x"}, "must be 12 hex digits"),
        ({"source": "t"}, "row: "),
        ({"part": "stated"}, "part: 'stated', but the draw says otherwise"),
        ({"part": "some"}, "part 'some'"),
        ({"date": "30.11.2026"}, "date: '30.11.2026' must be year-month-day"),
        ({"value": "probably"}, "value 'probably'"),
        ({"protocol": "ok"}, "protocol 'ok'"),
        ({"read": ""}, "must say what was read"),
        ({"value": "differs"}, "mended: must say what was corrected"),
        ({"mended": "x"}, "mended: must say what was corrected"),
        ({"protocol": "differs", "mended": "x"}, "columns: must name what differs"),
        ({"columns": "steps"}, "columns: must name what differs"),
        ({"value": "not reachable", "protocol": "not reachable"}, "read: nothing was read"),
        ({"row": "", "value": "agrees"}, "row: empty only where"),
    ],
)
def test_what_is_not_so_is_refused(change, said):
    one = pick(True)
    if change.get("row") == "":
        change = {**change, "drawn": reading.identity(one)}
    assert any(said in fault for fault in found(record(one, **change), rows=[one]))


def test_a_row_that_is_gone_and_one_that_changed_keep_their_place_in_the_draw():
    one, new = pick(True), pick(False)
    gone = record(one, row="", drawn=reading.identity(one), **GONE)
    assert found(gone, rows=[new]) == []
    changed = record(new, drawn=reading.identity(one), value="differs", mended="1 became 2")
    assert found(changed, rows=[new]) == []
    assert any("stands in line 2, too" in fault for fault in found(gone, changed, rows=[new]))


def test_a_row_that_a_page_compares_with_has_to_be_read():
    one, other = pick(True), pick(False, table="t")
    [fault] = found(record(one), rows=[one, other])
    assert "a page compares with row" in fault and other.autoencoder in fault
