"""From the source of a page to plain Pandoc Markdown: run its cells, and put what they return in their place."""

from __future__ import annotations

import asyncio
import os
import re
from dataclasses import dataclass
from typing import Any

import nbformat
from jupyter_client.kernelspec import NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat.v4 import new_code_cell, new_notebook

from site_preview.problem import PreviewError
from site_preview.settings import Page, Project, read_cell_options

CELL_TIMEOUT = 300
_FENCE = re.compile(r"^(\s*)(`{3,}|~{3,})(.*)$")
_INLINE = re.compile(r"(?<!`)`\{(\w+)\}\s+([^`]+?)`(?!`)")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_SHORTCODE = re.compile(r"\{\{<.*?>\}\}")


@dataclass(frozen=True)
class Cell:
    """A code cell: options, code, and the line of the page it starts on."""

    code: str
    options: dict[str, Any]
    line: int

    @property
    def name(self) -> str:
        """How a message names the cell."""
        label = self.options.get("label")
        return f"cell '{label}' (line {self.line})" if label else f"cell at line {self.line}"


@dataclass(frozen=True)
class Inline:
    """An expression in the text, `{python} like this`."""

    code: str
    line: int

    @property
    def name(self) -> str:
        """How a message names the expression."""
        return f"expression `{self.code}` (line {self.line})"


Part = str | Cell | Inline


def split_page(page: Page) -> list[Part]:
    """The page as text, cells and inline expressions, in order.

    Raises:
        PreviewError: a cell of another language, a shortcode, or a fence that is never closed.
    """
    parts: list[Part] = []
    lines = page.body.split("\n")
    at = 0
    while at < len(lines):
        opening = _FENCE.match(lines[at])
        line = page.first_line + at
        if not opening:
            parts += _split_text(lines[at], page, line)
            at += 1
            continue
        end = _closing(lines, at, opening)
        if end is None:
            raise PreviewError(f"{page.path}: the code block at line {line} is never closed")
        header = opening[3].strip()
        if header.startswith("{") and not header.startswith(("{.", "{=", "{#")):
            if header != "{python}":
                raise PreviewError(f"{page.path}: the preview does not understand a cell '{header}' (line {line})")
            parts.append(_read_cell(lines[at + 1 : end], page, line))
        else:
            parts.append("\n".join(lines[at : end + 1]) + "\n")
        at = end + 1
    return parts


async def run_page(project: Project, page: Page, parts: list[Part]) -> list[list[Any]]:
    """Run the cells and expressions of a page in one kernel, in the folder of the project.

    Returns:
        For each part its list of notebook outputs (empty for text).

    Raises:
        PreviewError: a cell raises, dies, or takes longer than `CELL_TIMEOUT` seconds.
    """
    code = [part for part in parts if not isinstance(part, str)]
    if not code:
        return [[] for _ in parts]
    notebook = new_notebook(cells=[new_code_cell(part.code) for part in code])
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(project.folder)}},
    )
    try:
        await client.async_execute(env={**os.environ, **project.environment})
    except CellExecutionError as error:
        failed = _first_failed(notebook, code)
        raise PreviewError(f"{page.path}: {failed} failed:\n{_ANSI.sub('', error.traceback)}") from None
    except CellTimeoutError as error:
        raise PreviewError(f"{page.path}: a cell took longer than {CELL_TIMEOUT} s") from error
    except DeadKernelError as error:
        raise PreviewError(f"{page.path}: the Python that runs the cells died (out of memory?)") from error
    except (NoSuchKernel, RuntimeError) as error:
        raise PreviewError(f"{page.path}: no Python could be started for the cells: {error}") from error
    outputs = iter([cell.outputs for cell in notebook.cells])
    return [[] if isinstance(part, str) else next(outputs) for part in parts]


def page_markdown(project: Project, page: Page, parts: list[Part], outputs: list[list[Any]]) -> str:
    """The page as Markdown for Pandoc, cells and expressions replaced by what they show."""
    shown = []
    for part, output in zip(parts, outputs, strict=True):
        if isinstance(part, str):
            shown.append(part)
        elif isinstance(part, Cell):
            shown.append(_cell_markdown(project, page, part, output))
        else:
            shown.append(_inline_markdown(page, part, output))
    return "".join(shown)


def _closing(lines: list[str], at: int, opening: re.Match[str]) -> int | None:
    fence = re.compile(rf"^\s*{re.escape(opening[2][0])}{{{len(opening[2])},}}\s*$")
    return next((i for i in range(at + 1, len(lines)) if fence.match(lines[i])), None)


def _split_text(text: str, page: Page, line: int) -> list[Part]:
    shortcode = _SHORTCODE.search(text)
    if shortcode:
        raise PreviewError(f"{page.path}: the preview does not understand the shortcode {shortcode[0]} (line {line})")
    parts: list[Part] = []
    end = 0
    for match in _INLINE.finditer(text):
        if match[1] != "python":
            raise PreviewError(f"{page.path}: the preview does not understand the expression {match[0]} (line {line})")
        parts += [text[end : match.start()], Inline(match[2].strip(), line)]
        end = match.end()
    return [*parts, text[end:] + "\n"]


