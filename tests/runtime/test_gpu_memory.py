"""The memory that a unit of work held at most, with what torch says of a GPU played by the CPU."""

import pytest
import torch

from lrcore.runtime.interruption import StopRequest
from lrcore.runtime.progress import Progress
from lrcore.stages.engine import Unit, with_memory, work_off


class Device:
    """Stands in for a GPU whose counter starts when it is told to."""

    type = "cuda"

    def __init__(self, monkeypatch):
        self.ready, self.held, self.most = False, 0, 0
        monkeypatch.setattr(torch.cuda, "init", lambda: setattr(self, "ready", True))
        monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", self.reset)
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: self.most)

    def reset(self, device):
        assert self.ready and device is self
        self.most = self.held

    def take(self, size):
        self.held += size
        self.most = max(self.most, self.held)


def units(folder, device, results):
    """Of 3, then 1 GB, which they give back; their `results`."""
    done = []
    for number, (size, result) in enumerate(zip((3e9, 1.26e9), results, strict=True)):

        def act(name=str(number), size=size):
            if device.type == "cuda":
                device.take(size)
                device.take(-size)
            done.append(name)

        unit = Unit(str(number), "ae", frozenset(), (folder / str(number),),
                    lambda name=str(number): name in done, lambda: 0, act, lambda result=result: result)  # fmt: skip
        yield with_memory(unit, device)


@pytest.fixture
def said(tmp_path, capsys):
    def run(device, *results):
        work_off([*units(tmp_path, device, results)], StopRequest(), Progress(0))
        return [line for line in capsys.readouterr().err.splitlines() if not line.startswith("after")]

    return run


def test_each_unit_says_what_it_held_itself(said, monkeypatch):
    assert said(Device(monkeypatch), "a: FID 3", "") == [
        "a: FID 3; at most 3.0 GB of the GPU's memory held",
        "1: at most 1.3 GB of the GPU's memory held",
    ]


def test_a_cpu_says_nothing_of_it(said):
    assert said(torch.device("cpu"), "a: FID 3", "") == ["a: FID 3"]
