"""A study in bfloat16 on a device that is slow at it."""

import dataclasses

import pytest
import torch
from tiny_study import TINY

from lrcore.errors import LrcoreError
from lrcore.runtime import bfloat16
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.stages import engine, precision
from lrcore.stages.engine import Job, run_study
from lrcore.stages.precision import bfloat16_keys, in_precision, require_quick_precision
from lrcore.stages.todo import Todo
from lrcore.studies.loading import load_study

CPU = torch.device("cpu")
NOTHING = Todo([], [], [], [], [], [], [])


@pytest.fixture
def study():
    plain = load_study(str(TINY))
    low = dataclasses.replace(plain.autoencoders["rae"], precision="bfloat16")
    return dataclasses.replace(
        plain,
        autoencoders={**plain.autoencoders, "rae": low},
        autoencoder_training=dataclasses.replace(plain.autoencoder_training, precision="bfloat16"),
        training=dataclasses.replace(plain.training, precision="bfloat16"),
    )


@pytest.fixture
def slow(monkeypatch):
    monkeypatch.setattr(precision, "bfloat16_slowdown", lambda device: 14.6)


def test_only_what_is_left_to_run_counts(study):
    def keys(**todo):
        return bfloat16_keys(study, dataclasses.replace(NOTHING, **todo))

    cell = study.cells[0]
    assert keys() == []
    assert keys(train=["rae"]) == ["autoencoder_training.precision"]
    assert keys(reconstruct=["flux2", "rae"]) == ["autoencoders.rae.precision"]
    assert keys(generate=[dataclasses.replace(cell, ae="flux2")]) == ["training.precision"]
    assert keys(show=["rae"]) == ["autoencoders.rae.precision", "training.precision"]


def test_a_slow_device_is_refused_by_what_it_takes(study, slow):
    with pytest.raises(LrcoreError, match=r"^training.precision 'bfloat16': this device \(cpu\) takes 15 times"):
        require_quick_precision(study, dataclasses.replace(NOTHING, generate=study.cells[:1]), CPU)
    require_quick_precision(study, NOTHING, CPU)
    todo = Todo(["rae"], ["rae"], [], [], study.cells, [], ["rae"])
    assert not bfloat16_keys(in_precision(study, "float32"), todo)
    assert in_precision(study, None) is study and in_precision(study, "study") is study
    require_quick_precision(in_precision(study, "float32"), todo, CPU)


def test_a_quick_device_is_not(study, monkeypatch):
    monkeypatch.setattr(precision, "bfloat16_slowdown", lambda device: bfloat16.SLOW - 0.1)
    require_quick_precision(study, dataclasses.replace(NOTHING, generate=study.cells), CPU)


def test_it_is_refused_before_any_work_and_run_where_that_is_asked_for(study, slow, tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(engine, "left_to_do", lambda *asked: dataclasses.replace(NOTHING, reconstruct=["rae"]))
    monkeypatch.setattr(engine, "prepare", lambda *asked: None)
    folders = Folders(tmp_path / "data", tmp_path / "imgs", tmp_path / "runs")
    job = Job(study, folders, CPU, ["reconstruction"], ["rae"], [])

    def execute(job, todo, stop):
        ran.append(todo)
        return {}

    with pytest.raises(LrcoreError, match=r"autoencoders\.rae\.precision 'bfloat16'"):
        run_study(job, StopRequest(), execute)
    assert not ran and not list(tmp_path.iterdir())
    assert run_study(dataclasses.replace(job, as_written=True), StopRequest(), execute) == 0
    assert ran


def test_what_a_device_takes_is_measured(monkeypatch):
    found = bfloat16.bfloat16_slowdown(CPU)
    assert 0.01 < found < 1000
    monkeypatch.setattr(bfloat16, "_seconds", lambda tokens, weights, low: 0.5 if low else 0.1)
    bfloat16.bfloat16_slowdown.cache_clear()
    assert bfloat16.bfloat16_slowdown(CPU) == 5
    bfloat16.bfloat16_slowdown.cache_clear()
