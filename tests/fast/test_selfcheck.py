"""The self-check: it finds what is wrong, goes on after it, and leaves no record of a CPU."""

import json
import math

import pytest
import torch

from benchmarks import gpu_selfcheck
from lrcore.fast import capabilities, joined
from lrcore.fast.sampling import TogetherSampler


@pytest.fixture
def lines(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(capabilities, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(gpu_selfcheck, "STEPS", 2)
    monkeypatch.setattr(gpu_selfcheck, "CHUNKS", gpu_selfcheck.CHUNKS[:1])

    def run():
        assert gpu_selfcheck.main(["--device", "cpu"]) == 0
        assert not [*tmp_path.iterdir()]
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def passed(lines):
    return {line["phase"]: line["passed"] for line in lines if "passed" in line}


def test_what_a_cpu_can_check_passes_and_is_timed(lines):
    found = lines()
    assert passed(found) == {"sampling": True, "training": True, "sampling graph": False, "training graph": False}
    ways = {(line["phase"], line["way"]) for line in found if "way" in line}
    assert ways == {(phase, way) for phase in ("samples", "training step") for way in ("slow", "fast")}
    assert found[0]["device"] == "cpu" and all(line.get("seconds", 1) > 0 for line in found)


@pytest.mark.parametrize("wrong", [1.001, math.nan])
def test_weights_that_are_wrong_fail_every_part(lines, wrong, monkeypatch):
    parts = joined.JoinedLinear.forward
    monkeypatch.setattr(joined.JoinedLinear, "forward", lambda layer, x: parts(layer, x) * wrong)
    assert not any(passed(lines()).values())


def test_a_part_that_cannot_run_leaves_the_others(lines, monkeypatch):
    def broken(*of, **named):
        raise RuntimeError("no kernel")

    monkeypatch.setattr(TogetherSampler, "__call__", broken)
    found = lines()
    assert passed(found)["training"] and not passed(found)["sampling"]
    assert any(line.get("error") == "RuntimeError: no kernel" for line in found)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_without_a_gpu_it_says_so(capsys):
    with pytest.raises(SystemExit):
        gpu_selfcheck.main([])
    assert "no GPU is there" in capsys.readouterr().err
