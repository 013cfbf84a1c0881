"""Patches and their principal components: what is dropped is what is lost, one scale, the same bits in any order."""

import dataclasses
import math
import re
from pathlib import Path

import numpy
import pytest
import torch

from lrcore import train
from lrcore.autoencoders.base import CollapsedError, encode_all
from lrcore.autoencoders.guard import guard_scale
from lrcore.autoencoders.patch_autoencoder import PatchAutoencoder, patch_moments, principal_components
from lrcore.autoencoders.patches import to_tokens
from lrcore.datasets.images import to_float
from lrcore.errors import LrcoreError
from lrcore.records.reading import read_generation, read_reconstruction
from lrcore.runtime.folders import Folders
from lrcore.runtime.interruption import StopRequest
from lrcore.stages.autoencoder import autoencoder_recipe, ensure_autoencoder, needs_training
from lrcore.stages.latent_shape import latent_shape
from lrcore.stages.workspace import Workspace
from lrcore.studies.loading import load_study

TINY = (Path(__file__).parents[1] / "tiny.toml").read_text()
PATCH, VALUES = 4, 48

UNTRAINED = """
[autoencoders.pixels]
family = "patches"
patch = 4

[autoencoders.pca]
family = "patches"
patch = 4
coefficients = 16

"""


def pixels(count=40, size=32):
    """Smooth colours with some noise: patches whose components differ much in variance."""
    draw = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(count, 3, 6, 6, generator=draw), size=size, mode="bilinear")
    noise = 0.03 * torch.randn(count, 3, size, size, generator=draw)
    return (255 * (smooth + noise).clamp(0, 1)).round().to(torch.uint8)


def fitted(images, coefficients=0, dtype=torch.float64):
    made = PatchAutoencoder(patch_moments(images, PATCH), images.shape[-1], PATCH, coefficients)
    return made.to(dtype)


def patches(images):
    """Patches (N, 48) of uint8 images in [-1, 1], float64."""
    return to_tokens(images.double() / 127.5 - 1, PATCH).flatten(0, 1)


def test_moments_are_those_of_the_patches_whatever_their_order():
    images = pixels(100)
    moments = patch_moments(images, PATCH)
    values = patches(images).numpy()
    assert moments[0].numpy() == pytest.approx(values.mean(0), abs=1e-12)
    assert moments[1:].numpy() == pytest.approx(numpy.cov(values, rowvar=False, bias=True), abs=1e-12)
    shuffled = images[torch.randperm(100, generator=torch.Generator().manual_seed(1))]
    assert torch.equal(patch_moments(shuffled, PATCH), moments)


def test_components_are_an_orthonormal_basis_by_falling_variance():
    covariance = patch_moments(pixels(), PATCH)[1:]
    basis = principal_components(covariance)
    assert torch.allclose(basis @ basis.T, torch.eye(VALUES).double(), atol=1e-13)
    variances = (basis @ covariance @ basis.T).diagonal()
    assert variances.numpy() == pytest.approx(numpy.linalg.eigvalsh(covariance.numpy())[::-1], abs=1e-13)


