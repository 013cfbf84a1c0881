from __future__ import annotations

import pytest
import timm
import torch
from rounding import assert_as_exact, in_float64
from safetensors.torch import save_file

from lrcore.assets import pretrained
from lrcore.datasets.images import to_float
from lrcore.encoders.pinned import EfficientNetLite0
from lrcore.errors import LrcoreError
from lrcore.metrics import features
from lrcore.metrics.features import FeatureNetwork, load_features, statistics


class TinyInception(torch.nn.Module):
    """The interface of the 2015 Inception: uint8 in, (B, 2048) out."""

    def __init__(self, network: object) -> None:
        super().__init__()

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        assert pixels.dtype == torch.uint8
        return pixels.double().mean(dim=(1, 2, 3))[:, None].expand(-1, 2048)


@pytest.fixture(autouse=True)
def _random_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = timm.create_model("tf_efficientnet_lite0").eval()
    monkeypatch.setattr(pretrained, "efficientnet_lite0", lambda: network)
    monkeypatch.setattr(pretrained, "inception2015", lambda: None)
    monkeypatch.setattr(features, "Inception2015", TinyInception)
    monkeypatch.setattr(pretrained, "sha256", lambda name: f"hash of {name}")


def random_pixels(n: int, size: int = 8) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(n))


def toy_network(seen: list[int] | None = None) -> FeatureNetwork:
    def extract(pixels: torch.Tensor) -> torch.Tensor:
        if seen is not None:
            seen.append(len(pixels))
        return to_float(pixels).flatten(1)[:, :6]

    return FeatureNetwork("toy", 6, "", "", torch.device("cpu"), extract)


def test_efficientnet_gives_the_encoders_pooled_features():
    network = load_features("efficientnet_lite0")
    pixels = random_pixels(2, size=32)
    encoder = EfficientNetLite0("efficientnet_lite0", pretrained.efficientnet_lite0(), 128, "")
    found = network(pixels)
    assert found.shape == (2, network.dim) == (2, 1280) and found.dtype == torch.float32
    torch.testing.assert_close(found, encoder(to_float(pixels)).pooled, rtol=0, atol=0)
    assert (network.name, network.sha256) == ("efficientnet_lite0", "hash of efficientnet_lite0")
    assert "128 px" in network.protocol


def test_inception_gives_2048_features_of_uint8_images():
    network = load_features("inception2015")
    pixels = random_pixels(3)
    found = network(pixels)
    assert found.shape == (3, network.dim) == (3, 2048) and found.dtype == torch.float32
    torch.testing.assert_close(found[:, 0], pixels.float().mean(dim=(1, 2, 3)))
    assert (network.name, network.sha256) == ("inception2015", "hash of inception2015")


def test_unknown_network_names_what_is_allowed():
    with pytest.raises(LrcoreError, match=r"unknown feature network 'inception2051'.*did you mean 'inception2015'"):
        load_features("inception2051")
    with pytest.raises(LrcoreError, match=r"'inception2015' has pinned weights and takes no others, but got 'mine.pt'"):
        load_features("inception2015", weights="mine.pt")


@pytest.mark.parametrize("name", ["inception2015", "dinov2b", "resnet18", "vit_base_patch14_dinov2.lvd142m"])
def test_names_of_networks_are_checked_without_loading_them(name):
    features.check_feature_network(name)


def test_any_model_of_timm_is_a_feature_network(tmp_path):
    torch.manual_seed(1)
    model = timm.create_model("vit_tiny_patch16_224", num_classes=0).eval()
    save_file(model.state_dict(), tmp_path / "vit.safetensors")
    network = load_features("vit_tiny_patch16_224", weights=str(tmp_path / "vit.safetensors"))
    pixels = random_pixels(2, size=224)
    mean, std = (torch.tensor(model.pretrained_cfg[key]).view(3, 1, 1) for key in ("mean", "std"))
    expected = model((pixels / 255 - mean) / std)
    assert network.dim == 192 and network.name == "vit_tiny_patch16_224" and len(network.sha256) == 64
    assert_as_exact(network(pixels), expected, in_float64(model)((pixels.double() / 255 - mean) / std))
    assert "224 px" in network.protocol


@pytest.mark.parametrize("bad", [torch.zeros(2, 3, 8, 8), torch.zeros(3, 8, 8, dtype=torch.uint8)])
def test_only_uint8_batches_have_features(bad):
    with pytest.raises(LrcoreError, match="uint8 images"):
        toy_network()(bad)


def test_statistics_are_those_of_all_features():
    pixels = random_pixels(150)
    found = statistics(toy_network(), torch.split(pixels, 40))
    expected = toy_network()(pixels).double()
    assert found.count == 150
    torch.testing.assert_close(found.mean, expected.mean(0))
    torch.testing.assert_close(found.covariance, expected.T.cov())


@pytest.mark.parametrize("cut", [[150], [1] * 150, [70, 0, 80], [63, 1, 65, 21]])
def test_statistics_do_not_depend_on_the_callers_batches(cut):
    """The complaint about other evaluators: a distance that moves with the batch size."""
    seen: list[int] = []
    pixels = random_pixels(150)
    found = statistics(toy_network(seen), torch.split(pixels, cut))
    whole = statistics(toy_network(), [pixels])
    assert seen[:-1] == [features.CHUNK] * (150 // features.CHUNK) and sum(seen) == 150
    assert found.count == whole.count
    assert torch.equal(found.mean, whole.mean) and torch.equal(found.covariance, whole.covariance)


def test_no_images_give_no_statistics():
    with pytest.raises(LrcoreError, match="at least 2 samples, got 0"):
        _ = statistics(toy_network(), []).covariance
