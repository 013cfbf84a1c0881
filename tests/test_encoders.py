from __future__ import annotations

import pytest
import timm
import torch
from torch.nn import functional

from lrcore import encoders, pretrained
from lrcore.encoders import VisionEncoder, load_encoder
from lrcore.errors import LrcoreError


def random_network() -> torch.nn.Module:
    """EfficientNet-Lite0 whose normalisation statistics are not the identity, so that folding them is tested."""
    torch.manual_seed(0)
    network = timm.create_model("tf_efficientnet_lite0").eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.1)
    return network


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    return random_network()


@pytest.fixture(scope="module")
def encoder(network: torch.nn.Module) -> VisionEncoder:
    return VisionEncoder("efficientnet_lite0", network, size=64, sha256="0" * 64)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_features_are_those_of_timms_network(encoder, network, images):
    pixels = 127.5 * (images + 1)
    with torch.no_grad():
        inputs = (pixels - 127) / 128
        stages = network.forward_intermediates(inputs, intermediates_only=True)
        pooled = network.forward_head(network.forward_features(inputs), pre_logits=True)
    found = encoder(images)
    assert found.patches.shape == (2, encoder.patch_channels, 4, 4)
    assert found.pooled.shape == (2, encoder.pooled_dim)
    torch.testing.assert_close(found.patches, stages[3], rtol=1e-4, atol=1e-4 * float(stages[3].abs().max()))
    torch.testing.assert_close(found.pooled, pooled, rtol=1e-4, atol=1e-4 * float(pooled.abs().max()))


def test_network_given_is_left_as_it_was(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    VisionEncoder("efficientnet_lite0", network, size=64, sha256="")
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_patches_only_equals_the_whole_pass_and_skips_later_stages(encoder, images):
    def refuse(*_):
        raise AssertionError("a stage after the patches was computed")

    expected = encoder(images).patches
    hooks = [encoder.network.blocks[5].register_forward_pre_hook(refuse)]
    hooks += [encoder.network.conv_head.register_forward_pre_hook(refuse)]
    try:
        torch.testing.assert_close(encoder.patches_only(images), expected, rtol=0, atol=0)
    finally:
        for hook in hooks:
            hook.remove()


def test_each_image_has_its_own_features_in_a_batch_of_any_size(encoder):
    images = torch.rand(35, 3, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1
    found = encoder(images)
    assert len(found.patches) == len(found.pooled) == 35
    for i in (0, 16, 34):
        alone = encoder(images[[i]])
        torch.testing.assert_close(found.patches[[i]], alone.patches, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(found.pooled[[i]], alone.pooled, rtol=1e-4, atol=1e-4)
    assert encoder(images[:0]).pooled.shape == (0, encoder.pooled_dim)


def test_other_sizes_are_resized_by_the_stated_rule(encoder):
    small = torch.rand(1, 3, 40, 32) * 2 - 1
    resized = functional.interpolate(small, size=(64, 64), mode="bicubic", align_corners=False, antialias=True)
    torch.testing.assert_close(encoder.patches_only(small), encoder.patches_only(resized), rtol=0, atol=0)


def test_frozen_in_eval_mode_and_outside_autocast(encoder, images):
    expected = encoder(images)
    outer = torch.nn.Sequential(encoder).train()
    assert not any(module.training for module in encoder.modules())
    assert not any(parameter.requires_grad for parameter in outer.parameters())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = encoder(images.requires_grad_())
    assert found.patches.dtype == found.pooled.dtype == torch.float32
    assert not found.patches.requires_grad and not found.pooled.requires_grad
    assert torch.equal(found.patches, expected.patches)


def test_a_loss_can_be_taken_against_the_patches(encoder, images):
    """A tensor made under inference mode could not be kept for the backward pass."""
    target = encoder.patches_only(images)
    guess = torch.zeros_like(target, requires_grad=True)
    (guess * target).sum().backward()
    assert torch.equal(guess.grad, target)


@pytest.mark.parametrize(
    "bad", [torch.zeros(1, 3, 64, 64, dtype=torch.uint8), torch.zeros(3, 64, 64), torch.zeros(1, 1, 64, 64)]
)
def test_refuses_what_is_not_a_batch_of_float_images(encoder, bad):
    with pytest.raises(LrcoreError, match="float images"):
        encoder(bad)


@pytest.mark.parametrize("size", [0, -16, 100])
def test_refuses_a_size_that_is_not_whole_patches(network, size):
    with pytest.raises(LrcoreError, match=f"size {size} .*multiple of 16"):
        VisionEncoder("efficientnet_lite0", network, size=size, sha256="")


def test_load_encoder_carries_name_size_and_hash(monkeypatch, network):
    monkeypatch.setattr(pretrained, "efficientnet_lite0", lambda: network)
    monkeypatch.setattr(pretrained, "sha256", lambda name: f"hash of {name}")
    loaded = load_encoder("efficientnet_lite0", size=96)
    assert (loaded.name, loaded.size, loaded.sha256) == ("efficientnet_lite0", 96, "hash of efficientnet_lite0")
    assert loaded.patches_only(torch.zeros(1, 3, 32, 32)).shape == (1, 112, 6, 6)


def test_unknown_encoder_names_the_nearest():
    with pytest.raises(LrcoreError, match="did you mean 'efficientnet_lite0'"):
        load_encoder("efficientnet_lite")
    assert encoders.ENCODERS == ("efficientnet_lite0",)
