"""Files that reports share with the site: in a wheel, and in a checkout."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from lrcore.errors import LrcoreError
from lrcore.report_pages import shared

ROOT = Path(__file__).parents[2]


def in_wheels() -> list[str]:
    """What `setup.py` has wheels take along, and source distributions by `MANIFEST.in`."""
    assigned = next(node for node in ast.parse((ROOT / "setup.py").read_text()).body if isinstance(node, ast.Assign))
    patterns = eval(compile(ast.Expression(assigned.value), "setup.py", "eval"))
    lines = (ROOT / "MANIFEST.in").read_text().splitlines()
    assert sorted(patterns) == sorted(name for line in lines for name in line.removeprefix("include ").split())
    return [str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.glob(pattern)]


def test_wheels_hold_all_that_is_shared() -> None:
    held = in_wheels()
    for name in (shared.STYLE, shared.FIGURES, shared.COMPARISON, shared.BIBLIOGRAPHY):
        assert name in held
    assert sum(name.startswith(shared.ATLAS) for name in held) == len([*(ROOT / shared.ATLAS).glob("*.parquet")]) > 40


def test_a_wheel_s_own_copy_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shared.shared(shared.STYLE) == ROOT / shared.STYLE
    copy = tmp_path / shared.STYLE
    copy.parent.mkdir()
    copy.touch()
    monkeypatch.setattr(shared, "PACKED", tmp_path)
    assert shared.shared(shared.STYLE) == copy
    with pytest.raises(LrcoreError, match="'site/none' is missing beside the package"):
        shared.shared("site/none")
