"""Who does the units of a study: several processes that share it, workers of one command, tasks of Ray."""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import killed_train
import pytest
from tiny_study import TINY, arguments, stored

from lrcore import train
from lrcore.command_line import STOPPED
from lrcore.errors import LrcoreError
from lrcore.executors.ray import _drive, _room, share_of_machine
from lrcore.executors.report import Report
from lrcore.runtime.files import claimed
from lrcore.runtime.interruption import StopRequest, StudyInterrupted
from lrcore.runtime.progress import Progress
from lrcore.stages.autoencoder import AutoencoderDivergedError
from lrcore.stages.engine import Unit, work_off


class Units:
    """Units that note when they are done."""

    def __init__(self, folder):
        self.folder, self.log = folder, []

    def unit(self, name, ae="ae", needs=None, action=lambda: None, locks=None):
        def act():
            action()
            self.log.append(name)

        paths = tuple(self.folder / lock for lock in locks or [name])
        return Unit(name, ae, frozenset([needs] if needs else []), paths, lambda: name in self.log, lambda: 0, act)


@pytest.fixture
def units(tmp_path):
    return Units(tmp_path)


def test_units_are_done_once_in_order(units):
    made = [units.unit("a"), units.unit("b", needs="a"), units.unit("c", needs="no unit of this list")]
    units.log.append("c")
    assert work_off(made, StopRequest(), Progress(0)) == {}
    assert units.log == ["c", "a", "b"]


def test_a_claimed_unit_is_skipped_with_what_needs_it_and_taken_over_when_free(units, capsys):
    made = [units.unit("a"), units.unit("b", needs="a"), units.unit("c"), units.unit("d", locks=["d", "a"])]
    with contextlib.ExitStack() as other:
        assert other.enter_context(claimed(units.folder / "a"))
        # the last that is free lets go of the claim, and the waiting can go on
        stop = StopRequest()
        checks = []

        def check():
            checks.append(list(units.log))
            if len(checks) == 4:
                other.close()

        stop.check = check
        began = time.monotonic()
        work_off(made, stop, Progress(0))
    assert units.log == ["c", "a", "b", "d"]
    assert 1.0 < time.monotonic() - began < 10
    assert capsys.readouterr().err.count("waiting for other processes that work on: a, d\n") == 1


def test_what_another_process_did_meanwhile_is_not_done_again(units):
    made = [units.unit("a", action=lambda: units.log.append("b")), units.unit("b")]
    work_off(made, StopRequest(), Progress(0))
    assert units.log == ["b", "a"]


def test_waiting_for_others_ends_with_the_budget(units):
    with claimed(units.folder / "a"), pytest.raises(StudyInterrupted, match="budget"):
        work_off([units.unit("a")], StopRequest(budget=0.5), Progress(0))
    assert units.log == []


def test_an_autoencoder_that_diverges_is_left_out_of_what_follows(units):
    def diverge():
        raise AutoencoderDivergedError("NaN")

    made = [
        units.unit("autoencoder x", ae="x", action=diverge),
        units.unit("cell of x", ae="x", needs="autoencoder x"),
        units.unit("cell of y", ae="y"),
    ]
    assert work_off(made, StopRequest(), Progress(0)) == {"x": "NaN"}
    assert units.log == ["cell of y"]


def test_a_unit_whose_process_is_killed_is_taken_over(undisturbed, tmp_path):
    # dies in the first training of a transformer, which the other takes over from its checkpoint
    only = arguments(tmp_path, "--ae", "flux2")
    first = killed_train.start(only, tmp_path / "first.txt", ("step", 6 + 3))
    second = killed_train.start(only, tmp_path / "second.txt")
    first.join()
    second.join()
    assert second.exitcode == 0, (tmp_path / "second.txt").read_text()
    assert stored(tmp_path) == stored(undisturbed, "flux2")


def with_autoencoders(undisturbed, folder):
    """Put the trained autoencoders of the undisturbed study there, so that trainings of transformers come first."""
    shutil.copytree(undisturbed / "runs" / "tiny" / "autoencoders", folder / "runs" / "tiny" / "autoencoders")


FITTED = f"""
extends = "{TINY}"
[autoencoders.pca]
family = "patches"
patch = 4
coefficients = 16
[training]
evaluate_at = [1000000]
checkpoint_every = 100000
[[grid]]
ae = ["pca"]
trainp = ["ln", "ts"]
trainshift = [1.0]
repa = ["none"]
"""
"""Two trainings, whose first checkpoint is far away, of an autoencoder that takes no training and no diffusers."""


def fitted(folder):
    """The study `FITTED` as a file in the folder."""
    study = folder / "fitted.toml"
    study.write_text(FITTED)
    return str(study)


