from __future__ import annotations

import pickle
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from safetensors.torch import save_file

from lrcore.errors import LrcoreError
from lrcore.metrics import reference_files
from lrcore.metrics.frechet import GaussianStatistics, frechet_distance
from lrcore.metrics.image_arrays import ImageArray, write_images
from lrcore.metrics.npz_arrays import array_names
from lrcore.metrics.reference_files import FeatureStatistics, gaussian_of, read_statistics, write_statistics
from lrcore.records.digests import table_digest

DIM = 12
KNOWN = {"network": "efficientnet_lite0", "network_sha256": "ab" * 32, "protocol": "pooled, 128 px: bicubic"}
WRITTEN = ["statistics.npz", "statistics.parquet"]


@pytest.fixture
def small_inception(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that name no network are taken to be of the Inception at 12 features, of the other network at 5."""
    monkeypatch.setattr(reference_files, "_NETWORK_OF_DIM", {DIM: "inception2015", 5: "efficientnet_lite0"})


def features(n: int, seed: int = 0, dim: int = DIM) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return draw.normal(size=(n, dim)) @ draw.normal(size=(dim, dim)) + draw.normal(size=dim)


def gathered(values: np.ndarray) -> GaussianStatistics:
    found = GaussianStatistics(values.shape[1])
    found.update(torch.from_numpy(values))
    return found


def pixels(n: int, height: int = 6, width: int = 4) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, height, width, 3), dtype=np.uint8)


def as_batch(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2)


# statistics


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("count", [40, 7])  # 7: a covariance without full rank
def test_what_is_written_is_read(tmp_path: Path, name: str, count: int):
    gaussian = gathered(features(count))
    write_statistics(tmp_path / "new" / name, FeatureStatistics(gaussian, count, **KNOWN))
    found = read_statistics(tmp_path / "new" / name)
    assert (found.count, found.gaussian.count, found.note) == (count, count, "")
    assert {key: getattr(found, key) for key in KNOWN} == KNOWN
    assert torch.equal(found.gaussian.mean, gaussian.mean)
    np.testing.assert_allclose(found.gaussian.covariance, gaussian.covariance, rtol=1e-14)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]


@pytest.mark.parametrize("name", WRITTEN)
def test_a_count_that_is_not_known_stays_so(tmp_path: Path, name: str):
    gaussian = gathered(features(30))
    write_statistics(tmp_path / name, FeatureStatistics(gaussian, None, "inception2015"))
    found = read_statistics(tmp_path / name)
    assert found.count is None and found.network == "inception2015" and found.network_sha256 == ""
    np.testing.assert_allclose(found.gaussian.covariance, gaussian.covariance, rtol=1e-14)


def test_our_npz_is_what_pytorch_fid_reads(tmp_path: Path):
    """Its `compute_statistics_of_path`: np.load with its defaults, `mu` and `sigma`; numpy's mean and covariance."""
    values = features(50)
    write_statistics(tmp_path / "a.npz", FeatureStatistics(gathered(values), 50, **KNOWN))
    with np.load(tmp_path / "a.npz") as file:
        mu, sigma = file["mu"][:], file["sigma"][:]
    np.testing.assert_allclose(mu, values.mean(0), rtol=1e-12)
    np.testing.assert_allclose(sigma, np.cov(values, rowvar=False), rtol=1e-12)


def test_the_parquet_is_a_plain_table_of_the_upper_triangle(tmp_path: Path):
    values = features(50)
    write_statistics(tmp_path / "a.parquet", FeatureStatistics(gathered(values), 50, **KNOWN))
    table = pa.parquet.read_table(tmp_path / "a.parquet")
    covariance = np.cov(values, rowvar=False)
    np.testing.assert_allclose(table["mean"].to_numpy(), values.mean(0), rtol=1e-12)
    for row, found in enumerate(table["covariance"].to_pylist()):
        np.testing.assert_allclose(found, covariance[row, row:], rtol=1e-12)
    about = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert about.pop("lrcore_sha256") == table_digest(table)
    assert about == {**KNOWN, "count": "50", "lrcore_schema": "FeatureStatistics", "lrcore_schema_version": "1"}
    layout = pa.parquet.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0).column(1)
    assert (layout.compression, layout.physical_type) == ("ZSTD", "DOUBLE")


