"""Patch features of the training images: in parts that outlive a stop, the same whoever made them."""

import pytest
import torch
from rounding import assert_as_exact, in_float64
from tiny_study import TINY

from lrcore.datasets.images import to_float
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest, StudyInterrupted
from lrcore.stages import features
from lrcore.stages.features import training_features
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "PART_IMAGES", 20)
    monkeypatch.setattr(features, "CHUNK", 10)
    folders = Folders(*(tmp_path / name for name in ("data", "imgs", "runs")))
    return Workspace(load_study(TINY), folders, StopRequest(), lambda steps: None)


def exactly(work, pixels):
    """The encoder's patches in float64, of images that it gets in float32."""
    network, inputs = in_float64(work.encoder), work.encoder._input(pixels)
    return network._patches(inputs.double())


def parts(work):
    return sorted(work.runs.glob("features/*/*.safetensors"))


def test_they_are_those_of_the_encoder_image_by_image(work):
    found = training_features(work)
    assert [path.name for path in parts(work)] == [f"{number:05d}.safetensors" for number in range(3)]
    pixels = to_float(work.images.train.images[35:45])
    single, exact = (
        tokens.flatten(2).transpose(1, 2) for tokens in (work.encoder.patches_only(pixels), exactly(work, pixels))
    )
    assert found.shape == (48, 16, 112)
    assert_as_exact(found[35:45], single, exact)


def test_stopped_in_the_middle_whole_parts_stay_and_only_the_others_are_made(work):
    looks = []

    def check():
        looks.append(0)
        if len(looks) == 4:
            work.stop.reason = "asked to"
        StopRequest.check(work.stop)

    work.stop.check = check
    with pytest.raises(StudyInterrupted):
        training_features(work)
    assert len(parts(work)) == 1 and not list(work.runs.rglob(".*.tmp"))
    before = parts(work)[0].stat().st_mtime_ns
    work.stop = StopRequest()
    resumed = training_features(work)
    assert parts(work)[0].stat().st_mtime_ns == before and len(parts(work)) == 3
    for path in parts(work):
        path.unlink()
    assert torch.equal(resumed, training_features(work))
