"""The plan of a study: counts before and after, costs that are known, and nothing written."""

from dataclasses import replace
from pathlib import Path

import pytest

from lrcore import plan as planning
from lrcore import train
from lrcore.compute import pass_flops
from lrcore.stages.training import snapshot_path
from lrcore.stages.workspace import Folders, Workspace
from lrcore.studies import load_study

TINY = str(Path(__file__).parent / "tiny.toml")


@pytest.mark.parametrize("ae", ["sd", "flux1", "flux2", "rae"])
def test_shapes_are_known_before_anything_is_trained(ae, tmp_path):
    work = Workspace(load_study("cifar10-cpu"), Folders(tmp_path, tmp_path, tmp_path), None, None)
    found = planning.latent_shape(work, ae)
    assert (found.tokens, found.channels_per_token) == (64, {"sd": 4, "flux1": 16, "flux2": 32, "rae": 112}[ae])
    assert not list(tmp_path.iterdir())


def lines(folder, capsys, *more):
    places = [f"--{name}={folder / name}" for name in ("data", "imgs", "runs")]
    assert train.main([TINY, *places, "--plan", *more]) == 0
    return capsys.readouterr().out.splitlines()


def counts(found):
    """(all, left) of each kind of work."""
    numbers = {line[:24].strip(): tuple(map(int, line[24:].split())) for line in found[3:8]}
    assert all(every == done + left for every, done, left in numbers.values())
    return {kind: (every, left) for kind, (every, _, left) in numbers.items()}


def test_a_plan_counts_what_is_left_and_writes_nothing(tmp_path, capsys):
    found = lines(tmp_path, capsys)
    assert counts(found) == {
        "autoencoders to train": (2, 2),
        "reconstructions": (2, 2),
        "latent diagnostics": (2, 2),
        "transformers": (4, 4),
        "evaluations of them": (16, 16),
    }
    assert "ae                      flux2, rae" in found
    assert any(line.startswith("training") and "FLOP" in line for line in found)
    assert not list(tmp_path.iterdir())
    measured = lines(tmp_path, capsys, "--only", "reconstruction")
    assert counts(measured)["transformers"] == (4, 0) and counts(measured)["evaluations of them"] == (16, 0)
    assert any(line.startswith("training                0.0 FLOP in the transformers, 12 steps") for line in measured)
    narrowed = counts(lines(tmp_path, capsys, "--ae", "rae", "--repa", "none"))
    assert narrowed["transformers"] == (1, 1) and narrowed["evaluations of them"] == (4, 4)


def test_a_study_whose_data_are_not_there_is_planned_all_the_same(tmp_path, capsys, monkeypatch):
    """imagenet256 at its real size: counts, published FLOPs, disk; nothing is asked of a hub."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LRCORE_OFFLINE", "1")
    monkeypatch.setattr(planning, "_seconds", lambda work, cell, training, sampling: training / 1e15)
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


def test_what_is_trained_already_is_not_planned_again(tmp_path):
    study = load_study(TINY)
    work = Workspace(study, Folders(tmp_path, tmp_path, tmp_path), None, None)
    cells = [cell for cell in study.cells if cell.ae == "flux2"]
    before = planning._cost(work, "flux2", cells)
    first = snapshot_path(work, cells[0], 3)
    for path in (first, first.with_name(first.name.replace("3", "6"))):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    after = planning._cost(work, "flux2", cells)
    assert after.training_flops == before.training_flops / 2
    assert after.sampling_flops == before.sampling_flops


def test_training_flops_follow_from_the_grid(tmp_path):
    """Steps x batch x FLOPs an image, for every cell; half of the cells, half of the cost."""
    study = load_study(TINY)
    work = Workspace(study, Folders(tmp_path, tmp_path, tmp_path), None, None)
    cells = [cell for cell in study.cells if cell.ae == "flux2"]
    cost, half = planning._cost(work, "flux2", cells), planning._cost(work, "flux2", cells[: len(cells) // 2])
    latent = planning.latent_shape(work, "flux2")
    forward, backward = pass_flops(planning._model(work, latent, "meta", cells[0]), latent)
    images = study.training.batch_size * study.training.evaluate_at[-1]
    assert cost.training_flops == len(cells) * images * (forward + backward)
    assert cost.training_flops == 2 * half.training_flops
    drawn = study.evaluation.n_samples * study.evaluation.sampling_steps
    assert cost.sampling_flops == len(cells) * 2 * 2 * drawn * forward
    assert cost.disk > half.disk
    wider = [replace(cell, width=128) for cell in cells]
    assert 2 * cost.training_flops < planning._cost(work, "flux2", wider).training_flops < 4 * cost.training_flops
    both = planning._cost(work, "flux2", [*cells[: len(cells) // 2], *wider[len(cells) // 2 :]])
    assert cost.training_flops < both.training_flops < planning._cost(work, "flux2", wider).training_flops
