"""lrcore.figures.pairs: what belongs together stands together, what does not is refused."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pandas
import pytest
import torch
from bs4 import BeautifulSoup

from lrcore.datasets.images import save_png
from lrcore.errors import LrcoreError
from lrcore.figures.pairs import each_latent_space, repa_pairs, sheets, shown_aes

SAID = {
    "trainp": "pln", "trainshift": "2.95", "sampleshift": "6.93", "step": "1500", "train_seed": "0", "sample_seed": "3",
    "columns": "8", "resolution": "4", "recipe": "0",
}  # fmt: skip


def write(imgs: Path, ae: str, repa: str, rows: int = 2, **said: str) -> Path:
    path = imgs / "toy" / "samples" / f"{ae}-{repa}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_png(path, torch.zeros(3, 4 * rows, 32, dtype=torch.uint8), {"ae": ae, "repa": repa, **SAID, **said})
    return path


@pytest.fixture
def imgs(tmp_path: Path) -> Path:
    for ae in ("rae", "sd"):
        for repa in ("none", "dinov2b"):
            write(tmp_path, ae, repa, recipe=repa)
    return tmp_path


def soup_of(imgs: Path, *aes: str) -> BeautifulSoup:
    text = repa_pairs(imgs, "toy", aes, prefix="../")._repr_markdown_()
    assert text.startswith("```{=html}\n")
    return BeautifulSoup(text, "html.parser")


def test_without_comes_before_with_and_the_setting_is_said(imgs: Path) -> None:
    soup = soup_of(imgs, "rae", "sd")
    pairs = soup.select(".lrcore-pair")
    assert [pair["aria-label"] for pair in pairs] == ["SD", "RAE"]
    assert [image["src"] for image in pairs[0].select("img")] == [
        "../imgs/toy/samples/sd-none.png",
        "../imgs/toy/samples/sd-dinov2b.png",
    ]
    assert pairs[0].p.text == (
        "SD: plateau logit-normal (pln), train shift 2.95, sample shift 6.93, after 1,500 steps; REPA towards dinov2b; "
        "seed 3 for both"
    )
    image = pairs[1].select("img")[1]
    assert image["alt"] == "Samples in the latent space of RAE with REPA"
    assert (image["width"], image["height"]) == ("32", "8")  # the page keeps its place
    assert [option.text for option in soup.select("select option")] == ["SD", "RAE"]


def test_every_latent_space_shows_its_samples_without_repa(imgs: Path) -> None:
    write(imgs, "flux1", "dinov2b")
    shown = each_latent_space(sheets(imgs, "toy", ["rae", "flux1", "sd"]), "toy", prefix="../").markup
    soup = BeautifulSoup(shown, "html.parser")
    assert [part.p.text for part in soup.select(".lrcore-samples div")] == ["SD", "RAE"]
    assert [image["src"] for image in soup.select("img")] == [
        "../imgs/toy/samples/sd-none.png",
        "../imgs/toy/samples/rae-none.png",
    ]
    assert soup.select_one(".lrcore-title").text == "Samples in each latent space after 1,500 steps"
    with pytest.raises(LrcoreError, match="no picture of samples without REPA"):
        each_latent_space(sheets(imgs, "toy", ["flux1"]), "toy")


def test_rows_say_what_every_picture_says(imgs: Path) -> None:
    link = soup_of(imgs, "sd").select_one("a[download='toy-samples.csv']")
    rows = pandas.read_csv(io.StringIO(base64.b64decode(link["href"].split("base64,")[1]).decode()), dtype=str)
    assert rows["file"].tolist() == ["sd-none.png", "sd-dinov2b.png"]
    assert rows[list(SAID)].drop(columns="recipe").eq(pandas.Series(SAID).drop("recipe")).all().all()


def test_pairs_of_several_encoders_are_told_apart(imgs: Path) -> None:
    write(imgs, "sd", "mae")
    soup = soup_of(imgs, "sd")
    assert len(soup.select(".lrcore-pair")) == 2
    assert [option.text for option in soup.select("select option")] == ["SD, dinov2b", "SD, mae"]


def test_pairs_towards_an_encoder_and_towards_itself_offer_the_same_choice(imgs: Path) -> None:
    write(imgs, "sd", "self")
    options = [option.text for option in soup_of(imgs, "sd").select("select option")]
    assert options == ["SD, dinov2b", "SD, itself"]


def test_an_autoencoder_that_another_begins_with_keeps_its_pictures(imgs: Path) -> None:
    write(imgs, "sd-wide", "none")
    write(imgs, "sd-wide", "dinov2b")
    assert len(soup_of(imgs, "sd").select(".lrcore-pair")) == 1


def test_what_can_be_shown(imgs: Path) -> None:
    write(imgs, "flux1", "none")
    write(imgs, "flux2", "dinov2b")
    assert shown_aes(imgs, "toy") == ["sd", "rae"]
    assert shown_aes(imgs, "no-such-study") == []


@pytest.mark.parametrize("name", ["trainp", "trainshift", "sampleshift", "step", "train_seed", "sample_seed"])
def test_another_setting_or_seed_is_refused(imgs: Path, name: str) -> None:
    write(imgs, "sd", "dinov2b", **{name: "7"})
    with pytest.raises(LrcoreError, match=rf"sd-none\.png' and .*sd-dinov2b\.png' are no pair: their {name} differs"):
        repa_pairs(imgs, "toy", ["sd"])


def test_missing_and_unreadable_pictures_are_named(imgs: Path) -> None:
    with pytest.raises(LrcoreError, match="no rows"):
        repa_pairs(imgs, "toy", [])
    with pytest.raises(LrcoreError, match=r"missing picture '.*flux1-none\.png': run `python -m lrcore.train toy`"):
        repa_pairs(imgs, "toy", ["sd", "flux1"])
    write(imgs, "flux1", "none")
    with pytest.raises(LrcoreError, match=r"missing picture '.*flux1-<encoder>\.png': run `python"):
        repa_pairs(imgs, "toy", ["flux1"])
    write(imgs, "rae", "dinov2b", rows=1)
    with pytest.raises(LrcoreError, match=r"rae-dinov2b\.png' is 32 x 4 px, 'rae-none\.png' 32 x 8"):
        repa_pairs(imgs, "toy", ["rae"])
    (imgs / "toy/samples/sd-none.png").write_bytes(b"no picture")
    with pytest.raises(LrcoreError, match=r"sd-none\.png' does not say what its samples are \(no ae, trainp"):
        repa_pairs(imgs, "toy", ["sd"])
