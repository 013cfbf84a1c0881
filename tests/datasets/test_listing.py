"""What images a folder holds."""

import os
import struct
import zlib

import pytest
from PIL import Image

from lrcore.datasets.listing import IMAGE_ENDINGS, list_images, shown
from lrcore.datasets.loading import fingerprint, load_splits
from lrcore.errors import LrcoreError
from lrcore.metrics.sources import ImageFolder
from lrcore.spec.study import Data


def write(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (value, value, value)).save(path, "PNG")


@pytest.fixture
def folder(tmp_path):
    """Two classes of two images each, and what is none."""
    for number, name in enumerate(("a/0.png", "a/deep/er/1.JPG", "b/2.jfif", "b/3.pgm")):
        write(tmp_path / "set" / name, number)
    for name in (".hidden/x.png", "a/.x.png", "a/__MACOSX/x.png", "__MACOSX/x.png"):
        write(tmp_path / "set" / name)
    for name in ("a/x.gif", "a/README", "b/x.txt", "b/x.TXT", "stray.png"):
        (tmp_path / "set" / name).write_bytes(b"")
    return tmp_path / "set"


def test_metrics_and_data_sets_list_the_same_images(folder, capsys):
    (folder / "stray.png").unlink()
    listing = list_images(folder)
    assert listing.images == ["a/0.png", "a/deep/er/1.JPG", "b/2.jfif", "b/3.pgm"]
    assert ImageFolder(folder).count == 4
    said = capsys.readouterr().err
    assert said == f"'{folder}': 4 other files passed over (.txt, no ending, .gif)\n"
    assert len(load_splits(Data("folder", 8, 3, 1, path=str(folder))).train.images) == 3
    assert capsys.readouterr().err == said


def test_an_image_outside_the_class_folders_is_counted(folder, capsys):
    load_splits(Data("folder", 8, 3, 1, path=str(folder)))
    assert "5 other files passed over" in capsys.readouterr().err


@pytest.mark.parametrize("ending", IMAGE_ENDINGS)
def test_every_ending_is_read_by_both(tmp_path, ending):
    kind = {".jfif": "JPEG", ".pgm": "PPM"}.get(ending)
    (tmp_path / "a").mkdir()
    for number in range(2):
        Image.new("L", (8, 8), 90 * number).save(tmp_path / "a" / f"{number}{ending}", kind)
    assert [len(batch) for batch in ImageFolder(tmp_path).batches(4)] == [2]
    assert len(load_splits(Data("folder", 8, 1, 1, path=str(tmp_path))).train.images) == 1


def test_links_are_followed_but_never_in_circles(folder, tmp_path):
    write(tmp_path / "elsewhere" / "more" / "x.png")
    (folder / "a" / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "a" / "up").symlink_to(folder)
    (folder / "a" / "here").symlink_to(".")
    (tmp_path / "elsewhere" / "back").symlink_to(folder / "b")
    (folder / "b" / "forth").symlink_to(tmp_path / "elsewhere")
    (folder / "b" / "one.png").symlink_to(folder / "a" / "0.png")
    (folder / "b" / "self").symlink_to("self")
    under = ["a/0.png", "a/deep/er/1.JPG", "a/linked/more/x.png", "b/2.jfif", "b/3.pgm", "b/one.png", "stray.png"]
    assert list_images(folder).images == under
    # a class by itself: the others are above it
    assert list_images(folder / "a", above=[folder]).images == [
        "0.png", "deep/er/1.JPG", "linked/back/2.jfif", "linked/back/3.pgm", "linked/back/one.png", "linked/more/x.png",
    ]  # fmt: skip


def test_a_folder_with_more_links_than_there_are_ways_to_go(tmp_path):
    """Each of 12 folders leads to all others: every one is listed once."""
    for name in range(12):
        write(tmp_path / "set" / str(name) / "x.png")
        for other in range(12):
            (tmp_path / "set" / str(name) / f"to{other}").symlink_to(tmp_path / "set" / str(other))
    assert len(list_images(tmp_path / "set").images) == 12


