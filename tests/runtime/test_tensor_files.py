"""Files of safetensors that carry digests: whatever is damaged is refused by name."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from lrcore.errors import LrcoreError
from lrcore.runtime.tensor_files import (
    add_digests,
    checked_metadata,
    has_digests,
    load_tensors,
    require_whole,
    save_tensors,
    tensor_files,
)

TENSORS = {
    "b.weight": torch.arange(6.0).view(2, 3),
    "a": torch.tensor([1.5], dtype=torch.bfloat16),
    "none": torch.zeros(0),
    "count": torch.tensor(3),
}


def same(found):
    return found.keys() == TENSORS.keys() and all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)


def test_what_is_saved_is_loaded_and_other_programs_read_it(tmp_path):
    path = tmp_path / "a.safetensors"
    save_tensors(path, TENSORS, {"step": "3", "über": 'a "quoted" \\ line\n'})
    assert same(load_tensors(path)) and same(load_file(path))
    assert checked_metadata(path)["über"] == 'a "quoted" \\ line\n'
    with safe_open(path, "pt") as file:
        assert file.metadata()["step"] == "3"
    assert [found.name for found in tmp_path.iterdir()] == ["a.safetensors"]


def test_the_same_content_is_the_same_bytes(tmp_path):
    for name in "ab":
        save_tensors(tmp_path / name, TENSORS, {str(number): "x" for number in range(20)})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_every_flipped_bit_is_refused_or_changes_nothing(tmp_path):
    path = tmp_path / "a.safetensors"
    save_tensors(path, TENSORS, {"step": "3"})
    whole = path.read_bytes()
    refused = 0
    for bit in range(0, 8 * len(whole), 13):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            assert same(load_tensors(path)) and checked_metadata(path)["step"] == "3", bit
        except LrcoreError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > 0.9 * len(range(0, 8 * len(whole), 13))


@pytest.mark.parametrize("cut", [0, 4, 8, 200, -1])
def test_a_file_cut_short_is_refused(cut, tmp_path):
    path = tmp_path / "a.safetensors"
    save_tensors(path, TENSORS)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(LrcoreError, match=r"a\.safetensors' is damaged .*`rm "):
        require_whole(path)


def test_a_file_without_digest_is_refused_until_it_has_one(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file(TENSORS, path, {"format": "pt"})
    with pytest.raises(LrcoreError, match=r"a\.safetensors' has no digest.*python -m lrcore\.records\.migration"):
        load_tensors(path)
    assert not has_digests(path)
    add_digests(path)
    assert has_digests(path) and same(load_tensors(path)) and checked_metadata(path)["format"] == "pt"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(LrcoreError, match="is damaged"):
        add_digests(path)


def test_a_model_is_refused_whose_config_says_something_else(tmp_path):
    path, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    config.write_text(json.dumps({"scaling_factor": 0.18215}))
    save_file(TENSORS, path)
    add_digests(path)
    config.write_text('{\n  "scaling_factor": 0.18215\n}\n')  # as git may lay it out
    assert require_whole(path)
    config.write_text(json.dumps({"scaling_factor": 0.98215}))
    with pytest.raises(LrcoreError, match=r"config\.json beside it is not the one"):
        require_whole(path)
    config.unlink()
    with pytest.raises(LrcoreError, match=r"model\.safetensors' is damaged"):
        require_whole(path)


@pytest.mark.parametrize("kind", ["folder", "missing"])
def test_what_is_no_file_is_named(kind, tmp_path):
    path = tmp_path / "a.safetensors"
    if kind == "folder":
        path.mkdir()
    with pytest.raises(LrcoreError, match=r"a\.safetensors' is damaged \(it is missing, or no regular file\)"):
        load_tensors(path)


def test_hidden_files_are_not_listed(tmp_path):
    for name in ("a/1.safetensors", ".b.tmp/2.safetensors", "a/.3.safetensors"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in tensor_files(tmp_path)] == ["1.safetensors"]