def test_signs_are_not_the_librarys(monkeypatch):
    covariance = patch_moments(pixels(), PATCH)[1:]
    basis = principal_components(covariance)
    values, vectors = torch.linalg.eigh(covariance)
    flipped = torch.return_types.linalg_eigh((values, vectors * torch.tensor([1.0, -1.0]).repeat(VALUES // 2)))
    monkeypatch.setattr(torch.linalg, "eigh", lambda matrix: flipped)
    assert torch.equal(principal_components(covariance), basis)


def test_pixels_come_back_as_they_were():
    images, autoencoder = pixels(), fitted(pixels())
    given = images.double() / 127.5 - 1
    found = autoencoder.decode_batch(autoencoder.encode_batch(given))
    # a few roundings of numbers around 1
    assert (found - given).abs().max() < 10 * torch.finfo(torch.float64).eps
    assert autoencoder.shape.channels_per_token == VALUES and autoencoder.shape.patch == PATCH


@pytest.mark.parametrize("coefficients", [4, 8, 16, 32])
def test_what_is_lost_is_the_variance_of_the_components_left_out(coefficients):
    images = pixels()
    autoencoder = fitted(images, coefficients)
    given = images.double() / 127.5 - 1
    lost = (autoencoder.decode_batch(autoencoder.encode_batch(given)) - given).square().mean() * VALUES
    dropped = numpy.linalg.eigvalsh(patch_moments(images, PATCH)[1:].numpy())[: VALUES - coefficients].sum()
    # the basis is kept in float32
    assert lost.item() == pytest.approx(dropped, rel=VALUES * torch.finfo(torch.float32).eps)
    assert autoencoder.shape.channels_per_token == coefficients
    assert autoencoder.shape.tokens == 64


def test_all_components_lose_nothing():
    images, autoencoder = pixels(), fitted(pixels(), VALUES, torch.float32)
    assert (autoencoder(images) - to_float(images)).abs().max() < VALUES * torch.finfo(torch.float32).eps


@pytest.mark.parametrize("coefficients", [0, 16])
def test_one_scale_normalises_and_whitens_nothing(coefficients):
    images = pixels(100)
    autoencoder = fitted(images, coefficients, torch.float32)
    tokens = encode_all(autoencoder, images).double()
    assert tokens.mean().item() == pytest.approx(0.0, abs=1e-5)
    assert tokens.std(correction=0).item() == pytest.approx(1.0, abs=1e-5)
    variances = tokens.flatten(0, 1).var(dim=0, correction=0)
    given = patch_moments(images, PATCH)[1:]
    wanted = (autoencoder.basis.double() @ given @ autoencoder.basis.double().T).diagonal()
    assert (variances / variances[0]).numpy() == pytest.approx((wanted / wanted[0]).numpy(), rel=1e-3)


def test_the_guard_lets_one_scale_pass_and_nothing_else():
    images = pixels()
    autoencoder = fitted(images, 32, torch.float32)
    tokens = encode_all(autoencoder, images)
    guard_scale(tokens, "pca32", autoencoder.one_scale)
    with pytest.raises(LrcoreError, match="channels of the latents of 'pca32' are not normalised"):
        guard_scale(tokens, "pca32")
    with pytest.raises(LrcoreError, match=r"have mean .* and standard deviation 3;"):
        guard_scale(3 * tokens, "pca32", autoencoder.one_scale)


def test_images_without_structure_are_refused():
    with pytest.raises(CollapsedError, match="the patches of all training images are the same"):
        fitted(torch.full((3, 3, 8, 8), 7, dtype=torch.uint8))


def study_without_training(folder, extra=""):
    """tiny.toml with nothing to train, in `folder`."""
    start, end = TINY.index("[autoencoder_training]"), TINY.index("[training]")
    text = (TINY[:start] + UNTRAINED + extra + TINY[end:]).replace('["flux2", "rae"]', '["pixels", "pca"]')
    path = folder / "untrained.toml"
    path.write_text(text.replace('repa = ["none", "efficientnet_lite0"]', 'repa = ["none"]'))
    return path


def workspace(study, folder):
    return Workspace(study, Folders(folder, folder, folder / "runs"), StopRequest(), lambda steps: None)


def test_from_a_study_to_rows(tmp_path, capsys):
    """Nothing is trained, all is measured; a second call finds nothing to do."""
    study = str(study_without_training(tmp_path))
    arguments = [study, *(f"--{name}={tmp_path / name}" for name in ("data", "imgs", "runs"))]
    assert train.main([*arguments, "--plan"]) == 0
    assert re.search(r"autoencoders to train +0 +0 +0\n", capsys.readouterr().out)
    assert train.main([*arguments, "--only", "reconstruction"]) == 0
    rows = read_reconstruction(tmp_path / "data")
    assert set(rows.origin) == {"fitted"} and set(rows.weights) == {""}
    values = rows.pivot(index="metric", columns="ae", values="value")
    # back to the same pixels, for which PSNR takes that of one value off by one
    assert values.pixels["psnr"] == pytest.approx(10 * math.log10(255**2 * 3 * 32**2))
    assert values.pixels["ssim"] == pytest.approx(1.0) and values.pixels["lpips_vgg"] == pytest.approx(0.0, abs=1e-6)
    assert 15 < values.pca["psnr"] < values.pixels["psnr"] and values.pca["lpips_vgg"] > 0.001
    generation = [*arguments, "--only", "generation", "--ae", "pca", "--sampleshift", "1.0"]
    assert train.main(generation) == 0
    assert (read_generation(tmp_path / "data").status == "ok").all()
    capsys.readouterr()
    assert train.main(generation) == train.main([*arguments, "--only", "reconstruction"]) == 0
    assert capsys.readouterr().out.count("nothing to do") == 2


def test_recipes_follow_data_and_key(tmp_path):
    study = load_study(str(study_without_training(tmp_path)))
    more = dataclasses.replace(study, data=dataclasses.replace(study.data, train_images=47))
    spec = dataclasses.replace(study.autoencoders["pca"], coefficients=8)
    fewer = dataclasses.replace(study, autoencoders={**study.autoencoders, "pca": spec})
    found = [autoencoder_recipe(workspace(changed, tmp_path), "pca") for changed in (study, more, fewer)]
    assert len(set(found)) == 3
    assert not list(tmp_path.glob("runs/**/*.safetensors"))
    assert not needs_training(workspace(study, tmp_path), "pca")


@pytest.mark.parametrize("ae", ["pixels", "pca"])
def test_the_shape_is_known_before_images_are_read(ae, tmp_path):
    work = workspace(load_study(str(study_without_training(tmp_path))), tmp_path)
    shape = latent_shape(work, ae)
    assert "images" not in vars(work)
    assert shape == ensure_autoencoder(work, ae).shape


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("coefficients = 16", "coefficients = 49", r"autoencoders.pca.coefficients must be 1 to 48.* got 49"),
        ("coefficients = 16", "coefficients = -1", r"autoencoders.pca.coefficients must be at least 0 .*got -1"),
        (
            "coefficients = 16",
            "size = 64",
            r"pca.size means nothing for a fitted .*its keys: coefficients, family, normalise, p",
        ),
        ("patch = 4\ncoefficients = 16", "patch = 5", r"pca: resolution 32 must be a multiple of 5 px"),
        ("coefficients = 16", 'pretrained = "x"', r"autoencoders.pca.pretrained means nothing for a fitted"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(old, new, message, tmp_path):
    path = study_without_training(tmp_path)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(LrcoreError, match=message):
        load_study(str(path))
