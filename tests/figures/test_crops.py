"""lrcore.figures.crops: the markup shows the right files, the box is where the detail is."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy
import pandas
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from lrcore.errors import LrcoreError
from lrcore.figures.crops import (
    Box,
    compared_crops,
    means_in_words,
    measured_crops,
    most_detailed_box,
    nearest_in_words,
    zoomed_crops,
)


@pytest.fixture
def imgs(tmp_path: Path) -> Path:
    (tmp_path / "toy").mkdir()
    pixels = numpy.zeros((30, 40, 3), "uint8")
    pixels[18:28, 28:38] = 255 * (numpy.indices((10, 10)).sum(axis=0) % 2)[..., None]
    for name in ("orig", "sd", "rae"):
        for number in range(2):
            Image.fromarray(pixels).save(tmp_path / "toy" / f"{name}-{number:02d}.png")
    return tmp_path


def test_box_is_where_the_detail_is(imgs: Path) -> None:
    with Image.open(imgs / "toy" / "orig-00.png") as image:
        assert most_detailed_box(numpy.asarray(image)) == Box(left=28, top=18, side=10)


def test_without_scripts_a_comparison_is_a_pair(imgs: Path) -> None:
    soup = BeautifulSoup(compared_crops(imgs, "toy", ["rae", "sd"], count=2, first="rae").markup, "html.parser")
    still = [image["href"] for image in soup.select("noscript image")]
    assert still[::2] == ["imgs/toy/orig-00.png", "imgs/toy/rae-00.png"]  # each whole and enlarged


def test_markup(imgs: Path) -> None:
    text = zoomed_crops(imgs, "toy", ["rae", "sd"], count=2, prefix="../")._repr_markdown_()
    assert text.startswith("```{=html}\n")
    soup = BeautifulSoup(text, "html.parser")
    pictures = soup.select("svg")
    assert len(pictures) == 2 * 3 * 2  # images x (original and two autoencoders) x (whole, zoomed)
    links = [picture.image["href"] for picture in pictures[:6:2]]
    assert links == ["../imgs/toy/orig-00.png", "../imgs/toy/sd-00.png", "../imgs/toy/rae-00.png"]
    whole, zoomed = pictures[:2]
    assert whole["viewbox"] == "0 0 40 30" and zoomed["viewbox"] == "28 18 10 10"
    assert whole.rect["x"] == "28" and whole.rect["stroke"] == "red" and zoomed.rect is None
    assert all("image-rendering:pixelated" in picture["style"] for picture in pictures)
    alts = [picture["aria-label"] for picture in pictures]
    assert len(set(alts)) == len(alts)
    assert alts[:2] == ["Image 1, the original", "Image 1, the original, the red box enlarged"]
    assert alts[-1] == "Image 2, its reconstruction by RAE, the red box enlarged"


def measured(**values: list[float]) -> pandas.DataFrame:
    rows = [(image, ae, value) for ae, found in values.items() for image, value in enumerate(found, start=1)]
    found = pandas.DataFrame(rows, columns=["image", "ae", "psnr"])
    return found.assign(identical=found["psnr"] == EXACT)


EXACT = 85.0
"""The PSNR that stands for identical images here."""

ASIDE = "An original and its reconstruction"


@pytest.mark.parametrize(
    ("rows", "keeps", "nearest"),
    [
        (
            measured(sd=[20.0, 30.0], rae=[10.0, 31.0], flux2=[30.0, 40.0]),
            "Of these 2 images FLUX.2 keeps most (35 dB), RAE least (20.5 dB)",
            "FLUX.2 comes nearest to the original in both pictures, by PSNR",
        ),
        (
            measured(sd=[20.0, 30.0, 30.0], rae=[21.0, 20.0, 20.0]),
            "Of these 3 images SD keeps most (26.7 dB), RAE least (20.3 dB)",
            "SD comes nearest to the original in 2 of 3 pictures, by PSNR",
        ),
        (measured(sd=[20.0]), "What reconstructions keep of this image", ASIDE),
        (measured(sd=[20.0], rae=[20.0]), "What reconstructions keep of this image", ASIDE),
        (
            measured(sd=[EXACT, EXACT], rae=[9.0, 9.0]),
            "SD loses nothing of these 2 images",
            "SD comes nearest to",
        ),
        (measured(sd=[EXACT], rae=[EXACT]), "SD and RAE lose nothing of this image", ASIDE),
        (
            measured(sd=[EXACT, 9.0], rae=[9.0, 10.0]),
            "Of these 2 images SD keeps most (47 dB), RAE least",
            ASIDE,
        ),
    ],
)
def test_titles_say_what_was_measured(rows: pandas.DataFrame, keeps: str, nearest: str) -> None:
    assert means_in_words(rows).startswith(keeps) and nearest_in_words(rows).startswith(nearest)


def test_comparison_of_the_same_images(imgs: Path) -> None:
    text = compared_crops(imgs, "toy", ["rae", "sd"], count=2, prefix="../")._repr_markdown_()
    soup = BeautifulSoup(text, "html.parser")
    spec = json.loads(soup.select_one(".lrcore-comparison > script").string)
    assert [thing["label"] for thing in spec] == ["Image 1", "Image 2"]
    assert spec[1]["left"] == {"label": "original", "link": "../imgs/toy/orig-01.png"}
    assert [right["link"] for right in spec[1]["rights"]] == ["../imgs/toy/sd-01.png", "../imgs/toy/rae-01.png"]
    assert spec[0]["box"] == {"left": 28, "top": 18, "side": 10} and (spec[0]["width"], spec[0]["height"]) == (40, 30)
    whole, enlarged = soup.select(".lrcore-stage")
    assert [image["href"] for image in whole.select("image")] == ["../imgs/toy/sd-00.png", "../imgs/toy/orig-00.png"]
    assert {svg["viewbox"] for svg in enlarged.select("svg")} == {"28 18 10 10"}
    assert whole.svg["aria-label"] == "Image 1: original to the left of the handle, SD to its right"
    assert [select["data-choice"] for select in soup.select("select")] == ["thing", "right"]
    assert not BeautifulSoup(compared_crops(imgs, "toy", ["sd"], count=1).markup, "html.parser").select("select")


@pytest.mark.parametrize(
    "content",
    [
        lambda png: b"",
        lambda png: png[: len(png) // 2],
        lambda png: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 30\n",
        # a header of a picture of 30,000 x 30,000 px, with the checksum that it has to have
        lambda png: png[:16] + (size := struct.pack(">II", 30_000, 30_000)) + png[24:29]
        + struct.pack(">I", zlib.crc32(b"IHDR" + size + png[24:29])) + png[33:],
    ],
    ids=["empty", "cut short", "EPS", "too large"],
)  # fmt: skip
def test_pictures_that_cannot_be_read_are_named(content: Callable[[bytes], bytes], imgs: Path) -> None:
    picture = imgs / "toy" / "sd-00.png"
    picture.write_bytes(content(picture.read_bytes()))
    with pytest.raises(LrcoreError, match=r"image '.*sd-00\.png' cannot be read .*lrcore\.train toy` to make it anew"):
        zoomed_crops(imgs, "toy", ["sd"], count=1)


def test_missing_and_mismatched_images_are_named(imgs: Path) -> None:
    with pytest.raises(LrcoreError, match=r"missing image '.*flux1-00\.png': run `python -m lrcore.train toy`"):
        zoomed_crops(imgs, "toy", ["sd", "flux1"], count=1)
    with pytest.raises(LrcoreError, match=r"missing image '.*orig-02\.png'"):
        zoomed_crops(imgs, "toy", ["sd"], count=3)
    Image.new("RGB", (8, 8)).save(imgs / "toy" / "sd-01.png")
    with pytest.raises(LrcoreError, match=r"sd-01\.png' is 8 x 8 px, its original 40 x 30"):
        zoomed_crops(imgs, "toy", ["sd"], count=2)
    with pytest.raises(LrcoreError, match=r"sd-01\.png' is 8 x 8 px"):
        compared_crops(imgs, "toy", ["sd"], count=2)
    for show in (zoomed_crops, compared_crops):
        with pytest.raises(LrcoreError, match="no rows"):
            show(imgs, "toy", [], count=1)


def test_the_rows_say_how_near_each_picture_is(imgs: Path) -> None:
    with Image.open(imgs / "toy" / "sd-00.png") as image:
        pixels = numpy.asarray(image).copy()
    pixels[:10] += 8
    Image.fromarray(pixels).save(imgs / "toy" / "sd-00.png")
    rows = measured_crops(imgs / "toy", ["sd"], 1)
    assert list(rows.columns) == ["image", "ae", "file", "psnr", "identical"] and rows["file"].tolist() == ["sd-00.png"]
    assert rows["psnr"].tolist() == pytest.approx([10 * numpy.log10(255**2 / (64 / 3))])
    assert 'download="toy-crops.csv"' in zoomed_crops(imgs, "toy", ["sd"], 1).markup
    assert 'download="toy-compared.csv"' in compared_crops(imgs, "toy", ["sd"], 1).markup