def _read_cell(lines: list[str], page: Page, line: int) -> Cell:
    count = next((i for i, text in enumerate(lines) if not text.startswith("#|")), len(lines))
    options = read_cell_options("\n".join(text[2:] for text in lines[:count]), f"{page.path}: cell at line {line}")
    label = options.get("label", "")
    for kind, caption in (("fig-", "fig-cap"), ("tbl-", "tbl-cap")):
        if label.startswith(kind) and caption not in options:
            raise PreviewError(f"{page.path}: cell '{label}' has no {caption}")
        if caption in options and not label.startswith(kind):
            raise PreviewError(f"{page.path}: cell at line {line} has a {caption}, so its label must start '{kind}'")
    return Cell("\n".join(lines[count:]), options, line)


def _first_failed(notebook: nbformat.NotebookNode, code: list[Cell | Inline]) -> str:
    for cell, part in zip(notebook.cells, code, strict=True):
        if any(output.output_type == "error" for output in cell.outputs):
            return part.name
    return "a cell"


def _cell_markdown(project: Project, page: Page, cell: Cell, outputs: list[Any]) -> str:
    options = cell.options
    if options.get("include") is False:
        return "\n"
    shown = []
    if options.get("echo", page.executes(project, "echo", True)):
        shown.append(_code_markdown(project, page, cell))
    if options.get("output", True) is not False:
        warns = options.get("warning", page.executes(project, "warning", True))
        content = [_output_markdown(page, cell, output, warns) for output in outputs]
        shown.append(_captioned(options, "\n\n".join(text for text in content if text.strip())))
    return "\n\n" + "\n\n".join(text for text in shown if text.strip()) + "\n\n"


def _code_markdown(project: Project, page: Page, cell: Cell) -> str:
    code = f"````` python\n{cell.code}\n`````"
    if not cell.options.get("code-fold", page.says(project, "code-fold", False)):
        return code
    summary = cell.options.get("code-summary", project.html("code-summary", "Code"))
    return (
        f'```{{=html}}\n<details class="code-fold"><summary>{summary}</summary>\n```\n\n{code}\n\n'
        "```{=html}\n</details>\n```"
    )


def _captioned(options: dict[str, Any], content: str) -> str:
    label = options.get("label", "")
    caption = options.get("fig-cap") or options.get("tbl-cap")
    if not caption:
        return content
    return f"::::::::: {{#{label}}}\n\n{content}\n\n{caption}\n\n:::::::::"


def _output_markdown(page: Page, cell: Cell, output: Any, warns: bool) -> str:
    where = f"{page.path}: {cell.name}"
    if output.output_type == "stream":
        if output.name == "stderr":
            if warns:
                raise PreviewError(f"{where} writes a warning into the page:\n{output.text}")
            return ""
        return str(output.text) if cell.options.get("output") == "asis" else _plain(output.text)
    kinds = set(output.data)
    for kind in ("text/html", "application/javascript", "application/vnd.jupyter.widget-view+json"):
        if kind in kinds:
            raise PreviewError(
                f"{where} returns {kind}: Quarto would add scripts of another host to the page; "
                "return Markdown instead (SiteFigure, SiteTable, IPython.display.Markdown)"
            )
    if "text/markdown" in kinds:
        return str(output.data["text/markdown"])
    if kinds == {"text/plain"}:
        return _plain(output.data["text/plain"])
    raise PreviewError(f"{where} returns {', '.join(sorted(kinds))}, which the preview does not show")


def _plain(text: str) -> str:
    return f"`````\n{_ANSI.sub('', text).rstrip()}\n`````"


def _inline_markdown(page: Page, part: Inline, outputs: list[Any]) -> str:
    results = [output for output in outputs if output.output_type == "execute_result"]
    if len(results) != 1 or len(outputs) != 1:
        raise PreviewError(f"{page.path}: {part.name} returns nothing, or more than a value")
    data = results[0].data
    if "text/markdown" in data:
        return str(data["text/markdown"]).strip()
    text = str(data["text/plain"])
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    return re.sub(r"([\\`*_{}\[\]<>()#+.!|~^$@-])", r"\\\1", text)


def run_pages(project: Project, pages: list[Page]) -> list[str]:
    """The Markdown of every page; two pages run at a time, and the first that fails ends all."""

    async def run_all() -> list[str]:
        free = asyncio.Semaphore(2)

        async def one(page: Page) -> str:
            parts = split_page(page)
            async with free:
                outputs = await run_page(project, page, parts)
            return page_markdown(project, page, parts, outputs)

        async with asyncio.TaskGroup() as group:
            running = [group.create_task(one(page)) for page in pages]
        return [task.result() for task in running]

    try:
        return asyncio.run(run_all())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None  # the others fail because they are stopped
