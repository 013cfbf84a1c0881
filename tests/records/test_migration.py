"""Files of the schema before: brought up to date without a change of what they say, whatever ran before."""

import dataclasses
import math

import pandas
import pyarrow as pa
import pyarrow.parquet
import pytest

from lrcore.records import migration
from lrcore.records.reading import read_generation, read_losses
from lrcore.records.schema import SCHEMA_VERSION, GenerationRow, LossRow
from lrcore.records.writing import write_generation

NEW = {
    GenerationRow: [
        "floor_fid", "floor_kid", "reconstruction_fid", "reconstruction_kid", "gaussian_fid", "gaussian_kid",
        "straightness", "efficiency", "score", "width", "skip", "numerical_path",
    ],
    LossRow: ["width", "skip"],
}  # fmt: skip


def old_file(path, kind, rows):
    """As the schema before wrote it: without the new columns."""
    defaults = {"int": 1, "float": 0.1, "str": "x"}
    fields = [f for f in dataclasses.fields(kind) if f.name not in NEW[kind]]
    values = [{f.name: defaults[f.type] for f in fields} | {"step": step, "schema_version": 3} for step in range(rows)]
    path.parent.mkdir(parents=True)
    table = pa.Table.from_pylist(values).replace_schema_metadata({"lrcore_schema_version": str(SCHEMA_VERSION - 1)})
    pa.parquet.write_table(table, path)
    return table.to_pandas()


def test_columns_are_added_and_nothing_else_changes(tmp_path, capsys):
    for kind, name, read in ((GenerationRow, "generation", read_generation), (LossRow, "losses", read_losses)):
        before = old_file(tmp_path / name / "study=smoke" / "run.parquet", kind, 3)
        assert migration.main(["--data", str(tmp_path)]) == 0
        after = read(tmp_path)
        kept = [column for column in before if column != "schema_version"]
        pandas.testing.assert_frame_equal(before[kept], after[kept])
        assert (after.schema_version == SCHEMA_VERSION).all()
        for column in NEW[kind]:
            assert all(value == "" or (isinstance(value, float) and math.isnan(value)) for value in after[column])
    assert migration.main(["--data", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("brought 0 files")


def test_a_row_of_an_unknown_width_is_replaced_by_its_like(tmp_path):
    old_file(tmp_path / "generation" / "study=smoke" / "run.parquet", GenerationRow, 1)
    assert migration.main(["--data", str(tmp_path)]) == 0
    row = read_generation(tmp_path).drop(columns="study").to_dict("records")[0]
    write_generation(tmp_path, "smoke", "run", [GenerationRow(**{**row, "fid": 2.0, "width": math.nan})])
    assert read_generation(tmp_path).fid.tolist() == [2.0]


@pytest.mark.parametrize("version", [SCHEMA_VERSION - 2, SCHEMA_VERSION + 1])
def test_other_versions_are_refused(tmp_path, version, capsys):
    path = tmp_path / "losses" / "study=smoke" / "run.parquet"
    old_file(path, LossRow, 1)
    table = pa.parquet.ParquetFile(path).read().replace_schema_metadata({"lrcore_schema_version": str(version)})
    pa.parquet.write_table(table, path)
    before = path.read_bytes()
    assert migration.main(["--data", str(tmp_path)]) == 2
    assert f"has schema version {version}; only {SCHEMA_VERSION - 1} can be brought" in capsys.readouterr().err
    assert path.read_bytes() == before
