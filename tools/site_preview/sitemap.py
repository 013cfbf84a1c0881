"""`sitemap.xml` and `robots.txt`, as Quarto writes them where `website: site-url` says what the address will be."""

from __future__ import annotations

import datetime
from pathlib import Path
from xml.sax.saxutils import escape

from site_preview.settings import Page, Project


def write_sitemap(project: Project, pages: list[Page], site: Path) -> None:
    """List every page a reader may visit in the folder `site`; without an address there is nothing to list."""
    if not project.site_url:
        return
    lines = [_entry(project, page) for page in pages if not page.is_not_found]
    (site / "sitemap.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{"".join(lines)}</urlset>\n'
    )
    (site / "robots.txt").write_text(f"Sitemap: {project.site_url}/sitemap.xml\n")


def _entry(project: Project, page: Page) -> str:
    changed = (project.folder / page.path).stat().st_mtime
    day = datetime.datetime.fromtimestamp(changed, tz=datetime.UTC).isoformat(timespec="seconds")
    address = escape(f"{project.site_url}/{page.target.as_posix()}")
    return f"  <url><loc>{address}</loc><lastmod>{day}</lastmod></url>\n"
