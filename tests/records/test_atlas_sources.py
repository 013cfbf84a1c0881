"""lrcore.records.atlas_sources: what the check finds, what the build writes, and that the committed atlas is whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas
import pytest

from lrcore import atlas as command
from lrcore.errors import LrcoreError
from lrcore.records import atlas_sources, atlas_vocabulary, reading, schema

ROOT = Path(__file__).parents[2]
BIB = ROOT / "posts" / "references.bib"
COMMIT = "owner/name@" + "0123456789" * 4


@pytest.fixture
def place(tmp_path):
    """A data folder of one source with one row, and its bibliography."""
    (tmp_path / "atlas" / "sources").mkdir(parents=True)
    (tmp_path / "atlas" / "autoencoders.csv").write_text("canonical,family,note\nA,kl,\nB,vq,\n")
    (tmp_path / "atlas" / "groups.csv").write_text(
        "group,source,label,autoencoders,caveat\ng,key2026,G,,few\nh,other2026,H,,few\n"
    )
    entry = "@article{{{key},\n  title = {{T}},\n  author = {{A}},\n  year = {{2026}},\n}}\n"
    (tmp_path / "b.bib").write_text("".join(entry.format(key=key) for key in ("key2026", "other2026")))
    return tmp_path


ROW = {
    "place": "Table 1", "verified": "once", "autoencoder": "a", "canonical": "A", "quantity": "rfid", "value": "0.5",
    "group": "g",
}  # fmt: skip


def write(place, *rows, name="key2026"):
    """A source of `ROW` with these changes, a row each."""
    frame = pandas.DataFrame([{**ROW, **row} for row in rows]).fillna("")
    frame.to_csv(place / "atlas" / "sources" / f"{name}.csv", index=False)


def found(place, *rows, name="key2026"):
    """What the check says but for the other group, which no row is of, and the Parquet, which nobody made."""
    write(place, *rows, name=name)
    said = atlas_sources.problems(place, place / "b.bib")
    return [line for line in said if "no row is of" not in line and "missing; `python" not in line]


def test_the_committed_atlas_is_whole():
    """What CI refuses a pull request for, stale Parquet too."""
    assert atlas_sources.problems(ROOT / "data", BIB) == []


def test_the_committed_atlas_keeps_what_was_read():
    rows = reading.read_atlas(ROOT / "data")
    assert len(rows) == 2610 and rows["source"].nunique() == 47 and rows["secondary"].sum() == 197
    assert not rows.duplicated(list(schema.ATLAS_KEY)).any()
    assert (rows.loc[rows["verified"] == "commit", "repository"] != "").all()
    board = rows[(rows["source"] == "xu2026ifid_board") & (rows["group"] == "ifid-board-sit-xl")]
    assert board.set_index("canonical")["value"]["SD-VAE from ft-MSE (REPA-E)"] == 25.91
    assert set(rows["quantity"]) <= set(atlas_vocabulary.QUANTITIES)


def test_a_row_in_order_has_no_problem(place):
    assert found(place, {}) == []


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"place": ""}, "place must not be empty: a figure says where it stands"),
        ({"verified": ""}, "verified must not be empty"),
        ({"verified": "twice"}, "unknown verified 'twice'; allowed: commit, once"),
        ({"verified": "commit"}, "repository: '' must be owner/name@ and the 40 hex digits of a commit"),
        ({"verified": "commit", "repository": "owner/name@main"}, "repository: 'owner/name@main' must be"),
        ({"repository": COMMIT}, "repository: must be empty where verified is 'once'"),
        ({"quantity": "gFID"}, "unknown quantity 'gFID'; allowed: gfid"),
        ({"quantity": ""}, "quantity must not be empty"),
        ({"value": ""}, "value must not be empty"),
        ({"value": "nan"}, "value: 'nan' is not a number"),
        ({"value": "1e999"}, "value: '1e999' must be finite"),
        ({"value": "1_000"}, "value: '1_000' is not a number"),
        ({"value": "3,2"}, "value: '3,2' is not a number"),
        ({"value": "−1"}, "is not a number"),
        ({"n": "5_000"}, "n: '5_000' is not a whole number"),
        ({"value": ">800"}, "value: '>800' is not a number"),
        ({"value": "-0.5"}, "value: -0.5 of rfid is outside 0.0 to inf"),
        ({"quantity": "ssim", "value": "26.3"}, "value: 26.3 of ssim is outside -1.0 to 1.0"),
        ({"quantity": "psnr"}, "unit: '' of psnr; allowed: 'dB'"),
        ({"quantity": "geneval", "value": "54.2"}, "value: 54.2 of geneval is outside 0.0 to 1.0"),
        ({"unit": "dB"}, "unit: 'dB' of rfid; allowed: none"),
        ({"error": "-1"}, "error: -1.0 must not be negative"),
        ({"canonical": "AA"}, "unknown canonical name 'AA': not in autoencoders.csv (did you mean 'A'?)"),
        ({"canonical": ""}, "autoencoder and canonical: both or none"),
        ({"autoencoder": ""}, "autoencoder and canonical: both or none"),
        ({"group": "gg"}, "unknown group 'gg'; allowed: g, h; did you mean 'g'?"),
        ({"group": "h"}, "group 'h' is of other2026"),
        ({"quoted_from": "nobody"}, "quoted_from: no entry 'nobody' in the bibliography"),
        ({"quoted_from": "key2026"}, "quoted_from: a source does not quote itself"),
        ({"dataset": "ImageNet 256"}, "unknown dataset 'ImageNet 256'; allowed: imagenet"),
        ({"sampler": "heun"}, "unknown sampler 'heun'; allowed: euler"),
        ({"guidance": "yes"}, "unknown guidance 'yes'; allowed: none"),
        ({"guidance_scale": "1.5"}, "guidance_scale: only where guidance says which"),
        ({"guidance": "cfg", "guidance_scale": "-1"}, "guidance_scale: -1.0 must not be negative"),
        ({"guidance_low": "0.9", "guidance_high": "0.1"}, "must be times from 0 to 1, in order"),
        ({"trainshift": "0"}, "trainshift: 0.0 must be positive"),
        ({"n": "50k"}, "n: '50k' is not a whole number"),
        ({"n": "-5"}, "n: '-5' must be positive"),
        ({"n": "0"}, "n: '0' must be positive"),
        ({"n": "1" * 30}, "must be positive and below 10^18, or empty"),
        ({"secondary": "true"}, "secondary: 'true' must be yes, or empty"),
        ({"predictor": "rfid"}, "predictor: belongs to correlations"),
        ({"quantity": "pearson_with_gfid"}, "predictor: belongs to correlations"),
        (
            {"downsampling": "8", "channels": "4", "patch": "2", "channels_per_token": "4"},
            "channels_per_token: 4, but channels and patch make 16",
        ),
        ({"bound": "≥"}, "unknown bound '≥'"),
        ({"note": "a\x07b"}, "note: 'a\\x07b' has characters that cannot be printed"),
    ],
)
def test_one_fault_is_one_line_that_names_file_line_and_column(place, row, said):
    (line,) = found(place, {"canonical": "B", "autoencoder": "b"}, row)
    assert line.startswith("key2026.csv, line 3: ") and said in line and "\n" not in line


def test_rows_that_nothing_but_the_value_tells_apart(place):
    assert found(place, {}, {"value": "0.6"}) == ["key2026.csv, line 3: nothing but the value tells it from line 2"]
    for column, value in (("decoder", "clean"), ("variant", "x"), ("trainshift", "2"), ("n", "5000")):
        assert found(place, {"group": ""}, {"value": "0.6", "group": "", column: value}) == []


def test_a_figure_at_two_places_says_so(place):
    (line,) = found(place, {}, {"place": "Table 2"})
    assert "the figure of line 2 at another place; say so in `repeats`" in line
    assert found(place, {}, {"place": "Table 2", "repeats": "yes"}) == []
    assert found(place, {}, {"place": "Table 2", "value": "0.6"}) == []  # the source disagrees with itself


@pytest.mark.parametrize(
    "change",
    [
        {"n": "5000"}, {"steps": "50"}, {"images_seen": "1000"}, {"guidance": "none"}, {"label_rule": "random"},
        {"reference": "adm"}, {"generator": "SiT-B"}, {"sampler": "euler"}, {"split": "val"}, {"resolution": "512"},
        {"dataset": "imagenet"},
    ],
)  # fmt: skip
def test_a_group_is_one_protocol(place, change):
    (line,) = found(place, {}, {"autoencoder": "b", "canonical": "B", **change})
    assert f"{next(iter(change))} differ from line 2, which is of group g, too" in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "lacks the column place, verified, autoencoder, canonical, quantity, value"),
        (",".join(ROW) + "\n", "key2026.csv: no rows"),
        (",".join(ROW) + ",colour\n", "unknown column 'colour'"),
        (",".join(ROW) + ",family\n", "unknown column 'family'"),
        (",".join(ROW) + ",place\n", "column 'place' stands there twice"),
        (",".join(ROW) + "\nTable 1,once\n", "line 2: 2 fields, but 7 columns"),
        (",".join(ROW) + "\n" + ",".join(ROW.values()) + ",more\n", "line 2: 8 fields, but 7 columns"),
        (b"\xff\xfe", "not a CSV that can be read"),
        (",".join(ROW) + '\n"Table 1', "not a CSV that can be read"),
    ],
)
def test_what_is_no_table_of_this_kind(place, text, said):
    path = place / "atlas" / "sources" / "key2026.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    lines = atlas_sources.problems(place, place / "b.bib")
    assert any(said in line for line in lines) and all("\n" not in line for line in lines)


def test_spaces_empty_lines_and_a_mark_of_utf8_do_not_matter(place):
    text = "\ufeff" + ",".join(ROW) + "\r\n\r\n" + " , ".join(ROW.values()) + "\r\n"
    (place / "atlas" / "sources" / "key2026.csv").write_text(text, newline="")
    assert [line for line in atlas_sources.problems(place, place / "b.bib") if line.startswith("key2026.csv")] == []


def test_a_source_needs_a_whole_entry_in_the_bibliography(place):
    assert found(place, {"group": ""}, name="new2026") == [
        "new2026.csv: no entry 'new2026' with title, author, year in the bibliography"
    ]
    (place / "b.bib").write_text("@article{new2026,\n  title = {T},\n  author = {},\n  year = {2026},\n}\n")
    assert "no entry 'new2026'" in found(place, {"group": ""}, name="new2026")[0]
    with pytest.raises(LrcoreError, match=r"the bibliography .* cannot be read"):
        atlas_sources.known(place, place / "missing.bib")


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("autoencoders.csv", "canonical,family\nA,KL\n", "autoencoders.csv, 'A': unknown family 'KL'"),
        ("autoencoders.csv", "canonical,family\nA,kl\nA,vq\n", "canonical 'A' stands there twice"),
        ("autoencoders.csv", "canonical\nA\n", "lacks the column family"),
        ("groups.csv", "group,source,label,autoencoders,caveat\ng,key2026,G,,\n", "label and caveat must not be empty"),
        ("groups.csv", "group,source,label,autoencoders,caveat\nG,key2026,G,,few\n", "must be lower-case letters"),
        ("groups.csv", "group,source,label,autoencoders,caveat\ng,key2026,G,x,few\n", "unknown group 'x'"),
        (
            "groups.csv",
            "group,source,label,autoencoders,caveat\ng,key2026,G,h,few\nh,other2026,H,,few\n",
            "groups.csv, 'g': h is of another source",
        ),
    ],
)
def test_faults_of_names_and_groups(place, file, text, said):
    (place / "atlas" / file).write_text(text)
    write(place, {})
    (line,) = atlas_sources.problems(place, place / "b.bib")
    assert said in line


def test_a_group_or_a_name_without_rows_is_named(place):
    write(place, {})
    said = atlas_sources.problems(place, place / "b.bib")
    assert "groups.csv: no row is of group 'h'" in said and "autoencoders.csv: no row is of 'B'" in said


def test_a_figure_that_repeats_nothing_is_named(place):
    (line,) = found(place, {"repeats": "yes", "value": "0.7"}, {"place": "Table 2"})
    assert line == "key2026.csv, Table 1: rfid 0.7 of A repeats no other row"


def test_files_that_nothing_reads_are_named(place):
    (place / "atlas" / "sources" / "other2026.CSV").write_text("")
    (place / "atlas" / "third2026.csv").write_text("")
    assert found(place, {}) == [
        "sources/other2026.CSV: nothing reads it; sources are <key>.csv",
        "third2026.csv: nothing reads it; sources belong into 'sources'",
    ]


def test_a_key_that_stands_twice_in_the_bibliography(place):
    (place / "b.bib").write_text(2 * (place / "b.bib").read_text())
    (line,) = found(place, {})
    assert "has 'key2026' twice" in line


def test_build_writes_what_the_csv_says_and_removes_what_it_no_longer_has(place, capsys):
    at = ["--data", str(place), "--bib", str(place / "b.bib")]
    write(place, {"secondary": "yes", "n": "5000"}, {"autoencoder": "b", "canonical": "B", "n": "5000"})
    write(place, {"group": "h"}, name="other2026")
    assert command.main(["build", *at]) == 0 and "wrote 2 sources, 3 rows" in capsys.readouterr().out
    assert command.main(["check", *at]) == 0 and capsys.readouterr().out == "2 sources, 3 rows: nothing to mend\n"
    rows = reading.read_atlas(place)
    assert rows["source"].tolist() == ["key2026", "key2026", "other2026"]
    assert rows["secondary"].tolist() == [True, False, False] and rows["n"].tolist() == [5000, 5000, 0]
    assert rows["family"].tolist() == ["kl", "vq", "kl"] and rows["trainshift"].isna().all()

    write(place, {"value": "0.6"})
    (place / "atlas" / "sources" / "other2026.csv").unlink()
    assert command.main(["check", *at]) == 1
    printed = capsys.readouterr()
    assert "key2026.parquet: not what key2026.csv says; `python -m lrcore.atlas build` makes it anew" in printed.out
    assert "other2026.parquet: there is no CSV of it" in printed.out and "4 to mend" in printed.err
    assert command.main(["build", *at]) == 0
    assert reading.read_atlas(place)["value"].tolist() == [0.6]
    assert not (place / "atlas" / "other2026.parquet").exists()


def test_build_writes_nothing_where_something_is_to_be_mended(place, capsys):
    write(place, {"place": ""}, {"value": "x"})
    assert command.main(["build", "--data", str(place), "--bib", str(place / "b.bib")]) == 2
    assert "(and 1 more; `python -m lrcore.atlas check` lists them)" in capsys.readouterr().err
    assert not list((place / "atlas").glob("*.parquet"))


def test_a_damaged_file_is_named_with_what_repairs_it(place, capsys):
    write(place, {})
    atlas_sources.build(place, place / "b.bib")
    path = place / "atlas" / "key2026.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    assert any("python -m lrcore.atlas build" in line for line in atlas_sources.problems(place, place / "b.bib"))


def test_no_sources_at_all(tmp_path, place):
    assert any("no CSV in" in line for line in atlas_sources.problems(place, place / "b.bib"))
    with pytest.raises(LrcoreError, match="no CSV in"):
        atlas_sources.build(place, place / "b.bib")
    assert command.main(["check", "--data", str(tmp_path / "nowhere"), "--bib", str(place / "b.bib")]) == 1


def test_the_smallest_example_of_the_readme_passes(place):
    text = (ROOT / "data" / "atlas" / "README.md").read_text()
    example = text.split("```csv\n")[1].split("```")[0]
    shutil.copytree(ROOT / "data" / "atlas", place / "whole" / "atlas")
    (place / "whole" / "atlas" / "sources" / "ye2025dmvae.csv").write_text(example)
    given = atlas_sources.known(place / "whole", BIB)
    rows, faults = atlas_sources.read_source(place / "whole" / "atlas" / "sources" / "ye2025dmvae.csv", given)
    assert len(rows) == 1 and faults == []
