"""Heartbeats, and the status of a study from what is on disk alone."""

import dataclasses
import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch

from lrcore import status
from lrcore.records.schema import GenerationRow
from lrcore.records.writing import write_generation, write_losses
from lrcore.runtime.files import claimed, exclusive
from lrcore.runtime.folders import Folders
from lrcore.runtime.heartbeat import (
    BEAT_EVERY,
    STALE_AFTER,
    Beat,
    Heartbeat,
    Heartbeats,
    autoencoder_unit,
    heartbeat_path,
    read_beat,
)
from lrcore.runtime.interruption import StopRequest
from lrcore.runtime.tensor_files import save_tensors
from lrcore.stages.autoencoder import autoencoder_folder
from lrcore.stages.evaluations import row_recipe
from lrcore.stages.training import snapshot_path, state_path, training_folder
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study
from lrcore.training.loss_log import LossLog, loss_rows

TINY = str(Path(__file__).parent / "tiny.toml")
NOW = 1_000_000.0


class Clock:
    def __init__(self, now=NOW):
        self.now = now

    def __call__(self):
        return self.now


def beating(path, steps, seconds, clock=None, first=0, total=1000):
    clock = clock or Clock()
    heart = Heartbeat(path, "unit", total, clock)
    for step in range(first, first + steps + 1):
        heart.beat(step)
        clock.now += seconds
    return heart, clock


def test_a_heartbeat_says_where_a_training_is_and_goes_with_it(tmp_path):
    path = heartbeat_path(tmp_path, "tiny", "unit")
    assert path == tmp_path / "tiny" / "heartbeats" / "unit.json"
    heart, _ = beating(path, 100, 0.5, first=200)
    beat = read_beat(path)
    assert beat.steps_per_second == pytest.approx(2.0)
    assert beat.updated - beat.started == pytest.approx(50.0)
    assert beat == Beat("unit", 300, 1000, NOW, beat.updated, beat.steps_per_second, os.getpid(), beat.host)
    assert beat.seconds_left == pytest.approx(350)
    heart.close()
    heart.close()
    assert read_beat(path) is None and not list(path.parent.iterdir())


def test_the_first_beat_is_written_at_once_and_the_rest_at_most_every_few_seconds(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(Path, "replace", lambda source, target: written.append(target))
    beating(tmp_path / "unit.json", 0, 0.0)
    assert len(written) == 1
    written.clear()
    beating(tmp_path / "unit.json", 1000, 0.05)
    assert len(written) == 1 + int(50 / BEAT_EVERY)


def test_pauses_of_a_training_are_no_part_of_its_rate(tmp_path):
    path = tmp_path / "unit.json"
    heart, clock = beating(path, 100, 0.5)
    for _ in range(30):  # samples are drawn: signs of life at the same step
        clock.now += 10
        heart.beat(100)
    assert read_beat(path).updated == clock.now
    for step in range(101, 131):
        clock.now += 0.5
        heart.beat(step)
    clock.now += 300  # or no sign at all
    for step in range(131, 161):
        heart.beat(step)
        clock.now += 0.5
    assert read_beat(path).steps_per_second == pytest.approx(2.0, rel=1e-6)


def test_signs_of_life_while_sampling_do_not_slow_a_young_training(tmp_path):
    heart, clock = beating(tmp_path / "unit.json", 10, 0.5)
    for _ in range(30):
        clock.now += 10
        heart.beat(10)
    for step in range(11, 25):
        clock.now += 0.5
        heart.beat(step)
    assert read_beat(tmp_path / "unit.json").steps_per_second == pytest.approx(2.0)


def test_a_clock_set_back_does_not_silence_a_heartbeat(tmp_path):
    clock = Clock()
    heart, _ = beating(tmp_path / "unit.json", 3, 1.0, clock)
    clock.now -= 3600
    heart.beat(4)
    assert read_beat(tmp_path / "unit.json").step == 4


def test_every_step_can_beat(tmp_path):
    heart = Heartbeat(tmp_path / "unit.json", "unit", 10**6)
    began = time.perf_counter()
    for step in range(20_000):
        heart.beat(step)
    assert (time.perf_counter() - began) / 20_000 < 100e-6


def test_a_heartbeat_that_cannot_be_written_ends_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    heart = Heartbeat(tmp_path / "file" / "unit.json", "unit", 10)
    heart.beat(1)
    heart.close()


def test_what_a_killed_writer_left_is_swept(tmp_path):
    leftover = tmp_path / ".unit.json.123.tmp"
    leftover.write_text("{")
    Heartbeat(tmp_path / "unit.json", "unit", 10)
    assert not leftover.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"unit": "a"}', '{"step": 1, "other": 2}'])