def test_at_full_size_the_parquet_is_half_the_npz_and_the_distance_is_the_same(tmp_path: Path):
    draw = np.random.default_rng(0)
    a, b = gathered(draw.normal(size=(300, 2048))), gathered(draw.normal(size=(200, 2048)) * 2)
    expected = frechet_distance(a, b)
    for name in WRITTEN:
        write_statistics(tmp_path / name, FeatureStatistics(a, 300, "inception2015"))
        assert frechet_distance(read_statistics(tmp_path / name).gaussian, b) == pytest.approx(expected, rel=1e-10)
    sizes = [(tmp_path / name).stat().st_size for name in WRITTEN]
    assert sizes[1] < 0.52 * sizes[0]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("number", [np.float32, np.float64])
@pytest.mark.usefixtures("small_inception")
def test_reads_the_reference_batches_of_guided_diffusion(tmp_path: Path, save, number):
    values, spatial = features(60), features(60, dim=7)
    save(
        tmp_path / "reference.npz",
        arr_0=pixels(9), arr_1=np.arange(9),
        mu=values.mean(0).astype(number), sigma=np.cov(values, rowvar=False).astype(number),
        mu_s=spatial.mean(0), sigma_s=np.cov(spatial, rowvar=False),
    )  # fmt: skip
    found = read_statistics(tmp_path / "reference.npz")
    assert (found.count, found.network, found.network_sha256) == (None, "inception2015", "")
    assert found.note == "network not recorded in the file: taken as inception2015"
    close = {"rtol": 1e-6, "atol": 1e-6} if number is np.float32 else {"rtol": 1e-12}
    np.testing.assert_allclose(found.gaussian.mean, values.mean(0), **close)
    np.testing.assert_allclose(found.gaussian.covariance, np.cov(values, rowvar=False), **close)
    images = ImageArray(tmp_path / "reference.npz")
    np.testing.assert_array_equal(next(images.batches(20)).permute(0, 2, 3, 1), pixels(9))


@pytest.mark.usefixtures("small_inception")
def test_a_distance_from_moments_is_that_of_the_features(tmp_path: Path):
    a, b = features(80, 1), features(70, 2)
    np.savez(tmp_path / "a.npz", mu=a.mean(0), sigma=np.cov(a, rowvar=False))
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(cov_a @ cov_b).astype(complex)).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a + cov_b) - 2 * roots.sum()
    assert frechet_distance(read_statistics(tmp_path / "a.npz").gaussian, gathered(b)) == pytest.approx(expected)


@pytest.mark.parametrize("count", [5, 40])
def test_distances_do_not_need_the_count(count: int):
    known, other = gathered(features(count, 1)), gathered(features(30, 2))
    unknown = gaussian_of(known.mean.numpy(), known.covariance.numpy(), None)
    expected = frechet_distance(known, other)
    assert frechet_distance(unknown, other) == pytest.approx(expected, rel=1e-10)
    assert frechet_distance(other, unknown) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("dim", "network"), [(DIM, "inception2015"), (5, "efficientnet_lite0")])
@pytest.mark.usefixtures("small_inception")
def test_reads_our_safetensors(tmp_path: Path, dim: int, network: str):
    gaussian = gathered(features(20, dim=dim))
    gaussian.save(tmp_path / "a.safetensors")
    found = read_statistics(tmp_path / "a.safetensors")
    assert (found.count, found.network) == (20, network) and "taken as " + network in found.note
    np.testing.assert_allclose(found.gaussian.covariance, gaussian.covariance, rtol=1e-14)


