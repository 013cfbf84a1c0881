"""Anchors: what they are made of, against what, at which numbers, and when they are made."""

import numpy
import pytest
import torch
from PIL import Image
from tiny_study import TINY

from lrcore import train
from lrcore.metrics.features import all_features, statistics_of
from lrcore.metrics.frechet import frechet_distance
from lrcore.metrics.pairs import FeatureSet, unbiased_kernel_distance
from lrcore.records.reading import read_anchors, read_generation
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.runtime.numerical_path import numerical_path
from lrcore.stages import anchors
from lrcore.stages.features import load_network
from lrcore.stages.reconstruction import reconstructed
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study


def study(folder, text=""):
    (folder / "tiny.toml").write_text(f'extends = "{TINY}"\n{text}')
    return [str(folder / "tiny.toml"), *(f"--{name}={folder / name}" for name in ("data", "imgs", "runs"))]


def workspace(folder):
    places = Folders(*(folder / name for name in ("data", "imgs", "runs")))
    return Workspace(load_study(str(folder / "tiny.toml")), places, StopRequest(), lambda steps: None)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("anchored")
    choice = '[[choice]]\nae = ["flux2"]\nn_samples = [12]\n'  # more test images than validation_images
    assert train.main([*study(folder, choice), "--only", "anchors", "--ae", "flux2"]) == 0
    return folder


def test_each_is_compared_with_the_reference_and_with_reconstructions(done):
    rows = read_anchors(done / "data")
    pairs = set(zip(rows.anchor, rows.target, rows.n_samples, strict=True))
    wanted = {(a, t, n) for a in anchors.ANCHORS for t in ("reference", "reconstructions") for n in (8, 12)}
    assert pairs == {pair for pair in wanted if pair[:2] != ("reconstructions", "reconstructions")}
    assert rows[["fid", "kid"]].notna().all(axis=None)


def test_distances_are_those_of_images_made_and_measured_by_hand(done):
    work = workspace(done)
    rows = read_anchors(done / "data").set_index(["anchor", "target", "n_samples"])
    autoencoder = anchors.ensure_autoencoder(work, "flux2")
    test = work.test_images(12)[:8]
    network = load_network(work)
    of = {
        "test": all_features(network, [test]),
        "reconstructions": all_features(network, [reconstructed(autoencoder, test)]),
    }
    reference = all_features(network, [work.images.train.first(48)])
    for anchor, target, b in (("test", "reconstructions", of["reconstructions"]), ("test", "reference", reference),
                              ("reconstructions", "reference", reference)):  # fmt: skip
        row = rows.loc[(anchor, target, 8)]
        # the images went through the network in other batches: float32 features, 1,280 of up to 10
        assert row.fid == pytest.approx(frechet_distance(statistics_of(b), statistics_of(of[anchor])), rel=1e-4)
        kid = unbiased_kernel_distance(FeatureSet(of[anchor]), FeatureSet(b))
        assert row.kid == pytest.approx(kid, rel=1e-4, abs=1e-6)


def test_more_samples_begin_with_the_same(done):
    work = workspace(done)
    for anchor in anchors.ANCHORS:
        eight, twelve = (anchors._images(work, "flux2", anchor, count).features for count in (8, 12))
        assert torch.equal(eight, twelve[:8])


def test_gaussian_latents_have_the_moments_of_the_training_latents(done, monkeypatch):
    """Decoded by a decoder that decodes nothing."""
    work, kept = workspace(done), []
    autoencoder = anchors.ensure_autoencoder(work, "flux2")
    monkeypatch.setattr(
        autoencoder, "decode", lambda tokens: kept.append(tokens) or torch.zeros(len(tokens), 3, 32, 32)
    )
    anchors._gaussian(work, "flux2", 400)
    drawn = torch.cat(kept).flatten(1).double()
    latents = autoencoder.encode(work.images.train.images).flatten(1).double()
    deviation = latents.std(0, correction=0)
    # five standard errors of a mean of 400, over 2,048 numbers
    assert ((drawn.mean(0) - latents.mean(0)).abs() < 5 * deviation / 400**0.5 + 1e-5).all()
    # all lie in the span of 48 latents, and have their whole variance
    assert torch.linalg.matrix_rank(drawn - latents.mean(0), rtol=1e-5) == 47
    assert drawn.var(0).sum() == pytest.approx(float((deviation**2).sum()), rel=5 * (2 / 400) ** 0.5)


def test_rows_of_generation_carry_them_and_done_is_done(done, capsys):
    line = [*study(done), "--only", "generation", "--ae", "flux2", "--repa", "none"]
    assert train.main(line) == 0
    rows, found = read_generation(done / "data"), read_anchors(done / "data")
    found = found[found.n_samples == 8].set_index(["anchor", "target"])
    assert set(rows.floor_kid) == {found.loc[("reconstructions", "reference"), "kid"]}
    assert set(rows.gaussian_fid) == {found.loc[("gaussian", "reconstructions"), "fid"]}
    assert rows.reconstruction_kid.nunique() == len(rows) == 4
    assert rows.straightness.between(-1, 1).all() and rows.efficiency.between(0, 1).all()
    assert set(rows.width) == {128.0} and set(rows.skip) == {"none"}
    path = numerical_path(torch.device("cpu"), "float32")
    assert set(rows.numerical_path) == {f"trained: {path}; sampled: {path}"}
    capsys.readouterr()
    assert train.main([*study(done), "--only", "anchors", "--ae", "flux2"]) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_fewer_test_images_than_samples_leave_the_columns_empty_and_say_so(tmp_path, capsys):
    folder = tmp_path / "images"
    generator = numpy.random.RandomState(0)

    for label in "ab":
        (folder / label).mkdir(parents=True)
        for number in range(28):
            Image.fromarray(generator.randint(0, 255, (32, 32, 3), dtype=numpy.uint8)).save(
                folder / label / f"{number}.png"
            )
    text = f'[data]\ndataset = "folder"\npath = "{folder}"\n[evaluation]\nn_samples = 9\n'
    line = study(tmp_path, text)
    assert train.main([*line, "--only", "anchors", "generation", "--ae", "flux2", "--repa", "none"]) == 0
    assert "no anchors of 9 images, as many as samples: " in capsys.readouterr().err
    rows = read_generation(tmp_path / "data")
    assert len(rows) == 4 and rows.fid.notna().all()
    assert rows[["floor_fid", "reconstruction_kid", "gaussian_kid"]].isna().all(axis=None)
    assert read_anchors(tmp_path / "data").empty