class Command:
    """`lrcore.train` with a folder, in a process of its own."""

    def __init__(self, folder, *more, study=TINY):
        self.output = folder / "printed.txt"
        self.process = killed_train.start([study, *arguments(folder)[1:], *more], self.output)
        self.pid = self.process.pid

    def ended(self, status=0):
        """What it printed, once it has ended with this exit status."""
        self.process.join()
        assert self.process.exitcode == status, self.output.read_text()
        return self.output.read_text()


def children(pid):
    """The process's children that run Python, workers among them, by their order."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


def until(happened, command):
    """Wait until something has happened while a command runs; how long that takes is the machine's affair."""
    while not happened():
        assert command.process.is_alive(), command.output.read_text()
        time.sleep(0.05)


def workers_of(command):
    """Process ids of the workers of a command, which its server of processes has made."""
    found = children(command.pid)
    servers = [pid for pid in found if b"forkserver import main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return [worker for server in servers for worker in children(server)]


def test_workers_share_a_study_and_one_that_is_killed_is_reported(undisturbed, tmp_path):
    command = Command(tmp_path, "--workers", "2", "--only", "reconstruction")
    locks = "runs/tiny/units/autoencoder/.*.lock"
    until(lambda: list(tmp_path.glob(locks)) and len(workers_of(command)) == 2, command)
    killed = workers_of(command)
    os.kill(killed[0], signal.SIGKILL)
    printed = command.ended()
    assert "worker 1 died (SIGKILL); others take over its unit" in printed
    assert "worker 2:" in printed
    assert printed.count("study 'tiny': done in ") == 1
    made = stored(tmp_path)
    assert sum("reconstruction" in path for path in made) == 2
    assert made.items() <= stored(undisturbed).items()


def test_sigterm_to_the_parent_stops_all_workers_cleanly(tmp_path):
    command = Command(tmp_path, "--workers", "2", "--only", "generation", study=fitted(tmp_path))
    until(lambda: len(list(tmp_path.glob("runs/fitted/transformers/*/.state.safetensors.lock"))) == 2, command)
    workers = workers_of(command)
    time.sleep(2)
    command.process.terminate()
    printed = command.ended(STOPPED)
    assert "stopped: SIGTERM received. The same command goes on from here." in printed
    assert "died" not in printed
    assert len(list(tmp_path.glob("runs/fitted/transformers/*/state.safetensors"))) == 2
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


def test_workers_stop_when_the_parent_is_killed(tmp_path):
    command = Command(tmp_path, "--workers", "2", "--only", "generation", study=fitted(tmp_path))
    until(lambda: list(tmp_path.glob("runs/fitted/transformers/*/.state.safetensors.lock")), command)
    workers = workers_of(command)
    command.process.kill()
    command.process.join()
    while [pid for pid in workers if _alive(pid)]:
        time.sleep(0.2)


def _alive(pid):
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--executor", "slurm"], "unknown executor 'slurm'; allowed: local, ray"),
        (["--workers", "0"], "--workers must be at least 1, got 0"),
        (["--workers", "257", "--plan"], "--workers must be at most 256, got 257"),
        (["--gpus-per-run", "0.25"], "--gpus-per-run goes with --executor ray, not local"),
        (["--executor", "ray", "--workers", "2"], "--workers goes with --executor local, not ray"),
    ],
)
def test_options_of_executors_that_do_not_fit_are_refused(more, message, tmp_path, capsys):
    assert train.main(arguments(tmp_path, *more)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0, 4.0])
def test_shares_that_ray_can_hand_out(share):
    assert share_of_machine("--gpus-per-run", share) == share


@pytest.mark.parametrize("share", [-1.0, 1.5, float("nan"), float("inf")])
def test_shares_that_ray_cannot_hand_out(share):
    with pytest.raises(LrcoreError, match="--gpus-per-run must be a fraction from 0 to 1 or a whole number"):
        share_of_machine("--gpus-per-run", share)


def test_without_ray_the_command_says_how_to_install_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert train.main(arguments(tmp_path, "--executor", "ray")) == 2
    assert "pip install 'lrcore[ray]'" in capsys.readouterr().err


class Tasks:
    """A cluster with so much room, whose units end in the order given, as their report says."""

    def __init__(self, room, reports=None):
        self.room, self.reports, self.running, self.given, self.most = room, reports or {}, {}, [], 0
        self.stopped = False

    @property
    def full(self):
        return len(self.running) >= self.room

    def give(self, unit):
        self.given.append(unit.name)
        self.running[unit.name] = unit
        self.most = max(self.most, len(self.running))

    def ended(self):
        unit = self.running.pop(next(iter(self.running)))
        return [(unit, self.reports.get(unit.name, Report({})))]

    def stop(self):
        self.stopped = True


