"""`python -m lrcore.verify`: what is whole, and what is damaged, with the command that repairs it."""

import dataclasses
import os
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from lrcore import verify
from lrcore.assets import cache, pretrained, table
from lrcore.datasets import contents
from lrcore.errors import LrcoreError
from lrcore.records.schema import AtlasRow, LatentRow
from lrcore.records.writing import write_atlas, write_latents
from lrcore.runtime.files import sha256_of
from lrcore.runtime.tensor_files import add_digests, save_tensors
from lrcore.spec.study import Data


def row(kind, **changes):
    defaults = {"int": 1, "float": 1.0, "str": "x", "bool": True}
    values = {f.name: defaults[f.type] for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING}
    return kind(**{**values, **changes})


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Rows, an autoencoder, a checkpoint and a cached asset; where the command looks."""
    monkeypatch.setenv("LRCORE_CACHE", str(tmp_path / "cache"))
    write_latents(tmp_path / "data", "mine", "sd", [row(LatentRow)])
    write_latents(tmp_path / "data", "mine", "sd", [row(LatentRow, recipe="other")])
    write_atlas(tmp_path / "data", "key", [row(AtlasRow)])
    model = tmp_path / "data" / "autoencoders" / "study=mine" / "sd-x" / "model.safetensors"
    for path in (model, tmp_path / "runs" / "mine" / "state.safetensors", tmp_path / "cache" / "toy.safetensors"):
        save_tensors(path, {"a": torch.zeros(8)}, {"step": "1"})
    model.with_name("config.json").write_text('{"width": 1}')
    add_digests(model)
    sha256 = sha256_of(tmp_path / "cache" / "toy.safetensors")
    monkeypatch.setattr(table, "ASSETS", {"toy": table.Asset("toy", sha256, 1, "CC0", ())})
    assert cache.is_present("toy")  # leaves the stamp
    monkeypatch.chdir(tmp_path)
    return tmp_path


def flip(path):
    """Another byte in the middle, at the same size and time."""
    status, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def counts(printed):
    lines = [line.rsplit(maxsplit=2) for line in printed.splitlines()[1:]]
    return {what: (int(files), int(damaged)) for what, files, damaged in lines}


def test_what_is_whole(place, capsys):
    assert verify.main([]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[0].split() == ["what", "files", "damaged"]
    found = counts(printed.out)
    assert all(damaged == 0 for _, damaged in found.values()) and printed.err == ""
    kinds = ("data/latents", "data/replaced/latents", "data/atlas", "data/autoencoders", "runs/mine")
    assert {name: found[name][0] for name in kinds} == dict.fromkeys(kinds, 1)
    assert found[f"cache {place / 'cache'}"] == (1, 0) and found["statistics that ship"] == (2, 0)


@pytest.mark.parametrize(
    ("path", "what", "mend"),
    [
        ("data/latents/study=mine/sd.parquet", "data/latents", "python -m lrcore.train mine"),
        ("data/replaced/latents/study=mine/sd-x.parquet", "data/replaced/latents", "`rm "),
        ("data/atlas/key.parquet", "data/atlas", "python -m lrcore.atlas build"),
        ("data/autoencoders/study=mine/sd-x/model.safetensors", "data/autoencoders", "git checkout -- "),
        ("data/autoencoders/study=mine/sd-x/config.json", "data/autoencoders", "lrcore.train_autoencoder mine --keep"),
        (
            "runs/mine/state.safetensors",
            "runs/mine",
            "`rm -r runs/mine/state.safetensors`, then `python",
        ),
        ("cache/toy.safetensors", "cache ", "python -m lrcore.assets fetch toy"),
    ],
)
def test_what_is_damaged_is_named_with_what_repairs_it(path, what, mend, place, capsys, monkeypatch):
    monkeypatch.setattr(verify, "NAMES", ())  # megabytes each
    flip(place / path)
    assert verify.main([]) == 1
    printed = capsys.readouterr()
    broken = [name for name, (_, damaged) in counts(printed.out).items() if damaged]
    assert len(broken) == 1 and broken[0].startswith(what)
    (line,) = printed.err.splitlines()
    assert mend in line and path.rpartition("/")[0] in line


def test_images_of_a_study_are_read_anew(place, capsys, monkeypatch):
    image = place / "images" / "a" / "0.bmp"
    image.parent.mkdir(parents=True)
    Image.new("RGB", (8, 8), "red").save(image)
    data = Data("folder", 8, 1, 2, path=str(place / "images"))
    monkeypatch.setattr(verify, "load_study", lambda named: SimpleNamespace(data=data))
    monkeypatch.setattr(contents, "KEPT_ABOVE", 0)
    monkeypatch.setattr(contents, "_GRAIN", 0)
    assert verify.main(["mine"]) == 0
    assert counts(capsys.readouterr().out)["images of mine"] == (1, 0)

    before = contents._state(image)
    monkeypatch.setattr(contents, "_state", lambda file: before)  # as on a disk that lost a bit, which sets no time
    flip(image)
    assert verify.main(["mine"]) == 1
    printed = capsys.readouterr()
    assert counts(printed.out)["images of mine"] == (1, 1)
    assert "image file 'a/0.bmp' of study 'mine' holds other bytes" in printed.err


def test_a_folder_that_is_not_there_is_refused(place, capsys):
    assert verify.main(["--data", "dat"]) == 2
    assert "--data 'dat' is no folder" in capsys.readouterr().err


def test_an_asset_whose_bytes_changed_gives_no_sha256_and_is_fetched_again(place):
    path = place / "cache" / "toy.safetensors"
    assert pretrained.sha256("toy") == sha256_of(path)
    pretrained._checked_sha256.cache_clear()  # as another process
    flip(path)
    assert cache.is_present("toy")  # by its stamp, which may stand for the hash in training
    with pytest.raises(LrcoreError, match=r"toy\.safetensors' is damaged: .*`python -m lrcore\.assets fetch toy`"):
        pretrained.sha256("toy")
    assert not cache.is_present("toy")
