"""What `_quarto.yml` and the front matter of a page say, as far as the preview understands it.

Every key is looked up in a table of what is understood; any other key is refused by name, so that nothing in a page
is dropped in silence.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from site_preview.problem import PreviewError

# A nested dict lists the keys of a mapping, a type or a tuple of types is what a value must be, a list holds the only
# values that are understood.
PROJECT_KEYS: dict[str, Any] = {
    "project": {
        "type": ["website"],
        "output-dir": str,
        "execute-dir": ["project"],
        "render": list,
        "pre-render": (str, list),
        "resources": (str, list),
    },
    "website": {
        "title": str,
        "description": str,
        "site-url": str,
        "favicon": str,
        "image": str,
        "image-alt": str,
        "open-graph": [True],
        "twitter-card": [True],
        "navbar": {"left": list, "collapse-below": ["xxl"]},
    },
    "lang": str,
    "bibliography": str,
    "link-citations": bool,
    "jupyter": ["python3"],
    "execute": {"echo": bool, "warning": bool},
    "format": {
        "html": {
            "theme": dict,
            "respect-user-color-scheme": bool,
            "css": str,
            "toc": bool,
            "toc-depth": int,
            "toc-location": ["right-body"],
            "number-sections": bool,
            "code-fold": bool,
            "code-copy": bool,
            "crossrefs-hover": [False],
            "code-summary": str,
            "html-math-method": ["mathml"],
            "html-table-processing": ["none"],
            "include-in-header": list,
        }
    },
}
PAGE_KEYS: dict[str, Any] = {
    "title": str,
    "subtitle": str,
    "description": str,
    "abstract": str,
    "author": (str, list),
    "date": datetime.date,
    "image": str,
    "image-alt": str,
    "resources": list,
    "citation": {"id": str},
    "toc": bool,
    "number-sections": bool,
    "code-fold": bool,
    "execute": {"echo": bool, "warning": bool},
}
CELL_KEYS: dict[str, Any] = {
    "label": str,
    "fig-cap": str,
    "fig-alt": str,
    "tbl-cap": str,
    "echo": bool,
    "output": [True, False, "asis"],
    "include": bool,
    "warning": bool,
    "code-fold": bool,
    "code-summary": str,
}


@dataclass(frozen=True)
class Project:
    """A Quarto website project: its folder and what `_quarto.yml` says."""

    folder: Path
    settings: dict[str, Any]

    def option(self, *keys: str, default: Any = None) -> Any:
        """The setting at `keys`, or `default`."""
        value: Any = self.settings
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return default if value is None else value

    def html(self, key: str, default: Any = None) -> Any:
        """The setting `key` of `format: html`."""
        return self.option("format", "html", key, default=default)

    def listed(self, *keys: str) -> list[str]:
        """A setting that may be one name or a list of names."""
        value = self.option(*keys, default=[])
        return [value] if isinstance(value, str) else list(value)

    def files(self, patterns: list[str], needed: bool) -> list[Path]:
        """Files of the project that match glob patterns, relative to its folder; a needed pattern must match."""
        found: list[Path] = []
        for pattern in patterns:
            matches = sorted(
                path.relative_to(self.folder)
                for path in self.folder.glob(pattern)
                if path.is_file() and not any(part[0] in "._" for part in path.relative_to(self.folder).parts)
            )
            if needed and not matches:
                raise PreviewError(f"_quarto.yml: '{pattern}' matches no file")
            found += [match for match in matches if match not in found]
        return found

    @property
    def environment(self) -> dict[str, str]:
        """What `_environment` sets for all that runs: lines `NAME=value`, and comments."""
        path = self.folder / "_environment"
        lines = path.read_text().splitlines() if path.is_file() else []
        said = [line.partition("=") for line in lines if line.strip() and not line.startswith("#")]
        return {name.strip(): value.strip() for name, _, value in said}

    @property
    def site_url(self) -> str:
        """The address the site will have, without a slash at the end; empty where it is not known."""
        return str(self.option("website", "site-url", default="")).rstrip("/")

    @property
    def site_path(self) -> str:
        """The path of that address, from slash to slash."""
        return f"{urlsplit(self.site_url).path}/"

    def pages(self) -> list[Path]:
        """The pages to render, relative to the folder."""
        return self.files(self.listed("project", "render") or ["**/*.qmd"], needed=True)


@dataclass(frozen=True)
class Page:
    """A page as written: its settings and its body."""

    path: Path
    settings: dict[str, Any]
    body: str
    first_line: int = field(default=1)

    def says(self, project: Project, key: str, default: Any) -> Any:
        """A setting of the page, or else of `format: html`."""
        return self.settings.get(key, project.html(key, default))

    def executes(self, project: Project, key: str, default: bool) -> bool:
        """A setting under `execute`, of the page or else of the project."""
        own = self.settings.get("execute", {})
        return bool(own.get(key, project.option("execute", key, default=default)))

    @property
    def target(self) -> Path:
        """Where the page goes in the site."""
        return self.path.with_suffix(".html")

    @property
    def is_not_found(self) -> bool:
        """Is it the page that a server sends in the place of one that is missing, at whatever depth?"""
        return self.path.as_posix() == "404.qmd"

    def description(self, project: Project) -> str:
        """What the page is about, in a sentence: its own, or else that of the site."""
        return str(self.settings.get("description") or project.option("website", "description", default=""))


def read_project(folder: Path) -> Project:
    """Read `_quarto.yml`.

    Raises:
        PreviewError: no project there, or a key or value that the preview does not know.
    """
    path = folder / "_quarto.yml"
    if not path.is_file():
        raise PreviewError(f"'{folder}' is no Quarto project: it has no _quarto.yml")
    settings = _yaml(path.read_text(), "_quarto.yml")
    _check(settings, PROJECT_KEYS, "_quarto.yml", "")
    for item in [*(settings.get("website", {}).get("navbar", {}).get("left", []))]:
        if not isinstance(item, dict) or set(item) != {"text", "href"}:
            raise PreviewError(f"_quarto.yml: an entry of navbar must have a text and an href: {item!r}")
    for item in settings.get("format", {}).get("html", {}).get("include-in-header", []):
        if not isinstance(item, dict) or set(item) != {"text"}:
            raise PreviewError(f"_quarto.yml: include-in-header takes entries of the form 'text:' here: {item!r}")
    for folder_settings in folder.rglob("_metadata.yml"):
        raise PreviewError(f"{folder_settings.relative_to(folder)}: settings of a folder are not understood here")
    return Project(folder, settings)


def read_page(project: Project, path: Path) -> Page:
    """Read a page and its front matter."""
    text = (project.folder / path).read_text()
    if not text.startswith("---\n") or "\n---\n" not in text[3:]:
        raise PreviewError(f"{path}: no front matter between two lines of '---'")
    front, body = text[4:].split("\n---\n", 1)
    settings = _yaml(front, f"{path}: front matter")
    _check(settings, PAGE_KEYS, f"{path}: front matter", "")
    if "title" not in settings:
        raise PreviewError(f"{path}: front matter has no title")
    return Page(path, settings, body, first_line=front.count("\n") + 4)


def read_cell_options(text: str, where: str) -> dict[str, Any]:
    """The `#|` options of a cell."""
    options = _yaml(text, where)
    _check(options, CELL_KEYS, where, "")
    return options


def _yaml(text: str, where: str) -> dict[str, Any]:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise PreviewError(f"{where}: not valid YAML: {error}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise PreviewError(f"{where}: expected 'key: value' lines")
    return value


def _check(settings: dict[str, Any], known: dict[str, Any], where: str, above: str) -> None:
    for key, value in settings.items():
        name = f"{above}{key}"
        if key not in known:
            raise PreviewError(f"{where}: the preview does not understand '{name}'")
        rule = known[key]
        if isinstance(rule, dict):
            if not isinstance(value, dict):
                raise PreviewError(f"{where}: '{name}' must be a mapping")
            _check(value, rule, where, f"{name}.")
        elif isinstance(rule, list):
            if value not in rule:
                raise PreviewError(f"{where}: the preview does not understand '{name}: {value}', only {rule}")
        elif not isinstance(value, rule):
            raise PreviewError(f"{where}: '{name}: {value}' has the wrong type")
