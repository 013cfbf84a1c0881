"""Capturing a step, with what torch does on a GPU played by the CPU: what is done in which order, what is put back."""

import contextlib
from types import SimpleNamespace

import pytest
import torch

from lrcore.fast import cuda

SIDE = SimpleNamespace(wait_stream=lambda other: None)


class Device:
    """Stands in for a GPU: a capture takes the steps, and breaks off where it is told to."""

    def __init__(self, breaks=False):
        self.current, self.breaks, self.modes = self, breaks, []

    def wait_stream(self, other):
        pass

    @contextlib.contextmanager
    def stream(self, stream):
        before, self.current = self.current, stream
        yield
        self.current = before

    @contextlib.contextmanager
    def graph(self, graph, capture_error_mode="global"):
        self.modes.append(capture_error_mode)
        self.current = "capture"  # torch's own stays so where the end of a capture fails
        yield
        if self.breaks:
            raise RuntimeError("operation not permitted when stream is capturing")
        self.current = self

    def played(self, monkeypatch):
        class Graph:
            def replay(self):
                pass

        for name, value in {
            "Stream": lambda: SIDE, "CUDAGraph": Graph, "current_stream": lambda: self.current,
            "stream": self.stream, "graph": self.graph, "set_stream": lambda stream: setattr(self, "current", stream),
        }.items():  # fmt: skip
            monkeypatch.setattr(torch.cuda, name, value)
        return self


def test_a_capture_leaves_what_the_step_changes_as_it_was(monkeypatch):
    device, taken, state = Device().played(monkeypatch), [], torch.zeros(3)

    def step():
        taken.append(device.current)
        state.add_(1)

    cuda.captured(step, [state])()
    assert taken == [SIDE] * cuda.WARM_UPS + ["capture"]
    assert torch.equal(state, torch.zeros(3)) and device.current is device
    assert device.modes == ["thread_local"]  # a thread reads the next batch meanwhile, and pins memory for it


def test_a_capture_that_breaks_off_does_so_too(monkeypatch):
    device, state = Device(breaks=True).played(monkeypatch), torch.zeros(3)
    with pytest.raises(RuntimeError, match="capturing"):
        cuda.captured(lambda: state.add_(1), [state])
    assert torch.equal(state, torch.zeros(3)) and device.current is device
