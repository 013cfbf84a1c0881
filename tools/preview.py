"""Build a plain preview of the site into `_site/` where Quarto is not installed.

    python tools/preview.py [FOLDER] [--output FOLDER] [--no-prepare-data]

Runs the project's pre-render scripts, executes every cell of every page, and lays the pages out with Pandoc. It
understands what the pages of this project use, refuses anything else by name, and fails on: an error or a warning in
a cell, an unresolved reference, an unknown citation, a dead link, a missing image, a request to another host. The
folder it writes is replaced in one step, and only when everything is well. This is not Quarto, and does not look
like Quarto's rendering.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

try:
    from site_preview.cells import run_pages
    from site_preview.checks import check_page, local_references, page_anchors
    from site_preview.pages import page_html
    from site_preview.problem import PreviewError
    from site_preview.settings import Page, Project, read_page, read_project
    from site_preview.sitemap import write_sitemap
except ImportError as error:
    sys.exit(f"{error}: run this with the Python that lrcore[site] is installed in (`make site` does)")

FRAME = ("preview.css", "preview.js")


def build(folder: Path, output: Path | None = None, prepare_data: bool = True) -> Path:
    """Build the project in `folder`; returns the folder of the site.

    Raises:
        PreviewError: naming the page and the thing. Nothing has been replaced then.
    """
    project = read_project(folder)
    output = output or folder / project.option("project", "output-dir", default="_site")
    run_scripts(project, prepare_data)
    pages = [read_page(project, path) for path in project.pages()]
    texts = run_pages(project, pages)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", suffix=".tmp", dir=output.parent) as temporary:
        site = Path(temporary) / "site"
        write_site(project, pages, texts, site)
        replace_folder(output, site)
    return output


def run_scripts(project: Project, prepare_data: bool) -> None:
    """Run `project: pre-render`, as Quarto would: in the project's folder."""
    for script in project.listed("project", "pre-render"):
        if not script.endswith(".py"):
            raise PreviewError(f"_quarto.yml: the preview runs Python scripts only, not pre-render: {script}")
        command = [sys.executable, script, *([] if prepare_data else ["--no-data"])]
        done = subprocess.run(command, cwd=project.folder, check=False)
        if done.returncode:
            raise PreviewError(f"pre-render script {script} failed with code {done.returncode}")


def write_site(project: Project, pages: list[Page], texts: list[str], site: Path) -> None:
    """Write the pages and everything they need into the new folder `site`, and check them."""
    written = {page.target: page_html(project, page, text) for page, text in zip(pages, texts, strict=True)}
    for target, html in written.items():
        (site / target).parent.mkdir(parents=True, exist_ok=True)
        (site / target).write_text(html)
    for name in FRAME:
        shutil.copyfile(Path(__file__).parent / "site_preview" / name, site / name)
    wanted = project.files(project.listed("project", "resources"), needed=False)
    for page in pages:  # beside the page, and also what its cells wrote
        beside = [f"{page.path.parent.as_posix()}/{pattern}" for pattern in page.settings.get("resources", [])]
        wanted += project.files(beside, needed=False)
    wanted += [Path(name) for name in project.listed("format", "html", "css")]
    wanted += [Path(name.lstrip("/")) for name in project.listed("website", "image")]
    wanted += [Path(page.settings["image"].lstrip("/")) for page in pages if "image" in page.settings]
    for path in wanted:
        copy_file(project, path, site)
    for target, html in written.items():
        for reference in local_references(html, project.site_path):
            # As Quarto does, take along what a page refers to; what is not there is named by the check below.
            source = (project.folder / target.parent / reference).resolve()
            if source.is_file() and source.is_relative_to(project.folder.resolve()):
                copy_file(project, source.relative_to(project.folder.resolve()), site)
    anchors = {target: page_anchors(html) for target, html in written.items()}
    for page in pages:
        check_page(site, page.target, anchors, str(page.path), project.site_path)
    write_sitemap(project, pages, site)


def copy_file(project: Project, path: Path, site: Path) -> None:
    """Copy a file of the project to the same place in the site, unless the site has it."""
    source, target = project.folder / path, site / path
    if not source.is_file():
        raise PreviewError(f"_quarto.yml: '{path}' does not exist")
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def replace_folder(output: Path, site: Path) -> None:
    """Put the new site in the place of the old one, which goes away with the temporary folder."""
    if output.exists():
        output.rename(site.parent / "old")
    site.rename(output)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path.cwd(), help="the Quarto project (default: here)")
    parser.add_argument("--output", type=Path, help="where the site goes (default: output-dir of the project)")
    parser.add_argument("--no-prepare-data", action="store_true", help="show the data as they are: train nothing")
    options = parser.parse_args()
    start = time.monotonic()
    try:
        output = build(options.folder.resolve(), options.output, not options.no_prepare_data)
    except PreviewError as error:
        print(f"preview: {error}", file=sys.stderr)
        sys.exit(1)
    print(f"preview of the site in {output} ({time.monotonic() - start:.0f} s); this is not Quarto's rendering")


if __name__ == "__main__":
    main()
