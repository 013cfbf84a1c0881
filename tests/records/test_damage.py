"""Damaged rows are named and never read as others; replaced rows are kept; a study has its own name."""

import dataclasses
import math
import os

import pandas
import pyarrow as pa
import pyarrow.parquet
import pytest

from lrcore.errors import LrcoreError
from lrcore.records import migration
from lrcore.records.digests import UnreadableError, read_table, require_digest, seal, signed, table_digest, write_table
from lrcore.records.reading import read_generation, read_reconstruction, read_rows
from lrcore.records.schema import GenerationRow, ReconstructionRow
from lrcore.records.writing import outdated_rows, write_generation, write_reconstruction
from lrcore.studies.loading import load_study


def row(kind=ReconstructionRow, **changes):
    defaults = {"int": 1, "float": 1.0, "str": "x"}
    values = {f.name: defaults[f.type] for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING}
    return kind(**{**values, **changes})


@pytest.fixture
def path(tmp_path):
    write_reconstruction(tmp_path, "smoke", "sd", [row(), row(metric="rfd", standard_error=math.nan)])
    return tmp_path / "reconstruction" / "study=smoke" / "sd.parquet"


def test_every_flipped_bit_is_refused(path):
    whole = path.read_bytes()
    for bit in range(0, 8 * len(whole), 101):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(LrcoreError) as caught:
            read_rows(path, ReconstructionRow)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value), bit


def test_without_the_seal_flipped_bits_are_still_no_other_rows(path):
    """As the statistics of who wrote them before there was one."""
    content, expected = path.read_bytes(), table_digest(read_table(path))
    place = content.rindex(b"lrcore_seal:")
    whole = content[:place] + content[place + 44 :]
    refused, tried = 0, range(0, 8 * len(whole), 209)
    for bit in tried:
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            require_digest(table := read_table(path))
            assert table_digest(table) == expected, bit
        except UnreadableError:
            refused += 1
    assert refused > 0.5 * len(tried)


@pytest.mark.parametrize("cut", [0, 3, 40, 5000, -1, -60])
def test_a_file_cut_short_is_named(cut, path, tmp_path):
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(LrcoreError, match=r"sd\.parquet' is damaged"):
        read_reconstruction(tmp_path)


def test_the_digest_is_of_the_rows_and_not_of_their_layout(path, tmp_path):
    table = read_table(path)
    write_table(table, tmp_path / "other.parquet", compression="zstd", use_dictionary=False, row_group_size=1)
    assert (tmp_path / "other.parquet").read_bytes() != path.read_bytes()
    assert read_rows(tmp_path / "other.parquet", ReconstructionRow).num_rows == 2
    lists = pa.table({"a": [[1.0, 2.0], [], None]})
    write_table(lists, tmp_path / "lists.parquet")
    assert table_digest(read_table(tmp_path / "lists.parquet")) == table_digest(lists)
    assert table_digest(lists) != table_digest(pa.table({"a": [[1.0], [2.0], None]}))
    assert table_digest(lists) != table_digest(pa.table({"a": [[1.0, 2.0], None, []]}))


def lacking(table, how):
    place = table.schema.get_field_index("value")
    values = {
        "no column": lambda: table.remove_column(place),
        "twice": lambda: table.append_column("value", table["value"]),
        "text": lambda: table.set_column(place, "value", pa.array(["1.0", "2.0"])),
        "null": lambda: table.set_column(place, "value", pa.array([1.0, None])),
        "changed": lambda: table.set_column(place, table.schema.field(place), pa.array([1.0, 2.0])),
    }
    return values[how]()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no column", r"it has no column 'value'"),
        ("twice", r"it has 2 columns 'value'"),
        ("text", r"column 'value' is of type string, not double"),
        ("null", r"column 'value' is null in 1 of 2 rows"),
        ("changed", r"its rows are not those that were written"),
    ],
)
def test_what_lacks_something_is_named(how, message, path, tmp_path):
    changed = lacking(read_table(path), how)
    # whoever wrote it may have made a digest of its own
    pa.parquet.write_table(changed if how == "changed" else signed(changed), path)
    seal(path)
    for read in (lambda: read_reconstruction(tmp_path), lambda: write_reconstruction(tmp_path, "smoke", "sd", [row()])):
        with pytest.raises(LrcoreError, match=rf"sd.parquet' is damaged.*{message}.*python -m lrcore.train smoke"):
            read()


