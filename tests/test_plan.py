"""The plan of a study: counts before and after, costs that are known, and nothing written."""

from pathlib import Path

import pytest
import torch

from lrcore import plan as planning
from lrcore import train
from lrcore.autoencoders.base import LatentShape
from lrcore.stages.workspace import Folders, Workspace
from lrcore.studies import load_study
from lrcore.transformer import SHAPES, DiffusionTransformer

TINY = str(Path(__file__).parent / "tiny.toml")


def test_flops_of_xl_are_the_published_ones():
    """237.2 GFLOP forward (118.6 GMACs), 711.7 a training image: DiT-XL/2 on 256 tokens of 16 channels."""
    with torch.device("meta"):
        model = DiffusionTransformer(SHAPES["DiT-XL"], 16, (16, 16), 1000)
    forward, backward = planning._pass_flops(model, LatentShape(256, (16, 16), 16, 2))
    assert forward / 1e9 == pytest.approx(237.2, abs=0.1)
    assert (forward + backward) / 1e9 == pytest.approx(711.7, abs=0.1)


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
    return {line[:24].strip(): tuple(map(int, line[24:].split())) for line in found[3:8]}


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


def test_training_flops_follow_from_the_grid(tmp_path):
    """Steps x batch x FLOPs an image, for every cell; half of the cells, half of the cost."""
    study = load_study(TINY)
    work = Workspace(study, Folders(tmp_path, tmp_path, tmp_path), None, None)
    cells = [cell for cell in study.cells if cell.ae == "flux2"]
    cost, half = planning._cost(work, "flux2", cells), planning._cost(work, "flux2", cells[: len(cells) // 2])
    latent = planning.latent_shape(work, "flux2")
    forward, backward = planning._pass_flops(planning._model(work, latent, "meta"), latent)
    images = study.training.batch_size * study.training.evaluate_at[-1]
    assert cost.training_flops == len(cells) * images * (forward + backward)
    assert cost.training_flops == 2 * half.training_flops
    drawn = study.evaluation.n_samples * study.evaluation.sampling_steps
    assert cost.sampling_flops == len(cells) * 2 * 2 * drawn * forward
    assert cost.disk > half.disk
