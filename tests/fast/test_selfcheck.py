"""The self-check: it finds what is wrong, goes on after it, and leaves no record of a CPU."""

import dataclasses
import json
import math

import pytest
import torch

from benchmarks import gpu_selfcheck
from lrcore.fast import capabilities, joined, training
from lrcore.fast.sampling import TogetherSampler
from lrcore.metrics.features import FeatureNetwork


def toy(name, device):
    """Stands in for Inception, which takes a CPU seconds."""
    return FeatureNetwork(name, 3, "", "", device, lambda pixels: pixels.float().mean((2, 3)))


def scaled(network, factor):
    """Distances in its features are larger by the factor."""
    return dataclasses.replace(network, extract=lambda pixels: factor**0.5 * network.extract(pixels))


@pytest.fixture
def lines(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(capabilities, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(gpu_selfcheck, "STEPS", 2)
    monkeypatch.setattr(training, "compile_blocks", lambda model: None)  # takes a CPU minutes
    monkeypatch.setattr(gpu_selfcheck, "STACKS", (1, 2))
    monkeypatch.setattr(gpu_selfcheck, "load_features", toy)
    monkeypatch.setattr(gpu_selfcheck, "in_half_precision", lambda network, images: scaled(network, 1.0005))
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
    compiled = passed(found).pop("compiled blocks")
    assert compiled is (of(found, "compiled blocks")["ms_a_run_step"] < of(found, "stack", -1)["ms_a_run_step"])
    assert {part: good for part, good in passed(found).items() if part != "compiled blocks"} == {
        "sampling": True, "training": True, "sampling graph": False, "training graph": False, "judge": True
    }  # fmt: skip
    ways = {(line["phase"], line["way"]) for line in found if "way" in line}
    assert ways == {(phase, way) for phase in ("samples", "training step") for way in ("slow", "fast")}
    assert {line["runs"] for line in found if line["phase"] == "stack"} == {1, 2}
    assert of(found, "prediction")["minutes"] > 0 < of(found, "scores")["seconds_an_evaluation"]
    assert {line["network"] for line in found if line["phase"] == "features"} == {"float32", "half"}
    assert found[0]["device"] == "cpu" and all(line.get("seconds", 1) > 0 for line in found)


@pytest.mark.parametrize("wrong", [1.001, math.nan])
def test_weights_that_are_wrong_fail_every_part(lines, wrong, monkeypatch):
    parts = joined.JoinedLinear.forward
    monkeypatch.setattr(joined.JoinedLinear, "forward", lambda layer, x: parts(layer, x) * wrong)
    found = passed(lines())
    assert not any(good for part, good in found.items() if part != "judge") and found["judge"]


def test_a_part_that_cannot_run_leaves_the_others(lines, monkeypatch):
    def broken(*of, **named):
        raise RuntimeError("no kernel")

    monkeypatch.setattr(TogetherSampler, "__call__", broken)
    found = lines()
    assert passed(found)["training"] and not passed(found)["sampling"]
    assert any(line.get("error") == "RuntimeError: no kernel" for line in found)


def of(found, phase, number=0):
    return [line for line in found if line["phase"] == phase][number]


def test_a_size_that_does_not_fit_leaves_the_others(lines, monkeypatch):
    """And the record of what passed is made."""
    made = training.StackSteps.__init__

    def filled(steps, state, densities, *of):
        if len(densities) == 2:
            raise MemoryError("of the device")
        made(steps, state, densities, *of)

    monkeypatch.setattr(gpu_selfcheck.StackSteps, "__init__", filled)
    monkeypatch.setattr(gpu_selfcheck, "PARTS", {"training": gpu_selfcheck.training})
    found = lines()
    assert of(found, "stack", 1) == {"phase": "stack", "runs": 2, "error": "MemoryError: of the device"}
    assert of(found, "stack")["ms_a_run_step"] > 0 and of(found, "compiled blocks")["runs"] == 1


@pytest.mark.parametrize(("plain", "apart", "good"), [(1e9, 0.0, True), (0.0, 0.0, False), (1e9, 0.01, False)])
def test_blocks_are_compiled_where_that_is_faster_and_the_same(lines, plain, apart, good, monkeypatch, capsys):
    check = gpu_selfcheck.Check(torch.device("cpu"), gpu_selfcheck.SMALL)
    monkeypatch.setattr(gpu_selfcheck, "relative", lambda found, expected: apart)
    assert (gpu_selfcheck.faster_compiled(check, False, 2, plain) > 0) is good
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["passed"] is good


@pytest.mark.parametrize(("name", "shared"), [("NVIDIA H200", True), ("another", False)])
def test_a_card_that_is_slower_than_it_should_be_is_shared(name, shared, monkeypatch):
    monkeypatch.setattr(gpu_selfcheck, "identity", lambda device: {"device": name})
    found = gpu_selfcheck.speed(gpu_selfcheck.Check(torch.device("cpu"), gpu_selfcheck.SMALL))
    assert found["product_tflops"] > 0 < found["copy_tb_a_second"] and found["shared"] is shared


@pytest.mark.parametrize(("factor", "good"), [(0.9985, True), (1.0025, False), (math.nan, False)])
def test_half_precision_passes_where_a_distance_is_near_enough(lines, factor, good, monkeypatch):
    monkeypatch.setattr(gpu_selfcheck, "in_half_precision", lambda network, images: scaled(network, factor))
    monkeypatch.setattr(gpu_selfcheck, "PARTS", {"judge": gpu_selfcheck.judge})
    found = of(lines(), "judge")
    assert found["passed"] is good
    assert good is False or found["half"] == pytest.approx(0.0015, rel=1e-2)


def test_images_are_its_own_where_no_data_set_is_there(lines, monkeypatch):
    monkeypatch.setattr(gpu_selfcheck.cache, "is_present", lambda name: False)
    monkeypatch.setattr(gpu_selfcheck, "PARTS", {"judge": gpu_selfcheck.judge})
    assert of(lines(), "judge")["distance"] > 0


def test_the_grid_is_foretold_from_what_was_measured():
    """120 trainings of 3,000 steps; 5 evaluations at two steps, each of 2,500 samples."""
    check = gpu_selfcheck.Check(torch.device("cpu"), gpu_selfcheck.LARGE)
    drawn = 9 * 256
    found = gpu_selfcheck.prediction(check, 0.8, 1e-3 * drawn, 1e-4, 0.25)
    evaluation = 2500 * (1e-3 + 1e-4) + 0.25
    assert found["minutes"] == pytest.approx((120 * 2.4 + 1200 * evaluation) / 60)
    assert found["minutes_of_last_step_alone"] == pytest.approx((120 * 2.4 + 600 * evaluation) / 60)
    assert found["trainings_in_a_stretch"] == int(13 * 60 / (2.4 + 10 * evaluation))


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_without_a_gpu_it_says_so(capsys):
    with pytest.raises(SystemExit):
        gpu_selfcheck.main([])
    assert "no GPU is there" in capsys.readouterr().err
