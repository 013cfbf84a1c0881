"""The record of what passed the self-check: it counts where it was made, and nowhere else."""

import json

import pytest
import torch

import lrcore
from lrcore.fast import capabilities as module
from lrcore.fast.capabilities import COMPILED, PARTS, SAMPLING, TRAINING, Capabilities, capabilities, record

CPU = torch.device("cpu")
FOUND = Capabilities(frozenset({SAMPLING}), 4096, 5)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "cache_folder", lambda: tmp_path)
    return tmp_path


def test_what_is_recorded_is_found_again_and_nothing_without_a_record():
    assert capabilities(CPU) == Capabilities() and not any(capabilities(CPU).has(part) for part in PARTS)
    record(CPU, FOUND)
    assert capabilities(CPU) == FOUND
    assert capabilities(CPU).has(SAMPLING) and not capabilities(CPU).has(TRAINING)


@pytest.mark.parametrize("key", ["device", "driver", "torch", "lrcore"])
def test_a_record_of_something_else_counts_for_nothing(key):
    path = record(CPU, FOUND)
    path.write_text(json.dumps({**json.loads(path.read_text()), key: "another"}))
    assert capabilities(CPU) == Capabilities()


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
