"""Reconstructions under the magnifying glass: image, red box, and what is in the box enlarged.

    zoomed_crops(...)     # side by side: originals and every reconstruction
    compared_crops(...)   # one original and one reconstruction, divided by a handle; needs scripts

Each picture is an inline SVG around one `<image>`; enlarging is a matter of its viewBox, so every pixel is
shown as it is stored and nothing is downloaded twice.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas
import torch
from torch import Tensor

from lrcore.datasets.images import UNREADABLE, open_image
from lrcore.errors import LrcoreError, reason
from lrcore.figures import words
from lrcore.figures.comparison import Box, Compared, Picture, comparison
from lrcore.figures.embed import Markup, csv_link
from lrcore.figures.site_figure import titled
from lrcore.metrics.reconstruction import psnr
from lrcore.results import findings, naming, numbers
from lrcore.results.numbers import shown

ORIGINAL = "orig"
_BOX_SHARE = 3
"""The box is 1 / 3 of the image's shorter side."""

_CELL = "text-align:center;min-width:0;overflow-wrap:anywhere"
_LAYOUT = "display:grid;grid-template-columns:repeat(auto-fit,minmax(6rem,1fr));gap:.75rem;margin:0 0 1.5rem"
_PICTURE = "display:block;width:100%;height:auto;image-rendering:pixelated;margin-bottom:.25rem"


def zoomed_crops(imgs: Path | str, study: str, aes: Sequence[str], count: int, prefix: str = "") -> Markup:
    """`count` images of `<imgs>/<study>/<name>-<ii>.png`: the original, then the reconstruction of each of `aes`.

    `prefix` goes before `imgs/` in the page's links: "" for pages in the project's root, "../" for pages in a folder.
    The box is where the original has most detail, the same for all pictures of a row.

    Raises:
        LrcoreError: nothing to show, an image is missing or of another size than its original; it is named.
    """
    names = _names(aes, count)
    folder = Path(imgs) / study
    rows = [_row(folder, f"{prefix}imgs/{quote(study)}", names, number) for number in range(count)]
    measured = measured_crops(folder, names[1:], count)
    about = titled(means_in_words(measured), "PSNR, the mean over the images that are shown; higher is better.")
    link = csv_link(measured, f"{study}-crops")
    return Markup(f'{about}<div class="lrcore-crops">{"".join(rows)}</div>{link}')


def compared_crops(
    imgs: Path | str, study: str, aes: Sequence[str], count: int, prefix: str = "", first: str = ""
) -> Markup:
    """The same images, one original and one of its reconstructions at a time, with a handle between the two.

    The box that is enlarged starts where the original has most detail; the reader moves it. Without scripts the first
    of these pairs is shown side by side. A page shows it beside `zoomed_crops`, which need no scripts. `first`: the
    autoencoder that is shown until the reader chooses another.

    Raises:
        LrcoreError: as `zoomed_crops`.
    """
    _, *aes = _names(aes, count)
    aes.sort(key=lambda ae: ae != first)
    folder, link = Path(imgs) / study, f"{prefix}imgs/{quote(study)}"
    things = []
    for number in range(count):
        pixels = _original(folder, aes, number)
        pictures = [Picture(naming.ae_style(ae).label, f"{link}/{quote(ae)}-{number:02d}.png") for ae in aes]
        things.append(
            Compared(
                f"Image {number + 1}",
                pixels.shape[1],
                pixels.shape[0],
                Picture("original", f"{link}/{ORIGINAL}-{number:02d}.png"),
                tuple(pictures),
                most_detailed_box(pixels),
            )
        )
    measured = measured_crops(folder, aes, count)
    about = titled(nearest_in_words(measured), "The original left of the handle, its reconstruction right of it.")
    still = f"<noscript>{_row(folder, link, [ORIGINAL, aes[0]], 0)}</noscript>"
    link_to_rows = csv_link(measured, f"{study}-compared")
    return Markup(about + comparison(things, "Picture", "Autoencoder") + still + link_to_rows)


def means_in_words(measured: pandas.DataFrame) -> str:
    """Which autoencoder keeps most of the images that are shown, and which least: rows of `measured_crops`."""
    means = {str(ae): float(value) for ae, value in measured.groupby("ae")["psnr"].mean().items()}
    count = measured["image"].nunique()
    images = "this image" if count == 1 else f"these {count} images"
    if exact := [ae for ae in means if measured.loc[measured["ae"] == ae, "identical"].all()]:
        verb = "loses" if len(exact) == 1 else "lose"
        return words.capital(f"{words.named(exact, len(means))} {verb} nothing of {images}")
    most, least = words.leaders(means, highest=True), words.leaders(means)
    if len(means) < 2 or set(most) & set(least):
        return f"What reconstructions keep of {images}"
    ends = [(words.named(found, len(means)), means[found[0]]) for found in (most, least)]
    (first, high), (last, low) = [(name, f"{shown(value)} dB") for name, value in ends]
    verb = "keeps" if len(most) == 1 else "keep"
    return f"Of {images} {first} {verb} most ({high}), {last} least ({low})"


