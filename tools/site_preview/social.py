"""What a page says of itself where a link to it is shown: `website: open-graph` and `website: twitter-card`."""

from __future__ import annotations

import html

from PIL import Image

from site_preview.problem import PreviewError
from site_preview.settings import Page, Project


def social_tags(project: Project, page: Page, title: str) -> str:
    """The `<meta>` elements of a page called `title`."""
    shown = {"title": title, "description": page.description(project)}
    picture = _picture(project, page)
    lines: list[str] = []
    if project.option("website", "open-graph"):
        about = {**shown, "site_name": project.option("website", "title", default=""), **picture}
        lines += [_meta("property", f"og:{key}", value) for key, value in about.items()]
    if project.option("website", "twitter-card"):
        about = {"card": "summary_large_image" if picture else "summary", **shown}
        about |= {key: value for key, value in picture.items() if key in ("image", "image:alt")}
        lines += [_meta("name", f"twitter:{key}", value) for key, value in about.items()]
    return "\n".join(lines)


def _picture(project: Project, page: Page) -> dict[str, str]:
    """Address, words and size of the page's own picture, or else the site's.

    Other hosts can only fetch it once the site's address is known.
    """
    own = page.settings.get("image")
    image = own or project.option("website", "image")
    if not image:
        return {}
    alternative = page.settings.get("image-alt") if own else project.option("website", "image-alt")
    where = f"{page.path}: " if own else "_quarto.yml: website: "
    path = project.folder / image.lstrip("/")
    if not image.startswith("/") or not path.is_file():
        raise PreviewError(f"{where}image: '{image}' is no file, named from the project's folder with a '/'")
    if not alternative:
        raise PreviewError(f"{where}image needs its words, image-alt")
    if not project.site_url:
        return {}
    with Image.open(path, formats=("PNG", "JPEG", "WEBP", "GIF")) as opened:
        width, height = opened.size
    size = {"image:width": str(width), "image:height": str(height)}
    return {"image": f"{project.site_url}{image}", "image:alt": alternative, **size}


def _meta(kind: str, name: str, content: str) -> str:
    return f'<meta {kind}="{name}" content="{html.escape(content)}">'
