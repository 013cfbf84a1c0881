"""Studies: what is measured, as typed data read from TOML.

A study is named (a file of this folder, `python -m lrcore.train smoke`) or a path to a TOML file of your
own (`python -m lrcore.train my-study.toml`). `smoke.toml` explains every key. A file that says
`extends = "smoke"` (or another study, or a path beside it) starts from that study: its tables are merged key by key,
its lists and values replace those of the other.

Paths in a file of your own are relative to its folder, and may begin with `~`: images, references, weights, Python
files, pretrained autoencoders. `pretrained` is a folder where it is one beside the file, or is written as only a path
can be (`./x`, `/x`, `~/x`, `a/b/c`); else it is a hub id.
"""

from __future__ import annotations

import glob
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

from lrcore.errors import LrcoreError, reason, shown, unknown
from lrcore.spec.study import SHARDS, Study, StudyPath
from lrcore.studies.typed_toml import build, under

LARGEST_FILE = 2**20
"""Bytes of a study's file: a hundred times those of the longest that ships."""

DEEPEST_TABLES = 8
"""Tables and lists within one another, twice as many as a study has."""

LONGEST_CHAIN = 16
"""Files that extend one another."""


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


def study_files(name_or_path: str) -> list[Path]:
    """The file of a study that can be loaded, and those that it extends, one after the other."""
    files = [_study_file(name_or_path)]
    while (base := _parsed(files[-1]).get("extends")) is not None:
        files.append(_extended(files[-1], base))
    return files


def content_of(name_or_path: str) -> dict[str, Any]:
    """All tables of a study, those of what it extends among them, not yet looked at.

    Raises:
        LrcoreError: unknown study, or a file that cannot be read.
    """
    return _content(_study_file(name_or_path), ())


def own_content(name_or_path: str, apart_from: str, dataset: str) -> dict[str, Any]:
    """What the files of a study say that neither ship with the package nor make up the study `apart_from`.

    `dataset`: of the images that its paths are of. The study must be one that `content_of` can read.
    """
    others = {path.resolve() for path in study_files(apart_from)}
    own: list[Path] = []
    for path in study_files(name_or_path):
        if path.parent == Path(__file__).parent or path.resolve() in others:
            break
        own.append(path)
    content: dict[str, Any] = {}
    for path in reversed(own):
        tables = _parsed(path)
        _anchor_paths(tables, path)
        content = merged(content, tables)
    content.pop("extends", None)
    _take_as_patterns(content.get("data"), dataset)
    return content


def _study_file(name_or_path: str) -> Path:
    if not name_or_path.endswith(".toml"):
        if name_or_path not in study_names():
            raise unknown("study", name_or_path, [*study_names(), "a path ending in .toml"])
        return Path(__file__).parent / f"{name_or_path}.toml"
    path = _expanded(name_or_path, "study file")
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise LrcoreError(f"study file {str(path)!r} does not exist") from error
    except (OSError, ValueError) as error:  # an over-long name, a NUL in it, no permission
        raise LrcoreError(f"study file {str(path)!r} cannot be read: {reason(error)}") from error
    if not stat.S_ISREG(mode):
        raise LrcoreError(f"study file {str(path)!r} is no file, but a folder, a device or a pipe")
    return path


def _expanded(written: str, key: str) -> Path:
    """A path with its `~`; relative ones stay so."""
    try:
        return Path(written).expanduser()
    except RuntimeError as error:
        raise LrcoreError(f"{key} {shown(written)}: there is no home folder of that name") from error


def _content(path: Path, extended_by: tuple[Path, ...]) -> dict[str, Any]:
    """The tables of a file, on top of those of the studies that it extends."""
    content = _merged_content(path, extended_by)
    data = content.get("data")
    if isinstance(data, dict):
        _take_as_patterns(data, str(data.get("dataset")))
    return content


def _take_as_patterns(data: Any, dataset: str) -> None:
    """Make paths of a table [data] patterns, where they name shards."""
    if isinstance(data, dict) and dataset in SHARDS:
        for key in ("path", "validation_path"):
            if isinstance(data.get(key), StudyPath):
                data[key] = _as_pattern(data[key], f"data.{key}")


