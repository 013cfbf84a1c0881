from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import stat
import struct
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy
import pytest
import torch
from PIL import Image

from lrcore.assets import archives
from lrcore.errors import LrcoreError


def make_tar(path: Path, entries: dict[str, bytes | tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in entries.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path


def make_zip(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(("make", "name"), [(make_tar, "a.tar.gz"), (make_zip, "a.whl")])
def test_extracts_the_named_member(tmp_path: Path, make: Callable[..., Path], name: str) -> None:
    archive = make(tmp_path / name, {"package/wanted.bin": b"content", "package/other": b"no"})
    archives.extract_member(archive, "package/wanted.bin", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"content"
    with pytest.raises(LrcoreError, match="holds no member 'absent'"):
        archives.extract_member(archive, "absent", tmp_path / "out2")


@pytest.mark.parametrize("member", ["../escaped", "/etc/escaped", "a/../../escaped", "..\\escaped", "C:\\escaped"])
@pytest.mark.parametrize(("make", "name"), [(make_tar, "a.tar.gz"), (make_zip, "a.zip")])
def test_refuses_paths_that_leave_the_archive(
    tmp_path: Path, make: Callable[..., Path], name: str, member: str
) -> None:
    archive = make(tmp_path / name, {member: b"evil"})
    with pytest.raises(LrcoreError, match="leaves the archive"):
        archives.extract_member(archive, member, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_refuses_anything_but_files_in_a_tar(tmp_path: Path, kind: bytes) -> None:
    archive = make_tar(tmp_path / "a.tar.gz", {"real": b"content", "other": link("other", "real", kind)})
    with pytest.raises(LrcoreError, match="link or a folder"):
        archives.extract_member(archive, "other", tmp_path / "out")


def test_refuses_a_link_in_a_zip(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("other")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(LrcoreError, match="link or a folder"):
        archives.extract_member(tmp_path / "a.zip", "other", tmp_path / "out")


def test_broken_archives_leave_nothing(tmp_path: Path) -> None:
    whole = make_tar(tmp_path / "whole.tar.gz", {"a": os.urandom(100_000)}).read_bytes()
    (tmp_path / "half.tar.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "noise.tar.gz").write_bytes(os.urandom(1000))
    for name in ("half.tar.gz", "noise.tar.gz"):
        with pytest.raises(LrcoreError, match=f"'{name}' cannot be read as an archive"):
            archives.extract_member(tmp_path / name, "a", tmp_path / "out")
    assert not (tmp_path / "out").exists()


_PurePickler: Any = pickle._Pickler  # the one in Python, whose methods can be replaced


class Python2Pickler(_PurePickler):  # type: ignore[misc]
    """Writes text and bytes as Python 2 wrote its one string type, as the authors of CIFAR-10 did."""

    def save_string(self, value: bytes | str) -> None:
        encoded = value.encode("latin1") if isinstance(value, str) else value
        self.write(b"T" + struct.pack("<i", len(encoded)) + encoded)
        self.memoize(value)

    dispatch: ClassVar = _PurePickler.dispatch | {bytes: save_string, str: save_string}


def python2_pickle(value: object) -> bytes:
    file = io.BytesIO()
    Python2Pickler(file, protocol=2).dump(value)
    return file.getvalue()


def test_reads_arrays_pickled_by_python_2(tmp_path: Path) -> None:
    array = numpy.arange(6, dtype=numpy.uint8).reshape(2, 3)
    (tmp_path / "a.pickle").write_bytes(python2_pickle({"data": array, "labels": [1, 2]}))
    read = archives.load_numpy_pickle(tmp_path / "a.pickle")
    assert read.keys() == {b"data", b"labels"}
    numpy.testing.assert_array_equal(read[b"data"], array)


@pytest.mark.parametrize("protocol", [3, 4])
def test_reads_pickled_arrays(tmp_path: Path, protocol: int) -> None:
    tree = {"layer": {"kernel": numpy.arange(6, dtype=numpy.float32).reshape(2, 3)}, "labels": [3, 8]}
    (tmp_path / "a.pickle").write_bytes(pickle.dumps(tree, protocol=protocol))
    read = archives.load_numpy_pickle(tmp_path / "a.pickle")
    assert read["labels"] == [3, 8]
    numpy.testing.assert_array_equal(read["layer"]["kernel"], tree["layer"]["kernel"])  # type: ignore[index]


class RunsOnLoading:
    def __init__(self, call: Callable[..., object], *arguments: object) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call, self.arguments


def test_refuses_malicious_pickles(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    for harm in (
        RunsOnLoading(os.system, f"touch {marker}"),
        RunsOnLoading(eval, f"open({str(marker)!r}, 'w')"),
        RunsOnLoading(subprocess.getoutput, f"touch {marker}"),
        RunsOnLoading(getattr, {}, "clear"),
        RunsOnLoading(torch.load, str(marker)),
    ):
        (tmp_path / "a.pickle").write_bytes(pickle.dumps({"weights": numpy.zeros(3), "harm": harm}))
        with pytest.raises(LrcoreError, match="refusing a pickle that names"):
            archives.load_numpy_pickle(tmp_path / "a.pickle")
    assert not list(tmp_path.glob("marker*"))


def test_a_broken_pickle_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.pickle").write_bytes(pickle.dumps(numpy.zeros(100))[:50])
    with pytest.raises(LrcoreError, match=r"'a\.pickle' is not a pickle of NumPy arrays"):
        archives.load_numpy_pickle(tmp_path / "a.pickle")


def test_written_bytes_depend_on_content_only(tmp_path: Path) -> None:
    """The bytes pinned in the table of assets rest on these: a new safetensors that writes others must be noticed."""
    transposed = torch.arange(6, dtype=torch.float32).reshape(2, 3).T
    archives.write_tensors(tmp_path / "1", {"b": torch.ones(2, dtype=torch.uint8), "a": transposed})
    archives.write_tensors(tmp_path / "2", {"a": transposed.contiguous(), "b": torch.ones(2, dtype=torch.uint8)})
    written = (tmp_path / "1").read_bytes()
    assert written == (tmp_path / "2").read_bytes()
    assert hashlib.sha256(written).hexdigest() == "f2d0c64d2f98382c1fef69d6c097d61a407d277a7bcbe17b9827793f2f9aba59"


def test_both_formats_of_cifar10_read_the_same(tmp_path: Path) -> None:
    random = numpy.random.default_rng(0)
    images = random.integers(0, 256, (6, 4, 3, 32, 32), dtype=numpy.uint8)
    labels = random.integers(0, 10, (6, 4))
    pickles, pngs = [], []
    for i in range(6):
        pickles.append(tmp_path / f"{i}.pickle")
        pickles[-1].write_bytes(python2_pickle({"data": images[i].reshape(4, -1), "labels": labels[i].tolist()}))
        pngs.append(tmp_path / f"{i}.png")
        Image.fromarray(images[i].transpose(0, 2, 3, 1).reshape(4, 1024, 3)).save(pngs[-1])
    for name, values in (("train.json", labels[:5].ravel()), ("test.json", labels[5])):
        (tmp_path / name).write_text(json.dumps(values.tolist()))
        pngs.append(tmp_path / name)
    first, second = archives.read_cifar10_pickles(pickles), archives.read_cifar10_pngs(pngs)
    assert first["train_images"].shape == (20, 3, 32, 32) and first["test_labels"].dtype == torch.int64
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    torch.testing.assert_close(first["train_images"][4:8], torch.from_numpy(images[1]), rtol=0, atol=0)


def test_both_formats_of_alexnet_read_the_same(tmp_path: Path) -> None:
    state = {f"features.{i}.weight": torch.randn(4, 3, 2, 5) for i in (0, 3, 6, 8, 10)}
    state |= {f"features.{i}.bias": torch.randn(4) for i in (0, 3, 6, 8, 10)}
    torch.save(state | {"classifier.1.weight": torch.zeros(2)}, tmp_path / "torchvision.pth")
    tree = {
        f"Conv_{k}": {
            "kernel": state[f"features.{i}.weight"].permute(2, 3, 1, 0).numpy(),
            "bias": state[f"features.{i}.bias"].numpy(),
        }
        for k, i in enumerate((0, 3, 6, 8, 10))
    }
    (tmp_path / "flax.ckpt").write_bytes(pickle.dumps({"AlexNet_0": tree, "NetLinLayer_0": {}}, protocol=4))
    for tensors in (
        archives.read_torchvision_features([tmp_path / "torchvision.pth"]),
        archives.read_flax_features([tmp_path / "flax.ckpt"]),
    ):
        assert tensors.keys() == state.keys()
        assert all(torch.equal(tensors[name], state[name]) for name in state)


def test_inception_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    state = {"fc.weight": torch.zeros(2)}
    for layer in archives.INCEPTION_CONVOLUTIONS:
        for name in ("conv.weight", "bn.bias", "bn.running_mean", "bn.running_var"):
            state[f"{layer}.{name}"] = torch.randn(2)
        state[f"{layer}.bn.weight"] = torch.ones(2)
    torch.save(state, tmp_path / "a.pth")
    assert len(archives.read_inception_checkpoint([tmp_path / "a.pth"])) == 4 * 94
    state["Mixed_7c.branch_pool.bn.weight"] = torch.full((2,), 1.1)
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(LrcoreError, match=r"Mixed_7c.branch_pool.bn.weight is not constant 1"):
        archives.read_inception_checkpoint([tmp_path / "a.pth"])


def test_unreadable_original_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"not a checkpoint")
    with pytest.raises(LrcoreError, match=r"'a\.pth' cannot be read"):
        archives.read_original(tmp_path / "a.pth", (), archives.read_torchvision_features, tmp_path)
