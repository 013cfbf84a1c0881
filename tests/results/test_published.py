"""lrcore.results.published: the committed Parquet is the CSV, and every source can be cited."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path

import pandas
import pytest

from lrcore.errors import LrcoreError
from lrcore.records import reading, schema
from lrcore.results import published

ROOT = Path(__file__).parents[2]
HEADER = ",".join(published.COLUMNS)


def sorted_rows(frame: pandas.DataFrame) -> pandas.DataFrame:
    return frame.sort_values(list(schema.PUBLISHED_KEY)).reset_index(drop=True)


def test_committed_parquet_equals_the_csv() -> None:
    from_csv = pandas.DataFrame([dataclasses.asdict(row) for row in published.read_csv()])
    pandas.testing.assert_frame_equal(sorted_rows(reading.read_published(ROOT / "data")), sorted_rows(from_csv))


def test_every_source_is_in_the_bibliography() -> None:
    keys = set(re.findall(r"^@\w+\{([^,]+),", (ROOT / "posts" / "references.bib").read_text(), re.MULTILINE))
    assert {row.source for row in published.read_csv()} <= keys


def test_spot_values() -> None:
    rows = {(r.source, r.ae, r.quantity): r for r in published.read_csv() if r.table in ("trade-off", "reconstruction")}
    assert rows["bfl2025representation", "rae", "gfid"].value == 3.103955
    psnr = rows["bfl2025representation", "flux1", "psnr"]
    assert (psnr.value, psnr.standard_error, psnr.unit) == (31.1312, 0.0745, "dB")
    assert math.isnan(rows["bfl2025representation", "rae", "gfid"].standard_error)


def test_a_deleted_line_leaves_the_parquet(tmp_path: Path) -> None:
    csv = tmp_path / "figures.csv"
    lines = [f"key,t,d,sd,s,q{i},{i},,%,n" for i in range(2)]
    csv.write_text("\n".join([HEADER, *lines]) + "\n")
    published.write(tmp_path, csv)
    assert len(reading.read_published(tmp_path)) == 2
    csv.write_text("\n".join([HEADER, lines[1]]) + "\n")
    published.write(tmp_path, csv)
    assert reading.read_published(tmp_path)["quantity"].to_list() == ["q1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER.replace("unit", "units"), "unknown column 'units'.*did you mean 'unit'"),
        (HEADER.removesuffix(",note"), "lacks the column note"),
        (f"{HEADER}\nkey,t,d,sd,s,q,many,,,", "line 2: could not convert string to float: 'many'"),
        (f"{HEADER}\nkey,t,d,sd,s,q,1,,,\nkey,t,d,sd,s,q,2,,,", "two rows of key, t, sd, s, q"),
    ],
)
def test_bad_csv_is_refused(tmp_path: Path, text: str, message: str) -> None:
    csv = tmp_path / "figures.csv"
    csv.write_text(text + "\n")
    with pytest.raises(LrcoreError, match=message):
        published.read_csv(csv)