def test_the_networks_taken_for_granted_have_the_dimensions_they_have():
    """pytorch-fid's `--dims 768` is another layer of the same network: no FID."""
    assert reference_files._NETWORK_OF_DIM == {2048: "inception2015", 1280: "efficientnet_lite0"}


@pytest.mark.parametrize("dim", [5, 6])
@pytest.mark.usefixtures("small_inception")
def test_npz_of_other_features_than_the_inceptions_must_name_the_network(tmp_path: Path, dim: int):
    values = features(20, dim=dim)
    np.savez(tmp_path / "a.npz", mu=values.mean(0), sigma=np.cov(values, rowvar=False))
    with pytest.raises(LrcoreError, match=rf"a\.npz'.*does not name its feature network and has {dim} features"):
        read_statistics(tmp_path / "a.npz")
    gathered(features(20, dim=6)).save(tmp_path / "a.safetensors")
    with pytest.raises(LrcoreError, match=r"has 6 features; known are 12 \(inception2015\), 5 \(eff"):
        read_statistics(tmp_path / "a.safetensors")
    found = read_statistics(tmp_path / "a.safetensors", "dinov2b")
    assert (found.network, found.note) == ("dinov2b", "network not recorded in the file: taken as dinov2b")


GOOD = {"mu": features(30).mean(0), "sigma": np.cov(features(30), rowvar=False)}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mu": GOOD["mu"]}, "no array 'sigma', but mu"),
        ({"weights": GOOD["mu"]}, "no array 'mu' and 'sigma', but weights"),
        ({"mu": GOOD["sigma"], "sigma": GOOD["mu"]}, r"shapes \(12, 12\) and \(12,\)"),
        ({**GOOD, "mu": GOOD["mu"][:-1]}, r"shapes \(11,\) and \(12, 12\)"),
        ({"mu": np.zeros(0), "sigma": np.zeros((0, 0))}, r"shapes \(0,\)"),
        ({**GOOD, "mu": GOOD["mu"].astype(int)}, "int64 and float64"),
        ({**GOOD, "sigma": GOOD["sigma"] * 1j}, "complex128"),
        ({**GOOD, "mu": GOOD["mu"] * np.nan}, "NaN or infinity"),
        ({**GOOD, "sigma": GOOD["sigma"] * np.inf}, "NaN or infinity"),
        ({**GOOD, "sigma": np.triu(GOOD["sigma"])}, "not symmetric"),
        ({**GOOD, "sigma": -GOOD["sigma"]}, "negative variance"),
        ({**GOOD, "count": np.array(1)}, "at least 2 images, not of 1"),
        ({**GOOD, "count": np.arange(3)}, "array of size 1"),
    ],
)
@pytest.mark.usefixtures("small_inception")
def test_npz_that_are_no_statistics(tmp_path: Path, arrays: dict[str, np.ndarray], message: str):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(LrcoreError, match=r"a\.npz' is damaged or holds no feature statistics: .*" + message):
        read_statistics(tmp_path / "a.npz")


class _Armed:
    def __reduce__(self):
        return (Path.touch, (Path(self.target),))


def test_nothing_is_unpickled(tmp_path: Path):
    armed = _Armed()
    armed.target = str(tmp_path / "executed")
    np.savez(tmp_path / "a.npz", mu=np.array([armed], dtype=object), sigma=np.zeros((1, 1)))
    with pytest.raises(LrcoreError, match="pickled Python objects, which are not read"):
        read_statistics(tmp_path / "a.npz")
    with (tmp_path / "b.npz").open("wb") as file:
        pickle.dump(armed, file)
    with pytest.raises(LrcoreError, match=r"b\.npz' is damaged"):
        read_statistics(tmp_path / "b.npz")
    assert not (tmp_path / "executed").exists()
    np.load(tmp_path / "a.npz", allow_pickle=True)["mu"]
    assert (tmp_path / "executed").exists(), "the trap does not spring, so the test shows nothing"