def _merged_content(path: Path, extended_by: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in extended_by:
        raise LrcoreError(f"study file {str(path)!r} extends itself")
    if len(extended_by) >= LONGEST_CHAIN:
        raise LrcoreError(
            f"extends: {str(path)!r} is the end of a chain of {len(extended_by) + 1} studies; allowed: {LONGEST_CHAIN}"
        )
    content = _parsed(path)
    _require_shallow(content, path)
    _refuse_other_name(content, path)
    _anchor_paths(content, path)
    base = content.pop("extends", None)
    if base is None:
        return content
    if not isinstance(base, str):
        raise LrcoreError(f"extends must be the name or the path of a study, got {shown(base)}")
    return merged(_merged_content(_extended(path, base), (*extended_by, path.resolve())), content)


def _extended(path: Path, base: str) -> Path:
    """The file of the study `base` that the one at `path` extends."""
    beside = str(path.parent / _expanded(base, "extends")) if base.endswith(".toml") else base
    try:
        return _study_file(beside)
    except LrcoreError as error:
        raise LrcoreError(f"extends of {str(path)!r}: {error}") from error


def _parsed(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            read = file.read(LARGEST_FILE + 1)
        if len(read) > LARGEST_FILE:
            raise LrcoreError(f"study file {str(path)!r} has more than {LARGEST_FILE:,} bytes, the most of a study")
        # editors of Windows begin a file with a byte-order mark
        return tomllib.loads(read.decode("utf-8-sig"))
    except RecursionError as error:
        raise LrcoreError(
            f"study file {str(path)!r} cannot be read: it nests lists or tables more than {DEEPEST_TABLES} deep"
        ) from error
    except (ValueError, OSError) as error:  # of which tomllib.TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise LrcoreError(f"study file {str(path)!r} cannot be read: {reason(error)}") from error


def _require_shallow(content: dict[str, Any], path: Path) -> None:
    """Refuse what is nested deeper than any study before anything that recurses sees it."""
    left: list[tuple[Any, str, int]] = [(content, "", 0)]
    while left:
        value, where, depth = left.pop()
        if depth > DEEPEST_TABLES:
            raise LrcoreError(f"study file {str(path)!r}: {where} is nested more than {DEEPEST_TABLES} deep")
        if isinstance(value, dict):
            left += [(item, under(where, key), depth + 1) for key, item in value.items()]
        elif isinstance(value, list):
            left += [(item, f"{where}[{number}]", depth + 1) for number, item in enumerate(value)]


PATHS = (
    *(("data", key) for key in ("path", "validation_path")),
    ("encoder", "weights"),
    *(("evaluation", key) for key in ("reference", "feature_weights")),
)
"""Tables and their keys that are paths, beside those of the autoencoders."""


def _refuse_other_name(content: dict[str, Any], path: Path) -> None:
    """A study's rows lie under its name: another's name would have it replace that one's rows."""
    name = content.get("name", path.stem)
    if name != path.stem:
        raise LrcoreError(
            f"name is {name!r} in study file '{path}'; a study's name is that of its file, allowed: {path.stem!r}: "
            "leave the key out, or rename the file"
        )


def _anchor_paths(content: dict[str, Any], path: Path) -> None:
    """Make paths relative to the file that names them, unless the file ships with the package."""
    from lrcore.metrics.shipped import NAMES

    if path.parent == Path(__file__).parent:
        return
    for table, key in PATHS:
        section = content.get(table)
        if not isinstance(section, dict):
            continue
        named = section.get(key)
        if isinstance(named, str) and named and not (key == "reference" and named in NAMES):
            section[key] = _anchored(named, path, f"{table}.{key}")
    autoencoders = content.get("autoencoders")
    for name, spec in autoencoders.items() if isinstance(autoencoders, dict) else ():
        if not isinstance(spec, dict):
            continue
        family, pretrained, where = spec.get("family"), spec.get("pretrained"), under("autoencoders", name)
        if isinstance(family, str) and ".py:" in family:
            spec["family"] = _anchored(family, path, f"{where}.family")
        if isinstance(pretrained, str) and _is_folder(pretrained, path, f"{where}.pretrained"):
            spec["pretrained"] = _anchored(pretrained, path, f"{where}.pretrained")


def _anchored(named: str, path: Path, key: str) -> StudyPath:
    folder, rest = _split(named, path, key)
    return StudyPath(f"{folder}/{rest}" if folder else rest, named)


def _split(named: str, path: Path, key: str) -> tuple[str, str]:
    """The folder that a path is relative to, "" of an absolute one, and the rest of it."""
    if named.startswith("~"):
        home, _, rest = named.partition("/")
        return str(_expanded(home, key)), rest
    return ("" if named.startswith("/") else str(path.parent.resolve())), named


def _is_folder(named: str, path: Path, key: str) -> bool:
    """Whether `pretrained` is a folder rather than a hub id, `owner/model`.

    Raises:
        LrcoreError: it is a folder in the working folder, where a study's paths do not lead.
    """
    if re.match(r"[./~]", named) or named.count("/") > 1 or (named and _exists(path.parent / named)):
        return True
    if named and _exists(Path(named)):
        raise LrcoreError(
            f"{key} {shown(named)} is no folder beside {str(path)!r}: paths in a study are relative to its file; "
            "allowed: such a folder, or a hub id"
        )
    return False


def _exists(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except (OSError, ValueError):  # an over-long name, a NUL in it
        return False


def _as_pattern(place: StudyPath, key: str) -> StudyPath:
    """A pattern of files whose folder, that of the study, is taken literally."""
    named = place.written
    rest = named.partition("/")[2] if named.startswith("~") else named
    folder = str(place).removesuffix(rest)
    if re.search(r"[{}]", folder):
        raise LrcoreError(
            f"{key} {shown(named)} is a pattern beside a study in {folder!r}, whose braces would be read as part of "
            "it; allowed: a folder without braces"
        )
    return StudyPath(glob.escape(folder) + rest, named)


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Tables of a study on top of those of another: key by key, lists and values replaced."""
    found = dict(base)
    for key, value in over.items():
        # an autoencoder that comes from elsewhere has no use for the keys of the one it replaces
        both = isinstance(value, dict) and isinstance(base.get(key), dict) and not {"family", "pretrained"} & set(value)
        found[key] = merged(base[key], value) if both else value
    return found