def nearest_in_words(measured: pandas.DataFrame) -> str:
    """Whose reconstruction is nearest to how many of the originals, by PSNR: rows of `measured_crops`."""
    wins: dict[str, int] = {}
    for _, image in measured.groupby("image"):
        for ae in words.leaders(findings.by_ae(image, "psnr"), highest=True):
            wins[ae] = wins.get(ae, 0) + 1
    first = words.leaders({ae: float(count) for ae, count in wins.items()}, highest=True)
    aes, images = measured["ae"].nunique(), measured["image"].nunique()
    if aes < 2 or len(first) != 1:
        return "An original and its reconstruction, side by side"
    pictures = numbers.part(wins[first[0]], images, "picture")
    return f"{words.named(first, aes)} comes nearest to the original in {pictures}, by PSNR"


def measured_crops(folder: Path, aes: Sequence[str], count: int) -> pandas.DataFrame:
    """What the pictures show, in numbers: image, ae, file, PSNR (dB) of the whole image, and whether it is identical.

    Raises:
        LrcoreError: as `zoomed_crops`.
    """
    rows = []
    for number in range(count):
        original = _as_batch(_original(folder, aes, number))
        for ae in aes:
            path = folder / f"{ae}-{number:02d}.png"
            decoded = _as_batch(_pixels(path))
            row = {"image": number + 1, "ae": ae, "file": path.name, "psnr": float(psnr(original, decoded))}
            rows.append({**row, "identical": torch.equal(original, decoded)})
    return pandas.DataFrame(rows)


def _as_batch(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]


def most_detailed_box(pixels: np.ndarray) -> Box:
    """The box with the largest variance of brightness in an image (H, W, 3); the first one of equals."""
    grey = pixels.astype(np.float64).mean(axis=2)
    side = max(1, min(grey.shape) // _BOX_SHARE)
    windows = np.lib.stride_tricks.sliding_window_view(grey, (side, side))
    # a coarse grid of places is enough to look at, and keeps large photographs fast
    stride = max(1, side // 8)
    variance = windows[::stride, ::stride].var(axis=(2, 3))
    top, left = np.unravel_index(int(variance.argmax()), variance.shape)
    return Box(int(left) * stride, int(top) * stride, side)


def _names(aes: Sequence[str], count: int) -> list[str]:
    """Names of the pictures of each image, in order, the original's first."""
    if not aes or count < 1:
        raise LrcoreError("no rows: zoomed crops need at least one autoencoder and one image")
    return [ORIGINAL, *naming.in_order(aes)]


def _original(folder: Path, names: Sequence[str], number: int) -> np.ndarray:
    """The original's pixels; the reconstructions `names` have been checked to be of its size."""
    original = _pixels(folder / f"{ORIGINAL}-{number:02d}.png")
    for name in names:
        path = folder / f"{name}-{number:02d}.png"
        if (size := _pixels(path).shape) != original.shape:
            raise LrcoreError(
                f"'{path}' is {size[1]} x {size[0]} px, its original {original.shape[1]} x {original.shape[0]}"
            )
    return original


def _row(folder: Path, link: str, names: list[str], number: int) -> str:
    original = _original(folder, names[1:], number)
    box = most_detailed_box(original)
    size = original.shape[1], original.shape[0]
    cells = [_cell(name, number, f"{link}/{quote(name)}-{number:02d}.png", *size, box) for name in names]
    return f'<div role="group" aria-label="Image {number + 1}" style="{_LAYOUT}">{"".join(cells)}</div>'


def _cell(name: str, number: int, link: str, width: int, height: int, box: Box) -> str:
    label = "original" if name == ORIGINAL else naming.ae_style(name).label
    alt = "the original" if name == ORIGINAL else f"its reconstruction by {label}"
    image = f'<image href="{html.escape(link)}" width="{width}" height="{height}"/>'
    # a stroke that stays thin whatever the size of the picture
    frame = (
        f'<rect x="{box.left}" y="{box.top}" width="{box.side}" height="{box.side}" fill="none" stroke="red" '
        'stroke-width="2" vector-effect="non-scaling-stroke"/>'
    )
    whole = _svg(f"Image {number + 1}, {alt}", f"0 0 {width} {height}", image + frame)
    zoomed = _svg(
        f"Image {number + 1}, {alt}, the red box enlarged", f"{box.left} {box.top} {box.side} {box.side}", image
    )
    caption = html.escape(label)
    return f'<div style="{_CELL}">{whole}{zoomed}<span>{caption}</span></div>'


def _svg(alt: str, view: str, content: str) -> str:
    return f'<svg role="img" aria-label="{html.escape(alt)}" viewBox="{view}" style="{_PICTURE}">{content}</svg>'


def _pixels(path: Path) -> np.ndarray:
    if not path.is_file():
        raise LrcoreError(f"missing image '{path}': run `python -m lrcore.train {path.parent.name}` to make it")
    try:
        with open_image(path) as image:
            return np.asarray(image.convert("RGB"))
    except UNREADABLE as error:
        raise LrcoreError(
            f"image '{path}' cannot be read ({reason(error)}): delete it and run `python -m lrcore.train "
            f"{path.parent.name}` to make it anew"
        ) from error
