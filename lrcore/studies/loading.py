"""Studies: what is measured, as typed data read from TOML.

A study is named (a file of this folder, `python -m lrcore.train smoke`) or a path to a TOML file of your
own (`python -m lrcore.train my-study.toml`). `smoke.toml` explains every key. A file that says
`extends = "smoke"` (or another study, or a path beside it) starts from that study: its tables are merged key by key,
its lists and values replace those of the other.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from lrcore.errors import LrcoreError, unknown
from lrcore.spec.study import Study
from lrcore.studies.typed_toml import build


def study_names() -> list[str]:
    """Names of the studies that ship with the package."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.toml"))


def load_study(name_or_path: str) -> Study:
    """The named study, or the one in a TOML file.

    Raises:
        LrcoreError: unknown study, unknown or missing key, wrong type or value; with the nearest match.
    """
    path = _study_file(name_or_path)
    from lrcore.studies.checks import check  # knows every network, and so takes seconds; a wrong name needs none

    study: Study = build(Study, {**_content(path, ()), "name": path.stem}, where="")
    check(study)
    return study


def _study_file(name_or_path: str) -> Path:
    path = Path(name_or_path)
    if path.suffix == ".toml":
        if not path.is_file():
            raise LrcoreError(f"study file '{path}' does not exist")
        return path
    if name_or_path not in study_names():
        raise unknown("study", name_or_path, [*study_names(), "a path ending in .toml"])
    return Path(__file__).parent / f"{name_or_path}.toml"


def _content(path: Path, extended_by: tuple[Path, ...]) -> dict[str, Any]:
    """The tables of a file, on top of those of the study that it extends."""
    if path.resolve() in extended_by:
        raise LrcoreError(f"study file '{path}' extends itself")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise LrcoreError(f"study file '{path}' cannot be read: {error}") from error
    _refuse_other_name(content, path)
    _anchor_paths(content, path)
    base = content.pop("extends", None)
    if base is None:
        return content
    if not isinstance(base, str):
        raise LrcoreError(f"extends must be the name or the path of a study, got {base!r}")
    beside = str(path.parent / base) if base.endswith(".toml") else base
    return _merged(_content(_study_file(beside), (*extended_by, path.resolve())), content)


def _refuse_other_name(content: dict[str, Any], path: Path) -> None:
    """A study's rows lie under its name: another's name would have it replace that one's rows."""
    name = content.get("name", path.stem)
    if name != path.stem:
        raise LrcoreError(
            f"name is {name!r} in study file '{path}'; a study's name is that of its file, allowed: {path.stem!r}: "
            "leave the key out, or rename the file"
        )


def _anchor_paths(content: dict[str, Any], path: Path) -> None:
    """Make paths of images relative to the file that names them, unless the file ships with the package."""
    from lrcore.metrics.shipped import NAMES

    if path.parent == Path(__file__).parent:
        return
    for table, key in (
        ("data", "path"),
        ("data", "validation_path"),
        ("evaluation", "reference"),
    ):
        section = content.get(table)
        if not isinstance(section, dict) or not isinstance(section.get(key), str) or not section[key]:
            continue
        if key != "reference" or section[key] not in NAMES:
            section[key] = str(path.parent.resolve() / section[key])


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        # an autoencoder that comes from elsewhere has no use for the keys of the one it replaces
        both = isinstance(value, dict) and isinstance(base.get(key), dict) and not {"family", "pretrained"} & set(value)
        merged[key] = _merged(base[key], value) if both else value
    return merged
