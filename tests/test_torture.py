"""Processes that share a study, killed over and over at any moment, end with the rows of one that was left alone."""

import random
from collections import Counter
from multiprocessing.connection import wait
from pathlib import Path

import killed_train
import pandas
import pytest

from lrcore.records.reading import read_generation
from lrcore.records.schema import GENERATION_KEY

TINY = Path(__file__).parent / "tiny.toml"
STUDY = f"""
extends = "{TINY}"
[evaluation]
sampleshifts = [1.0]
[[grid]]
ae = ["flux2", "rae"]
trainp = ["ts"]
trainshift = [4.63]
repa = ["none"]
"""
KILLS = 20
AT_ONCE = 2


def random_moments(count, seed):
    """Start-up and whatever else takes time, steps of training, half-written checkpoints and half-written rows."""
    draw = random.Random(seed)
    kinds = {
        "clock": lambda: draw.uniform(0.0, 2.5),
        "step": lambda: draw.randint(1, 6),
        "save": lambda: draw.randint(1, 4),
        "write": lambda: draw.randint(1, 3),
    }
    names = list(kinds) * (count // len(kinds))
    draw.shuffle(names)
    return [(name, kinds[name]()) for name in names]


class Shared:
    """A study in one folder, and the processes that share it."""

    def __init__(self, folder):
        self.folder, self.outputs = folder, []
        folder.mkdir()
        (folder / "tiny.toml").write_text(STUDY)
        self.arguments = [
            str(folder / "tiny.toml"), *(f"--{name}={folder / name}" for name in ("data", "imgs", "runs"))
        ]  # fmt: skip

    def start(self, moment=None):
        self.outputs.append(self.folder / f"{len(self.outputs)}.txt")
        return killed_train.start(self.arguments, self.outputs[-1], moment)

    def torment(self, moments):
        """Kill processes at the moments while the study is not done; returns the moments that did not come."""
        left, running = list(moments), {}
        done = False
        while running or (left and not done):
            while left and not done and len(running) < AT_ONCE:
                moment = left.pop()
                process = self.start(moment)
                running[process.sentinel] = process, moment
            for sentinel in wait(list(running)):
                process, moment = running.pop(sentinel)
                process.join()
                assert process.exitcode in (0, -9), self.printed()
                if process.exitcode == 0:
                    left.append(moment)
                    done = True
        return left

    def finish(self):
        processes = [self.start() for _ in range(AT_ONCE)]
        for process in processes:
            process.join()
            assert process.exitcode == 0, self.printed()

    def rows(self):
        """Every row of every kind, sorted, by the folder of its kind."""
        kinds = sorted(path for path in (self.folder / "data").iterdir() if any(path.rglob("*.parquet")))
        found = {path.name: pandas.read_parquet(path) for path in kinds}
        return {
            kind: rows.sort_values(list(rows.columns)).reset_index(drop=True).astype({"study": str})
            for kind, rows in found.items()
        }

    def pictures(self):
        return {path.name: path.read_bytes() for path in (self.folder / "imgs" / "tiny").glob("*.png")}

    def printed(self):
        return "\n".join(output.read_text() for output in self.outputs)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    study = Shared(tmp_path_factory.mktemp("torture") / "undisturbed")
    process = study.start()
    process.join()
    assert process.exitcode == 0, study.printed()
    return study


def test_twenty_kills_change_nothing(undisturbed, tmp_path):
    wanted = undisturbed.rows()
    assert len(wanted["generation"]) == 2 * 2  # trainings, steps
    moments = random_moments(KILLS, seed=11)
    rounds = 0
    while moments:
        study = Shared(tmp_path / str(rounds))
        moments = study.torment(moments)
        study.finish()
        found = study.rows()
        assert found.keys() == wanted.keys()
        for kind, rows in wanted.items():
            pandas.testing.assert_frame_equal(found[kind], rows, check_exact=True)
        assert not read_generation(study.folder / "data").duplicated(list(GENERATION_KEY)).any()
        assert study.pictures() == undisturbed.pictures()
        assert not list(study.folder.rglob(".*.tmp"))
        # the claims keep processes apart: nobody comes upon another who is at the same training
        assert "state.safetensors" not in study.printed()
        rounds += 1
    assert rounds <= 3


def test_the_moments_are_of_every_kind():
    assert Counter(kind for kind, _ in random_moments(KILLS, seed=11)) == dict.fromkeys(
        ("clock", "step", "save", "write"), KILLS // 4
    )
