"""What images are: what their files hold, read again only when they may have changed."""

import os
import time

import pytest
from image_shards import shards
from PIL import Image

from lrcore.datasets import contents as module
from lrcore.datasets.contents import sha256s
from lrcore.datasets.loading import contents, fingerprint
from lrcore.runtime.files import sha256_of
from lrcore.spec.study import Data


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The record is kept of any number of bytes, in a cache of its own; the files that are read, by name."""
    monkeypatch.setenv("LRCORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "KEPT_ABOVE", 0)
    monkeypatch.setattr(module, "_GRAIN", -(10**18))
    read, how = [], module._sha256
    monkeypatch.setattr(module, "_sha256", lambda file: (read.append(file.name), how(file))[1])
    return read


@pytest.fixture
def files(tmp_path):
    (tmp_path / "set").mkdir()
    for number in range(5):
        (tmp_path / "set" / f"{number}").write_bytes(bytes([number]) * 9)
    return sorted((tmp_path / "set").iterdir())


def test_a_file_is_read_once(files, kept):
    expected = [sha256_of(file) for file in files]
    assert sha256s(files, "here") == expected and sorted(kept) == ["0", "1", "2", "3", "4"]
    kept.clear()
    assert sha256s(files[::-1], "here") == expected[::-1] and not kept
    assert sha256s(files, "there") == expected and len(kept) == 5, "another place has a record of its own"


@pytest.mark.parametrize("times", ["new", "old"])
def test_a_file_of_the_same_size_that_changed_is_read_again(files, kept, times):
    """Whatever the time of modification is set to."""
    before, status = sha256s(files, "here"), files[2].stat()
    kept.clear()
    time.sleep(0.01)
    files[2].write_bytes(b"other " * 1 + b"...")
    if times == "old":
        os.utime(files[2], ns=(status.st_atime_ns, status.st_mtime_ns))
    after = sha256s(files, "here")
    assert kept == ["2"]
    assert after[2] == sha256_of(files[2]) != before[2] and after[:2] + after[3:] == before[:2] + before[3:]


def test_a_file_of_another_time_alone_is_the_same(files, kept):
    before = sha256s(files, "here")
    os.utime(files[2], (1, 1))
    assert sha256s(files, "here") == before


def test_verifying_reads_everything(files, kept):
    sha256s(files, "here")
    kept.clear()
    sha256s(files, "here", reread=True)
    assert len(kept) == 5


def test_what_was_read_before_a_stop_is_kept(files, kept):
    class Stopped(Exception):
        pass

    def check():
        if len(calls) == 3:
            raise Stopped
        calls.append(0)

    calls: list[int] = []
    with pytest.raises(Stopped):
        sha256s(files, "here", check)
    kept.clear()
    sha256s(files, "here")
    assert len(kept) == 2


def test_what_may_still_change_is_not_kept(files, kept, monkeypatch):
    monkeypatch.setattr(module, "_GRAIN", 60 * 10**9)
    sha256s(files, "here")
    kept.clear()
    sha256s(files, "here")
    assert len(kept) == 5


def test_a_damaged_record_and_a_cache_that_cannot_be_written_to(files, kept, tmp_path, monkeypatch):
    expected = sha256s(files, "here")
    record = next((tmp_path / "cache" / "contents").glob("*.parquet"))
    record.write_bytes(b"PAR1 torn")
    assert sha256s(files, "here") == expected
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("LRCORE_CACHE", str(tmp_path / "file"))
    assert sha256s(files, "here") == expected


def test_files_that_cannot_be_read_have_none(files, tmp_path):
    assert sha256s([files[0], tmp_path / "absent"], "here") == [sha256_of(files[0]), ""]
    assert sha256s([], "here") == []


@pytest.mark.parametrize("kind", ["parquet", "webdataset"])
def test_corrected_labels_are_other_data(tmp_path, kind):
    """In a shard of the same size."""
    data = shards(tmp_path, kind, [1, 2, 1, 2], [1, 2])
    before, size = fingerprint(data), os.stat(data.path).st_size  # noqa: PTH116
    assert fingerprint(data) == before
    shards(tmp_path, kind, [1, 2, 2, 1], [1, 2])
    assert os.stat(data.path).st_size == size  # noqa: PTH116
    assert fingerprint(data) != before


def test_an_image_that_was_replaced_is_other_data(tmp_path):
    (tmp_path / "set" / "a").mkdir(parents=True)
    image = tmp_path / "set" / "a" / "0.bmp"
    Image.new("RGB", (8, 8), "red").save(image)
    data = Data("folder", 8, 1, 1, path=str(tmp_path / "set"))
    before, size = fingerprint(data), image.stat().st_size
    Image.new("RGB", (8, 8), "blue").save(image)
    assert image.stat().st_size == size and fingerprint(data) != before
    assert contents(data) == [("a/0.bmp", sha256_of(image))] == contents(data, reread=True)


def test_the_files_of_cifar10_can_be_verified():
    [(name, sha256)] = contents(Data("cifar10", 32, 100, 10), reread=True)
    assert name == "cifar10" and len(sha256) == 64
