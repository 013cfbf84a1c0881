"""Comparisons of two pictures in a browser: handle, box and choices, by keyboard and by pointer."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
import sample_data
import single_page
from browser import WAIT, Visit, served, visit
from PIL import Image
from playwright.sync_api import Browser, Locator

from lrcore.figures import fetched
from lrcore.figures.crops import compared_crops, zoomed_crops
from lrcore.figures.pairs import repa_pairs

AES = ("sd", "rae")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with crops (32 px), their comparison, that of one large image, and pairs of samples."""
    made = tmp_path_factory.mktemp("comparison")
    imgs = made / "imgs"
    sample_data.fill(made / "data", imgs)
    (imgs / "large").mkdir()
    for name, grey in (("orig", 200), ("sd", 20)):
        pixels = numpy.full((192, 256, 3), grey, "uint8")
        pixels[96:160, 152:216] = numpy.random.default_rng(0).integers(0, 256, (64, 64, 1))
        Image.fromarray(pixels).save(imgs / "large" / f"{name}-00.png")
    shown = [
        zoomed_crops(imgs, "smoke", AES, count=2),
        compared_crops(imgs, "smoke", AES, count=2),
        compared_crops(imgs, "large", ["sd"], count=1),
        repa_pairs(imgs, "smoke", AES),
    ]
    single_page.write_page(made, "".join(one.markup for one in shown), "comparison.js")
    return made


@pytest.fixture(params=[390, 1440])
def opened(browser: Browser, folder: Path, request: pytest.FixtureRequest) -> Iterator[Visit]:
    with served(folder) as address, visit(browser, address, "page.html", request.param, "light") as page:
        yield page
        assert not page.check()


def comparisons(opened: Visit) -> list[Locator]:
    return opened.page.locator(".lrcore-comparison").all()


def hrefs(comparison: Locator) -> list[str]:
    """Addresses of the whole picture on the right, on the left, and of both enlarged."""
    return [str(image.get_attribute("href")) for image in comparison.locator("image").all()]


def view(comparison: Locator) -> list[int]:
    """What is enlarged: left, top, width, height."""
    views = {svg.get_attribute("viewBox") for svg in comparison.locator(".lrcore-stage").nth(1).locator("svg").all()}
    assert len(views) == 1  # both pictures
    return [int(number) for number in str(views.pop()).split()]


def test_the_script_starts_where_the_markup_is(browser: Browser, folder: Path, opened: Visit) -> None:
    with served(folder) as address:
        context = browser.new_context(java_script_enabled=False)
        plain = context.new_page()
        plain.goto(f"{address}/page.html")
        for number, comparison in enumerate(comparisons(opened)):
            before = plain.locator(".lrcore-comparison").nth(number)
            assert hrefs(comparison) == hrefs(before)
            for what in ("svg[role=img]", ".lrcore-caption", ".lrcore-sides"):
                for one, other in zip(comparison.locator(what).all(), before.locator(what).all(), strict=True):
                    assert one.get_attribute("aria-label") == other.get_attribute("aria-label")
                    assert one.text_content() == other.text_content()
        context.close()


