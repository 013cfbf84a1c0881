"""Hundreds of study files with a mistake in each, drawn from a fixed seed: a study or one line that names the key."""

import copy
import json
import math
import os
import random
import tomllib
from pathlib import Path

import pytest

from lrcore import train
from lrcore.errors import LrcoreError
from lrcore.plan.costs import Costs
from lrcore.spec.study import Study
from lrcore.studies.checks import require_measurable
from lrcore.studies.loading import load_study

BASE = tomllib.loads((Path(__file__).parents[1] / "tiny.toml").read_text()) | {
    "choice": [{"ae": ["flux2"], "n_samples": [6, 4], "train_seed": [3, 4], "width": [32], "narrow": True}]
}
ODD = [
    0, 1, 2, 3, 7, -1, 2**31, 2**63, -(2**63), 10**30, 10**5000, 0.5, -0.0, 1e-300, 1e300, -2.5, math.inf, -math.inf,
    math.nan, True, False, "", "x", "none", "self", "..", "~no-such-user/x", "/dev/zero", "a/b/c", "x.py:f", "\x00",
    "a\x00b", 4, 8, 16, 32, 48, 64, 0.25, 0.75, 1.5, [1.5], [4, 8], [8, 16], "\x1b[31m", "line\nline", "ü" * 200,
    "a" * 300, "a" * 5000, [], [[]], [0], [1, 1], [2.5, 2.5], ["x", "x"], [None], [math.nan], [10**30], [-1, 10**9],
    list(range(20_000)), ["flux2"] * 3, {}, {"a": {}}, {"a": {"b": {"c": 1}}},
]  # fmt: skip


def toml(value):
    """Any value in TOML, tables inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join("1979-05-27" if item is None else toml(item) for item in value) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and value.bit_length() > 1000:
        return hex(value)  # which Python reads at any length
    return json.dumps(value).replace("\\u007f", "")


def places(value, at=()):
    """Every key and list entry of a study, as the way that leads there."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*at, key)
        yield from places(item, (*at, key))


def mutated(draw):
    """A study with one mistake, and the way to it."""
    study = copy.deepcopy(BASE)
    at = draw.choice(list(places(study)))
    table = study
    for key in at[:-1]:
        table = table[key]
    kind = draw.random()
    if kind < 0.8:
        table[at[-1]] = draw.choice(ODD)
    elif kind < 0.9:
        del table[at[-1]]
    else:
        added = draw.choice(["n_sample", "a\x00b", "q" * 5000, "", "ünbekannt", "name.with.dots"])
        table = table if isinstance(table, dict) else study
        table[added] = draw.choice(ODD)
        at = (*at, "unknown key")
    return study, at


def names(message, at):
    return any(str(key) in message for key in at if not isinstance(key, int))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LRCORE_OFFLINE", "1")
    return tmp_path


def test_a_study_or_one_line_that_names_the_key(folder, capsys, monkeypatch):
    monkeypatch.setattr(Costs, "seconds", lambda costs, operation: 0.0)
    draw, loaded = random.Random(0), 0
    for number in range(300):
        study, at = mutated(draw)
        path = folder / f"study{number}.toml"
        path.write_text("\n".join(f"{json.dumps(key)} = {toml(value)}" for key, value in study.items()))
        try:
            found = load_study(str(path))
            require_measurable(found, ["reconstruction", "diagnostics", "generation", "choice"])
        except LrcoreError as error:
            message = str(error)
            assert "\n" not in message and message.isprintable() and len(message) < 1500, message[:2000]
            assert names(message, at), (at, message)
            continue
        assert isinstance(found, Study)
        loaded += 1
        if loaded % 8 == 0:
            assert train.main([str(path), "--plan", "--ae", "flux2", "--only", "reconstruction"]) in (0, 2)
            assert "Traceback" not in capsys.readouterr().err
    assert 12 < loaded < 150


HEAD = (Path(__file__).parents[1] / "tiny.toml").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[" * 5000 + "]" * 5000, "nests lists or tables more than 8 deep"),
        ("a = " + "{b = " * 40 + "1" + "}" * 40, "nested more than 8 deep"),
        (".".join(["a"] * 1000) + " = 1", "nested more than 8 deep"),
        ("seed = 1" + "0" * 5000, "cannot be read: ValueError: Exceeds the limit"),
        ("# " + "x" * 2**21, "more than 1,048,576 bytes"),
        ("summary = 2020-01-01", "missing: seed"),
        ('summary = "a"\nsummary = "b"', "cannot be read: TOMLDecodeError"),
        ('extends = "/dev/zero"', "unknown study '/dev/zero'"),
        ('extends = "device.toml"', "extends of .*device.toml' is no file, but a folder, a device or a pipe"),
        ('extends = "folder.toml"', "is no file, but a folder, a device or a pipe"),
        ('extends = "pipe.toml"', "is no file, but a folder, a device or a pipe"),
        ('extends = "loop.toml"', "extends of .*loop.toml' cannot be read"),
        ('extends = "chain0.toml"', "the end of a chain of 17 studies; allowed: 16"),
        ('extends = "a\\u0000.toml"', r"extends of .*'a\\x00.toml"),
        ('extends = "' + "a" * 300 + '.toml"', "cannot be read: OSError"),
        ('extends = "~no-such-user/x.toml"', "extends '~no-such-user/x.toml': there is no home folder of that name"),
    ],
    ids=range(16),
)
def test_files_that_would_never_end_are_refused(text, message, folder):

    (folder / "device.toml").symlink_to("/dev/zero")
    (folder / "loop.toml").symlink_to("loop.toml")
    (folder / "folder.toml").mkdir()
    os.mkfifo(folder / "pipe.toml")
    for number in range(40):
        (folder / f"chain{number}.toml").write_text(f'extends = "chain{number + 1}.toml"')
    (folder / "mine.toml").write_text(text)
    with pytest.raises(LrcoreError, match=message) as found:
        load_study("mine.toml")
    assert "\n" not in str(found.value) and len(str(found.value)) < 1500


def test_a_byte_order_mark_is_no_part_of_a_study_and_other_bytes_are_named(folder):
    (folder / "mine.toml").write_bytes(b"\xef\xbb\xbf" + HEAD.encode())
    assert load_study("mine.toml").cells
    (folder / "mine.toml").write_bytes(b'summary = "\xff"')
    with pytest.raises(LrcoreError, match=r"mine.toml' cannot be read: UnicodeDecodeError"):
        load_study("mine.toml")
    odd = Path(b"\xff\xfe.toml".decode("utf-8", "surrogateescape"))
    odd.write_text(HEAD)
    with pytest.raises(LrcoreError, match=r"study name '\\udcff\\udcfe' must be lower-case"):
        load_study(str(odd))