def test_a_file_that_is_no_heartbeat_is_passed_over(text, tmp_path):
    (tmp_path / "unit.json").write_text(text)
    assert read_beat(tmp_path / "unit.json") is None


def test_a_beat_is_stale_after_a_minute_or_three_slow_steps():
    beat = Beat("unit", 1, 10, NOW, NOW, 2.0, 1, "here")
    assert not beat.stale(NOW + STALE_AFTER - 1) and beat.stale(NOW + STALE_AFTER + 1)
    slow = dataclasses.replace(beat, steps_per_second=1 / 100)
    assert not slow.stale(NOW + 299) and slow.stale(NOW + 301)
    assert dataclasses.replace(beat, steps_per_second=None).stale(NOW + STALE_AFTER + 1)
    assert dataclasses.replace(beat, steps_per_second=None).seconds_left is None


needs_table = pytest.mark.skipif(not Path("/proc/locks").exists(), reason="the kernel's table of locks is Linux'")


@needs_table
def test_the_holder_of_a_lock_is_seen_without_taking_it(tmp_path):
    path = tmp_path / "state.safetensors"
    assert status.holder(path) is None
    assert not list(tmp_path.iterdir())
    with exclusive(path):
        assert status.holder(path) == os.getpid()
        assert status.holder(tmp_path / "other") is None
    assert status.holder(path) is None
    assert (tmp_path / ".state.safetensors.lock").exists()


