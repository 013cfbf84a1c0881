"""What samples are compared with: training images, or a file that the study names."""

import numpy
import pytest
import torch
from PIL import Image
from tiny_study import TINY

from lrcore.datasets.images import save_png
from lrcore.errors import LrcoreError
from lrcore.metrics.features import all_features
from lrcore.metrics.frechet import frechet_distance
from lrcore.metrics.image_arrays import write_images
from lrcore.metrics.reference_files import FeatureStatistics, write_statistics
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.stages import reference
from lrcore.stages.evaluations import row_recipe
from lrcore.stages.features import load_network, measured_statistics
from lrcore.stages.reference import compared_features, reference_fingerprint, reference_name, reference_statistics
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study


def workspace(folder, evaluation=""):
    path = folder / "mine.toml"
    path.write_text(f'extends = "{TINY}"\n[evaluation]\n{evaluation}\n')
    folders = Folders(*(folder / name for name in ("data", "imgs", "runs")))
    return Workspace(load_study(str(path)), folders, StopRequest(), lambda steps: None)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return workspace(tmp_path_factory.mktemp("plain"))


def same(found, expected):
    """To the bit, wherever the images come from: the network sees them in the same chunks."""
    assert torch.equal(found.mean, expected.mean) and torch.equal(found.covariance, expected.covariance)


def test_without_a_reference_it_is_the_first_training_images(plain):
    assert reference_name(plain) == "cifar10/train[:48]"
    assert reference_statistics(plain).count == 48
    images = plain.images.train.first(48)
    found = compared_features(plain)
    assert torch.equal(found, all_features(load_network(plain), images.split(64)))


def test_a_file_of_images_stands_in_for_the_training_images(plain, tmp_path):
    write_images(tmp_path / "mine.npz", plain.images.train.first(48).split(10))
    work = workspace(tmp_path, 'reference = "mine.npz"')
    assert reference_name(work) == "mine.npz"
    same(reference_statistics(work), measured_statistics(plain, "train", 48))
    assert torch.equal(compared_features(work), compared_features(plain))


def test_a_reference_folder_is_what_its_images_hold(tmp_path):
    """Not names and sizes; other files do not matter."""
    (tmp_path / "images").mkdir()
    image = tmp_path / "images" / "0.bmp"
    Image.new("RGB", (32, 32), "red").save(image)
    before = reference_fingerprint(workspace(tmp_path, 'reference = "images"'))
    (tmp_path / "images" / "notes.txt").write_text("no image")
    assert reference_fingerprint(workspace(tmp_path, 'reference = "images"')) == before
    Image.new("RGB", (32, 32), "blue").save(image)
    assert reference_fingerprint(workspace(tmp_path, 'reference = "images"')) != before


def test_a_folder_of_images_does_too(plain, tmp_path):
    for number, image in enumerate(plain.images.train.first(48)):
        save_png(tmp_path / "images" / f"{number:02d}.png", image)
    work = workspace(tmp_path, 'reference = "images"')
    same(reference_statistics(work), measured_statistics(plain, "train", 48))


def test_images_of_another_size_are_refused_before_any_work(plain, tmp_path):
    for number, size in enumerate([32, 32, 24]):
        save_png(tmp_path / "images" / f"{number}.png", plain.images.train.images[number][:, :size])
    work = workspace(tmp_path, 'reference = "images"\nn_reference = 3')
    with pytest.raises(LrcoreError, match="holds images of 24 x 32 px, the study is of 32 x 32: crop and resize"):
        reference_statistics(work)


def test_of_many_images_those_compared_are_spread_over_all(plain, tmp_path, monkeypatch):
    """A file may be sorted by class: its first images would be of a few classes alone."""
    monkeypatch.setattr(reference, "COMPARED_IMAGES", 5)
    write_images(tmp_path / "mine.npz", plain.images.train.first(48).split(10))
    found = compared_features(workspace(tmp_path, 'reference = "mine.npz"'))
    picked = plain.images.train.images[[0, 9, 19, 28, 38]]
    assert torch.equal(found, all_features(load_network(plain), [picked]))


def test_statistics_with_images_beside_them_as_adms_batches_have(plain, tmp_path):
    """Distances to the statistics, which are of more images; the rest against the images of the file."""
    network = load_network(plain)
    some = plain.images.validation.first(8)
    statistics = FeatureStatistics(measured_statistics(plain, "train", 48), None, network.name)
    write_statistics(tmp_path / "stats.npz", statistics)
    with numpy.load(tmp_path / "stats.npz") as arrays:
        numpy.savez(tmp_path / "batch.npz", arr_0=some.permute(0, 2, 3, 1).numpy(), **arrays)
    work = workspace(tmp_path, 'reference = "batch.npz"\nn_reference = 1000000')
    assert frechet_distance(reference_statistics(work), measured_statistics(plain, "train", 48)) < 1e-3
    assert len(compared_features(work)) == 8
    assert reference_name(work) == "batch.npz"


def test_statistics_alone_are_joined_by_training_images(tmp_path, plain):
    network = load_network(plain)
    statistics = FeatureStatistics(measured_statistics(plain, "test", 8), 8, network.name)
    write_statistics(tmp_path / "stats.parquet", statistics)
    work = workspace(tmp_path, 'reference = "stats.parquet"\nn_reference = 8')
    assert reference_name(work) == "stats.parquet; images cifar10/train[:8]"
    assert len(compared_features(work)) == 8
    with pytest.raises(LrcoreError, match=r"stats\.parquet' is of 8 images, but evaluation\.n_reference is 9"):
        reference_statistics(workspace(tmp_path, 'reference = "stats.parquet"\nn_reference = 9'))


def test_shipped_statistics_go_by_name_wherever_the_study_lies(tmp_path):
    inception = 'reference = "cifar10-train"\nn_reference = 50000\nfeature_network = "inception2015"'
    work = workspace(tmp_path, inception)
    assert reference_statistics(work).count == 50_000
    assert reference_name(work) == "cifar10-train; images cifar10/train[:48]"
    other = workspace(tmp_path, inception.replace("inception2015", "efficientnet_lite0"))
    with pytest.raises(LrcoreError, match="is of features of inception2015, the study measures in efficientnet_lite0"):
        reference_statistics(other)


def test_what_is_not_there_is_named_with_what_is_allowed(tmp_path):
    work = workspace(tmp_path, 'reference = "absent.npz"')
    with pytest.raises(LrcoreError, match=r"evaluation\.reference '.*absent\.npz' does not exist: .* cifar10-train"):
        row_recipe(work, work.study.cells[0])


def test_rows_depend_on_what_the_reference_holds_not_on_where_it_lies(plain, tmp_path):
    cell = plain.study.cells[0]
    found = []
    for number, (name, images) in enumerate([("a", 48), ("b", 48), ("c", 47)]):
        folder = tmp_path / name
        folder.mkdir()
        write_images(folder / f"{number}.npz", plain.images.train.first(images).split(10))
        found.append(row_recipe(workspace(folder, f'reference = "{number}.npz"'), cell))
    assert found[0] == found[1] != found[2] and row_recipe(plain, cell) not in found
