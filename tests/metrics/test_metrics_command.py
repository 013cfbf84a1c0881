from __future__ import annotations

import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from lrcore.assets import table
from lrcore.datasets.images import rgb
from lrcore.errors import LrcoreError
from lrcore.metrics import __main__ as command
from lrcore.metrics import image_arrays, reference_files, sides, sources
from lrcore.metrics.extrapolation import extrapolated_frechet
from lrcore.metrics.features import FeatureNetwork, load_features, statistics
from lrcore.metrics.frechet import FrechetReference, GaussianStatistics, frechet_distance
from lrcore.metrics.reference_files import FeatureStatistics, read_statistics, write_statistics
from lrcore.metrics.sources import ImageFolder, open_source

PROJECT = Path(__file__).parents[2]
SHA256 = "cd" * 32


def quadrants(pixels: torch.Tensor) -> torch.Tensor:
    """12 features: the mean of each colour in each quadrant."""
    return functional.adaptive_avg_pool2d(pixels.float(), 2).flatten(1)


def quadrants_in_numpy(path: Path) -> np.ndarray:
    """The same of a file, by itself; even sides."""
    image = np.asarray(Image.open(path).convert("RGB"), dtype=np.float64)
    height, width = image.shape[0] // 2, image.shape[1] // 2
    parts = image.reshape(2, height, 2, width, 3).mean(axis=(1, 3))
    return parts.transpose(2, 0, 1).ravel()


def distance_by_eigenvalues(a: np.ndarray, b: np.ndarray) -> float:
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(cov_a @ cov_b).astype(complex)).real
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a + cov_b) - 2 * roots.sum())


