"""The record of what passed the self-check: it counts where it was made, and nowhere else."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import lrcore
from lrcore.fast import capabilities as module
from lrcore.fast.capabilities import COMPILED, PARTS, SAMPLING, TRAINING, Capabilities, capabilities, record

CPU = torch.device("cpu")
FOUND = Capabilities(frozenset({SAMPLING}), 4096, 5)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    module._say.cache_clear()
    monkeypatch.setattr(module, "cache_folder", lambda: tmp_path)
    return tmp_path


def test_what_is_recorded_is_found_again_and_nothing_without_a_record():
    assert capabilities(CPU) == Capabilities() and not any(capabilities(CPU).has(part) for part in PARTS)
    record(CPU, FOUND)
    assert capabilities(CPU) == FOUND
    assert capabilities(CPU).has(SAMPLING) and not capabilities(CPU).has(TRAINING)


@pytest.mark.parametrize("key", ["device", "driver", "torch", "lrcore", "code"])
def test_a_record_of_something_else_counts_for_nothing_and_says_so_once(key, capsys):
    path = record(CPU, FOUND)
    path.write_text(json.dumps({**json.loads(path.read_text()), key: "another"}))
    assert capabilities(CPU) == capabilities(CPU) == Capabilities()
    (said,) = capsys.readouterr().err.splitlines()
    assert f"made with another {key}: " in said and "again: python benchmarks/gpu_selfcheck.py" in said


def test_a_record_that_says_nothing_of_the_code_counts_for_nothing(capsys):
    path = record(CPU, FOUND)
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != "code"}))
    assert capabilities(CPU) == Capabilities() and "another code" in capsys.readouterr().err


def test_without_a_record_nothing_is_said(capsys):
    assert capabilities(CPU) == Capabilities() and not capsys.readouterr().err


def digest(package):
    module.code_digest.cache_clear()
    return module.code_digest(package)


@pytest.mark.parametrize(
    "changed", ["fast/training.py", "flow/stacking.py", "training/loop.py", "metrics/half_precision.py"]
)
def test_code_that_changed_starts_without(changed, tmp_path, monkeypatch, capsys):
    package = tmp_path / "lrcore"
    for named in module.SOURCES:
        source = Path(lrcore.__file__).parent / named
        target = package / named
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    monkeypatch.setattr(module, "__file__", str(package / "fast" / "capabilities.py"))
    digest(package)
    record(CPU, FOUND)
    assert capabilities(CPU) == FOUND and digest(package) == digest(Path(lrcore.__file__).parent)
    with (package / changed).open("a") as source:
        source.write("# other\n")
    module.code_digest.cache_clear()
    assert capabilities(CPU) == Capabilities() and "another code" in capsys.readouterr().err


def test_a_new_version_starts_without(monkeypatch):
    record(CPU, FOUND)
    monkeypatch.setattr(lrcore, "__version__", "99.0")
    assert capabilities(CPU) == Capabilities()


@pytest.mark.parametrize(
    "said", ["", "{", "[]", "3", "{}", "missing", "\xff", *({key: value} for key, value in
             [("stack", 0), ("stack", "5"),
              ("chunk_tokens", 0), ("chunk_tokens", "many"), ("chunk_tokens", True), ("passed", "sampling"),
              ("passed", None), ("passed", [["sampling"]])])]
)  # fmt: skip
def test_a_damaged_record_counts_for_nothing(said):
    path = record(CPU, FOUND)
    whole = json.loads(path.read_text())
    if said == "missing":
        del whole["passed"]
    path.write_bytes((said if isinstance(said, str) and said != "missing" else
                      json.dumps({**whole, **({} if said == "missing" else said)})).encode("latin-1"))  # fmt: skip
    assert capabilities(CPU) == Capabilities()


def test_parts_that_this_version_does_not_know_are_passed_over():
    record(CPU, Capabilities(frozenset({SAMPLING, "teleport"})))
    assert capabilities(CPU).passed == {SAMPLING}


def test_a_stack_is_chosen_where_it_was_measured():
    found = Capabilities(frozenset({TRAINING}), stack=5)
    assert (found.stack_of("DiT-Ti"), found.stack_of("DiT-XL")) == (5, 1)
    assert Capabilities(frozenset({SAMPLING}), stack=5).stack_of("DiT-Ti") == 1


def test_blocks_are_compiled_where_that_was_measured():
    found = Capabilities(frozenset({TRAINING, COMPILED}))
    assert found.compiles("DiT-Ti") and not found.compiles("DiT-XL")
    assert not Capabilities(frozenset({COMPILED})).compiles("DiT-Ti")
