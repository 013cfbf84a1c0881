"""The Python in the READMEs and on the pages runs on the committed data, and says what it claims to."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pandas
import pytest
import torch

from lrcore import __main__ as console
from lrcore import to_public
from lrcore.flow.shapes import SHAPES
from lrcore.flow.transformer import DiffusionTransformer
from lrcore.studies.loading import load_study

PROJECT = Path(__file__).parents[1]
TEXTS = ("README.md", "data/README.md", "index.qmd", "posts/timestep-explorer.qmd", "posts/your-own-autoencoder.qmd")
FIRST_OWN = "from lrcore import read_generation, read_reconstruction"
"""Where the page on an autoencoder of one's own comes to rows that only who has one can have."""


def snippets(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (PROJECT / text).read_text(), re.M | re.S)


def shown(snippet: str, names: dict[str, Any]) -> list[Any]:
    """Run it; the values of its lines that are expressions, which a notebook or a prompt would show."""
    found = []
    for statement in ast.parse(snippet).body:
        if isinstance(statement, ast.Expr):
            found.append(eval(compile(ast.Expression(statement.value), "snippet", "eval"), names))
        else:
            exec(compile(ast.Module([statement], []), "snippet", "exec"), names)
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: the committed data, and a small model under the name of the public one."""
    (tmp_path / "data").symlink_to(PROJECT / "data")
    model = DiffusionTransformer(SHAPES["DiT-Nano"], 16, (4, 4), 1000)
    torch.save(to_public(model, "data_at_1", 2, learned_variance=True), tmp_path / "SiT-XL-2-256x256.pt")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_text_with_python_is_looked_at() -> None:
    texts = [*PROJECT.glob("*.md"), *PROJECT.glob("*.qmd"), *PROJECT.glob("posts/*.qmd"), PROJECT / "data/README.md"]
    assert {str(text.relative_to(PROJECT)) for text in texts if "\n```python\n" in text.read_text()} == set(TEXTS)


@pytest.mark.parametrize("text", TEXTS)
def test_snippets_run_on_the_committed_data(text: str, folder: Path) -> None:
    names: dict[str, Any] = {}
    parts = snippets(text)
    assert parts
    for snippet in parts:
        if snippet.startswith(FIRST_OWN):
            snippet = snippet.replace('"mine"', '"cifar10"')
        for value in shown(snippet, names):
            assert value is not None
            assert not isinstance(value, pandas.DataFrame) or len(value)


@pytest.mark.parametrize("text", ["README.md", "data/README.md"])
def test_what_is_read_first_is_of_one_protocol(text: str, folder: Path) -> None:
    """A study may have been measured in two networks, by two numbers of samples: its rows stand in one folder."""
    generation = PROJECT / "data/generation/study=cifar10"
    (folder / "data").unlink()
    copied = folder / "data/generation/study=cifar10"
    shutil.copytree(generation, copied)
    for number, file in enumerate(sorted(copied.glob("*.parquet"))):
        rows = pandas.read_parquet(file)
        lower = rows.assign(fid=rows["fid"] / 1000)
        lower.assign(feature_network="efficientnet_lite0").to_parquet(copied / f"network-{number}.parquet")
        lower.assign(n_samples=50_000).to_parquet(copied / f"samples-{number}.parquet")
    *_, best = shown(snippets(text)[0], {})
    every = pandas.read_parquet(generation)
    assert len(best) and best["fid"].min() == every["fid"].min()
    assert set(best["fid"]) <= set(every["fid"])


def test_the_page_says_what_the_shift_gives() -> None:
    (moved, grid, heights) = shown(snippets("posts/timestep-explorer.qmd")[0], {})
    assert f"# {float(moved):.4f}" in snippets("posts/timestep-explorer.qmd")[0]
    assert len(grid) == 51 and grid[0] == 1 and grid[-1] == 0 and len(heights) == 5


def commands(text: str) -> list[list[str]]:
    """The lines of a text's shell snippets that run lrcore, as words: the command's name and its arguments."""
    found = []
    for block in re.findall(r"^```(?:sh|bash)\n(.*?)^```", (PROJECT / text).read_text(), re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            if called := re.search(r"(?:-m lrcore(?:\.(?P<module>[\w.]+))?| lrcore|^lrcore)(?P<rest> .*)?$", line):
                name = [called["module"].split(".")[-1]] if called["module"] else []
                rest = re.split(r"\s[;&|]|;|\s>\s", (called["rest"] or "").split("#")[0])[0]
                found.append([*name, *shlex.split(rest)])
    return found


class ParsedError(Exception):
    """Raised once a command has understood its arguments, before it does anything."""


SHELL = sorted(
    str(path.relative_to(PROJECT))
    for pattern in ("*.md", "*.qmd", "posts/*.qmd", "*/*/README.md")
    for path in PROJECT.glob(pattern)
    if commands(str(path.relative_to(PROJECT)))
)


@pytest.mark.parametrize("text", SHELL)
def test_commands_take_the_arguments_that_texts_give_them(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parse = argparse.ArgumentParser.parse_args

    def parsed(self: argparse.ArgumentParser, *given: Any, **more: Any) -> None:
        parse(self, *given, **more)
        raise ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parsed)
    for command in commands(text):
        with pytest.raises(ParsedError):
            print(command, console.main(command))


def test_the_readme_s_tables_of_a_study_are_read(tmp_path: Path) -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```", (PROJECT / "README.md").read_text(), re.M | re.S)
    assert len(blocks) >= 4
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    (tmp_path / "my_autoencoder.py").write_text((PROJECT / "tests/helpers/custom_study.py").read_text())
    for number, block in enumerate(blocks):
        path = tmp_path / f"study-{number}.toml"
        path.write_text(block if "extends" in block else f'extends = "smoke"\n{block}')
        assert load_study(str(path)).name == path.stem