@needs_table
def test_another_process_that_holds_a_lock_is_seen_until_it_is_killed(tmp_path):
    path = tmp_path / "state.safetensors"
    code = f"""
        import time
        from pathlib import Path
        from lrcore.runtime.files import exclusive
        with exclusive(Path({str(path)!r})):
            print("held", flush=True)
            time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout.readline() == "held\n"
        assert status.holder(path) == worker.pid
        worker.kill()
    assert status.holder(path) is None
    with claimed(path) as free:
        assert free


@pytest.fixture
def work(tmp_path):
    folders = Folders(*(tmp_path / name for name in ("data", "imgs", "runs")))
    return Workspace(load_study(TINY), folders, StopRequest(), lambda steps: None)


def save_state(path, step, losses=()):
    log = LossLog()
    for number, loss in enumerate(losses):
        log.add(torch.tensor([0.05, 0.95]), torch.tensor([loss - 0.5, loss + 0.5]))
        log.close_interval(number)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(path, log.tensors() | {"model.weight": torch.zeros(2)}, {"step": str(step)})


def generation_rows(work, cell, pairs, **changes):
    defaults = {"int": 1, "float": 1.0, "str": "x"}
    values = {f.name: defaults[f.type] for f in dataclasses.fields(GenerationRow) if f.name != "schema_version"}
    values |= dataclasses.asdict(cell) | {"width": 128.0, "recipe": row_recipe(work, cell)} | changes
    return [GenerationRow(**{**values, "step": step, "sampleshift": shift}) for step, shift in pairs]


def write_rows(work, cell, pairs, **changes):
    write_generation(work.folders.data, "tiny", cell.name, generation_rows(work, cell, pairs, **changes))


def beat_file(work, unit, **changes):
    beat = Beat(unit, 4, 6, NOW - 100, NOW - 2, 0.5, 4242, "elsewhere")
    path = heartbeat_path(work.folders.runs, "tiny", unit)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dataclasses.asdict(dataclasses.replace(beat, **changes))))


def units(work, now=NOW):
    found = status.status_of(work, now)
    return {unit.name: unit for unit in (*found.autoencoders, *found.transformers)}


ALL = [(3, 1.0), (3, 4.63), (6, 1.0), (6, 4.63)]


def test_of_an_empty_folder_everything_is_left_and_nothing_is_written(work, tmp_path):
    found = status.status_of(work, NOW)
    assert found.counts == {
        "autoencoders to train": (2, 0),
        "reconstructions": (2, 0),
        "latent diagnostics": (2, 0),
        "anchors": (2, 0),
        "transformers": (4, 0),
        "evaluations of them": (16, 0),
    }
    assert {unit.state for unit in found.transformers} == {"not begun"}
    text = status.report(work, NOW)
    assert "autoencoders left       12 steps: nothing is training" in text
    assert "transformers left       24 steps: nothing is training" in text
    assert not list(tmp_path.iterdir())


def test_done_and_left_are_counted_by_recipe(work):
    first, second, *_ = work.study.cells
    write_rows(work, first, ALL)
    write_rows(work, second, ALL[:3])
    autoencoder_folder(work, "rae").mkdir(parents=True)
    found = status.status_of(work, NOW)
    assert found.counts["transformers"] == (4, 1)
    assert found.counts["evaluations of them"] == (16, 7)
    assert found.counts["autoencoders to train"] == (2, 1)
    assert [unit.name for unit in found.autoencoders] == [autoencoder_unit("flux2")]
    assert first.name not in units(work)
    write_rows(work, first, ALL, recipe="of another learning rate")
    assert status.status_of(work, NOW).counts["transformers"] == (4, 0)


def test_a_running_training_shows_its_step_checkpoint_loss_rate_and_time(work):
    cell = work.study.cells[0]
    save_state(state_path(work, cell), 2, losses=(9.0, 1.25))
    beat_file(work, cell.name)
    unit = units(work)[cell.name]
    assert (unit.state, unit.step, unit.saved, unit.total) == ("running", 4, 2, 6)
    assert unit.loss == pytest.approx(1.25)
    lines = status.report(work, NOW).splitlines()
    (line,) = (line for line in lines if line.startswith(cell.name))
    expected = f"{cell.name} running 4 2 6 1.2500 0.5 4 s 2 s ago, process 4242 on elsewhere"
    assert line.split() == expected.split()
    assert "transformers left       20 steps: about 40 s at the 0.5 a second of now" in lines[-1]


def test_a_stack_trains_at_the_rates_of_all_its_runs(work):
    for cell in work.study.cells[:2]:
        beat_file(work, cell.name)
    assert "16 steps: about 16 s at the 1 a second" in status.report(work, NOW)


def test_a_killed_training_is_stopped_once_its_beat_is_stale(work):
    cell = work.study.cells[0]
    save_state(state_path(work, cell), 2)
    beat_file(work, cell.name, updated=NOW - STALE_AFTER - 1)
    unit = units(work)[cell.name]
    assert (unit.state, unit.step, unit.rate) == ("stopped", 2, 0)
    assert "nothing is training" in status.report(work, NOW).splitlines()[-1]
    assert "1.0 min ago, process 4242" in status.report(work, NOW)


@needs_table
def test_a_worker_that_samples_is_seen_by_its_lock(work):
    cell = work.study.cells[0]
    save_state(state_path(work, cell), 2)
    beat_file(work, cell.name, updated=NOW - 1000, step=3)
    with exclusive(state_path(work, cell)):
        unit = units(work)[cell.name]
        assert (unit.state, unit.step, unit.rate) == ("working", 3, 0)
    assert units(work)[cell.name].state == "stopped"


@needs_table
def test_a_status_disturbs_no_worker(work):
    """A worker that claims the lock again and again always gets it, whatever is read meanwhile."""
    path = state_path(work, work.study.cells[0])
    code = f"""
        from pathlib import Path
        from lrcore.runtime.files import claimed
        path, refused = Path({str(path)!r}), 0
        print("ready", flush=True)
        for _ in range(3000):
            with claimed(path) as free:
                refused += not free
        print(refused)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout.readline() == "ready\n"
        while worker.poll() is None:
            status.holder(path)
        assert worker.stdout.read() == "0\n"


def test_an_autoencoder_in_training_is_shown_too(work):
    folder = autoencoder_folder(work, "rae")
    save_state(folder.with_name(f"{folder.name}.training.safetensors"), 4)
    unit = units(work)[autoencoder_unit("rae")]
    assert (unit.state, unit.saved, unit.total) == ("stopped", 4, 6)
    beat_file(work, autoencoder_unit("rae"), step=5)
    assert units(work)[autoencoder_unit("rae")].step == 5


def test_a_diverged_training_is_named_and_not_waited_for(work):
    cell = work.study.cells[0]
    training_folder(work, cell).mkdir(parents=True)
    (training_folder(work, cell) / "diverged.json").write_text("{}")
    save_state(state_path(work, cell), 2)
    unit = units(work)[cell.name]
    assert (unit.state, unit.step) == ("diverged", 2)
    assert "transformers left       18 steps" in status.report(work, NOW)


