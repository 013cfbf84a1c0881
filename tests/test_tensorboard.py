"""Event files, as TensorBoard's own reader sees them."""

import builtins
import dataclasses
import importlib.util
import math
import os
from pathlib import Path

import pytest

from lrcore import tensorboard
from lrcore.records.schema import GenerationRow, LossRow
from lrcore.records.writing import write_generation, write_losses

TINY = str(Path(__file__).parent / "tiny.toml")
INSTALLED = importlib.util.find_spec("tensorboard") is not None
RUN = "sd-none-ln-2.95-seed7"


@pytest.fixture
def reader():
    if not INSTALLED:
        message = "TensorBoard is not installed: event files are NOT tested (pip install 'lrcore[tensorboard]')"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read(folder):
        found = EventAccumulator(str(folder)).Reload()
        return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}

    return read


def row(kind, **changes):
    defaults = {"int": 0, "float": 1.0, "str": "x"}
    values = {f.name: defaults[f.type] for f in dataclasses.fields(kind) if f.name != "schema_version"}
    cell = {"ae": "sd", "repa": "none", "trainp": "ln", "trainshift": 2.95, "train_seed": 7, "skip": "none"}
    return kind(**{**values, **cell, **changes})


def loss(step, t_low, value, count, **changes):
    return row(LossRow, step=step, t_low=t_low, t_high=t_low + 0.5, loss=value, count=count, **changes)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    losses = [loss(10, 0.0, 2.0, 3), loss(10, 0.5, 4.0, 1), loss(20, 0.0, 1.0, 2), loss(20, 0.5, math.nan, 0)]
    write_losses(folder, "tiny", "run", losses)
    scores = [
        row(GenerationRow, step=20, sampleshift=1.0, fid=33.0, kid=0.5, feature_network="inception2015"),
        row(GenerationRow, step=20, sampleshift=4.63, fid=math.nan, feature_network="inception2015", kid=math.nan),
    ]
    write_generation(folder, "tiny", "run", scores)
    write_losses(folder, "other", "run", [loss(10, 0.0, 7.0, 1, ae="rae")])
    return folder


def test_losses_and_scores_are_curves_over_the_steps(data, tmp_path, reader):
    assert tensorboard.write_events(data, "tiny", tmp_path / "events") == [RUN]
    assert reader(tmp_path / "events" / "tiny" / RUN) == {
        "loss": [(10, 2.5), (20, 1.0)],
        "loss by t/0.00 to 0.50": [(10, 2.0), (20, 1.0)],
        "loss by t/0.50 to 1.00": [(10, 4.0)],
        "FID/sampleshift 1.00": [(20, 33.0)],
        "kernel distance/sampleshift 1.00": [(20, 0.5)],
        "precision/sampleshift 1.00": [(20, 1.0)],
        "precision/sampleshift 4.63": [(20, 1.0)],
        "recall/sampleshift 1.00": [(20, 1.0)],
        "recall/sampleshift 4.63": [(20, 1.0)],
    }


def test_other_features_are_not_called_fid(tmp_path, reader):
    write_generation(tmp_path, "tiny", "run", [row(GenerationRow, step=1, feature_network="efficientnet_lite0")])
    tensorboard.write_events(tmp_path, "tiny", tmp_path / "events")
    assert "FD (EfficientNet-Lite0)/sampleshift 1.00" in reader(tmp_path / "events" / "tiny" / RUN)


def test_again_it_replaces_what_it_wrote(data, tmp_path, reader):
    tensorboard.write_events(data, "tiny", tmp_path / "events")
    write_losses(data, "tiny", "run", [loss(30, 0.0, 0.5, 2)])
    tensorboard.write_events(data, "tiny", tmp_path / "events")
    folder = tmp_path / "events" / "tiny" / RUN
    assert len(list(folder.iterdir())) == 1
    assert reader(folder)["loss"] == [(10, 2.5), (20, 1.0), (30, 0.5)]


def test_the_command(data, tmp_path, capsys, reader):
    assert tensorboard.main([TINY, "--data", str(data), "--to", str(tmp_path / "events")]) == 0
    assert capsys.readouterr().out == f"wrote 1 runs; to see them: tensorboard --logdir {tmp_path / 'events'}\n"
    assert reader(tmp_path / "events" / "tiny" / RUN)
    assert tensorboard.main(["smoke", "--data", str(data), "--to", str(tmp_path / "events")]) == 2
    assert "has no rows of study 'smoke'" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert tensorboard.main([TINY, "--data", str(data), "--to", str(tmp_path / "file")]) == 2
    assert "cannot be written to" in capsys.readouterr().err


def test_without_tensorboard_the_error_says_how_to_install_it(data, tmp_path, capsys, monkeypatch):
    found = builtins.__import__

    def without(name, *more):
        if name.startswith(("tensorboard", "torch.utils.tensorboard")):
            raise ImportError(name)
        return found(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert tensorboard.main([TINY, "--data", str(data), "--to", str(tmp_path / "events")]) == 2
    assert "pip install 'lrcore[tensorboard]'" in capsys.readouterr().err
