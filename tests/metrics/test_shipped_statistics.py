"""The statistics that ship: CIFAR-10's golden FID, and a check of them against torch-fidelity on a few images."""

import pytest
import torch
from torch_fidelity.metric_fid import fid_statistics_to_metric

from lrcore.assets import pretrained
from lrcore.datasets import cifar10
from lrcore.metrics.features import load_features, statistics
from lrcore.metrics.frechet import GaussianStatistics, frechet_distance
from lrcore.metrics.reference_files import read_statistics
from lrcore.metrics.shipped import NAMES, shipped_path, shipped_statistics

FIRST = 256
"""Features whose distance is computed twice: torch-fidelity's matrix root of all 2,048 takes half a minute."""


@pytest.mark.parametrize("name", NAMES)
def test_they_say_what_they_are_of(name):
    found = read_statistics(shipped_path(name))
    assert (found.network, found.gaussian.dim) == ("inception2015", 2048)
    assert found.network_sha256 == pretrained.sha256("inception2015")
    assert found.count == cifar10.SIZES[name.removeprefix("cifar10-")]
    assert shipped_path(name).stat().st_size < 6e6


def test_cifar10_train_against_test_has_the_published_fid():
    """3.15: pytorch-gan-metrics gives 3.149 to 3.153."""
    train, test = (read_statistics(shipped_path(f"cifar10-{split}")).gaussian for split in ("train", "test"))
    assert frechet_distance(train, test) == pytest.approx(3.15, abs=0.01)


def of_first_features(whole):
    part = GaussianStatistics(FIRST)
    part.count, part._mean, part._scatter = whole.count, whole._mean[:FIRST], whole._scatter[:FIRST, :FIRST]
    return part


def test_a_distance_to_them_is_torch_fidelitys():
    """16 images, whose features torch-fidelity's own extractor and formula take, too."""
    pixels = cifar10.load("test", 16)[0]
    reference = shipped_statistics("cifar10", "train", 50_000, "inception2015").gaussian
    sample = statistics(load_features("inception2015"), [pixels])
    features = pretrained.inception2015()(pixels)[0].double()
    found = frechet_distance(of_first_features(reference), of_first_features(sample))
    sides = [
        {"mu": mean[:FIRST].numpy(), "sigma": covariance[:FIRST, :FIRST].numpy()}
        for mean, covariance in ((reference.mean, reference.covariance), (features.mean(0), features.T.cov()))
    ]
    expected = fid_statistics_to_metric(*sides, verbose=False)["frechet_inception_distance"]
    assert expected > 5
    assert found == pytest.approx(expected, abs=0.001)


def test_only_what_fits_is_taken():
    assert shipped_statistics("cifar10", "train", 20_000, "inception2015") is None
    assert shipped_statistics("cifar10", "train", 50_000, "efficientnet_lite0") is None
    assert shipped_statistics("folder", "train", 50_000, "inception2015") is None


def test_the_images_behind_them_are_those_of_the_asset():
    """The mean feature of the first images lies within their sampling error of the shipped mean."""
    pixels = cifar10.load("train", 64)[0]
    sample = statistics(load_features("inception2015"), [pixels])
    reference = read_statistics(shipped_path("cifar10-train")).gaussian
    error = (reference.covariance.diagonal() / 64).sqrt()
    deviations = (sample.mean - reference.mean) / error
    assert deviations.square().mean().item() == pytest.approx(1.0, abs=0.5)
    assert torch.corrcoef(torch.stack([sample.mean, reference.mean]))[0, 1] > 0.95
