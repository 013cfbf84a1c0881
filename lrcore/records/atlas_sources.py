"""The atlas as people edit it, one CSV a source under `data/atlas/sources`, into checked rows and Parquet.

    problems(Path("data"), Path("posts/references.bib"))    # one line each; [] where there is nothing to mend
    build(Path("data"), Path("posts/references.bib"))       # data/atlas/<source>.parquet

Beside the sources stand `autoencoders.csv`, canonical names with their family, `groups.csv`, the protocols within which
figures may be compared, and `second_reading.csv`, what became of the rows that were read again.
`data/atlas/README.md` describes all of them.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from lrcore.errors import LrcoreError, shown, unknown
from lrcore.records import atlas_second_reading, digests, schema
from lrcore.records.atlas_vocabulary import CORRELATIONS, FAMILIES, QUANTITIES, VOCABULARIES
from lrcore.records.csv_tables import read_table
from lrcore.records.reading import read_rows
from lrcore.records.schema import AtlasRow
from lrcore.records.writing import write_atlas

_TYPES = {field.name: str(field.type) for field in dataclasses.fields(AtlasRow)}
COLUMNS = tuple(name for name in _TYPES if name not in ("source", "family", "schema_version"))
"""Columns of a source's CSV; one that is empty in every line may be left out."""

REQUIRED = ("place", "verified", "autoencoder", "canonical", "quantity", "value")

PROTOCOL = (
    "dataset", "resolution", "split", "n", "generator", "images_seen", "sampler", "steps", "guidance", "label_rule",
    "reference",
)  # fmt: skip
"""What rows of one group and quantity must share."""

_AUTOENCODERS = ("canonical", "family", "note")
_GROUPS = ("group", "source", "label", "autoencoders", "caveat")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_ENTRY = re.compile(r"^@\w+\{\s*([^,\s]+)\s*,(.*?)(?=^@|\Z)", re.MULTILINE | re.DOTALL)
_NEEDED_OF_ENTRIES = ("title", "author", "year")
_FIELD = r"^\s*{}\s*=\s*[{{\"]*\s*[^\s{{}}\",]"
"""A field of an entry that is not empty."""


@dataclass(frozen=True)
class Group:
    """A protocol: rows of one group may be compared.

    `autoencoders` names the group of the same source in which the latents themselves were measured, "" where there is
    none; `caveat` is what a reader must know before believing a statistic of the group.
    """

    group: str
    source: str
    label: str
    autoencoders: str
    caveat: str


@dataclass(frozen=True)
class Known:
    """What rows are checked against: families by canonical name, groups, and works of the bibliography."""

    families: Mapping[str, str]
    groups: Mapping[str, Group]
    cited: frozenset[str]


def source_files(data: Path) -> list[Path]:
    """The CSV of every source, in order."""
    return sorted((Path(data) / "atlas" / "sources").glob("*.csv"))


def read_groups(data: Path) -> dict[str, Group]:
    """The protocol groups of `groups.csv`, by name.

    Raises:
        LrcoreError: missing, or not as it must be.
    """
    lines = read_table(Path(data) / "atlas" / "groups.csv", _GROUPS, _GROUPS)
    return _once("group", "groups.csv", ((line["group"], Group(**line)) for _, line in lines))


def known(data: Path, bib: Path) -> Known:
    """What the rows under `data` may refer to.

    Raises:
        LrcoreError: `autoencoders.csv`, `groups.csv` or the bibliography is missing or not as it must be.
    """
    lines = read_table(Path(data) / "atlas" / "autoencoders.csv", _AUTOENCODERS, _AUTOENCODERS[:2])
    families = _once("canonical", "autoencoders.csv", ((line["canonical"], line["family"]) for _, line in lines))
    for name, family in families.items():
        if family not in FAMILIES:
            raise LrcoreError(f"autoencoders.csv, {shown(name)}: {unknown('family', family, FAMILIES)}")
    groups = read_groups(data)
    for group in groups.values():
        if not _NAME.fullmatch(group.group):
            raise LrcoreError(f"groups.csv: group {shown(group.group)} must be lower-case letters, digits, '.' and '-'")
        if not group.label or not group.caveat:
            raise LrcoreError(f"groups.csv, {shown(group.group)}: label and caveat must not be empty")
        if group.autoencoders and group.autoencoders not in groups:
            raise LrcoreError(f"groups.csv, {shown(group.group)}: {unknown('group', group.autoencoders, groups)}")
        if group.autoencoders and groups[group.autoencoders].source != group.source:
            raise LrcoreError(f"groups.csv, {shown(group.group)}: {group.autoencoders} is of another source")
    return Known(families, groups, frozenset(_cited(bib)))


