"""A disk that fills up while a study runs: named, nothing lost, and the same command finishes once there is room."""

import os
import subprocess
from pathlib import Path

import pandas
import pytest
from tiny_study import arguments, stored

from lrcore import train
from lrcore.records.reading import read_generation

PART = ("--ae", "flux2", "--repa", "none")
SIZE = 128 * 2**20


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, of `SIZE` bytes in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        message = "full disks are NOT tested: that needs root and the right to mount"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    yield folder
    # lazily: weights that were read from there stay mapped
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path):
    """Take all that is left of the disk."""
    with path.open("wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(4096))
        except OSError:
            pass


@pytest.mark.parametrize("full", ["data", "runs"])
def test_a_full_disk_is_named_and_loses_nothing(full, small_disk, undisturbed, tmp_path, capsys):
    (small_disk / full).mkdir()
    (tmp_path / full).symlink_to(small_disk / full)
    assert train.main(arguments(tmp_path, *PART)) == 0
    before = read_generation(tmp_path / "data")
    assert len(before) == 2 * 2  # steps, sampling shifts

    fill(small_disk / "ballast")
    capsys.readouterr()
    assert train.main(arguments(tmp_path, "--ae", "flux2")) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert f"cannot write '{tmp_path / full}" in error
    assert "No space left on device" in error
    assert not list(tmp_path.rglob("*.tmp")) and not list(small_disk.rglob(".*.tmp"))

    rows = pandas.read_parquet(tmp_path / "data" / "generation")
    pandas.testing.assert_frame_equal(rows.drop(columns="study"), before.drop(columns="study"))

    (small_disk / "ballast").unlink()
    assert train.main(arguments(tmp_path, "--ae", "flux2")) == 0
    wanted = {name: content for name, content in stored(undisturbed).items() if "rae" not in Path(name).name}
    assert stored(tmp_path) == wanted