@pytest.mark.parametrize("target", ["nowhere", "x.png"])
def test_a_link_that_leads_nowhere_is_an_image_that_cannot_be_read(folder, target):
    (folder / "a" / "x.png").symlink_to(target)
    with pytest.raises(LrcoreError, match=r"1 of 5 images cannot be read: '.*a/x.png'"):
        load_splits(Data("folder", 8, 3, 1, path=str(folder)))
    with pytest.raises(LrcoreError, match=r"image '.*a/x.png' cannot be read"):
        ImageFolder(folder / "a")
    assert list(ImageFolder(folder / "a", skip_corrupt=True).unreadable) == [folder / "a" / "x.png"]
    before = fingerprint(Data("folder", 8, 3, 1, path=str(folder)))
    (folder / "a" / "x.png").unlink()
    assert fingerprint(Data("folder", 8, 3, 1, path=str(folder))) != before


def test_a_class_folder_that_leads_nowhere_is_refused(folder):
    (folder / "c").symlink_to(folder / "nowhere")
    with pytest.raises(LrcoreError, match=r"class folder '.*/c' is a link that leads nowhere"):
        load_splits(Data("folder", 8, 3, 1, path=str(folder)))


def test_a_pipe_is_not_waited_for(folder):
    os.mkfifo(folder / "a" / "pipe.png")
    assert list_images(folder / "a").others[".png"] == 1


def test_names_that_are_not_utf8(tmp_path, capsys):
    """In messages, rows and fingerprint."""
    root = os.fsdecode(os.fsencode(tmp_path) + b"/s\xe9t")
    for number in range(4):
        os.makedirs(f"{root}/cl\udce9ss", exist_ok=True)  # noqa: PTH103
        Image.new("RGB", (8, 8), (number, 0, 0)).save(open(f"{root}/cl\udce9ss/\udcff{number}.png", "wb"))  # noqa: PTH123, SIM115
    data = Data("folder", 8, 2, 2, path=root)
    splits = load_splits(data)
    assert splits.train.name == r"s\xe9t/train[:2]"
    assert len(fingerprint(data)) == 64
    with open(f"{root}/cl\udce9ss/b\nd.png", "wb"):  # noqa: PTH123
        pass
    with pytest.raises(LrcoreError) as error:
        load_splits(data)
    assert r"cl\xe9ss/b\nd.png" in str(error.value) and "\n" not in str(error.value)
    str(error.value).encode()
    assert shown("plain/été.png") == "plain/été.png"


def test_an_eps_that_is_called_a_png_is_no_image(folder, monkeypatch):
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_, **__: pytest.fail("Ghostscript was started"))
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n0 0 8 8 rectfill\nshowpage\n%%EOF\n"
    (folder / "a" / "cat.png").write_bytes(eps)
    with pytest.raises(LrcoreError, match=r"a/cat.png' \(it is no image of a known format: PNG, JPEG, .*\)"):
        load_splits(Data("folder", 8, 3, 1, path=str(folder)))
    with pytest.raises(LrcoreError, match=r"a/cat.png' cannot be read: it is no image of a known format"):
        ImageFolder(folder)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [9_500, 10**6])
def test_an_image_of_too_many_pixels_is_named(folder, side):
    """Its header says so; nothing is decoded."""
    whole = (folder / "a" / "0.png").read_bytes()
    header = b"IHDR" + struct.pack(">II", side, side) + whole[24:29]
    (folder / "a" / "big.png").write_bytes(whole[:12] + header + struct.pack(">I", zlib.crc32(header)) + whole[33:])
    with pytest.raises(LrcoreError, match=r"1 of 5 images cannot be read: '.*big.png' \(.*pixels"):
        load_splits(Data("folder", 8, 3, 1, path=str(folder)))
    with pytest.raises(LrcoreError, match=r"big.png' cannot be read: .*pixels"):
        ImageFolder(folder / "a")
