"""A study is taken to another machine in parts and brought back: here, from one folder to another."""

import dataclasses
import json
import re
import subprocess
import tarfile
from pathlib import Path

import pytest
from sample_data import generation_row
from tiny_study import TINY, arguments, stored

import lrcore
from lrcore import train
from lrcore.errors import LrcoreError
from lrcore.records.reading import read_rows
from lrcore.records.schema import GenerationRow
from lrcore.records.writing import write_generation
from lrcore.staging import __main__ as staging
from lrcore.staging import wheels
from lrcore.staging.contents import not_packed, of_study_file
from lrcore.staging.parts import checked_parts, members, write_parts
from lrcore.staging.unpacking import unpack
from lrcore.studies.loading import load_study


def folders(root):
    return [f"--{name}={root / name}" for name in ("data", "imgs", "runs")]


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.fixture
def tree(tmp_path):
    """Files of several lengths, one of them longer than a part."""
    folder = tmp_path / "tree"
    for name, size in (("a.bin", 3), ("deep/b.bin", 50_000), ("deep/er/c.bin", 0)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes(range(256)) * (size // 256) + b"x" * (size % 256))
    return folder


def packed(tree, to, most=16_384):
    return write_parts(to, "study", [(f"data/{name}", tree / name) for name in files(tree)], most)


def test_parts_are_no_larger_than_asked_for_and_hold_everything(tree, tmp_path):
    parts = packed(tree, tmp_path / "to")
    assert len(parts) > 3 and all(part.stat().st_size <= 16_384 for part in parts)
    found = {name: content.read() for name, content in members(checked_parts(tmp_path / "to" / "study.sha256"))}
    assert found == {f"data/{name}": content for name, content in files(tree).items()}


def test_what_every_machine_has_reads_them(tree, tmp_path):
    packed(tree, tmp_path / "to")
    command = "sha256sum --check --quiet study.sha256 && cat study.[0-9]* | tar --extract"
    subprocess.run(["sh", "-c", command], cwd=tmp_path / "to", check=True)
    assert files(tmp_path / "to" / "data") == files(tree)


@pytest.mark.parametrize("fault", ["missing", "damaged", "no sums", "foreign sums"])
def test_a_faulty_part_is_named_and_nothing_is_unpacked(tree, tmp_path, fault):
    to, here = tmp_path / "to", tmp_path / "here"
    parts, sums = packed(tree, to), tmp_path / "to" / "study.sha256"
    if fault == "missing":
        parts[1].unlink()
    elif fault == "damaged":
        content = bytearray(parts[1].read_bytes())
        content[100] ^= 1
        parts[1].write_bytes(content)
    elif fault == "no sums":
        sums.unlink()
    else:
        sums.write_text("0" * 64 + "  ../elsewhere.000\n")
    named = r"study\.001" if fault in ("missing", "damaged") else r"study\.sha256"
    with pytest.raises(LrcoreError, match=named):
        unpack(sums, {"data": here})
    assert not here.exists()


@pytest.mark.parametrize("name", ["../up", "data/../../up", "/root", "elsewhere/x", "data"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, name):
    (tmp_path / "x").write_text("x")
    write_parts(tmp_path / "to", "study", [("data/first", tmp_path / "x"), (name, tmp_path / "x")], 10_000)
    with pytest.raises(LrcoreError, match="holds"):
        unpack(tmp_path / "to" / "study.sha256", {"data": tmp_path / "here" / "data"})
    assert not (tmp_path / "here").exists()


def test_a_link_is_refused(tmp_path):
    path = tmp_path / "study.000"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("data/link")
        member.type, member.linkname = tarfile.SYMTYPE, "../../up"
        archive.addfile(member)
    with pytest.raises(LrcoreError, match="data/link"):
        list(members([path]))


def test_what_breaks_off_leaves_nothing_behind(tree, tmp_path):
    def breaking():
        yield "data/one", tree / "deep" / "b.bin"
        yield "data/two", tree / "deep" / "b.bin"
        raise LrcoreError("no network")

    to = tmp_path / "to"
    with pytest.raises(LrcoreError, match="no network"):
        write_parts(to, "study", breaking(), 16_384)
    assert not list(to.iterdir())
    with pytest.raises(LrcoreError, match=r"cannot pack '.*gone'"):
        write_parts(to, "study", [("a", tree / "deep" / "b.bin"), ("b", tree / "gone")], 16_384)
    with pytest.raises(LrcoreError, match="two files to pack are called 'logs/a'"):
        write_parts(to, "study", [("logs/a", tree / "a.bin"), ("logs/a", tree / "deep" / "b.bin")], 16_384)
    assert not list(to.iterdir()) and packed(tree, to)


def test_study_files_lie_to_one_another_as_they_did(tmp_path):
    (tmp_path / "common").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "common" / "study.toml").write_text('extends = "smoke"\nsummary = "Common."\n')
    mine = tmp_path / "mine" / "study.toml"
    mine.write_text('extends = "../common/study.toml"\n')
    write_parts(tmp_path / "to", "study", of_study_file(str(mine)), 10**6)
    unpack(tmp_path / "to" / "study.sha256", {"studies": tmp_path / "there"})
    assert load_study(str(tmp_path / "there" / "mine" / "study.toml")).summary == "Common."


def test_files_that_options_name_are_told(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("")
    (tmp_path / "wide.pt").write_text("")
    study = tmp_path / "study.toml"
    study.write_text(
        'extends = "smoke"\n[autoencoders.mine]\nfamily = "mine.py:Mine"\n'
        'options = { weights = "wide.pt", other = "none.pt", channels = 4, name = "" }\n'
    )
    monkeypatch.chdir("/")  # found beside the class
    assert not_packed(load_study(str(study)))[-1] == "autoencoders.mine.options.weights 'wide.pt'"


def test_parts_are_not_mixed_with_older_ones(tree, tmp_path):
    before = packed(tree, tmp_path / "to")[0].read_bytes()
    with pytest.raises(LrcoreError, match="is there already"):
        packed(tree, tmp_path / "to", 8192)
    assert (tmp_path / "to" / "study.000").read_bytes() == before


def test_another_file_here_stays_unless_it_is_to_be_replaced(tree, tmp_path):
    here, sums = tmp_path / "here", tmp_path / "to" / "study.sha256"
    packed(tree, tmp_path / "to")
    here.mkdir()
    (here / "a.bin").write_bytes(b"mine")
    with pytest.raises(LrcoreError, match=r"1 files here differ .*a\.bin.*nothing was unpacked: --replace"):
        unpack(sums, {"data": here})
    assert files(here) == {"a.bin": b"mine"}
    done = unpack(sums, {"data": here}, replace=True)
    assert (len(done.new), len(done.replaced)) == (2, 1) and files(here) == files(tree)
    assert len(unpack(sums, {"data": here}).same) == 3


def rows_in(data):
    return read_rows(data / "generation" / "study=smoke" / "run.parquet", GenerationRow).to_pylist()


def test_rows_of_both_are_kept(tmp_path):
    """Those of the archive count where both have one, and those of another recipe are kept apart."""
    here, there = tmp_path / "here", tmp_path / "there"
    study = load_study("smoke")
    row = generation_row(study, study.cells[0], 10, 1.0)
    first, second = (dataclasses.replace(row, sampleshift=shift) for shift in (1.0, 2.0))
    write_generation(here, "smoke", "run", [first])
    write_generation(there, "smoke", "run", [dataclasses.replace(first, fid=5.0), second])
    path = "generation/study=smoke/run.parquet"
    write_parts(tmp_path / "to", "study", [(f"data/{path}", there / path)], 10**6)
    done = unpack(tmp_path / "to" / "study.sha256", {"data": here})
    assert done.merged == [here / path]
    assert [(found["sampleshift"], found["fid"]) for found in rows_in(here)] == [(1.0, 5.0), (2.0, second.fid)]

    other = tmp_path / "other"
    write_generation(other, "smoke", "run", [dataclasses.replace(first, recipe="00000000")])
    write_parts(tmp_path / "again", "study", [(f"data/{path}", other / path)], 10**6)
    unpack(tmp_path / "again" / "study.sha256", {"data": here})
    assert [found["recipe"] for found in rows_in(here)] == ["00000000"]
    kept = read_rows(here / f"replaced/generation/study=smoke/run-{row.recipe}.parquet", GenerationRow)
    assert len(kept) == 2

    # what was replaced on both sides is rows, too
    third = dataclasses.replace(row, sampleshift=3.0)
    write_generation(other, "smoke", "run", [third])
    write_generation(other, "smoke", "run", [dataclasses.replace(third, recipe="00000000")])
    path = f"replaced/generation/study=smoke/run-{row.recipe}.parquet"
    write_parts(tmp_path / "third", "study", [(f"data/{path}", other / path)], 10**6)
    unpack(tmp_path / "third" / "study.sha256", {"data": here})
    assert len(read_rows(here / path, GenerationRow)) == 3


def test_a_study_goes_to_a_bare_folder_and_is_done_there(undisturbed, tmp_path, monkeypatch, capsys):
    """The rehearsal: all that the study needs is packed, and the machine there finds nothing left to do."""
    there, back, home = tmp_path / "there", tmp_path / "back", tmp_path / "home"
    monkeypatch.chdir(tmp_path)
    assert staging.main(["pack", TINY, "--to", str(tmp_path / "to"), "--part-mib=8", *folders(undisturbed)]) == 0
    assert all(part.stat().st_size <= 8 * 2**20 for part in (tmp_path / "to").iterdir())
    monkeypatch.setenv("LRCORE_CACHE", str(there / "cache"))
    monkeypatch.setenv("LRCORE_OFFLINE", "1")
    assert staging.main(["unpack", str(tmp_path / "to"), *folders(there)]) == 0
    assert (tmp_path / "studies" / Path(TINY).name).read_text() == Path(TINY).read_text()
    assert (tmp_path / "benchmarks" / "gpu_selfcheck.py").is_file()  # without which no GPU takes the fast path
    capsys.readouterr()
    assert train.main(arguments(there)) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert stored(there) == stored(undisturbed)

    (tmp_path / "printed.txt").write_text("what it said")
    command = ["results", TINY, "--to", str(back), "--log", str(tmp_path / "printed.txt"), *folders(there)]
    assert staging.main(command) == 0
    assert staging.main(["unpack", str(back), *folders(home)]) == 0
    assert stored(home) == stored(undisturbed)
    assert (tmp_path / "logs" / "printed.txt").read_text() == "what it said"


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (["pack", "smoke"], "--to"),
        (
            ["results", "smoke", "--to", "x", "--part-mib", "0"],
            "--part-mib must be a whole number .*'0'",
        ),
        (["unpack", "nowhere"], r"'nowhere' holds no file ending in \.sha256"),
        (["pack", "smoke", "--to", "x", "--wheels-beyond", "none.txt"], "none.txt"),
    ],
)
def test_what_is_wrong_is_said(command, named, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert staging.main(command) == 2
    assert re.search(named, capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


def test_wheels_of_what_lacks_there_are_downloaded_at_versions_that_fit(tmp_path, monkeypatch):
    freeze = tmp_path / "freeze.txt"
    freeze.write_text(
        "torch==2.9.1+cu128\nlrcore==0.0.1\n-e /somewhere\nThere_Already==1.0 ; python_version > '3'\nx @ file:///x\n"
    )
    ran = []

    def pip(*arguments):
        ran.append([str(argument) for argument in arguments])
        if "--report" in ran[-1]:
            found = [("torch", "2.9.1"), ("there-already", "1.0"), ("New.One", "3.1"), ("lrcore", "0.1")]
            entries = [{"metadata": {"name": name, "version": version}} for name, version in found]
            Path(ran[-1][ran[-1].index("--report") + 1]).write_text(json.dumps({"install": entries}))
            constraints = Path(ran[-1][ran[-1].index("--constraint") + 1]).read_text()
            assert constraints == "torch==2.9.1\nthere-already==1.0\n"

    monkeypatch.setattr(wheels, "_pip", pip)
    wheels.download_wheels(wheels.installed_there(freeze), tmp_path / "wheels")
    assert len(ran) == 2 and ran[1][-2:] == [ran[0][-1], "New.One==3.1"]
    assert Path(ran[0][-1]) != Path(lrcore.__file__).parents[1]  # where building would leave files
