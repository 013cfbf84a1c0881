"""Pictures of samples: which setting they show, that the seeds are the same, that they are made once."""

from dataclasses import replace
from math import nan

import numpy
import pytest
import torch
from no_sync import NoSync
from PIL import Image
from tiny_study import TINY

from lrcore import train
from lrcore.plan.costs import Costs
from lrcore.records.reading import read_generation
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.stages import generation
from lrcore.stages.training import load_snapshot
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study
from lrcore.training.loop import DivergedError


def arguments(folder, *more):
    return [TINY, *(f"--{name}={folder / name}" for name in ("data", "imgs", "runs")), "--ae", "flux2", *more]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    assert train.main(arguments(folder, "--only", "generation", "samples")) == 0
    return folder


def pictures(folder):
    return sorted((folder / "imgs" / "tiny" / "samples").iterdir())


def test_both_kinds_of_repa_are_shown_at_the_best_setting_without_it(done):
    assert [path.name for path in pictures(done)] == ["flux2-efficientnet_lite0.png", "flux2-none.png"]
    rows = read_generation(done / "data")
    rows = rows[(rows.repa == "none") & (rows.step == 6)]
    best = rows.loc[rows.fid.idxmin()]
    for path in pictures(done):
        said = Image.open(path).text
        assert path.stem == f"{said['ae']}-{said['repa']}"
        assert said["sampleshift"] == f"{best.sampleshift:.2f}" and said["step"] == "6"


def test_a_picture_holds_the_first_samples_that_are_measured(done):
    places = (done / name for name in ("data", "imgs", "runs"))
    work = Workspace(load_study(TINY), Folders(*places), StopRequest(), lambda steps: None)
    for path in pictures(done):
        said = Image.open(path).text
        cell = next(cell for cell in work.study.cells if (cell.ae, cell.repa) == (said["ae"], said["repa"]))
        model = load_snapshot(work, cell, 6)
        images, _ = generation.sample(work, cell, model, float(said["sampleshift"]), range(5))
        tiles = numpy.asarray(Image.open(path)).reshape(32, 8, 32, 3).swapaxes(0, 1)
        numpy.testing.assert_array_equal(tiles[:5], images.permute(0, 2, 3, 1))


def opened(folder):
    """The study in `folder`, its first training and that one's weights."""
    work = Workspace(load_study(TINY), Folders(*(folder / name for name in ("data", "imgs", "runs"))), StopRequest(),
                     lambda steps: None)  # fmt: skip
    return work, work.study.cells[0], load_snapshot(work, work.study.cells[0], 6)


def test_samples_stay_on_the_device_until_all_are_drawn(done):
    work, cell, model = opened(done)
    images, paths = generation.sample(work, cell, model, 4.63, range(5))
    with NoSync():
        found = generation.sampled(work, cell, model, 4.63, range(5))
    assert found.finite and torch.equal(found.images, images) and torch.equal(found.paths, paths)


def test_weights_past_use_are_noticed_at_the_end(done, monkeypatch):
    """In the last of two batches alone."""
    work, cell, model = opened(done)
    forward = model.forward

    def broken(tokens, t, labels):
        found, whole = forward(tokens, t, labels), len(tokens) == work.study.evaluation.batch_size
        return found if whole else replace(found, velocity=found.velocity * nan)

    monkeypatch.setattr(model, "forward", broken)
    monkeypatch.setattr(generation, "load_snapshot", lambda *of: model)
    assert generation.draw_samples(work, cell, 6, 1.0) is None
    with pytest.raises(DivergedError, match="samples hold NaN"):
        generation.sample(work, cell, model, 1.0, range(3))
    assert len(generation.sample(work, cell, model, 1.0, range(5))[0]) == 5


def test_done_once_they_are_not_done_again_and_a_lost_one_comes_back_the_same(done, capsys):
    assert train.main(arguments(done, "--only", "samples")) == 0
    assert "nothing to do" in capsys.readouterr().out
    lost = pictures(done)[1]
    before = lost.read_bytes()
    lost.unlink()
    for path in (done / "runs").rglob("average-*"):  # the weights may have gone, too
        path.unlink()
    assert train.main(arguments(done, "--only", "samples")) == 0
    assert "samples of 1 autoencoders to show" in capsys.readouterr().err
    assert lost.read_bytes() == before


def test_what_is_half_measured_is_not_shown(done, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Costs, "seconds", lambda costs, operation: 0.0)
    assert train.main(arguments(tmp_path, "--repa", "none", "--plan")) == 0
    counted = {line[:24].strip(): line.split()[-3:] for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert counted["pictures of samples"] == ["1", "1", "0"]