def test_ray_gets_no_more_units_than_fit_and_goes_on_where_one_goes_wrong(units, capsys):
    """What waits in the queue would have to start before it could stop."""
    made = [
        units.unit("autoencoder x", ae="x"),
        units.unit("cell of x", ae="x", needs="autoencoder x"),
        units.unit("autoencoder y", ae="y"),
        units.unit("cell of y", ae="y", needs="autoencoder y"),
        units.unit("another of y", ae="y", needs="autoencoder y"),
    ]
    tasks = Tasks(2, {"autoencoder x": Report({}, error="out of memory")})
    with pytest.raises(LrcoreError, match="out of memory"):
        _drive(made, tasks, StopRequest())
    assert tasks.given == ["autoencoder x", "autoencoder y", "cell of y", "another of y"]
    assert tasks.most == 2 and not tasks.stopped
    assert "autoencoder x went wrong: out of memory" in capsys.readouterr().err


def test_a_unit_of_ray_that_was_stopped_stops_the_others(units):
    tasks = Tasks(1, {"a": Report({}, stopped="SIGTERM received")})
    with pytest.raises(StudyInterrupted, match="a stopped: SIGTERM received"):
        _drive([units.unit("a"), units.unit("b")], tasks, StopRequest())
    assert tasks.stopped and tasks.given == ["a"]


@pytest.mark.parametrize(
    ("cpus", "gpus", "room"), [(1.0, 0.0, 16), (4.0, 0.0, 4), (1.0, 0.5, 4), (1.0, 1.0, 2), (0.0, 0.0, sys.maxsize)]
)
def test_the_room_of_a_cluster(cpus, gpus, room):
    assert _room(lambda: {"CPU": 16.0, "GPU": 2.0, "memory": 1e9}, {"num_cpus": cpus, "num_gpus": gpus})() == room
    if gpus:
        assert _room(lambda: {"CPU": 16.0}, {"num_cpus": cpus, "num_gpus": gpus})() == 0


def test_units_of_ray_never_share_a_process(tmp_path):
    """One that used a GPU stays on it, whichever of them Ray gives it next."""
    require_ray()
    program = """
import os, ray
from lrcore.executors.ray import one_process_each
ray.init(num_cpus=1, num_gpus=2, include_dashboard=False, logging_level="error")
task = one_process_each(lambda: os.getpid()).options(num_cpus=0, num_gpus=1)
found = [ray.get(task.remote()) for _ in range(4)]
print("processes", len(set(found)))
"""
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert "processes 4" in done.stdout, done.stderr[-2000:]


def require_ray():
    """Ray, or a skip that nobody overlooks; a failure in CI."""
    if importlib.util.find_spec("ray") is None:
        message = "Ray is not installed: --executor ray is NOT tested (pip install 'lrcore[ray]')"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


def descendants(pid):
    found = []
    for child in children(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += [child, *descendants(child)]
    return found


def running_task(pid, name):
    """Process ids of Ray's workers below `pid` that do the unit of that name."""
    found = []
    for process in descendants(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if Path(f"/proc/{process}/cmdline").read_bytes().startswith(b"ray::" + name.encode()):
                found.append(process)
    return found


def test_ray_does_a_unit_again_whose_process_was_killed(undisturbed, tmp_path):
    require_ray()
    with_autoencoders(undisturbed, tmp_path)
    command = Command(tmp_path, "--executor", "ray", "--ae", "flux2", "--repa", "none", "--only", "generation")
    unit = "flux2-none-ln-1.00-seed3"
    until(lambda: list(tmp_path.glob(f"runs/tiny/transformers/{unit}-*/average-0000003.safetensors")), command)
    killed = running_task(command.pid, unit)
    assert len(killed) == 1
    os.kill(killed[0], signal.SIGKILL)
    printed = command.ended()
    assert f"{unit} ended; " in printed
    assert printed.count("study 'tiny': done in ") == 1
    made = stored(tmp_path)
    assert any("generation" in path and unit in path for path in made)
    assert made.items() <= stored(undisturbed).items()
    assert not list(tmp_path.rglob(".stop-*"))


def test_sigterm_stops_the_tasks_of_ray_cleanly(tmp_path):
    require_ray()
    command = Command(tmp_path, "--executor", "ray", "--only", "generation", study=fitted(tmp_path))
    until(lambda: len(list(tmp_path.glob("runs/fitted/transformers/*/.state.safetensors.lock"))) == 2, command)
    time.sleep(2)
    command.process.terminate()
    printed = command.ended(STOPPED)
    assert "stopped: SIGTERM received. The same command goes on from here." in printed
    assert len(list(tmp_path.glob("runs/fitted/transformers/*/state.safetensors"))) == 2
    assert not list(tmp_path.rglob(".stop-*"))