@pytest.mark.parametrize("name", [*WRITTEN, "statistics.safetensors"])
@pytest.mark.usefixtures("small_inception")
def test_files_cut_short_are_named(tmp_path: Path, name: str):
    path = tmp_path / name
    gaussian = gathered(features(30))
    if path.suffix == ".safetensors":
        gaussian.save(path)
    else:
        write_statistics(path, FeatureStatistics(gaussian, 30, "inception2015"))
    whole = path.read_bytes()
    for length in (0, 1, 4, 9, len(whole) // 3, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(LrcoreError, match=rf"{name}' is damaged or holds no feature statistics"):
            read_statistics(path)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_flipped_byte_is_an_error_or_changes_nothing(tmp_path: Path, name: str):
    path = tmp_path / name
    write_statistics(path, FeatureStatistics(gathered(features(60, dim=30)), 60, **KNOWN))
    whole, expected = path.read_bytes(), read_statistics(path)
    refused = 0
    for place in range(0, len(whole), 13):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            found = read_statistics(path)
        except LrcoreError:
            refused += 1
            continue
        assert torch.equal(found.gaussian.mean, expected.gaussian.mean), place
        assert torch.equal(found.gaussian.covariance, expected.gaussian.covariance), place
    assert refused > 0.5 * len(range(0, len(whole), 13))


def test_parquet_of_something_else(tmp_path: Path):
    path = tmp_path / "a.parquet"
    pa.parquet.write_table(pa.table({"mean": [1.0]}), path)
    with pytest.raises(LrcoreError, match="Parquet file of something else"):
        read_statistics(path)
    write_statistics(path, FeatureStatistics(gathered(features(30)), 30, "inception2015"))
    table = pa.parquet.read_table(path)
    metadata = table.schema.metadata
    changed = {
        "schema version 2; this lrcore reads version 1": table.replace_schema_metadata(
            metadata | {b"lrcore_schema_version": b"2"}
        ),
        "not those of an upper triangle": table.slice(1, 11).take([1, 0, 2]),
        "covariance": table.select(["mean"]),
    }
    for message, other in changed.items():
        pa.parquet.write_table(other, path)
        with pytest.raises(LrcoreError, match=message):
            read_statistics(path)


def test_safetensors_of_something_else_are_not_said_to_be_for_deletion(tmp_path: Path):
    save_file({"weight": torch.zeros(2)}, tmp_path / "model.safetensors")
    with pytest.raises(LrcoreError, match="the tensors weight, not count, mean and scatter") as caught:
        read_statistics(tmp_path / "model.safetensors")
    assert "delete" not in str(caught.value)


def test_missing_files_and_unknown_endings(tmp_path: Path):
    for name in [*WRITTEN, "statistics.safetensors"]:
        with pytest.raises(LrcoreError, match=f"there is no file '.*{name}'"):
            read_statistics(tmp_path / name)
    with pytest.raises(LrcoreError, match=r"unknown ending of a statistics file '\.npy'; allowed: \.npz"):
        read_statistics(tmp_path / "a.npy")
    statistics = FeatureStatistics(gathered(features(9)), 9, "inception2015")
    with pytest.raises(LrcoreError, match=r"'\.safetensors'; allowed: \.npz, \.parquet"):
        write_statistics(tmp_path / "a.safetensors", statistics)
    with pytest.raises(LrcoreError, match="at least 2 samples"):
        write_statistics(tmp_path / "a.npz", FeatureStatistics(gathered(features(1)), 1, "inception2015"))
    assert not list(tmp_path.iterdir())


# images


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("size", [1, 4, 7, 100])
def test_images_come_in_order_and_in_batches(tmp_path: Path, save, size: int):
    save(tmp_path / "a.npz", pixels(11), np.arange(11))
    images = ImageArray(tmp_path / "a.npz")
    assert (images.count, images.size) == (11, (6, 4))
    found = list(images.batches(size))
    assert [len(batch) for batch in found] == [len(part) for part in torch.zeros(11).split(size)]
    assert all(batch.dtype == torch.uint8 and batch.is_contiguous() for batch in found)
    assert torch.equal(torch.cat(found), as_batch(pixels(11)))


def test_images_are_streamed_both_ways(tmp_path: Path):
    """3 MB of pixels pass through less than 0.5 MB of Python's memory."""
    np.savez(tmp_path / "a.npz", pixels(250, 64, 64))
    images = ImageArray(tmp_path / "a.npz")
    tracemalloc.start()
    write_images(tmp_path / "b.npz", images.batches(4))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * 2**20, peak
    np.testing.assert_array_equal(np.load(tmp_path / "b.npz")["arr_0"], pixels(250, 64, 64))


def test_the_images_written_are_what_numpy_would_write(tmp_path: Path):
    assert write_images(tmp_path / "new" / "a.npz", as_batch(pixels(10)).split(3)) == 10
    np.savez(tmp_path / "numpy.npz", pixels(10))
    assert (tmp_path / "new" / "a.npz").read_bytes() == (tmp_path / "numpy.npz").read_bytes()
    assert array_names(tmp_path / "new" / "a.npz") == {"arr_0"}


def test_images_that_do_not_fit_into_one_array_leave_no_file(tmp_path: Path):
    with pytest.raises(LrcoreError, match="sizes 4 x 6 px and 5 x 6 px do not fit"):
        write_images(tmp_path / "a.npz", [as_batch(pixels(2)), as_batch(pixels(2, 6, 5))])
    with pytest.raises(LrcoreError, match=r"no images to write to '.*a\.npz'"):
        write_images(tmp_path / "a.npz", [])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (pixels(4).transpose(0, 3, 1, 2).copy(), r"uint8 \(4, 3, 6, 4\), not uint8 \(N, H, W, 3\)"),
        (pixels(4).astype(np.float32), r"float32 \(4, 6, 4, 3\)"),
        (pixels(4)[:0], r"uint8 \(0, 6, 4, 3\)"),
        (pixels(4)[0], r"uint8 \(6, 4, 3\)"),
        (np.zeros(2048), r"float64 \(2048,\)"),
        (np.asfortranarray(pixels(4)), "in Fortran order, not"),
        (np.array([None]), "pickled Python objects"),
    ],
)
def test_arrays_that_are_no_images(tmp_path: Path, array: np.ndarray, message: str):
    np.savez(tmp_path / "a.npz", array)
    with pytest.raises(LrcoreError, match=r"a\.npz' is damaged or holds no images: .*" + message):
        ImageArray(tmp_path / "a.npz")


