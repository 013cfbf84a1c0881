"""The console command: every module with a command under one name, told without loading any of them."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import lrcore
from lrcore import __main__ as console

ROOT = Path(__file__).parents[1]


def test_help_lists_every_command_and_loads_none():
    program = (
        "import sys, lrcore.__main__ as console; status = console.main(['--help']); "
        "print({'torch', 'pandas', 'numpy', 'lrcore.train'} & set(sys.modules), status)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert lines[-1] == "set() 0"
    told = {line.split()[0] for line in lines if line.startswith("  ") and not line.startswith("   ")}
    assert told == set(console.commands())
    assert {"new", "check", "train", "verify", "atlas", "metrics", "reconstruct", "assets", "migration"} <= told
    assert max(map(len, lines)) < 160


def test_every_module_that_can_be_run_is_a_command():
    runnable = {path for path in (ROOT / "lrcore").rglob("*.py") if 'if __name__ == "__main__":' in path.read_text()}
    of_no_command = {ROOT / "lrcore" / "__main__.py", ROOT / "lrcore" / "metrics" / "trace_roots.py"}  # a worker's loop
    assert runnable - of_no_command == {path.resolve() for path in console.commands().values()}


def test_the_entry_point_is_the_console():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"lrcore": "lrcore.__main__:main"}


@pytest.mark.parametrize("name", ["train-autoencoder", "train_autoencoder"])
def test_a_command_is_run_with_what_follows_its_name(name, monkeypatch):
    from lrcore import train_autoencoder

    given = []
    monkeypatch.setattr(train_autoencoder, "main", lambda arguments: given.append(arguments) or 75)
    assert console.main([name, "smoke", "--ae", "sd"]) == 75
    assert given == [["smoke", "--ae", "sd"]]


def test_commands_inside_folders_are_found(capsys):
    for name in "metrics", "migration", "assets":
        with pytest.raises(SystemExit) as left:
            console.main([name, "--help"])
        assert left.value.code == 0
    capsys.readouterr()


def test_what_is_no_command_is_refused(capsys):
    assert console.main(["trian"]) == 2
    assert "unknown command 'trian'; allowed: new, check, " in (said := capsys.readouterr().err)
    assert "did you mean 'train'" in said
    assert console.main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == lrcore.__version__
