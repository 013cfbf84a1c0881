"""What the plugin prints while tests run and at their end, with workers and without."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = """
    import progress_lines
    progress_lines.EVERY, progress_lines.SLOW = 0.0, 0.05
"""
SLEEPS = "import time\ndef test_sleeps(): time.sleep(0.06)\n"
PASSES = "import pytest\n@pytest.mark.parametrize('number', range(5))\ndef test_passes(number): pass\n"
FAILS = """
import pytest
@pytest.fixture
def broken(): raise OSError("no disk")
def test_fails(): assert 1 + 1 == 3
def test_needs_a_disk(broken): pass
def test_passes(): pass
"""
WORKERS = pytest.mark.parametrize("workers", [[], ["-n", "2", "--dist", "loadfile"]], ids=["alone", "workers"])


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "helpers"))
    pytester.makeconftest(CONFTEST)

    def run(*arguments: str, **files: str) -> list[str]:
        pytester.makepyfile(**{f"test_{name}": text for name, text in files.items()})
        found = pytester.runpytest_subprocess("-p", "progress_lines", "-p", "no:cacheprovider", *arguments)
        return [line for line in found.outlines if line]

    return run


@WORKERS
def test_files_are_counted_and_slow_ones_named(run, workers):
    lines = run("-q", *workers, a=PASSES, b=SLEEPS)
    assert [line for line in lines if re.fullmatch(r"2 of 2 files, 0 failed, 0 min \d+ s", line)]
    slow = [line for line in lines if " took " in line]
    assert len(slow) == 1 and re.fullmatch(r"test_b\.py took \d s", slow[0])
    assert lines[-1].startswith("6 passed")


@WORKERS
def test_the_names_of_what_failed_are_said_at_once_and_last(run, workers):
    lines = run("-q", *workers, a=FAILS, b=PASSES)
    names = ["FAILED test_a.py::test_fails", "FAILED test_a.py::test_needs_a_disk"]
    assert lines[-2:] == names
    assert [line for line in lines[:-2] if line.startswith(f"{names[0]} - assert")], (
        "pytest's own summary, with reasons"
    )
    first = next(i for i, line in enumerate(lines) if "= FAILURES =" in line or "= ERRORS =" in line)
    assert [line for line in lines[:first] if line.startswith("FAILED")] == names
    assert [line for line in lines[:first] if line.startswith("2 of 2 files, 2 failed")]


@WORKERS
def test_a_file_that_cannot_be_collected_is_named_last(run, workers):
    assert run("-q", *workers, a="import no_such_module", b=PASSES)[-1] == "FAILED test_a.py"


def test_a_test_whose_worker_crashes_is_named_last(run):
    lines = run("-q", "-n", "1", a="import os\ndef test_crashes(): os._exit(3)\n")
    assert lines[-1] == "FAILED test_a.py::test_crashes"


def test_a_verbose_run_keeps_the_lines_of_pytest(run):
    lines = run("-v", a=PASSES, b=SLEEPS)
    assert [line for line in lines if re.match(r"test_b\.py::test_sleeps PASSED +\[100%\]", line)]
    assert not [line for line in lines if " files, " in line]