def test_npz_without_images(tmp_path: Path):
    np.savez(tmp_path / "a.npz", **GOOD)
    with pytest.raises(LrcoreError, match="no array 'arr_0'"):
        ImageArray(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_text("no archive")
    with pytest.raises(LrcoreError, match=r"b\.npz' is damaged or holds no arrays of numpy"):
        array_names(tmp_path / "b.npz")
    with pytest.raises(LrcoreError, match=r"there is no file '.*c\.npz'"):
        ImageArray(tmp_path / "c.npz")


def test_a_header_that_promises_more_than_there_is_allocates_nothing(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, archive.open("arr_0.npy", "w") as entry:
        about = {"descr": "|u1", "fortran_order": False, "shape": (10**9, 512, 512, 3)}
        np.lib.format.write_array_header_1_0(entry, about)
        entry.write(bytes(100))
    with pytest.raises(LrcoreError, match=r"arr_0\.npy' is not as long as its shape \(1000000000, 512, 512, 3\) says"):
        ImageArray(tmp_path / "a.npz")


def test_damaged_pixels_are_found_at_the_end(tmp_path: Path):
    np.savez(tmp_path / "a.npz", pixels(400))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[500] ^= 1
    (tmp_path / "a.npz").write_bytes(data)
    batches = ImageArray(tmp_path / "a.npz").batches(4)
    next(batches)
    with pytest.raises(LrcoreError, match=r"a\.npz' is damaged .*CRC"):
        list(batches)