def read_source(path: Path, given: Known) -> tuple[list[AtlasRow], list[str]]:
    """The rows of one source and what is to be mended in it, a line each; only rows without a fault are returned."""
    found: list[str] = []
    rows: list[AtlasRow] = []
    lines: list[int] = []
    if path.stem not in given.cited:
        needed = ", ".join(_NEEDED_OF_ENTRIES)
        found.append(f"{path.name}: no entry {shown(path.stem)} with {needed} in the bibliography")
    try:
        table = read_table(path, COLUMNS, REQUIRED)
    except LrcoreError as error:
        return [], [*found, str(error)]
    if not table:
        found.append(f"{path.name}: no rows")
    for number, line in table:
        try:
            row = _row(path.stem, line, given)
        except LrcoreError as error:
            found.append(f"{path.name}, line {number}: {error}")
            continue
        faults = [f"{path.name}, line {number}: {fault}" for fault in _faults(row, given)]
        found += faults
        if not faults:
            rows.append(row)
            lines.append(number)
    found += [f"{path.name}, {fault}" for fault in [*_doubles(rows, lines), *_repeats(rows, lines)]]
    found += [f"{path.name}, {fault}" for fault in _mixed_groups(rows, lines)]
    return rows, found


def problems(data: Path, bib: Path) -> list[str]:
    """Everything to be mended in the atlas under `data`, one line each; stale Parquet is among it."""
    try:
        given = known(data, bib)
    except LrcoreError as error:
        return [str(error)]
    found, whole = _whole_sources(data, given)
    if not found:
        found += _unused(given, whole)
        found += atlas_second_reading.problems(data, [row for rows in whole.values() for row in rows])
    return found + _stale(data, whole)


def build(data: Path, bib: Path) -> list[Path]:
    """Write the Parquet of every source, and remove that of sources that are gone; returns the files.

    Raises:
        LrcoreError: there is something to mend; nothing is written then.
    """
    faults, whole = _whole_sources(data, known(data, bib))
    if faults:
        rest = f" (and {len(faults) - 1} more; `python -m lrcore.atlas check` lists them)" if len(faults) > 1 else ""
        raise LrcoreError(faults[0] + rest)
    written = [write_atlas(data, source, rows) for source, rows in whole.items()]
    for path in _parquet_files(data):
        if path.stem not in whole:
            path.unlink()
    return written


def _whole_sources(data: Path, given: Known) -> tuple[list[str], dict[str, list[AtlasRow]]]:
    """What is to be mended in the CSV, and the rows of the sources that are whole."""
    found: list[str] = []
    whole: dict[str, list[AtlasRow]] = {}
    for path in source_files(data):
        rows, faults = read_source(path, given)
        found += faults
        if not faults:
            whole[path.stem] = rows
    if not source_files(data):
        found.append(f"no CSV in '{Path(data) / 'atlas' / 'sources'}'")
    found += _strange_files(data)
    if not found:
        found += _lost(whole)
    return found, whole


def _strange_files(data: Path) -> Iterator[str]:
    """Files that nothing reads: what was meant to be a source would be missing without a word."""
    folder = Path(data) / "atlas"
    for path in sorted((folder / "sources").glob("*")):
        if path.suffix != ".csv" and not path.name.startswith("."):
            yield f"sources/{path.name}: nothing reads it; sources are <key>.csv"
    for path in sorted(folder.glob("*.csv")):
        if path.name not in ("autoencoders.csv", "groups.csv", atlas_second_reading.FILE):
            yield f"{path.name}: nothing reads it; sources belong into 'sources'"


def _unused(given: Known, whole: Mapping[str, list[AtlasRow]]) -> Iterator[str]:
    rows = [row for found in whole.values() for row in found]
    for name in sorted(given.groups.keys() - {row.group for row in rows}):
        yield f"groups.csv: no row is of group {shown(name)}"
    for name in sorted(given.families.keys() - {row.canonical for row in rows}):
        yield f"autoencoders.csv: no row is of {shown(name)}"


def _lost(whole: Mapping[str, list[AtlasRow]]) -> Iterator[str]:
    """Figures that say they repeat another, which is not there: nothing would count them."""
    rows = [row for found in whole.values() for row in found]
    counted = {(row.canonical, row.quantity, row.value) for row in rows if not row.repeats}
    for row in rows:
        if row.repeats and (row.canonical, row.quantity, row.value) not in counted:
            yield f"{row.source}.csv, {row.place}: {row.quantity} {row.value} of {row.canonical} repeats no other row"