@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling link", "empty"])
@pytest.mark.timeout(20)
def test_what_is_no_file_of_rows_is_named(kind, path, tmp_path):
    other = path.with_name("x.parquet")
    if kind == "folder":
        other.mkdir()
    elif kind == "pipe":
        os.mkfifo(other)
    elif kind == "dangling link":
        other.symlink_to("nowhere")
    else:
        other.touch()
    removed = "rm -r " if kind == "folder" else "rm /"
    with pytest.raises(LrcoreError, match=rf"x\.parquet' is damaged, or no file of rows .*`{removed}"):
        read_reconstruction(tmp_path)


def test_a_file_outside_the_folder_of_a_study_is_named(path, tmp_path):
    (tmp_path / "reconstruction" / "copy.parquet").write_bytes(path.read_bytes())
    with pytest.raises(LrcoreError, match=r"copy\.parquet' lies in no folder .*study=<name>"):
        read_reconstruction(tmp_path)


def test_a_file_without_digest_is_refused_until_the_migration(path, tmp_path, capsys):
    before = read_reconstruction(tmp_path)
    table = read_table(path)
    del (metadata := dict(table.schema.metadata))[b"lrcore_sha256"]
    pa.parquet.write_table(table.replace_schema_metadata(metadata), path)
    with pytest.raises(LrcoreError, match=r"sd\.parquet' has no digest.*python -m lrcore\.records\.migration"):
        read_reconstruction(tmp_path)
    arguments = [f"--data={tmp_path}", f"--runs={tmp_path / 'runs'}"]
    assert migration.main(arguments) == 0
    assert "gave a digest to 1 that had none" in capsys.readouterr().out
    pandas.testing.assert_frame_equal(read_reconstruction(tmp_path), before, check_exact=True)
    assert migration.main([str(path)]) == 0
    assert "gave a digest to 0" in capsys.readouterr().out
    assert migration.main([str(tmp_path / "elsewhere" / "a.parquet")]) == 2
    assert "unknown folder of rows" in capsys.readouterr().err


def test_rows_of_another_recipe_are_kept_and_said(tmp_path, capsys):
    def write(recipe, steps, fid=1.0):
        rows = [row(GenerationRow, step=step, recipe=recipe, fid=fid) for step in steps]
        write_generation(tmp_path, "smoke", "run", rows)

    file = tmp_path / "generation" / "study=smoke" / "run.parquet"
    write("aaaaaaaa", [1, 2])
    assert capsys.readouterr().err == ""
    assert outdated_rows(file, GenerationRow, "bbbbbbbb") == 2
    write("bbbbbbbb", [3])
    said = capsys.readouterr().err
    kept = tmp_path / "replaced" / "generation" / "study=smoke" / "run-aaaaaaaa.parquet"
    assert "generation/study=smoke/run.parquet: 2 rows of recipe aaaaaaaa make way" in said and str(kept) in said
    assert read_generation(tmp_path).step.tolist() == [3]
    assert read_rows(kept, GenerationRow)["step"].to_pylist() == [1, 2]
    # there and back again: nothing is lost
    write("aaaaaaaa", [2, 4], fid=2.0)
    write("bbbbbbbb", [3])
    assert read_rows(kept, GenerationRow)["step"].to_pylist() == [1, 2, 4]
    assert read_rows(kept, GenerationRow)["fid"].to_pylist() == [1.0, 2.0, 2.0]
    assert len(pandas.read_parquet(tmp_path / "generation")) == len(read_generation(tmp_path)) == 1


@pytest.mark.parametrize("name", ['"cifar10"', "3"])
def test_a_study_has_the_name_of_its_file(name, tmp_path):
    (tmp_path / "mine.toml").write_text(f'name = {name}\nextends = "smoke"\n')
    with pytest.raises(LrcoreError, match=r"name is .* in study file '.*mine\.toml'; .* allowed: 'mine'"):
        load_study(str(tmp_path / "mine.toml"))


def test_a_study_may_say_its_own_name_and_be_extended(tmp_path):
    (tmp_path / "mine.toml").write_text('name = "mine"\nextends = "smoke"\n')
    (tmp_path / "more.toml").write_text('extends = "mine.toml"\n')
    assert load_study(str(tmp_path / "mine.toml")).name == "mine"
    assert load_study(str(tmp_path / "more.toml")).name == "more"
