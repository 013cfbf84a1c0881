"""Noise and classes of samples are drawn once, and are those of their numbers."""

from pathlib import Path

import pytest
import torch

from lrcore.autoencoders.base import LatentShape
from lrcore.flow.sampling import drawn_labels, starting_noise
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.stages import starts as stage
from lrcore.stages.anchors import sample_seed
from lrcore.stages.choice import Best, Task, measuring
from lrcore.stages.starts import starts
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study

LATENT, OTHER = LatentShape(32, (2, 2), 4), LatentShape(32, (2, 3), 4)


@pytest.fixture
def work(tmp_path):
    study = load_study(str(Path(__file__).parents[1] / "tiny.toml"))
    return Workspace(study, Folders(tmp_path, tmp_path, tmp_path), StopRequest(), lambda steps: None)


@pytest.fixture
def drawn(monkeypatch):
    """The numbers of the samples whose noise is drawn."""
    found = []

    def counted(seed, numbers, tokens, channels):
        found.extend(numbers)
        return starting_noise(seed, numbers, tokens, channels)

    monkeypatch.setattr(stage, "starting_noise", counted)
    return found


def exact(found, work, latent, numbers):
    noise, labels = found
    seed = sample_seed(work)
    return torch.equal(noise, starting_noise(seed, numbers, latent.tokens, latent.channels_per_token)) and torch.equal(
        labels, drawn_labels(seed, numbers, 10)
    )


def test_all_trainings_and_shifts_share_them(work, drawn):
    for _ in range(3):
        for numbers in ([0, 1, 2], [3, 4]):
            assert exact(starts(work, LATENT, 10, numbers), work, LATENT, numbers)
    assert drawn == [0, 1, 2, 3, 4]


def test_another_latent_space_another_seed_or_other_classes_have_their_own(work, drawn):
    first = starts(work, LATENT, 10, [0, 1])
    assert exact(starts(work, OTHER, 10, [0, 1]), work, OTHER, [0, 1])
    again = measuring(work, Task("flux2", "none", "", 3, 0, "none", 5, (8,)), Best(work.study.cells[0], 1.0), 8)
    assert sample_seed(again) != sample_seed(work)
    found = starts(again, LATENT, 10, [0, 1])
    assert exact(found, again, LATENT, [0, 1]) and not torch.equal(found.noise, first.noise)
    assert starts(work, LATENT, 1, [0, 1]).labels.tolist() == [0, 0]
    assert len(drawn) == 8


def test_what_is_past_the_bound_is_drawn_each_time(work, drawn, monkeypatch):
    monkeypatch.setattr(stage, "IN_MEMORY", 2 * LATENT.dimension * 4)
    for _ in range(2):
        for numbers in ([0, 1], [2, 3]):
            assert exact(starts(work, LATENT, 10, numbers), work, LATENT, numbers)
    assert drawn == [0, 1, 2, 3, 2, 3]