def _parquet_files(data: Path) -> list[Path]:
    return sorted((Path(data) / "atlas").glob("*.parquet"))


def _stale(data: Path, whole: Mapping[str, list[AtlasRow]]) -> list[str]:
    """Parquet that is not what the CSV says."""
    mend = "`python -m lrcore.atlas build` makes it"
    files = {path.stem: path for path in _parquet_files(data)}
    sources = {path.stem for path in source_files(data)}
    found = [f"{files[name].name}: there is no CSV of it; {mend} go" for name in sorted(files.keys() - sources)]
    for source, rows in whole.items():
        if source not in files:
            found.append(f"{source}.parquet: missing; {mend}")
            continue
        wanted = pa.Table.from_pylist([dataclasses.asdict(row) for row in rows], schema.arrow_schema(AtlasRow))
        try:
            stored = read_rows(files[source], AtlasRow)
        except LrcoreError as error:
            found.append(str(error))
            continue
        if digests.table_digest(wanted) != digests.table_digest(stored):
            found.append(f"{source}.parquet: not what {source}.csv says; {mend} anew")
    return found


def _once(kind: str, file: str, pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise LrcoreError(f"{file}: {kind} {shown(name)} stands there twice")
        if not name:
            raise LrcoreError(f"{file}: {kind} must not be empty")
        found[name] = value
    return found


def _cited(bib: Path) -> Iterator[str]:
    """The keys of those entries that have what a source needs.

    Raises:
        LrcoreError: there is no such file, or a key stands in it twice.
    """
    try:
        text = Path(bib).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LrcoreError(f"the bibliography '{bib}' cannot be read: {' '.join(str(error).split())}") from error
    entries = _ENTRY.findall(text)
    keys = [key for key, _ in entries]
    for key, fields in entries:
        if keys.count(key) > 1:
            raise LrcoreError(f"the bibliography '{bib}' has {shown(key)} twice")
        if all(re.search(_FIELD.format(name), fields, re.MULTILINE) for name in _NEEDED_OF_ENTRIES):
            yield key


def _row(source: str, line: Mapping[str, str], given: Known) -> AtlasRow:
    """One line as a row.

    Raises:
        LrcoreError: a field is not of its type.
    """
    values: dict[str, Any] = {name: _typed(name, text) for name, text in line.items()}
    return AtlasRow(source=source, family=given.families.get(line["canonical"], ""), **values)


def _typed(column: str, text: str) -> str | int | float | bool:
    kind = _TYPES[column]
    if kind == "str":
        if not text.isprintable():
            raise LrcoreError(f"{column}: {shown(text)} has characters that cannot be printed")
        return text
    if kind == "bool":
        if text not in ("", "yes"):
            raise LrcoreError(f"{column}: {shown(text)} must be yes, or empty")
        return text == "yes"
    if not text:
        return 0 if kind == "int" else math.nan
    # Python alone would take 1_000, nan and digits of any script, too
    if not (_INTEGER if kind == "int" else _NUMBER).fullmatch(text):
        raise LrcoreError(f"{column}: {shown(text)} is not {'a whole number' if kind == 'int' else 'a number'}")
    if kind == "int":
        if len(text) > 18 or int(text) <= 0:
            raise LrcoreError(f"{column}: {shown(text)} must be positive and below 10^18, or empty")
        return int(text)
    if not math.isfinite(float(text)):
        raise LrcoreError(f"{column}: {shown(text)} must be finite")
    return float(text)


def _faults(row: AtlasRow, given: Known) -> Iterator[str]:
    """What is wrong with a row by itself."""
    for column, words in VOCABULARIES.items():
        if (word := getattr(row, column)) and word not in words:
            yield str(unknown(column, word, words))
    for column in ("place", "verified", "quantity"):
        if not getattr(row, column):
            yield f"{column} must not be empty: a figure says where it stands and how it was read"
    yield from _faults_of_origin(row, given)
    yield from _faults_of_names(row, given)
    yield from _faults_of_value(row)
    yield from _faults_of_setting(row)


def _faults_of_origin(row: AtlasRow, given: Known) -> Iterator[str]:
    if row.verified == "commit" and not _REPOSITORY.fullmatch(row.repository):
        yield f"repository: {shown(row.repository)} must be owner/name@ and the 40 hex digits of a commit"
    if row.verified == "once" and row.repository:
        yield "repository: must be empty where verified is 'once'"
    if row.quoted_from and row.quoted_from not in given.cited:
        yield f"quoted_from: no entry {shown(row.quoted_from)} in the bibliography"
    if row.quoted_from == row.source:
        yield "quoted_from: a source does not quote itself"


def _faults_of_names(row: AtlasRow, given: Known) -> Iterator[str]:
    if bool(row.autoencoder) != bool(row.canonical):
        yield "autoencoder and canonical: both or none"
    if row.canonical and row.canonical not in given.families:
        near = str(unknown("canonical name", row.canonical, given.families)).rpartition("; ")[2]
        hint = f" ({near})" if near.startswith("did you mean") else ""
        yield f"unknown canonical name {shown(row.canonical)}: not in autoencoders.csv{hint}"
    if row.group and (group := given.groups.get(row.group)) is None:
        yield str(unknown("group", row.group, given.groups))
    elif row.group and group and group.source != row.source:
        yield f"group {shown(row.group)} is of {group.source}"
    if bool(row.predictor) != (row.quantity in CORRELATIONS):
        yield f"predictor: belongs to correlations ({', '.join(CORRELATIONS)}), which need it"


def _faults_of_value(row: AtlasRow) -> Iterator[str]:
    if math.isnan(row.value):
        yield "value must not be empty"
    if row.error < 0:
        yield f"error: {row.error} must not be negative"
    if row.quantity not in QUANTITIES:
        return
    units = QUANTITIES[row.quantity].units
    if row.unit not in units:
        allowed = " or ".join(shown(unit) if unit else "none" for unit in units)
        yield f"unit: {shown(row.unit)} of {row.quantity}; allowed: {allowed}"
    elif not math.isnan(row.value):
        low, high = units[row.unit]
        if not low <= row.value <= high:
            yield f"value: {row.value} of {row.quantity} is outside {low} to {high} {row.unit}".rstrip()


def _faults_of_setting(row: AtlasRow) -> Iterator[str]:
    scaled = not math.isnan(row.guidance_scale)
    if scaled and row.guidance in ("", "none"):
        yield "guidance_scale: only where guidance says which"
    if scaled and row.guidance_scale < 0:
        yield f"guidance_scale: {row.guidance_scale} must not be negative"
    low, high = row.guidance_low, row.guidance_high
    if low > high or any(not 0 <= end <= 1 for end in (low, high) if not math.isnan(end)):
        yield f"guidance_low, guidance_high: {low}, {high} must be times from 0 to 1, in order"
    for column in ("trainshift", "sampleshift"):
        if getattr(row, column) <= 0:
            yield f"{column}: {getattr(row, column)} must be positive"
    if row.channels and row.patch and row.downsampling and row.channels_per_token:
        expected = row.channels * row.patch**2
        if row.channels_per_token != expected:
            yield f"channels_per_token: {row.channels_per_token}, but channels and patch make {expected}"


def _doubles(rows: list[AtlasRow], lines: list[int]) -> Iterator[str]:
    """Rows that nothing but the value tells apart."""
    seen: dict[tuple[object, ...], int] = {}
    for row, number in zip(rows, lines, strict=True):
        key = _key(row, schema.ATLAS_KEY)
        if key in seen:
            yield f"line {number}: nothing but the value tells it from line {seen[key]}"
        seen.setdefault(key, number)


def _repeats(rows: list[AtlasRow], lines: list[int]) -> Iterator[str]:
    """Figures that stand in the source twice: all but one of them have to say so."""
    columns = [name for name in schema.ATLAS_KEY if name not in ("place", "table", "setting")]
    first: dict[tuple[object, ...], tuple[int, str]] = {}
    for row, number in zip(rows, lines, strict=True):
        if row.repeats:
            continue
        key = (*_key(row, columns), row.value)
        if key in first and first[key][1] != row.place:
            yield f"line {number}: the figure of line {first[key][0]} at another place; say so in `repeats`"
        first.setdefault(key, (number, row.place))


def _mixed_groups(rows: list[AtlasRow], lines: list[int]) -> Iterator[str]:
    """Rows that say they are of one protocol, but are not."""
    first: dict[tuple[str, str], tuple[int, AtlasRow]] = {}
    for row, number in zip(rows, lines, strict=True):
        if not row.group:
            continue
        before, other = first.setdefault((row.group, row.quantity), (number, row))
        differ = [name for name in PROTOCOL if getattr(row, name) != getattr(other, name)]
        if differ:
            yield f"line {number}: {', '.join(differ)} differ from line {before}, which is of group {row.group}, too"


def _key(row: AtlasRow, columns: Iterable[str]) -> tuple[object, ...]:
    """NaN, which equals nothing, as None."""
    values = (getattr(row, name) for name in columns)
    return tuple(None if isinstance(value, float) and math.isnan(value) else value for value in values)