def test_the_loss_comes_from_the_rows_where_the_checkpoint_is_gone(work):
    cell = work.study.cells[0]
    log = LossLog(bins=2)
    for step, loss in ((2, 5.0), (4, 3.0)):
        log.add(torch.tensor([0.1, 0.1, 0.1, 0.9]), torch.tensor([loss, loss, loss, loss + 4]))
        log.close_interval(step)
    write_losses(work.folders.data, "tiny", cell.name, loss_rows(log.rows[0], cell, 128, "r", "v"))
    for step in (3, 6):
        path = snapshot_path(work, cell, step)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    unit = units(work)[cell.name]
    assert (unit.loss, unit.saved, unit.state) == (pytest.approx(4.0), 6, "stopped")


def test_no_weights_are_loaded_and_a_custom_autoencoder_is_not_made(tmp_path):
    (tmp_path / "mine.py").write_text("def make():\n    raise SystemExit('it was made')\n")
    toml = tmp_path / "mine.toml"
    toml.write_text(f'extends = "{TINY}"\n[autoencoders.flux2]\nfamily = "{tmp_path / "mine.py"}:make"\n')
    folders = Folders(*(tmp_path / name for name in ("data", "imgs", "runs")))
    work = Workspace(load_study(str(toml)), folders, StopRequest(), lambda steps: None)
    text = status.report(work, NOW)
    assert "whether rows of flux2 are up to date" in text
    cell = next(cell for cell in work.study.cells if cell.ae == "flux2")
    other = next(cell for cell in work.study.cells if cell.ae == "rae")
    rows = generation_rows(work, other, ALL, ae="flux2", repa=cell.repa, recipe="some")
    write_generation(work.folders.data, "mine", cell.name, rows)
    assert status.status_of(work, NOW).counts["transformers"] == (4, 1)


def test_the_command(tmp_path, capsys):
    places = [f"--{name}={tmp_path / name}" for name in ("data", "imgs", "runs")]
    assert status.main([TINY, *places]) == 0
    assert capsys.readouterr().out.startswith("study 'tiny': A test.\n")
    assert status.main(["tinny", *places]) == 2
    assert "unknown study 'tinny'" in capsys.readouterr().err
    assert status.main([TINY, *places, "--watch", "0"]) == 2
    assert "--watch must be seconds above 0, got 0.0" in capsys.readouterr().err
    assert status.main([TINY, *places, "--watch", "1e300"]) == 2
    assert "--watch must be at most 86400 seconds, got 1e+300" in capsys.readouterr().err


def test_watching_repeats_until_it_is_interrupted(tmp_path, capsys, monkeypatch):
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(status.time, "sleep", sleep)
    places = [f"--{name}={tmp_path / name}" for name in ("data", "imgs", "runs")]
    assert status.main([TINY, *places, "--watch", "7"]) == 0
    assert slept == [7, 7, 7]
    assert capsys.readouterr().out.count("study 'tiny'") == 3


def test_what_is_worked_on_beats_and_ends_silent(tmp_path):
    beats = Heartbeats(tmp_path, "tiny")
    path = heartbeat_path(tmp_path, "tiny", "cell")
    with beats.of(["cell", "waiting"], total=6):
        assert read_beat(path) is None
        beats.beat("cell", 3)
        beats.alive()
        assert (read_beat(path).step, read_beat(path).total) == (3, 6)
        assert read_beat(heartbeat_path(tmp_path, "tiny", "waiting")).step == 0
        with beats.of(["autoencoder-sd"], total=8):
            beats.beat("autoencoder-sd", 1)
        assert read_beat(path).step == 3
    assert not list(path.parent.iterdir())
    beats.beat("cell", 4)  # of nobody here
    assert not list(path.parent.iterdir())


def test_autoencoders_that_the_grid_does_not_use_are_not_waited_for(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        f'extends = "{TINY}"\n[[grid]]\nae = ["rae"]\ntrainp = ["ln"]\ntrainshift = [1.0]\nrepa = ["none"]\n'
    )
    folders = Folders(tmp_path / "data", tmp_path / "imgs", tmp_path / "runs")
    work = Workspace(load_study(str(path)), folders, StopRequest(), lambda steps: None)
    counts = status.status_of(work, 0.0).counts
    assert counts["autoencoders to train"] == (1, 0) and counts["reconstructions"] == (1, 0)