@pytest.fixture(autouse=True)
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Both networks are toys of 12 features; the names of those that were loaded, with their weights."""
    names: list[str] = []

    def load(name: str, device: torch.device, weights: str = "") -> FeatureNetwork:
        names.append(f"{name} {weights}".strip())
        sign = 1 if name == "inception2015" else -1
        protocol = f"protocol of {name}"
        return FeatureNetwork(name, 12, SHA256, protocol, torch.device("cpu"), lambda x: sign * quadrants(x))

    monkeypatch.setattr(command, "load_features", load)
    monkeypatch.setattr(reference_files, "_NETWORK_OF_DIM", {12: "inception2015"})
    return names


def picture(seed: int, height: int = 8, width: int = 8) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return draw.integers(0, 256, (height, width, 3), dtype=np.uint8) // (1 + seed % 3)


def save(path: Path, image: np.ndarray | Image.Image, **how: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(path, **how)


@pytest.fixture
def two_sets(tmp_path: Path) -> tuple[Path, Path]:
    """`a`: 70 images of 8 x 8 px, more than a batch; `b`: 40 in two folders, of three sizes."""
    for seed in range(70):
        save(tmp_path / "a" / f"{seed:03}.png", picture(seed))
    for seed in range(40):
        save(tmp_path / "b" / f"{seed % 2}" / f"{seed:03}.png", picture(seed, 8 + 2 * (seed % 3), 10))
    return tmp_path / "a", tmp_path / "b"


def from_files(folder: Path) -> np.ndarray:
    return np.stack([quadrants_in_numpy(path) for path in sorted(folder.rglob("*.png"))])


def run(*arguments: object) -> int:
    return command.main([str(argument) for argument in arguments])


def measured(folder: Path, *arguments: object) -> dict:
    """The JSON of a run that must succeed."""
    assert run(*arguments, "--json", folder / "out.json") == 0
    return json.loads((folder / "out.json").read_text())


def distance(folder: Path, *arguments: object) -> float:
    return measured(folder, *arguments)["metrics"][0]["value"]


# what is measured


def test_the_distance_of_two_folders_is_scipys(two_sets, tmp_path, capsys):
    a, b = two_sets
    report = measured(tmp_path, a, b)
    expected = distance_by_eigenvalues(from_files(a), from_files(b))
    assert report["metrics"][0] == {"metric": "FID", "value": pytest.approx(expected, rel=1e-6)}
    assert [row["metric"] for row in report["metrics"]] == ["FID", "KID", "precision", "recall"]
    assert report["metrics"][1]["std"] > 0
    assert (report["network"], report["network_sha256"]) == ("inception2015", SHA256)
    assert report["protocol"] == "protocol of inception2015"
    assert (report["A"]["images"], report["B"]["images"]) == (70, 40)
    assert report["A"]["notes"][0] == "8 x 8 px" and report["B"]["notes"][0] == "3 sizes (10 x 8 px, 10 x 10 px, ...)"
    assert report["notes"] == []
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split() == ["metric", "value"]
    assert shown[1].split() == ["FID", f"{report['metrics'][0]['value']:.6g}"]
    text = "\n".join(shown)
    for part in (f"{a}: 70 images; 8 x 8 px", f"sha256 {SHA256}", "round(v / 257)", "40 images"):
        assert part in text


def test_a_set_is_at_no_distance_from_itself(two_sets, tmp_path):
    assert distance(tmp_path, two_sets[1], two_sets[1]) < 1e-6


def test_only_the_inception_gives_an_fid(two_sets, tmp_path, loaded):
    a, b = two_sets
    report = measured(tmp_path, a, b, "--network", "efficientnet_lite0", "--metrics", "fid")
    assert report["metrics"][0]["metric"] == "FD (EfficientNet-Lite0)" and loaded == ["efficientnet_lite0"]
    assert report["metrics"][0]["value"] == pytest.approx(
        distance_by_eigenvalues(from_files(a), from_files(b)), rel=1e-6
    )


def test_weights_go_to_the_network(two_sets, tmp_path, loaded):
    measured(tmp_path, *two_sets, "--network", "resnet18", "--weights", "mine.safetensors")
    assert loaded == ["resnet18 mine.safetensors"]


def kernel_by_pairs(a: np.ndarray, b: np.ndarray) -> float:
    """Binkowski et al. 2018, eq. 4, pair by pair."""

    def mean(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
        return float(np.mean([(x @ y / len(x) + 1) ** 3 for x, y in pairs]))

    within = [mean(list(itertools.permutations(part, 2))) for part in (a, b)]
    return sum(within) - 2 * mean(list(itertools.product(a, b)))


def covered_by_pairs(points: np.ndarray, centres: np.ndarray) -> float:
    """Share of the points no further from some centre than its third nearest neighbour is."""
    radii = [sorted(np.linalg.norm(centres - centre, axis=1))[3] for centre in centres]
    inside = [any(np.linalg.norm(point - c) <= r for c, r in zip(centres, radii, strict=True)) for point in points]
    return float(np.mean(inside))


def test_kid_precision_and_recall_are_those_of_their_definitions(tmp_path, loaded):
    for seed in range(30):
        save(tmp_path / "a" / f"{seed:02}.png", picture(seed))
        save(tmp_path / "b" / f"{seed:02}.png", picture(100 + seed) // (1 + seed % 2))
    a, b = from_files(tmp_path / "a"), from_files(tmp_path / "b")
    report = measured(tmp_path, tmp_path / "a", tmp_path / "b", "--metrics", "precision_recall,kid")
    expected = [covered_by_pairs(a, b), covered_by_pairs(b, a), kernel_by_pairs(a, b)]
    assert expected[0] != expected[1]
    assert [row["metric"] for row in report["metrics"]] == ["precision", "recall", "KID"]
    assert [row["value"] for row in report["metrics"]] == [pytest.approx(value, rel=1e-5) for value in expected]
    assert report["metrics"][0]["neighbours"] == 3
    assert (report["metrics"][2]["subsets"], report["metrics"][2]["subset_size"]) == (100, 30)
    assert "std" not in report["metrics"][2], "all subsets are the same"
    assert loaded == ["inception2015"], "loaded once for both sides"
    other = measured(tmp_path, tmp_path / "a", tmp_path / "b", "--metrics", "kid", "--network", "efficientnet_lite0")
    assert [row["metric"] for row in other["metrics"]] == ["KD (EfficientNet-Lite0)"]


def test_errors_of_the_distance_are_measured_on_demand(two_sets, tmp_path, capsys):
    """They need the images of A and statistics of B alone."""
    a, b = two_sets
    assert run(b, "--save-statistics", tmp_path / "b.parquet") == 0
    report = measured(tmp_path, a, tmp_path / "b.parquet", "--metrics", "fid,fid_interval,fid_infinity")
    plain, interval, infinity = report["metrics"]
    assert interval["metric"] == "FID, bootstrapped" and interval["value"] == pytest.approx(plain["value"], rel=1e-6)
    assert interval["low"] < interval["value"] < interval["high"] and interval["level"] == 0.95
    assert infinity["metric"] == "FID at infinity" and infinity["standard_error"] > 0
    features = torch.cat([quadrants(batch) for batch in ImageFolder(a).batches(64)])
    reference = FrechetReference(read_statistics(tmp_path / "b.parquet").gaussian)
    assert infinity["value"] == pytest.approx(extrapolated_frechet(features, reference).value, rel=1e-6)
    assert "(standard error " in capsys.readouterr().out


def test_what_needs_images_is_left_out_where_there_are_none(two_sets, tmp_path, capsys):
    a, b = two_sets
    assert run(b, "--save-statistics", tmp_path / "b.parquet") == 0
    for pair in ((a, tmp_path / "b.parquet"), (tmp_path / "b.parquet", a)):
        assert [row["metric"] for row in measured(tmp_path, *pair)["metrics"]] == ["FID"]
    for metric, letter, pair in (
        ("kid", "B", (a, tmp_path / "b.parquet")),
        ("fid,precision_recall", "A", (tmp_path / "b.parquet", a)),
        ("fid_interval", "A", (tmp_path / "b.parquet", a)),
        ("fid_infinity", "A", (tmp_path / "b.parquet", a)),
    ):
        capsys.readouterr()
        assert run(*pair, "--metrics", metric) == 2
        error = capsys.readouterr().err
        assert f"needs the images of {letter}, but '{tmp_path / 'b.parquet'}' holds statistics alone" in error


def test_the_result_depends_on_neither_order_nor_batches(two_sets, tmp_path, monkeypatch):
    a, b = two_sets
    expected = distance(tmp_path, a, b)
    assert distance(tmp_path, a, b) == expected, "the same command gives the same bits"
    for chunk in (1, 7, 1000):
        monkeypatch.setattr(sides, "CHUNK", chunk)
        assert distance(tmp_path, a, b) == pytest.approx(expected, rel=1e-9)
    files = sorted(b.rglob("*.png"))
    random.Random(0).shuffle(files)
    for number, file in enumerate(files):
        target = tmp_path / "shuffled" / f"{number}.png"
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(file, target)
    assert distance(tmp_path, a, tmp_path / "shuffled") == pytest.approx(expected, rel=1e-9)
    shutil.copytree(b, tmp_path / "elsewhere")
    monkeypatch.setattr(sides, "CHUNK", 64)
    assert distance(tmp_path, a, tmp_path / "elsewhere") == expected, "nor on where the folder lies"


def test_statistics_of_one_size_are_those_of_the_library(two_sets, tmp_path):
    """Bit for bit: the chunks are the same."""
    assert run(two_sets[0], "--save-statistics", tmp_path / "a.npz") == 0
    network = command.load_features("inception2015", torch.device("cpu"))
    expected = statistics(network, ImageFolder(two_sets[0]).batches(13))
    assert np.array_equal(np.load(tmp_path / "a.npz")["sigma"], expected.covariance)


# files in the place of folders


@pytest.mark.parametrize("name", ["b.npz", "b.parquet"])
def test_statistics_stand_in_for_their_images(two_sets, tmp_path, loaded, name):
    a, b = two_sets
    expected = distance(tmp_path, a, b)
    assert run(b, "--save-statistics", tmp_path / name) == 0
    report = measured(tmp_path, a, tmp_path / name)
    assert report["metrics"][0]["value"] == pytest.approx(expected, rel=1e-6)
    assert report["B"]["images"] == 40 and report["B"]["notes"] == ["statistics of the file"]
    loaded.clear()
    assert distance(tmp_path, tmp_path / name, tmp_path / name) < 1e-6
    assert not loaded, "two files of statistics need no network"


def test_npz_of_others_give_the_same_distance_and_say_what_is_not_known(two_sets, tmp_path, capsys):
    """The layout of pytorch-fid and of guided-diffusion, written by numpy alone."""
    a, b = two_sets
    expected = distance(tmp_path, a, b)
    of_b = from_files(b)
    np.savez(tmp_path / "b.npz", mu=of_b.mean(0), sigma=np.cov(of_b, rowvar=False))
    report = measured(tmp_path, a, tmp_path / "b.npz")
    assert report["metrics"][0] == {"metric": "FID", "value": pytest.approx(expected, rel=1e-6)}
    assert report["B"]["images"] is None
    assert report["B"]["notes"][1] == "network not recorded in the file: taken as inception2015"
    assert "number of images not recorded" in capsys.readouterr().out
    report = measured(tmp_path, tmp_path / "b.npz", tmp_path / "b.npz")
    assert (report["network_sha256"], report["protocol"]) == (None, None)


def test_a_batch_of_images_is_written_and_read(two_sets, tmp_path, capsys):
    a, b = two_sets
    expected = distance(tmp_path, a, b)
    capsys.readouterr()
    assert run(a, "--save-batch", tmp_path / "a.npz") == 0
    assert capsys.readouterr().out == f"wrote {tmp_path / 'a.npz'}: 70 images\n"
    with np.load(tmp_path / "a.npz") as file:
        assert file.files == ["arr_0"]
        np.testing.assert_array_equal(file["arr_0"], np.stack([picture(seed) for seed in range(70)]))
    report = measured(tmp_path, tmp_path / "a.npz", b)
    assert report["metrics"][0]["value"] == expected and report["A"]["images"] == 70
    assert report["A"]["notes"] == ["8 x 8 px"]


def test_of_a_file_with_both_the_statistics_count_as_in_guided_diffusion(two_sets, tmp_path, loaded):
    a, b = two_sets
    of_b = from_files(b)
    images = np.stack([picture(seed) for seed in range(20)])
    np.savez(tmp_path / "both.npz", arr_0=images, mu=of_b.mean(0), sigma=np.cov(of_b, rowvar=False))
    assert distance(tmp_path, a, tmp_path / "both.npz") == pytest.approx(distance(tmp_path, a, b), rel=1e-6)
    default = {row["metric"]: row["value"] for row in measured(tmp_path, a, tmp_path / "both.npz")["metrics"]}
    assert default["FID"] == pytest.approx(distance(tmp_path, a, b), rel=1e-6)
    np.savez(tmp_path / "images.npz", images)
    by_images = {row["metric"]: row["value"] for row in measured(tmp_path, a, tmp_path / "images.npz")["metrics"]}
    assert all(default[name] == by_images[name] for name in ("KID", "precision", "recall"))
    assert default["FID"] != by_images["FID"]
    # in another network's features only the images are of use
    report = measured(tmp_path, a, tmp_path / "both.npz", "--network", "efficientnet_lite0")
    assert report["B"]["images"] == 20 and "passed over: they are of features of inception2015" in str(report["B"])
    assert report["metrics"][0]["value"] == distance(
        tmp_path, a, tmp_path / "images.npz", "--network", "efficientnet_lite0"
    )


def test_statistics_choose_the_network(two_sets, tmp_path, loaded):
    a, b = two_sets
    assert run(b, "--save-statistics", tmp_path / "b.parquet", "--network", "efficientnet_lite0") == 0
    loaded.clear()
    assert measured(tmp_path, a, tmp_path / "b.parquet")["network"] == "efficientnet_lite0"
    assert loaded == ["efficientnet_lite0"]
    images = np.stack([picture(seed) for seed in range(20)])
    np.savez(tmp_path / "both.npz", arr_0=images, mu=np.zeros(12), sigma=np.eye(12))
    assert measured(tmp_path, tmp_path / "both.npz", tmp_path / "b.parquet")["network"] == "efficientnet_lite0"


def test_safetensors_are_taken_to_be_of_the_network_asked_for(two_sets, tmp_path):
    a, b = two_sets
    network = command.load_features("efficientnet_lite0", torch.device("cpu"))
    sides.measured(open_source(b), network, keep=False)[0].save(tmp_path / "b.safetensors")
    report = measured(tmp_path, a, tmp_path / "b.safetensors", "--network", "efficientnet_lite0")
    assert report["B"]["notes"][1] == "network not recorded in the file: taken as efficientnet_lite0"
    assert report["metrics"][0]["value"] == pytest.approx(
        distance_by_eigenvalues(from_files(a), from_files(b)), rel=1e-6
    )
    assert measured(tmp_path, a, tmp_path / "b.safetensors")["network"] == "inception2015"


def test_statistics_can_be_converted(two_sets, tmp_path, loaded):
    assert run(two_sets[0], "--save-statistics", tmp_path / "a.npz") == 0
    loaded.clear()
    assert run(tmp_path / "a.npz", "--save-statistics", tmp_path / "a.parquet") == 0
    assert not loaded
    before, after = read_statistics(tmp_path / "a.npz"), read_statistics(tmp_path / "a.parquet")
    assert (after.count, after.network, after.network_sha256) == (70, "inception2015", SHA256)
    assert torch.equal(before.gaussian.mean, after.gaussian.mean)


def test_both_files_can_be_written_at_once(two_sets, tmp_path):
    targets = ["--save-batch", tmp_path / "new" / "images.npz", "--save-statistics", tmp_path / "new" / "moments.npz"]
    assert run(two_sets[0], *targets) == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["images.npz", "moments.npz"]


def test_other_protocols_and_few_images_are_noted(two_sets, tmp_path, capsys):
    network = command.load_features("inception2015", torch.device("cpu"))
    gaussian, _ = sides.measured(open_source(two_sets[1]), network, keep=False)
    other = FeatureStatistics(gaussian, 40, "inception2015", SHA256, "antialiased resize")
    write_statistics(tmp_path / "b.parquet", other)
    for seed in range(12):
        save(tmp_path / "few" / f"{seed}.png", picture(seed))
    notes = measured(tmp_path, tmp_path / "few", tmp_path / "b.parquet")["notes"]
    assert notes[0] == "the protocols of A and B differ: protocol of inception2015; antialiased resize"
    assert notes[1].startswith("A has no more images than features (12)") and len(notes) == 2
    assert "the protocols of A and B differ" in capsys.readouterr().out


# images


def test_every_kind_of_image_becomes_8_bit_rgb():
    colours = picture(0, 4, 4)
    colour = Image.fromarray(colours)
    grey = Image.fromarray(colours[..., 0])
    same = [
        (colour, colours),
        (grey, np.repeat(colours[..., :1], 3, axis=2)),
        (Image.fromarray(colours[..., 0] > 99), np.repeat(255 * (colours[..., :1] > 99), 3, axis=2)),
        (Image.merge("RGBA", [*colour.split(), grey]), colours),  # alpha is dropped: no pixel is darkened by it
        (Image.merge("LA", [grey, grey]), np.repeat(colours[..., :1], 3, axis=2)),
        (Image.merge("CMYK", [grey] * 3 + [Image.new("L", (4, 4))]), 255 - np.repeat(colours[..., :1], 3, axis=2)),
    ]
    for image, expected in same:
        found = rgb(image)
        assert (found.mode, found.size) == ("RGB", (4, 4))
        np.testing.assert_array_equal(np.asarray(found), expected, err_msg=image.mode)


def test_palettes_lose_nothing_but_their_transparency(tmp_path):
    image = Image.fromarray(picture(1, 4, 4)).quantize(16)
    expected = np.asarray(image.convert("RGB"))
    save(tmp_path / "a.png", image, transparency=bytes([0, 100]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(np.asarray(rgb(Image.open(tmp_path / "a.png"))), expected)


@pytest.mark.parametrize(("ending", "order"), [("png", "<u2"), ("tiff", "<u2"), ("tiff", ">u2")])
def test_16_bit_grey_is_scaled_with_rounding_not_clipped(tmp_path, ending, order):
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    save(tmp_path / f"a.{ending}", Image.fromarray(values.astype(order)))
    found = np.asarray(rgb(Image.open(tmp_path / f"a.{ending}")))
    expected = np.rint(values.astype(np.float64) * 255 / 65535)
    np.testing.assert_array_equal(found, np.repeat(expected[..., None], 3, axis=2))


def test_32_bit_images_are_refused(tmp_path, two_sets, capsys):
    save(two_sets[0] / "deep.tiff", Image.fromarray(np.ones((8, 8), dtype=np.float32)))
    assert run(*two_sets) == 2
    error = capsys.readouterr().err
    assert "deep.tiff' cannot be read: mode F: 32 bits" in error and error.count("\n") == 1


def test_all_formats_at_any_depth_but_hidden_files(tmp_path):
    names = ["a.PNG", "sub/b.jpg", "sub/deep/c.jpeg", "d.webp", "e.bmp", "f.tif", "g.tiff"]
    for name in names:
        save(tmp_path / "set" / name, picture(0))
    (tmp_path / "set" / "labels.txt").write_text("no image")
    (tmp_path / "set" / "._a.png").write_bytes(b"the metadata of another system")
    (tmp_path / "set" / ".cache").mkdir()
    (tmp_path / "set" / ".cache" / "h.png").write_bytes(b"")
    (tmp_path / "set" / "folder.png").mkdir()
    folder = ImageFolder(tmp_path / "set")
    assert folder.count == len(names) and folder.sizes == [(8, 8)] and not folder.unreadable
    assert sum(map(len, folder.batches(3))) == len(names)
    # also under a folder that is hidden itself
    shutil.copytree(tmp_path / "set", tmp_path / ".hidden" / "set")
    assert ImageFolder(tmp_path / ".hidden" / "set").count == len(names)


def test_batches_hold_one_size_and_come_in_order(two_sets):
    batches = list(ImageFolder(two_sets[1]).batches(6))
    assert [tuple(batch.shape) for batch in batches] == [
        (n, 3, height, 10) for height, counts in ((8, (6, 6, 2)), (10, (6, 6, 1)), (12, (6, 6, 1))) for n in counts
    ]
    files = sorted(path.relative_to(two_sets[1]) for path in two_sets[1].rglob("*.png"))
    seeds = [int(file.stem) for height in range(3) for file in files if int(file.stem) % 3 == height]
    for image, seed in zip((image for batch in batches for image in batch), seeds, strict=True):
        np.testing.assert_array_equal(image.permute(1, 2, 0), picture(seed, 8 + 2 * (seed % 3), 10))


def test_folders_are_streamed(tmp_path, monkeypatch):
    """Images are decoded when their batch is due, a window of 64 ahead at most."""
    for seed in range(300):
        save(tmp_path / f"{seed}.bmp", picture(0))
    decoded, decode = [], sources.rgb
    monkeypatch.setattr(sources, "rgb", lambda image: (decoded.append(0), decode(image))[1])
    batches = ImageFolder(tmp_path).batches(16)
    assert not decoded
    for number, _ in enumerate(batches, start=1):
        assert len(decoded) <= 16 * number + 64
    assert len(decoded) == 300


@pytest.fixture
def damaged(two_sets) -> Path:
    """Three bad files in `a`: no image at all, an empty one, and one cut short, whose header is good."""
    a, _ = two_sets
    (a / "words.png").write_text("no image")
    (a / "empty.jpg").write_bytes(b"")
    whole = (a / "000.png").read_bytes()
    (a / "short.png").write_bytes(whole[: len(whole) // 2])
    return a


@pytest.mark.parametrize("name", ["words.png", "empty.jpg", "short.png"])
def test_an_image_that_cannot_be_read_is_refused_by_name(damaged, two_sets, capsys, name):
    for other in {"words.png", "empty.jpg", "short.png"} - {name}:
        (damaged / other).unlink()
    assert run(*two_sets) == 2
    error = capsys.readouterr().err
    assert f"error: image '{damaged / name}' cannot be read" in error and error.count("\n") == 1


def test_images_that_cannot_be_read_are_skipped_and_counted_on_demand(damaged, two_sets, tmp_path, capsys):
    report = measured(tmp_path, *two_sets, "--skip-corrupt")
    assert report["A"]["images"] == 70
    assert sorted(Path(path).name for path in report["A"]["unreadable"]) == ["empty.jpg", "short.png", "words.png"]
    assert "70 images (3 unreadable left out)" in capsys.readouterr().out
    for name in ("words.png", "empty.jpg", "short.png"):
        (damaged / name).unlink()
    assert report["metrics"][0]["value"] == distance(tmp_path, *two_sets)


def test_skipped_images_are_not_in_a_batch_that_is_saved(damaged, tmp_path, capsys):
    assert run(damaged, "--save-batch", tmp_path / "a.npz", "--skip-corrupt") == 0
    assert "70 images (3 unreadable left out)" in capsys.readouterr().out
    assert len(np.load(tmp_path / "a.npz")["arr_0"]) == 70


def test_sizes_that_only_unreadable_images_have_do_not_count(two_sets, tmp_path, capsys):
    a, _ = two_sets
    save(a / "wide.png", picture(0, 8, 64))
    whole = (a / "wide.png").read_bytes()
    (a / "wide.png").write_bytes(whole[: len(whole) // 2])
    report = measured(tmp_path, *two_sets, "--skip-corrupt")
    assert report["A"]["notes"] == ["8 x 8 px"] and report["A"]["images"] == 70
    assert run(a, "--save-batch", tmp_path / "a.npz", "--skip-corrupt") == 0
    assert len(np.load(tmp_path / "a.npz")["arr_0"]) == 70
    assert run(a, "--save-batch", tmp_path / "a.npz") == 2
    assert "2 sizes" in capsys.readouterr().err


def test_large_images_come_in_small_batches(tmp_path, monkeypatch):
    """From folders and arrays alike: as many as `BATCH_PIXELS` hold."""
    monkeypatch.setattr(image_arrays, "ORDINARY_PIXELS", 64)
    monkeypatch.setattr(image_arrays, "BATCH_PIXELS", 300)
    for seed in range(5):
        save(tmp_path / "set" / f"{seed}.png", picture(seed, 10, 10))
        save(tmp_path / "set" / f"small{seed}.png", picture(seed))
        save(tmp_path / "set" / f"huge{seed}.png", picture(seed, 20, 20))
    sizes = [len(batch) for batch in ImageFolder(tmp_path / "set").batches(4)]
    assert sizes == [4, 1, 3, 2, 1, 1, 1, 1, 1]
    np.savez(tmp_path / "images.npz", np.stack([picture(seed, 10, 10) for seed in range(5)]))
    images = open_source(tmp_path / "images.npz").images
    assert [len(batch) for batch in images.batches(4)] == [3, 2]
    joined = torch.cat(list(images.batches(4))).permute(0, 2, 3, 1)
    np.testing.assert_array_equal(joined, np.stack([picture(seed, 10, 10) for seed in range(5)]))


def test_few_large_images_are_decoded_ahead(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "_AHEAD_PIXELS", 2 * 64)
    for seed in range(9):
        save(tmp_path / f"{seed}.bmp", picture(0))
    decoded, decode = [], sources.rgb
    monkeypatch.setattr(sources, "rgb", lambda image: (decoded.append(0), decode(image))[1])
    for number, _ in enumerate(ImageFolder(tmp_path).batches(1), start=1):
        assert len(decoded) <= number + 2


def test_names_that_are_not_utf8_do_not_break_the_report(two_sets, tmp_path, capsys):
    a, b = two_sets
    other = Path(os.fsdecode(os.fsencode(tmp_path) + b"/s\xe9t"))
    shutil.copytree(a, other)
    Path(os.fsdecode(os.fsencode(other) + b"/\xff.png")).write_bytes(b"")
    report = measured(tmp_path, other, b, "--skip-corrupt", "--metrics", "fid")
    assert report["A"]["path"] == rf"{tmp_path}/s\xe9t"
    assert report["A"]["unreadable"] == [rf"{tmp_path}/s\xe9t/\xff.png"]
    shown = capsys.readouterr()
    (shown.out + shown.err).encode()
    assert run(other, b) == 2
    capsys.readouterr().err.encode()


def test_a_folder_of_nothing_but_damage(tmp_path):
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(LrcoreError, match=r"none of the 1 images under '.*' can be read"):
        ImageFolder(tmp_path, skip_corrupt=True)
    save(tmp_path / "b.png", picture(0))
    whole = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LrcoreError, match=r"none of the 2 images under '.*' can be read"):
        list(ImageFolder(tmp_path, skip_corrupt=True).batches(4))


# bad input


def prepared(folder: Path) -> Path:
    """Sets, and things that are none."""
    for seed in range(14):
        save(folder / "images" / f"{seed}.png", picture(seed))
        save(folder / "sizes" / f"{seed}.png", picture(seed, 8, 8 + 2 * (seed % 2)))
    save(folder / "one" / "a.png", picture(0))
    for seed in range(3):
        save(folder / "three" / f"{seed}.png", picture(seed))
    (folder / "empty").mkdir()
    (folder / "notes.txt").write_text("words")
    (folder / "torn.npz").write_bytes(b"PK\3\4 and no more")
    np.savez(folder / "one.npz", np.stack([picture(0)]))
    np.savez(folder / "batch.npz", np.stack([picture(seed) for seed in range(14)]))
    np.savez(folder / "foreign.npz", weights=np.zeros(3))
    np.savez(folder / "half.npz", mu=np.zeros(12))
    np.savez(folder / "floats.npz", np.zeros((4, 8, 8, 3)))
    np.savez(folder / "other_dim.npz", mu=np.zeros(5), sigma=np.eye(5))
    np.savez(folder / "inception.npz", mu=np.zeros(12), sigma=np.eye(12))
    for name, network, digest in (
        ("efficientnet", "efficientnet_lite0", SHA256),
        ("weights", "inception2015", "ef" * 32),
        ("wide", "inception2015", SHA256),
    ):
        dim = 13 if name == "wide" else 12
        gaussian = reference_files.gaussian_of(np.zeros(dim), np.eye(dim), 30)
        write_statistics(folder / f"{name}.parquet", FeatureStatistics(gaussian, 30, network, digest, "p"))
    return folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("images", "name a reference B, or --save-batch or --save-statistics"),
        ("images images --save-batch out.npz", "write one set: leave B out"),
        ("images --save-batch out.npz --json out.json", "are for two sets: name a reference B"),
        ("images absent", "there is no file or folder '.*absent'"),
        ("images absent.npz", "there is no file or folder '.*absent.npz'"),
        ("images notes.txt", "'.*notes.txt' is no set of images; allowed: a folder of images, or a file .npz, .parq"),
        ("empty images", "'.*empty' holds no images; known endings: .png"),
        ("one images", "'.*one' holds 1 image; the covariance of features needs at least 2"),
        ("images one.npz", "'.*one.npz' holds 1 image; the covariance"),
        (
            "three images",
            "precision_recall needs at least 4 images of A, '.*three' holds 3; choose others by --metrics",
        ),
        ("images three", "precision_recall needs at least 4 images of B, '.*three' holds 3"),
        ("images images --metrics fid_infinity", "fid_infinity needs at least 20 images of A, '.*images' holds 14"),
        ("images inception.npz --metrics fid,kid", "kid needs the images of B, but 'inception.npz' holds statistics"),
        ("images torn.npz", "'.*torn.npz' is damaged"),
        ("images foreign.npz", r"'.*foreign.npz' holds neither images \(arr_0\) nor statistics .* but weights"),
        ("images half.npz", "'.*half.npz' .* no array 'sigma'"),
        ("images floats.npz", "'.*floats.npz' .* float64"),
        ("images other_dim.npz", "does not name its feature network and has 5 features"),
        ("images efficientnet.parquet --network inception2015", "'.*efficientnet.parquet' holds statistics of .* eff"),
        ("inception.npz efficientnet.parquet", "features of efficientnet_lite0, which cannot be compared with .* inc"),
        ("images weights.parquet", "of inception2015 with different weights: sha256 cdcdcdcdcdcd... and efefefef"),
        ("images wide.parquet", "no Frechet distance between 12 and 13 features"),
        ("images images --metrics fit", "unknown metric 'fit'; allowed: fid.*did you mean 'fid'"),
        ("images images --network inception", "unknown feature network 'inception'; allowed: inception2015, eff"),
        ("images images --device tpu", "unknown device 'tpu'"),
        ("images images --jsom x", "unrecognized arguments: --jsom"),
        ("images images --json notes.txt/out.json", "'notes.txt' cannot be written to"),
        ("images --save-batch out.zip", r"unknown ending of a file to write '.zip'; allowed: .npz"),
        ("images --save-statistics out.csv", r"unknown ending of a file to write '.csv'; allowed: .npz, .parquet"),
        ("images --save-batch out.npz --save-statistics out.npz", "cannot both be written to 'out.npz'"),
        ("sizes --save-batch out.npz", r"'sizes' holds images of 2 sizes \(8 x 8 px, 10 x 8 px\); an .npz holds"),
        ("inception.npz --save-batch out.npz", "'inception.npz' holds statistics and no images to save"),
        ("one --save-statistics out.npz", "'one' holds 1 image"),
    ],
)
def test_bad_input_is_one_line_and_status_2(tmp_path, monkeypatch, capsys, arguments: str, message: str):
    monkeypatch.chdir(prepared(tmp_path))
    before = sorted(path.name for path in tmp_path.iterdir())
    assert run(*arguments.split()) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1 and shown.err.startswith("error: ")
    assert re.search(message, shown.err), shown.err
    assert shown.err.count("damaged or holds") < 2
    assert sorted(path.name for path in tmp_path.iterdir()) == before, "nothing half-written"


@pytest.mark.parametrize("option", ["--save-batch", "--save-statistics"])
def test_a_place_that_cannot_be_written_to_is_found_before_the_work(tmp_path, capsys, loaded, option):
    folder = prepared(tmp_path)
    assert run(folder / "images", option, folder / "notes.txt" / "out.npz", "--skip-corrupt") == 2
    assert f"folder '{folder / 'notes.txt'}' cannot be written to" in capsys.readouterr().err
    assert not loaded


def test_sources_hold_what_the_file_holds(tmp_path):
    folder = prepared(tmp_path)
    found = {
        name: open_source(folder / name) for name in ("images", "batch.npz", "inception.npz", "efficientnet.parquet")
    }
    assert [(source.images is not None, source.statistics is not None) for source in found.values()] == [
        (True, False), (True, False), (False, True), (False, True),
    ]  # fmt: skip


# the command as it is called


@pytest.mark.skipif(
    not table.asset("efficientnet_lite0").path.is_file(), reason="the weights of EfficientNet-Lite0 are not cached"
)
def test_the_command_with_a_real_network(tmp_path):
    for seed in range(8):
        save(tmp_path / "a" / f"{seed}.png", picture(seed, 32, 32))
        save(tmp_path / "b" / f"{seed}.png", picture(seed + 9, 32, 32))
    target = tmp_path / "fid.json"
    called = [
        sys.executable,
        "-m",
        "lrcore.metrics",
        "a",
        "b",
        "--network",
        "efficientnet_lite0",
        "--json",
        str(target),
    ]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run(called, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert "FD (EfficientNet-Lite0)" in done.stdout and "KD (EfficientNet-Lite0)" in done.stdout
    network = load_features("efficientnet_lite0")
    a, b = (statistics(network, ImageFolder(tmp_path / name).batches(8)) for name in "ab")
    report = json.loads(target.read_text())
    assert report["metrics"][0]["value"] == pytest.approx(frechet_distance(a, b), rel=1e-6)
    assert (report["network_sha256"], report["protocol"]) == (network.sha256, network.protocol)


def test_the_result_is_written_before_it_is_printed(tmp_path, monkeypatch):
    """The reader of a pipe may be gone by then."""

    def broken(text):
        raise BrokenPipeError

    draw = np.random.default_rng(0)
    for name in "ab":
        gathered = GaussianStatistics(4)
        gathered.update(torch.from_numpy(draw.normal(size=(9, 4))))
        write_statistics(tmp_path / f"{name}.parquet", FeatureStatistics(gathered, 9, "toy"))
    monkeypatch.setattr(command, "print", broken, raising=False)
    with pytest.raises(BrokenPipeError):
        command.main([str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet"), "--json", str(tmp_path / "fid.json")])
    assert json.loads((tmp_path / "fid.json").read_text())["metrics"][0]["value"] > 0
