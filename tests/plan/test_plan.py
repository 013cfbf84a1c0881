"""The plan of a study: counts before and after, costs that are known, and nothing written."""

from dataclasses import replace
from pathlib import Path

import pytest

from lrcore import train
from lrcore.errors import LrcoreError
from lrcore.plan import costs as costing
from lrcore.plan.costs import Costs
from lrcore.plan.operations import Kind, Operation
from lrcore.plan.rehearsal import Clock, rehearsal
from lrcore.plan.workload import workload
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.stages.latent_shape import latent_shape
from lrcore.stages.todo import Todo
from lrcore.stages.training import snapshot_path
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study

TINY = str(Path(__file__).parents[1] / "tiny.toml")


@pytest.mark.parametrize("ae", ["sd", "flux1", "flux2", "rae"])
def test_shapes_are_known_before_anything_is_trained(ae, tmp_path):
    work = Workspace(load_study("cifar10-cpu"), Folders(tmp_path, tmp_path, tmp_path), None, None)
    found = latent_shape(work, ae)
    assert (found.tokens, found.channels_per_token) == (64, {"sd": 4, "flux1": 16, "flux2": 32, "rae": 112}[ae])
    assert not list(tmp_path.iterdir())


@pytest.fixture
def untimed(monkeypatch):
    monkeypatch.setattr(Costs, "seconds", lambda costs, operation: 0.001)


def lines(folder, capsys, *more):
    places = [f"--{name}={folder / name}" for name in ("data", "imgs", "runs")]
    assert train.main([TINY, *places, "--plan", *more]) == 0
    return capsys.readouterr().out.splitlines()


def counts(found):
    """(all, left) of each kind of work."""
    numbers = {line[:24].strip(): tuple(map(int, line[24:].split())) for line in found[3:9]}
    assert all(every == done + left for every, done, left in numbers.values())
    return {kind: (every, left) for kind, (every, _, left) in numbers.items()}


def test_a_plan_counts_what_is_left_and_writes_nothing(tmp_path, capsys, untimed):
    found = lines(tmp_path, capsys)
    assert counts(found) == {
        "autoencoders to train": (2, 2),
        "reconstructions": (2, 2),
        "latent diagnostics": (2, 2),
        "anchors": (2, 2),
        "transformers": (4, 4),
        "evaluations of them": (16, 16),
    }
    assert "ae                      flux2, rae" in found
    assert any(line.startswith("training") and "FLOP" in line for line in found)
    assert not list(tmp_path.iterdir())
    measured = lines(tmp_path, capsys, "--only", "reconstruction")
    assert counts(measured)["transformers"] == (4, 0) and counts(measured)["evaluations of them"] == (16, 0)
    assert any(line.startswith("training                0.0 FLOP") for line in measured)
    assert any(line.startswith("autoencoders' steps") and line.split()[2] == "12" for line in measured)
    narrowed = counts(lines(tmp_path, capsys, "--ae", "rae", "--repa", "none"))
    assert narrowed["transformers"] == (1, 1) and narrowed["evaluations of them"] == (4, 4)


def test_a_study_whose_data_are_not_there_is_planned_all_the_same(tmp_path, capsys, monkeypatch, untimed):
    """imagenet256 at its real size: counts, published FLOPs, disk; nothing is asked of a hub."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LRCORE_OFFLINE", "1")
    assert train.main(["imagenet256", "--plan"]) == 0
    found = capsys.readouterr().out.splitlines()
    assert counts(found)["transformers"] == (120, 120) and counts(found)["evaluations of them"] == (2400, 2400)
    assert any(line.startswith("not there yet: ") and "'imagenet'" in line for line in found)
    told = {line[:24].strip(): line[24:] for line in found if line.strip()}
    # 120 trainings x 400,000 steps x 256 images x 711.7 GFLOP, a little more for the wider latents
    assert told["training"].startswith("8.8 ZFLOP")
    # float16 mean and deviation, plain and mirrored: 1.28 million x 8 bytes x (4096 + 16384 + 32768) numbers, and
    # 4 averages of 675 million float32 for each training, and the whole state of one in each latent space
    assert float(told["disk"].split()[0]) == pytest.approx(546 + 1297 + 43, rel=0.01)
    assert not list(tmp_path.iterdir())


def counted(work, cells, kind):
    todo = Todo([], [], [], [], cells, [], [])
    return sum(count for operation, count in workload(work, todo, begun=True).items() if operation.kind is kind)


def test_what_is_trained_already_is_not_planned_again(tmp_path):
    study = load_study(TINY)
    work = Workspace(study, Folders(tmp_path, tmp_path, tmp_path), None, None)
    cells = [cell for cell in study.cells if cell.ae == "flux2"]
    before = [counted(work, cells, kind) for kind in (Kind.STEP, Kind.PASS)]
    first = snapshot_path(work, cells[0], 3)
    for path in (first, first.with_name(first.name.replace("3", "6"))):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert [counted(work, cells, kind) for kind in (Kind.STEP, Kind.PASS)] == [before[0] / 2, before[1]]


def test_costs_follow_from_the_grid(tmp_path):
    """Half of the cells, half of the steps; operations by the width; a stack of two costs two."""
    study = load_study(TINY)
    work = Workspace(study, Folders(tmp_path, tmp_path, tmp_path), StopRequest(), lambda steps: None)
    cells = [cell for cell in study.cells if cell.ae == "flux2"]
    steps = study.training.evaluate_at[-1]
    assert counted(work, cells, Kind.STEP) == len(cells) * steps == 2 * counted(work, cells[:1], Kind.STEP)
    evaluations = len(cells) * len(study.training.evaluate_at) * len(study.evaluation.sampleshifts)
    drawn = evaluations * study.evaluation.n_samples
    assert counted(work, cells, Kind.DECODE) >= drawn
    assert counted(work, cells, Kind.PASS) == drawn * study.evaluation.sampling_steps
    clock = Clock(work.device)
    with rehearsal(work, clock) as stage:
        costs = Costs(work, stage, clock)
        plain = Operation(Kind.STEP, "flux2", size=1)
        assert 2 * costs.flops(plain) < costs.flops(replace(plain, width=256)) < 4 * costs.flops(plain)
        one, two = costs.seconds(plain), costs.seconds(replace(plain, size=2))
        assert one > 0 and two > 0
    assert not list(tmp_path.iterdir())


def test_the_table_adds_up(tmp_path, capsys):
    found = lines(tmp_path, capsys, "--ae", "flux2", "--repa", "none")
    table = found[found.index(next(line for line in found if "seconds each" in line)) + 1 :]
    end = next(number for number, line in enumerate(table) if line.startswith("total"))
    hours = [float(line.split()[-1].replace(",", "")) for line in table[:end]]
    assert all(line.split()[-3] != "0" for line in table[:end])
    # each is rounded to a thousandth
    assert float(table[end].split()[1]) == pytest.approx(sum(hours), abs=0.0005 * (len(hours) + 1))
    assert "core-hours" in table[end]
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_timed_is_named(tmp_path, capsys, monkeypatch):
    """Without the weights of the feature network the rest is planned all the same."""

    def absent(work):
        raise LrcoreError("these weights are not there")

    monkeypatch.setattr(costing, "load_network", absent)
    found = lines(tmp_path, capsys, "--ae", "flux2", "--repa", "none", "--only", "generation")
    missing = next(line for line in found if "these weights are not there" in line)
    assert "image in the feature network" in missing and "Frechet distance" in missing
    assert any(line.startswith("training steps") for line in found)
    assert not any(line.startswith("in the feature network") for line in found)