def test_without_scripts_the_pictures_stand_side_by_side(browser: Browser, folder: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    with served(folder) as address:
        page.goto(f"{address}/page.html")
        assert not any(comparison.is_visible() for comparison in page.locator(".lrcore-comparison").all())
        assert all(picture.is_visible() for picture in page.locator(".lrcore-crops svg, .lrcore-pair img").all())
    context.close()


def test_the_handle_divides_both_views(opened: Visit) -> None:
    comparison, other, _ = comparisons(opened)
    handle = comparison.get_by_role("slider", name="Handle between the two pictures")
    assert handle.get_attribute("aria-valuetext") == "50 % original, 50 % SD"
    handle.focus()
    for _ in range(20):
        opened.page.keyboard.press("ArrowLeft")
    assert handle.get_attribute("aria-valuetext") == "30 % original, 70 % SD"
    for stage in comparison.locator(".lrcore-stage").all():
        box, line = stage.bounding_box(), stage.locator(".lrcore-divider").bounding_box()
        assert box and line
        assert line["x"] + line["width"] / 2 == pytest.approx(box["x"] + 0.3 * box["width"], abs=1)
        clip = stage.locator("svg").nth(1).evaluate("left => getComputedStyle(left).clipPath")
        assert clip == "inset(0px 70% 0px 0px)"
    # a comparison of its own
    assert other.get_by_role("slider", name="Handle").get_attribute("aria-valuetext") == "50 % original, 50 % SD"


def test_left_of_the_handle_is_the_original(opened: Visit, tmp_path: Path) -> None:
    stage = comparisons(opened)[1].locator(".lrcore-stage").first
    stage.scroll_into_view_if_needed()
    opened.page.wait_for_load_state("networkidle")
    stage.screenshot(path=tmp_path / "stage.png")
    pixels = numpy.asarray(Image.open(tmp_path / "stage.png").convert("RGB"))
    height, width, _ = pixels.shape
    assert height / width == pytest.approx(192 / 256, abs=0.01)
    assert (pixels[height // 4, width // 4] == 200).all() and (pixels[height // 4, 3 * width // 4] == 20).all()


def test_choices_change_the_pictures_and_the_box(opened: Visit) -> None:
    comparison = comparisons(opened)[0]
    comparison.get_by_role("combobox", name="Autoencoder").select_option("RAE")
    assert hrefs(comparison) == ["imgs/smoke/rae-00.png", "imgs/smoke/orig-00.png"] * 2
    comparison.get_by_role("combobox", name="Picture").select_option("Image 2")
    assert hrefs(comparison) == ["imgs/smoke/rae-01.png", "imgs/smoke/orig-01.png"] * 2
    alts = [svg.get_attribute("aria-label") for svg in comparison.locator("svg[role=img]").all()]
    assert (
        alts[0] == "Image 2: original to the left of the handle, RAE to its right" and alts[1] == f"{alts[0]}, enlarged"
    )
    assert comparison.locator(".lrcore-sides span").all_text_contents() == ["original", "RAE"]
    pair = comparisons(opened)[2]
    pair.get_by_role("combobox", name="Autoencoder").select_option("RAE")
    assert hrefs(pair) == ["imgs/smoke/samples/rae-efficientnet_lite0.png", "imgs/smoke/samples/rae-none.png"]
    assert str(pair.locator(".lrcore-caption").text_content()).startswith("RAE: logit-normal (ln), train shift 1.00")


def test_the_box_moves_by_keys_and_stays_inside(opened: Visit) -> None:
    small, large, _ = comparisons(opened)
    box = large.get_by_role("slider", name="Enlarged part")
    assert view(large) == [152, 96, 64, 64]  # where the detail is
    box.focus()
    opened.page.keyboard.press("ArrowLeft")
    opened.page.keyboard.press("Shift+ArrowUp")
    assert view(large) == [148, 95, 64, 64]
    assert box.get_attribute("aria-valuetext") == "148 pixels from the left, 95 from the top"
    for _ in range(60):
        opened.page.keyboard.press("ArrowRight")
        opened.page.keyboard.press("ArrowDown")
    assert view(large) == [192, 128, 64, 64]
    assert box.get_attribute("aria-valuenow") == box.get_attribute("aria-valuemax") == "192"
    assert opened.page.evaluate("scrollX") == 0
    before = view(small)
    small.get_by_role("slider", name="Enlarged part").focus()
    opened.page.keyboard.press("ArrowUp" if before[1] else "ArrowDown")
    assert abs(view(small)[1] - before[1]) == 1


def test_the_box_moves_by_pointer(opened: Visit) -> None:
    comparison = comparisons(opened)[1]
    stage = comparison.locator(".lrcore-stage").first
    stage.scroll_into_view_if_needed()
    place, box = stage.bounding_box(), comparison.locator(".lrcore-box").bounding_box()
    assert place and box
    mouse, pixel = opened.page.mouse, place["width"] / 256
    mouse.move(box["x"] + 5, box["y"] + 5)
    mouse.down()
    mouse.move(box["x"] + 5 - 50 * pixel, box["y"] + 5 - 20 * pixel, steps=4)
    mouse.up()
    assert view(comparison) == pytest.approx([102, 76, 64, 64], abs=1)
    mouse.move(box["x"] + 200, box["y"])  # let go of
    assert view(comparison) == pytest.approx([102, 76, 64, 64], abs=1)
    mouse.click(place["x"] + 32 * pixel, place["y"] + 92 * pixel)
    assert view(comparison) == pytest.approx([0, 60, 64, 64], abs=1)


def test_nothing_moves_when_the_script_starts(browser: Browser, folder: Path) -> None:
    heights = []
    with served(folder) as address:
        for blocked in (True, False):
            context = browser.new_context(viewport={"width": 390, "height": 900})
            page = context.new_page()
            if blocked:
                page.route("**/comparison.js", lambda route: route.abort())
            page.goto(f"{address}/page.html")
            heights.append(page.evaluate("document.documentElement.scrollHeight"))
            context.close()
    assert heights[0] == heights[1]


def kept_apart(folder: Path, to: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The markup of a comparison of a study that another stands before; what it needs is in the folder `to`."""
    monkeypatch.setenv(fetched.FOLDER, str(to / "fetched"))
    monkeypatch.setattr(fetched, "SMALL", 0)
    shutil.copytree(folder / "imgs", to / "imgs")
    return fetched.apart(compared_crops(to / "imgs", "smoke", AES, count=2).markup)


def test_what_is_not_shown_at_first_is_fetched_when_it_is(
    browser: Browser, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    single_page.write_page(tmp_path, f"<div hidden>{kept_apart(folder, tmp_path, monkeypatch)}</div>", "comparison.js")
    with served(tmp_path) as address, visit(browser, address, "page.html", 1440, "light") as opened:
        assert not opened.page.evaluate(
            "performance.getEntriesByType('resource').filter(one => /json/.test(one.name)).length"
        )
        opened.page.evaluate("document.querySelector('div[hidden]').hidden = false")
        opened.page.wait_for_function(
            "document.querySelector('.lrcore-sides span').textContent == 'original'", timeout=WAIT
        )
        opened.page.wait_for_load_state("networkidle")
        comparison = comparisons(opened)[0]
        comparison.get_by_role("combobox", name="Autoencoder").select_option("RAE")
        assert hrefs(comparison) == ["imgs/smoke/rae-00.png", "imgs/smoke/orig-00.png"] * 2
        assert not opened.check()


def test_what_cannot_be_fetched_is_asked_for_once(
    browser: Browser, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    single_page.write_page(tmp_path, kept_apart(folder, tmp_path, monkeypatch), "comparison.js")
    shutil.rmtree(tmp_path / "fetched")
    with served(tmp_path) as address, visit(browser, address, "page.html", 1440, "light") as opened:
        opened.page.wait_for_timeout(500)
        assert sum("cannot show a comparison" in problem for problem in opened.problems) == 1
