"""The options of the benchmark of a training step: what is compiled, by what attention is computed."""

import json

import pytest
import torch

from benchmarks import training_step
from benchmarks.training_step import ATTENTION, attention_backends, makers, parsed
from lrcore.flow.objective import Batch
from lrcore.flow.shapes import SHAPES

SMALL = ["--model", "DiT-Nano", "--tokens", "4", "--channels", "8", "--batch", "2", "--rounds", "1", "--device", "cpu"]
ROWS = ["plain", "lrcore, float32", "lrcore, bfloat16"]


def rows(*more):
    batch = Batch(torch.randn(2, 4, 8), torch.zeros(2, dtype=torch.int64))
    return makers(parsed([*SMALL, *more]), batch)


@pytest.mark.parametrize(("more", "further"), [
    ([], []),
    (["--compile", "none", "--attention", "default"], []),
    (["--compile"], ["compiled"]),
    (["--compile", "blocks", "--stack", "2"], ["compiled", "stack of 2"]),
    (["--compile", "model"], ["compiled whole"]),
])  # fmt: skip
def test_rows_are_those_asked_for(more, further):
    assert [*rows(*more)] == [*ROWS, *(f"lrcore, bfloat16, {name}" for name in further)]


@pytest.mark.parametrize(
    ("way", "expected"),
    [("none", []), ("blocks", ["Block"] * SHAPES["DiT-Nano"].depth), ("model", ["DiffusionTransformer"])],
)
def test_what_is_compiled(way, expected, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compiled.append(type(module).__name__))
    for _, make in rows("--compile", way).values():
        make()
    assert compiled == expected


def test_attention_is_that_asked_for_in_the_rows_in_bfloat16_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(training_step, "attention_backends", lambda *of: [*ATTENTION])
    monkeypatch.setattr(training_step, "backend", lambda attention: asked.append(attention) or torch.enable_grad())
    for _, make in rows("--attention", "flash", "--stack", "2").values():
        make()()
    assert asked == ["default", "flash", "flash"]


def test_by_default_torch_chooses(monkeypatch):
    monkeypatch.setattr(training_step, "sdpa_kernel", None)  # would be a TypeError
    for _, make in rows().values():
        make()()


def test_a_cpu_refuses_what_it_has_not_and_says_what_it_has(capsys):
    assert attention_backends("DiT-Nano", 4, "cpu") == ["default", "flash", "math"]
    with pytest.raises(SystemExit):
        parsed([*SMALL, "--attention", "cudnn"])
    said = " ".join(capsys.readouterr().err.split())
    assert "'cudnn' does not run on 'cpu' with DiT-Nano in bfloat16; allowed: default, flash, math" in said


def test_it_prints_a_line_a_row_and_keeps_them(capsys, tmp_path):
    training_step.main(
        [*SMALL, "--attention", "math", "--rows", "plain", "bfloat16", "--json", str(tmp_path / "a.json")]
    )
    told = json.loads((tmp_path / "a.json").read_text())
    assert [row["step"] for row in told["rows"]] == ["plain", "lrcore, bfloat16"] and told["rows"][0]["ratio"] == 1
    assert told["options"]["attention"] == "math" and "torch" in told["computed_on"]
    said = capsys.readouterr().out.splitlines()
    assert said[1].endswith("attention: math") and said[-1].startswith("lrcore, bfloat16 ")
